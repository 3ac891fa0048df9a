"""What the rehearsal's tests share: a checkout that can be rehearsed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from generating import shorten_rollouts


@pytest.fixture(scope="session")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository generated with the default answers, whose rollouts have short steps.

    Its lock file has a line more: the engine merges equal builds that run at the same time, and tests of
    builds run beside these.
    """
    path = tmp_path_factory.mktemp("rehearsed") / repository.name
    shutil.copytree(repository, path)
    shorten_rollouts(path)
    with (path / "requirements" / "app.txt").open("a", encoding="utf-8") as lock:
        lock.write("# rehearsed\n")
    return path
