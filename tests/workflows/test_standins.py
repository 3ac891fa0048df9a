"""Every workflow that is shipped can be played: GitHub's parser takes it, and each action has a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generating import GENERATED, ROOT
from workflows import nodejs
from workflows.conftest import missing
from workflows.github.errors import WorkflowError
from workflows.github.expressions import Expressions
from workflows.github.standins import STAND_INS

WORKFLOWS = sorted((GENERATED / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((GENERATED / ".github/actions").glob("*/action.yml"))


@pytest.fixture(scope="module")
def expressions() -> Iterator[Expressions]:
    """Return GitHub's own parser."""
    try:
        made = Expressions(ROOT / "build")
    except nodejs.NotInstalledError as reason:
        missing(str(reason))
    with made:
        yield made


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_github_takes_the_workflow(path: Path, expressions: Expressions) -> None:
    """GitHub's own parser finds no fault in it, contexts and functions of every expression included."""
    assert expressions.workflow(path.name, path.read_text(encoding="utf-8"))["jobs"]


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.parent.name)
def test_github_takes_the_action(path: Path, expressions: Expressions) -> None:
    """The same of each local action."""
    tree = expressions.action(path.parent.name, path.read_text(encoding="utf-8"))
    assert tree["runs"]["using"] == "composite"


def test_a_wrong_expression_is_refused(expressions: Expressions) -> None:
    """A context that GitHub does not have where it is used is found before the push."""
    text = (GENERATED / ".github/workflows/deploy.yml").read_text(encoding="utf-8")
    old = "if: vars.AWS_PUSH_ROLE_ARN != ''"
    assert old in text
    with pytest.raises(WorkflowError, match="secrets"):
        expressions.workflow("deploy.yml", text.replace(old, "if: secrets.AWS_PUSH_ROLE_ARN != ''", 1))


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_action_has_a_stand_in(path: Path) -> None:
    """Each third-party action is played, with every input that it is given."""
    for step in _steps(yaml.safe_load(path.read_text(encoding="utf-8"))):
        name = step.get("uses", "").partition("@")[0]
        if name and not name.startswith(("./", "$/")):
            assert name in STAND_INS
            assert set(step.get("with", {})) <= set(STAND_INS[name].inputs), name


def _steps(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in [*tree.get("jobs", {}).values(), tree.get("runs", {})]:
        yield from job.get("steps", [])
