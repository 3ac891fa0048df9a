"""What the rehearsal's tests share: a checkout that can be rehearsed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rehearsal.settings import adapted

# Shorter than the template's; the outage of act 6 needs four minutes in the last one.
STEPS = "[{ weight_pct = 25, bake_s = 180 }, { weight_pct = 50, bake_s = 240 }]"


@pytest.fixture(scope="session")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository generated with the default answers, whose rollouts have short steps.

    Its lock file has a line more: the engine merges equal builds that run at the same time, and tests of
    builds run beside these.
    """
    path = tmp_path_factory.mktemp("rehearsed") / repository.name
    shutil.copytree(repository, path)
    settings = path / "deploy.toml"
    text, times = re.subn(
        r"(?ms)(^\[environments\.production\]\nsteps = )\[.*?^\]",
        rf"\g<1>{STEPS}",
        settings.read_text(encoding="utf-8"),
    )
    assert times == 1
    settings.write_text(adapted(text, "production", {"final_bake_s": 60, "settle_s": 60}), encoding="utf-8")
    with (path / "requirements" / "app.txt").open("a", encoding="utf-8") as lock:
        lock.write("# rehearsed\n")
    return path
