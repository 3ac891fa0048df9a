"""The user and the copies of the template that the tests share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from deployer.image.docker import DockerUnavailable, find_docker
from generating import Template, copy_template

# Folders and files whose tests wait for rehearsals.
LONG = {"rehearsal", "test_own_function.py", "test_stories.py"}


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return the environment of a user with a name, an empty home and no settings."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COOKIECUTTER"))
    }
    person = {"GIT_AUTHOR_NAME": "User", "GIT_AUTHOR_EMAIL": "user@example.invalid"}
    person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
    return kept | person | {"HOME": str(home), "USERPROFILE": str(home), "PYTHONUTF8": "1"}


@pytest.fixture
def own_template(tmp_path: Path, user: Mapping[str, str]) -> Template:
    """Return a copy of the template for one test, which may change it."""
    return copy_template(tmp_path / "template", user)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, user: Mapping[str, str]) -> Template:
    """Return a copy of the template that tests share and must not change."""
    return copy_template(tmp_path_factory.mktemp("template"), user)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Path:
    """Return a repository generated with the default answers; tests must not change it."""
    return template.generate(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="session")
def docker() -> list[str]:
    """Return the Docker client's command; without an engine the test is skipped (REQUIRE_DOCKER=1: fails)."""
    try:
        return find_docker()
    except DockerUnavailable as error:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"REQUIRE_DOCKER=1, but {error.what}")
        pytest.skip(error.what)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the container tests of one file into a group that one worker runs: they share what they build.

    Files run beside each other. The engine merges equal builds that run at the same time although their secrets
    differ, so a build whose secret matters has a lock file of its own: see `test_container.py`.
    """
    if "docker" in getattr(item, "fixturenames", ()) and item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(f"docker {item.path.stem}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest: rehearsals, then containers; the order within a file stays."""

    def comes_late(item: pytest.Item) -> tuple[bool, bool]:
        is_long = LONG.intersection(item.path.parts)
        return not is_long, "docker" not in getattr(item, "fixturenames", ())

    items.sort(key=comes_late)
