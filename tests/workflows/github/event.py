"""What starts a run, and the `github` context it makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workflows.github.errors import WorkflowError
from workflows.github.repository import Repository

Name = Literal["push", "pull_request", "workflow_dispatch", "schedule"]


@dataclass(frozen=True)
class Event:
    """A push, a pull request from `branch` (of a fork or not), a button, or a schedule."""

    name: Name = "push"
    branch: str = "main"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    is_fork: bool = False
    actor: str = "octocat"

    @property
    def ref(self) -> str:
        """Return the ref the run is for."""
        return "refs/pull/1/merge" if self.name == "pull_request" else f"refs/heads/{self.branch}"

    def payload(self, repository: Repository) -> dict[str, Any]:
        """Return what the workflow sees as `github.event`."""
        own = {"name": repository.name, "full_name": repository.full_name, "private": repository.is_private}
        payload: dict[str, Any] = {"repository": own, "sender": {"login": self.actor}}
        if self.name == "pull_request":
            head = {"ref": self.branch, "repo": {**own, "fork": self.is_fork}}
            payload["pull_request"] = {"number": 1, "head": head, "base": {"ref": "main", "repo": own}}
        if self.name == "workflow_dispatch":
            payload["inputs"] = {name: _text(value) for name, value in self.inputs.items()}
        return payload

    def context(
        self, repository: Repository, *, workflow: str, file: str, sha: str, number: int
    ) -> dict[str, Any]:
        """Return the `github` context of a run, but for what differs between jobs.

        Source: https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#github-context
        """
        is_request = self.name == "pull_request"
        return {
            "event_name": self.name,
            "event": self.payload(repository),
            "ref": self.ref,
            "ref_name": self.ref.removeprefix("refs/heads/").removeprefix("refs/"),
            "ref_type": "branch",
            "head_ref": self.branch if is_request else "",
            "base_ref": "main" if is_request else "",
            "sha": sha,
            "actor": self.actor,
            "triggering_actor": self.actor,
            "actor_id": "33",
            "repository": repository.full_name,
            "repository_owner": repository.owner,
            "repository_id": str(repository.id),
            "repository_owner_id": str(repository.owner_id),
            "repositoryUrl": f"git://github.com/{repository.full_name}.git",
            "workflow": workflow,
            "workflow_ref": f"{repository.full_name}/.github/workflows/{file}@{self.ref}",
            "workflow_sha": sha,
            "run_id": str(1000 + number),
            "run_number": str(number),
            "run_attempt": "1",
            "server_url": "https://github.com",
            "api_url": "https://api.github.com",
            "graphql_url": "https://api.github.com/graphql",
        }


def inputs_of(event: Event, triggers: Any) -> dict[str, Any]:
    """Return the `inputs` context: what was given, else the defaults, as the types that the file declares.

    Raises WorkflowError for what GitHub refuses: no such trigger, input or choice, or a missing one.
    """
    listed: dict[str, Any] = dict.fromkeys([triggers] if isinstance(triggers, str) else triggers)
    found = {**listed, **(triggers if isinstance(triggers, dict) else {})}
    if event.name not in found:
        raise WorkflowError(f"the workflow does not listen to `{event.name}`, but to {', '.join(found)}")
    if event.name != "workflow_dispatch":
        return {}
    declared = (found[event.name] or {}).get("inputs") or {}
    if unknown := set(event.inputs) - set(declared):
        raise WorkflowError(f"unexpected inputs: {', '.join(sorted(unknown))}")
    return {name: _input(name, about or {}, event.inputs) for name, about in declared.items()}


def _input(name: str, about: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    value = given.get(name, about.get("default", ""))
    if about.get("required") and value == "":
        raise WorkflowError(f"required input `{name}` is missing")
    if about.get("type") == "choice" and value not in about.get("options", ()):
        raise WorkflowError(f"input `{name}` is `{value}`, which is none of its options")
    if about.get("type") == "boolean":
        return value is True or value == "true"
    return _text(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
