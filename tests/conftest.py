"""The user and the copies of the template that the tests share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from generating import Template, copy_template


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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put a test that asks for Docker into the group that one worker runs, one after the other.

    The engine merges equal builds that run at the same time, although their secrets differ.
    """
    if "docker" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("docker"))
