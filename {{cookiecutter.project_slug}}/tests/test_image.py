"""The image is built and smoked as CI does it, for this machine's processor."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from deployer.errors import DeployerError
from deployer.image.docker import find_docker

ROOT = Path(__file__).parents[1]
NATIVE = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".venv*", ".cache", ".*_cache", "__pycache__", "*.egg-info", "build"
)


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason, or fail with it where REQUIRE_DOCKER=1 says that skipping is not an option."""
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def docker() -> list[str]:
    """Return the command of a Docker client whose engine answers and has, or can pull, the base image."""
    try:
        command = find_docker()
    except DeployerError as error:
        unavailable(error.what)
    pinned = re.search(
        r"^FROM (\S+) AS base$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert pinned, "the Dockerfile has no line `FROM IMAGE AS base`"
    base = os.environ.get("BASE_IMAGE") or pinned[1]
    for ask in (["image", "inspect", base], ["pull", "--quiet", base]):
        if subprocess.run([*command, *ask], capture_output=True, check=False).returncode == 0:
            return command
    unavailable(f"the base image {base} can neither be found nor pulled; BASE_IMAGE may name another")


@pytest.mark.docker
def test_the_image_passes_its_smoke_test(docker: list[str], tmp_path: Path) -> None:
    """`deployer build`, then `deployer smoke`: what is in smoke/ holds for the image of this checkout."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, ignore=NOT_SOURCES)
    settings = checkout / "deploy.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(
        re.sub(r'(?m)^architecture = "\w+"', f'architecture = "{NATIVE}"', text), encoding="utf-8"
    )
    local_aws = ROOT / ".venv-local-aws" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    environment = {"LOCAL_AWS_PYTHON": str(local_aws), **os.environ}
    for command in ("build", "smoke"):
        done = subprocess.run(
            [sys.executable, "-m", "deployer", command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"deployer {command}\n{done.stdout}{done.stderr}"
