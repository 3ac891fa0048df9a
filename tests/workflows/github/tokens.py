"""The claims of the ID token a job may ask for, and the rights of the token it is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.github.event import Event
from workflows.github.repository import Repository

SCOPES = (
    "actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models",
    "packages", "pages", "pull-requests", "security-events", "statuses",
)  # fmt: skip
_CLAIMED = (
    "actor", "actor_id", "base_ref", "event_name", "head_ref", "ref", "ref_type", "repository", "repository_id",
    "repository_owner", "repository_owner_id", "run_attempt", "run_id", "run_number", "sha", "workflow",
    "workflow_ref", "workflow_sha",
)  # fmt: skip


def granted(declared: Any, event: Event) -> dict[str, str]:
    """Return scope -> right of a job; a fork's pull request can only read, and gets no ID token.

    `declared` None is what a repository made today grants by default: to read its files.
    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions
    """
    if declared is None:
        rights = {"contents": "read", "packages": "read"}
    elif declared in ("read-all", "write-all"):
        rights = dict.fromkeys(SCOPES, declared.removesuffix("-all"))
        if declared == "read-all":
            del rights["id-token"]
    else:
        rights = {scope: right for scope, right in declared.items() if right != "none"}
    if event.is_fork:
        rights = {scope: "read" for scope in rights if scope != "id-token"}
    return rights


def claims(github: Mapping[str, Any], repository: Repository, environment: str) -> dict[str, str]:
    """Return what GitHub says about a job in its ID token; times, issuer and audience are the issuer's.

    Source: https://docs.github.com/en/actions/reference/security/oidc
    """
    if environment:
        where = f"environment:{environment}"
    elif github["event_name"] == "pull_request":
        where = "pull_request"
    else:
        where = f"ref:{github['ref']}"
    found = {name: str(github[name]) for name in _CLAIMED}
    found |= {
        "sub": f"{repository.subject}:{where}",
        "job_workflow_ref": str(github["workflow_ref"]),
        "job_workflow_sha": str(github["workflow_sha"]),
        "ref_protected": "false",
        "repository_visibility": "private" if repository.is_private else "public",
        "runner_environment": "github-hosted",
    }
    return found | ({"environment": environment} if environment else {})
