"""The workflows keep every rule of `rules/workflows.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rules import workflows
from rules.reading import Files

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("rule", workflows.RULES, ids=lambda rule: rule.__name__)
def test_workflows_keep_the_rule(rule: Callable[[Files], list[str]]) -> None:
    """No workflow breaks a rule, and no action of this repository."""
    github = ROOT / ".github"
    paths = [*github.glob("workflows/*"), *github.glob("actions/*/action.yml")]
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert rule(files) == []
