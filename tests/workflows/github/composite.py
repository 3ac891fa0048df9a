"""A local composite action: `uses: ./FOLDER`. Shell: reads the checkout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.github.errors import ActionFailedError, WorkflowError
from workflows.github.state import JobState


@dataclass(frozen=True)
class LocalAction:
    """An action.yml as GitHub's parser reads it."""

    folder: Path
    tree: Mapping[str, Any]

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """Return its steps."""
        steps: Sequence[Mapping[str, Any]] = self.tree["runs"]["steps"]
        return steps

    @property
    def outputs(self) -> dict[str, Any]:
        """Return output -> expression."""
        return {name: about["value"] for name, about in (self.tree.get("outputs") or {}).items()}

    def inputs(self, given: Mapping[str, str], resolve: Callable[[Any], Any]) -> dict[str, str]:
        """Return the `inputs` context; one it does not declare, or needs and lacks, is an error here.

        GitHub only warns of the first and ignores the second.
        """
        declared = {name: about or {} for name, about in (self.tree.get("inputs") or {}).items()}
        if unknown := set(given) - set(declared):
            raise WorkflowError(f"unexpected inputs of {self.folder.name}: {', '.join(sorted(unknown))}")
        missing = [name for name, about in declared.items() if about.get("required") and not given.get(name)]
        if missing:
            raise WorkflowError(f"{self.folder.name} needs the input {missing[0]}")
        defaults = {name: resolve(about.get("default", "")) for name, about in declared.items()}
        return {
            name: str(value if value is not None else "") for name, value in {**defaults, **given}.items()
        }


def find_local(state: JobState, uses: str) -> LocalAction:
    """Return the action of the checkout; fails as GitHub does when the job has not checked it out."""
    folder = state.workspace / uses
    found = [path for path in (folder / "action.yml", folder / "action.yaml") if path.is_file()]
    if not found:
        raise ActionFailedError(
            f"can't find 'action.yml' under '{folder}'. Did you forget to run actions/checkout before"
            " running your local action?"
        )
    tree = state.host.expressions.action(uses, found[0].read_text(encoding="utf-8"))
    if tree["runs"].get("using") != "composite":
        raise WorkflowError(f"{uses} is no composite action, and others are not played")
    return LocalAction(folder.resolve(), tree)
