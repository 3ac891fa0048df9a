"""A composite action of the same repository. Shell: reads the checkout, or the commit."""

from __future__ import annotations

import io
import subprocess
import tarfile
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
    """Return the action: `./FOLDER` of the checkout, or `$/FOLDER` of the run's commit, without a checkout.

    Fails as GitHub does when the job has not checked out the first kind.
    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsuses
    """
    folder = state.workspace / uses if uses.startswith("./") else _of_commit(state, uses.removeprefix("$/"))
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


def _of_commit(state: JobState, path: str) -> Path:
    """Take a folder out of the run's commit, to where the runner keeps actions."""
    target = state.temp / "actions" / path
    if not target.exists():
        (state.temp / "actions").mkdir(exist_ok=True)
        command = ["git", "-C", str(state.repository.remote), "archive", state.sha, path]
        packed = subprocess.run(command, capture_output=True, check=False)
        if packed.returncode:
            raise ActionFailedError(f"can't find 'action.yml' under '{path}' in {state.sha}")
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(state.temp / "actions", filter="data")
    return target
