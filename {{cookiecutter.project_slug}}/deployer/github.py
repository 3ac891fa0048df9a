"""What git and GitHub know about this checkout. Shell: asks `git`, `gh` and the environment of Actions."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError


@dataclass(frozen=True)
class Subject:
    """A repository as GitHub's OIDC tokens name it: names and the ids that survive a rename."""

    owner: str
    owner_id: str
    repository: str
    repository_id: str

    @property
    def claim(self) -> str:
        """Return the token's `sub` up to the part that names branch or environment.

        Source: repositories made after 15 July 2026 have immutable subjects,
        https://github.com/aws-actions/configure-aws-credentials#readme
        """
        return f"repo:{self.owner}@{self.owner_id}/{self.repository}@{self.repository_id}"


def commit() -> str:
    """Return the commit's first twelve hex digits, with `-dirty` when files changed; else `unknown`."""
    sha = _run("git", "rev-parse", "--short=12", "HEAD")
    if sha is None:
        return "unknown"
    return f"{sha}-dirty" if _run("git", "status", "--porcelain") else sha


def subject(repository: str | None) -> Subject:
    """Ask GitHub, through its own command `gh`, for the ids of OWNER/NAME (default: this checkout's).

    Raises DeployerError when `gh` is missing or not signed in.
    """
    path = f"repos/{repository}" if repository else "repos/{owner}/{repo}"
    answer = _run("gh", "api", path)
    if answer is None:
        raise DeployerError(
            "GitHub could not be asked for the repository's ids",
            found="found no answer from `gh api`, expected owner and repository id",
            hint="gh auth login, or pass --subject OWNER@OWNER_ID/NAME@REPOSITORY_ID",
        )
    found = json.loads(answer)
    return Subject(found["owner"]["login"], str(found["owner"]["id"]), found["name"], str(found["id"]))


def parse_subject(text: str) -> Subject:
    """Read OWNER@OWNER_ID/NAME@REPOSITORY_ID. Raises DeployerError when it is not of that form."""
    owner, _, repository = text.partition("/")
    parts = (*owner.partition("@")[::2], *repository.partition("@")[::2])
    if not all(parts) or not parts[1].isdigit() or not parts[3].isdigit():
        raise DeployerError(
            f"`{text}` does not name a repository with its ids",
            found=f"found `{text}`, expected OWNER@OWNER_ID/NAME@REPOSITORY_ID",
            hint="gh api repos/OWNER/NAME --jq '.owner.id,.id'",
        )
    return Subject(*parts)


def rollout_id(environ: Mapping[str, str]) -> str:
    """Return the id a rollout carries: `RUN.ATTEMPT` in GitHub Actions, else four random hex digits."""
    run = environ.get("GITHUB_RUN_ID")
    return f"{run}.{environ.get('GITHUB_RUN_ATTEMPT', '1')}" if run else secrets.token_hex(2)


def is_same_run(one: str, other: str) -> bool:
    """Tell whether two rollout ids are of the same GitHub run, whichever attempt of it."""
    return "." in one and one.partition(".")[0] == other.partition(".")[0]


def run_url(environ: Mapping[str, str]) -> str:
    """Return the page of the running workflow, or an empty text outside GitHub Actions."""
    if "GITHUB_RUN_ID" not in environ:
        return ""
    server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    return f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}"


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
