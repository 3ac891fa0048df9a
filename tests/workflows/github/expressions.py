"""GitHub's own parser and expressions, in a Node process. Shell."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from workflows import nodejs
from workflows.github.errors import WorkflowError

SOURCE = Path(__file__).parent / "node"
OLDEST_NODE = 20  # the packages' own `engines`


@dataclass(frozen=True)
class Situation:
    """What an expression sees: the contexts by name, and what status functions and hashFiles look at."""

    context: Mapping[str, Any]
    status: str = "success"
    workspace: Path = Path("/nonexistent")


class Expressions:
    """Answers questions about workflow files; safe to be asked by several threads."""

    def __init__(self, build: Path) -> None:
        """Start the process; the packages are installed below `build`. Raises nodejs.NotInstalledError."""
        self._lock = threading.Lock()
        program = nodejs.node(OLDEST_NODE, lock=SOURCE.with_suffix(".txt"), parent=build)
        self._process = subprocess.Popen(
            [program, "--import", "./json-loader.mjs", "evaluator.mjs"],
            cwd=nodejs.installed(SOURCE, build),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={"PATH": os.environ["PATH"]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def workflow(self, name: str, content: str) -> dict[str, Any]:
        """Return a workflow file as data, with conditions and ids of steps made explicit.

        Expressions are `{"$expr": TEXT}`. Raises WorkflowError with GitHub's own messages.
        """
        tree: dict[str, Any] = self._ask(op="workflow", name=name, content=content)["tree"]
        return tree

    def action(self, name: str, content: str) -> dict[str, Any]:
        """Return an action.yml as data, in the same way. Raises WorkflowError."""
        tree: dict[str, Any] = self._ask(op="action", name=name, content=content)["tree"]
        return tree

    def resolve(self, node: Any, situation: Situation) -> Any:
        """Return the data with every expression in it replaced by its value. Raises WorkflowError."""
        if node is None or isinstance(node, str | int | float | bool):
            return node
        return self._ask(**_question(node, situation))["value"]

    def holds(self, condition: Any, situation: Situation) -> bool:
        """Tell whether an `if` is true. Raises WorkflowError."""
        return bool(self._ask(**_question(condition, situation), **{"as": "condition"})["value"])

    def _ask(self, **question: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise WorkflowError("the process that evaluates expressions ended")
        answer: dict[str, Any] = json.loads(line)
        if answer.get("errors"):
            about = question.get("name") or str(question.get("node"))[:200]
            raise WorkflowError(f"{'; '.join(answer['errors'])} in {about}")
        return answer


def _question(node: Any, situation: Situation) -> dict[str, Any]:
    return {
        "op": "resolve",
        "node": node,
        "context": situation.context,
        "status": situation.status,
        "workspace": str(situation.workspace),
    }
