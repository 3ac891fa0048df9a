"""What the rehearsal's tests share: Docker where it answers, and a checkout that can be rehearsed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.image.docker import DockerUnavailable, find_docker


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
def checkout(repository: Path) -> Path:
    """Return a repository generated with the default answers."""
    return repository
