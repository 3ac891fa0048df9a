"""Issues, labels, runs and artifacts of the repository, as `gh` shows and changes them. Shell: reads artifacts."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rest import Refused, State


def _given(words: list[str], *options: str) -> Any:
    parser = ArgumentParser()
    for option in options:
        parser.add_argument(option)
    parser.add_argument("--repo", "-R")
    return parser.parse_args(words[2:])


def create_label(state: State, words: list[str]) -> None:
    """Make a label, or with `--force` change it."""
    parser = ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--description")
    parser.add_argument("--color")
    given = parser.parse_args(words[2:])
    labels = state.setdefault("labels", [])
    if given.name in labels and not given.force:
        raise Refused(f"label with name {given.name!r} already exists")
    state["labels"] = sorted({*labels, given.name})


def list_issues(state: State, words: list[str]) -> Any:
    """List issues as JSON."""
    given = _given(words, "--state", "--label", "--json", "--limit")
    wanted = (given.json or "number").split(",")
    found = [
        issue
        for issue in state.setdefault("issues", [])
        if issue["state"] == (given.state or "open") and (not given.label or given.label in issue["labels"])
    ]
    return [{name: issue[name] for name in wanted} for issue in reversed(found)]


def create_issue(state: State, words: list[str]) -> str:
    """Open an issue; its label has to be there."""
    given = _given(words, "--title", "--label", "--body")
    if given.label and given.label not in state.get("labels", []):
        raise Refused(f"could not add label: '{given.label}' not found")
    issues = state.setdefault("issues", [])
    issue = {"number": len(issues) + 1, "title": given.title, "body": given.body, "state": "open"}
    issues.append({**issue, "labels": [given.label] if given.label else [], "comments": []})
    return f"https://github.com/{state['owner']}/{state['name']}/issues/{len(issues)}"


def _issue(state: State, number: str) -> Any:
    for issue in state.get("issues", []):
        if str(issue["number"]) == number:
            return issue
    raise Refused(f"GraphQL: Could not resolve to an issue with the number of {number}.")


def edit_issue(state: State, words: list[str]) -> None:
    """Replace an issue's text."""
    given = _given(words, "number", "--body")
    _issue(state, given.number)["body"] = given.body


def comment_issue(state: State, words: list[str]) -> None:
    """Add a comment to an issue."""
    given = _given(words, "number", "--body")
    _issue(state, given.number)["comments"].append(given.body)


def close_issue(state: State, words: list[str]) -> None:
    """Close an issue, with a comment."""
    given = _given(words, "number", "--comment")
    issue = _issue(state, given.number)
    issue["state"] = "closed"
    if given.comment:
        issue["comments"].append(given.comment)


def list_runs(state: State, words: list[str]) -> Any:
    """List the newest runs of a workflow as JSON."""
    given = _given(words, "--workflow", "--status", "--limit", "--json")
    found = [run for run in state.setdefault("runs", []) if run["workflow"] == given.workflow]
    wanted = (given.json or "url").split(",")
    newest = list(reversed(found))[: int(given.limit or 20)]
    return [{name: run[name] for name in wanted} for run in newest]


def artifacts(state: State, name: str) -> Any:
    """List the artifacts of all runs that have this name."""
    found = []
    for folder in sorted(Path(state["artifacts"]).glob(f"*/{name}")):
        made_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        run = {"id": int(folder.parent.name)}
        found.append({"name": name, "expired": False, "created_at": made_at.isoformat(), "workflow_run": run})
    return {"total_count": len(found), "artifacts": found}
