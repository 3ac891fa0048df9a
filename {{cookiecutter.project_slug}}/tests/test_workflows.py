"""The workflows keep every rule of `rules/workflows.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rules import workflows

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("rule", workflows.RULES, ids=lambda rule: rule.__name__)
def test_workflows_keep_the_rule(rule: Callable[[workflows.Files], list[str]]) -> None:
    """No workflow, and not the dependency bot's settings, breaks a rule."""
    paths = [*(ROOT / ".github").glob("workflows/*"), ROOT / ".github/dependabot.yml"]
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert rule(files) == []
