"""The role that reads suffices for plan, drift and status, and doctor says what it may not see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.errors import Exit
from enforced.conftest import Deployed, as_role
from infra.conftest import NAME, ROOT, SETTINGS_TEXT
from infra.test_prune_deployed import digest, manifest

IMAGE = f"000000000000.dkr.ecr.eu-central-1.amazonaws.com/{NAME}@{digest(1)}"


@pytest.fixture
def run(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs a command as staging's reading role, in a checkout."""
    shutil.copytree(ROOT / "infra", tmp_path / "infra")
    (tmp_path / "deploy.toml").write_text(SETTINGS_TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def reading(*command: str) -> int:
        return as_role(deployed, monkeypatch, "staging-plan", "staging-plan", *command, "--env", "staging")

    return reading


def test_the_reading_role_suffices(
    deployed: Deployed, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is live, what would change, and what is wrong are read without any other right."""
    deployed.here.admin("ecr").put_image(repositoryName=NAME, imageManifest=manifest(1), imageTag="one")
    assert deployed.stack("CREATE", ImageUri=IMAGE) == "CREATE_COMPLETE"
    before = len(deployed.here.aws.decisions())
    assert run("plan", "--image", IMAGE) == Exit.DONE
    assert run("drift") in (Exit.DONE, Exit.DRIFT)
    assert run("status") == Exit.DONE
    denied = [entry for entry in deployed.here.aws.decisions()[before:] if not entry.allowed]
    assert denied == []
    run("doctor")  # it says itself what it may not read
    assert "not looked at: these credentials may not" in capsys.readouterr().out
