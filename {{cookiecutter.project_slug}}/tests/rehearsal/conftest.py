"""What the rehearsal's tests share: Docker where it answers, and a checkout that can be rehearsed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.docker import DockerUnavailable, find_docker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def docker() -> list[str]:
    """Return the Docker client's command; without an engine the test is skipped (REQUIRE_DOCKER=1: fails)."""
    try:
        return find_docker()
    except DockerUnavailable as error:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"REQUIRE_DOCKER=1, but {error.what}")
        pytest.skip(error.what)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the repository, unless it is the template's own folder, whose deploy.toml is not rendered."""
    if "{{" in (ROOT / "deploy.toml").read_text(encoding="utf-8"):
        pytest.skip("deploy.toml is a template here; the generated repository runs this test")
    return ROOT
