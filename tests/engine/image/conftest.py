"""What the tests of the image share: a Docker client that can build, and the base image to build on."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from deployer.image.build import on_base
from generating import GENERATED

PROJECT = GENERATED


@dataclass(frozen=True)
class Docker:
    """A Docker client, as a command line."""

    client: str

    def __call__(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run a command and return what it printed; raises AssertionError with its complaint."""
        try:
            done = subprocess.run(
                [self.client, *arguments],
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env={**os.environ, "DOCKER_BUILDKIT": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"docker {arguments[0]} took longer than {timeout_s} s") from error
        assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="session")
def docker() -> Docker:
    """Return a client whose engine answers and builds; without one the test is skipped, visibly."""
    preferred = os.environ.get("DOCKER")
    # A client newer than its engine's BuildKit, without buildx, answers but cannot build.
    candidates = [preferred] if preferred else ["docker", "/usr/bin/docker"]
    paths = [path for path in map(shutil.which, candidates) if path]
    client = next(filter(_can_build, paths), None)
    if client is None:
        unavailable("no Docker engine answers here that can build an image")
    return Docker(client)


@pytest.fixture(scope="session")
def base_image(docker: Docker) -> str:
    """Return BASE_IMAGE, or else the Dockerfile's own base image, once it is here."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    pinned = re.search(r"^FROM (\S+) AS base$", text, re.MULTILINE)
    assert pinned
    name = os.environ.get("BASE_IMAGE") or pinned[1]
    try:
        docker("image", "inspect", name)
    except AssertionError:
        try:
            docker("pull", "--quiet", name)
        except AssertionError:
            unavailable(f"the base image {name} can neither be found nor pulled; BASE_IMAGE may name another")
    return name


@pytest.fixture(scope="session")
def dockerfile(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the function's Dockerfile on the base image that is here."""
    path = tmp_path_factory.mktemp("dockerfile") / "Dockerfile"
    path.write_text(
        on_base((PROJECT / "Dockerfile").read_text(encoding="utf-8"), base_image), encoding="utf-8"
    )
    return path


def unavailable(reason: str) -> NoReturn:
    """Skip the test with a reason, or fail it where REQUIRE_DOCKER=1 says that skipping is not an option."""
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {reason}")
    pytest.skip(reason)


def _can_build(client: str) -> bool:
    probe = subprocess.run(
        [client, "build", "--quiet", "-"],
        input="FROM scratch\nLABEL probe=tests\n",
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        check=False,
    )
    if probe.returncode == 0:
        subprocess.run([client, "rmi", probe.stdout.strip()], capture_output=True, timeout=60, check=False)
    return probe.returncode == 0
