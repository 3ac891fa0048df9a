"""The pre-commit hooks run the locked tools of this checkout and nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import yaml

from dev import dev
from generating import GENERATED

ROOT = GENERATED
CONFIG = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")


def hook_faults(config: str, locked: Iterable[str], targets: Iterable[str]) -> list[str]:
    """Return what a hook would fetch from elsewhere, or run without a lock."""
    found = []
    for repository in yaml.safe_load(config)["repos"]:
        if repository["repo"] != "local":
            found.append(f"{repository['repo']} is fetched from elsewhere")
        for hook in repository["hooks"]:
            words = hook.get("entry", "").split()
            runs_here = words[:2] == ["python3", "dev.py"] and hook.get("language") == "system"
            tool = words[3] if words[2:3] == ["run"] else None
            if not runs_here or (tool not in locked if tool else words[2] not in targets):
                found.append(f"{hook['id']} runs something that is not locked")
    return found


def locked_tools() -> set[str]:
    """Return the commands the lock file brings, and the checkout's own."""
    packages = set(re.findall(r"^([\w-]+)==", LOCK, flags=re.M))
    return {name.removesuffix("-bin") for name in packages} | {"deployer"}


def test_hooks_run_locked_tools() -> None:
    """Every hook is local and runs a tool of requirements/dev.txt, so it works offline."""
    assert hook_faults(CONFIG, locked_tools(), dev.TARGETS) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("repo: local", "repo: https://github.com/astral-sh/ruff-pre-commit", id="fetched"),
        pytest.param("run ruff check", "run eslint", id="not in the lock file"),
        pytest.param("python3 dev.py run zizmor", "zizmor", id="whatever is on PATH"),
        pytest.param("dev.py types", "dev.py mypy", id="no such target"),
        pytest.param("language: system", "language: python", id="an environment of its own"),
    ],
)
def test_hook_from_elsewhere_is_found(old: str, new: str) -> None:
    """A hook that is fetched, or runs an unlocked tool, would be found."""
    assert old in CONFIG
    assert len(hook_faults(CONFIG.replace(old, new, 1), locked_tools(), dev.TARGETS)) == 1


def test_hooks_cover_the_linters() -> None:
    """What `make lint` would refuse, a commit is told at once."""
    hooks = yaml.safe_load(CONFIG)["repos"][0]["hooks"]
    hooked = {tuple(hook["entry"].removeprefix("python3 dev.py run ").split()[:2]) for hook in hooks}
    tools = {tool for tool, *_ in hooked}
    assert [line for line in dev.LINTERS if line.split()[0] not in tools] == []
    assert {("ruff", "check"), ("ruff", "format")} <= hooked


def test_a_removed_file_of_the_template_is_noticed() -> None:
    """The hook that verifies the template's files runs for each commit: a removed file matches no pattern."""
    hooks = {
        hook["id"]: hook for repository in yaml.safe_load(CONFIG)["repos"] for hook in repository["hooks"]
    }
    assert hooks["machinery"]["always_run"] is True
    assert "files" not in hooks["machinery"]
