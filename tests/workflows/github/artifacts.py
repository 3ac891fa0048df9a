"""Stand-ins for the actions that keep and fetch artifacts. Shell.

Source: actions/upload-artifact, src/shared/search.ts; actions/download-artifact
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from workflows.github.actions import Call
from workflows.github.errors import ActionFailedError


def folder_of(artifacts: Path, run_id: str) -> Path:
    """Return where a run's artifacts are, each in a folder of its name."""
    return artifacts / run_id


def upload(call: Call) -> None:
    """Keep files below the least common folder of what was asked for; hidden ones are left out."""
    name, workspace = call.inputs["name"], call.state.workspace
    patterns = [line.strip() for line in call.inputs.required("path").splitlines() if line.strip()]
    if any(pattern.startswith(("!", "~", "/")) for pattern in patterns):
        raise ActionFailedError("paths with `!` or `~`, or outside the workspace, are not played")
    if_none = call.inputs["if-no-files-found"]
    if if_none not in ("warn", "error", "ignore"):
        raise ActionFailedError(
            f"Unrecognized if-no-files-found input. Provided: {if_none}. Available options: warn,error,ignore"
        )
    may_hide = call.inputs.flag("include-hidden-files")
    files = sorted({file for pattern in patterns for file in _found(workspace, pattern)})
    files = [file for file in files if may_hide or not _is_hidden(file.relative_to(workspace))]
    if not files:
        message = f"No files were found with the provided path: {' '.join(patterns)}. No artifacts will be uploaded."
        match if_none:
            case "error":
                raise ActionFailedError(message)
            case "warn":
                call.say(f"::warning::{message}")
        return
    target = folder_of(call.state.host.artifacts, call.state.run_id) / name
    if target.exists():
        if not call.inputs.flag("overwrite"):
            raise ActionFailedError(
                "Failed to CreateArtifact: Received non-retryable error: (409) Conflict:"
                " an artifact with this name already exists on the workflow run"
            )
        shutil.rmtree(target)
    root = _root([_search_path(workspace, pattern) for pattern in patterns], files)
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        copy.chmod(0o644)  # permissions are not kept


def download(call: Call) -> dict[str, str]:
    """Fetch artifacts of this run, or with a token of another one; one that is named has to be there.

    One that is named goes into the folder itself, others into folders of their names, unless they are merged.
    """
    target = call.state.workspace / call.inputs["path"]
    run_id = call.inputs["run-id"] or call.state.run_id
    if run_id != call.state.run_id:
        if not call.inputs["github-token"]:
            raise ActionFailedError("Unable to download artifact(s): another run's need a github-token")
        call.needs("actions", "read")
    source, name = folder_of(call.state.host.artifacts, run_id), call.inputs["name"]
    if name and not (source / name).is_dir():
        raise ActionFailedError(f"Unable to download artifact(s): Artifact not found for name: {name}")
    pattern = name or call.inputs["pattern"] or "*"
    for folder in sorted(source.glob(pattern)):
        is_merged = bool(name) or call.inputs.flag("merge-multiple")
        shutil.copytree(folder, target if is_merged else target / folder.name, dirs_exist_ok=True)
    return {"download-path": str(target)}


def _found(workspace: Path, pattern: str) -> list[Path]:
    matches = workspace.glob(pattern.rstrip("/"))
    return [
        file
        for match in matches
        for file in (match.rglob("*") if match.is_dir() else [match])
        if file.is_file()
    ]


def _search_path(workspace: Path, pattern: str) -> Path:
    """Return the part of a pattern before the first wildcard."""
    parts = []
    for part in Path(pattern).parts:
        if any(sign in part for sign in "*?["):
            break
        parts.append(part)
    return workspace.joinpath(*parts)


def _root(searched: list[Path], files: list[Path]) -> Path:
    """Return the folder that paths in the artifact are relative to."""
    if len(searched) > 1:
        return Path(os.path.commonpath(searched))
    return searched[0].parent if files == searched else searched[0]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
