"""What git and GitHub know about this checkout. Shell: asks `git`, `gh` and the environment of Actions."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.errors import DeployerError

_API = "2026-03-10"  # the first that tells whether subjects name ids


@dataclass(frozen=True)
class Subject:
    """A repository as GitHub's OIDC tokens name it: names, and the ids that survive a rename.

    `has_ids` is False where the tokens name no ids: a repository made before 15 July 2026, not renamed since,
    that did not ask for them.
    """

    owner: str
    owner_id: str
    repository: str
    repository_id: str
    has_ids: bool = True

    @property
    def claim(self) -> str:
        """Return the token's `sub` up to the part that names branch or environment.

        Source: https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens
        """
        if not self.has_ids:
            return f"repo:{self.name}"
        return f"repo:{self.owner}@{self.owner_id}/{self.repository}@{self.repository_id}"

    @property
    def name(self) -> str:
        """Return OWNER/NAME."""
        return f"{self.owner}/{self.repository}"


def commit() -> str:
    """Return the commit's first twelve hex digits, with `-dirty` when files changed; else `unknown`."""
    sha = _run("git", "rev-parse", "--short=12", "HEAD")
    if sha is None:
        return "unknown"
    return f"{sha}-dirty" if _run("git", "status", "--porcelain") else sha


def subject(repository: str | None) -> Subject:
    """Ask GitHub, through its own command `gh`, how tokens name OWNER/NAME (default: this checkout's).

    Raises DeployerError when `gh` is missing or not signed in, or when the repository makes the subject of
    its tokens from a template of its own.
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
    named = Subject(found["owner"]["login"], str(found["owner"]["id"]), found["name"], str(found["id"]))
    custom = f"repos/{named.name}/actions/oidc/customization/sub"
    told = json.loads(_run("gh", "api", "-H", f"X-GitHub-Api-Version: {_API}", custom) or "{}")
    if told.get("use_default") is False:
        claims = ", ".join(told.get("include_claim_keys", [])) or "a template"
        raise DeployerError(
            f"`{named.name}` makes the subject of its tokens itself",
            found=f"found {claims}, expected GitHub's default",
            hint=f"gh api -X PUT {custom} -F use_default=true",
        )
    # Where GitHub does not say, the repository is a new one: every generated repository is.
    return replace(named, has_ids=told.get("use_immutable_subject") is not False)


def ask(*words: str) -> str:
    """Ask GitHub through its own command `gh` and return what it prints. Raises DeployerError."""
    try:
        done = subprocess.run(["gh", *words], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployerError(
            "`gh` cannot be run", found=str(error), hint="install gh, then gh auth login"
        ) from error
    if done.returncode != 0:
        raise DeployerError(
            f"GitHub refused `gh {' '.join(words[:2])}`",
            found=done.stderr.strip() or f"exit code {done.returncode}",
            hint="gh auth status",
        )
    return done.stdout.strip()


def parse_subject(text: str, *, has_ids: bool = True) -> Subject:
    """Read OWNER@OWNER_ID/NAME@REPOSITORY_ID. Raises DeployerError when it is not of that form.

    `has_ids` says whether the tokens name the ids; the repository's own is needed in any case.
    """
    owner, _, repository = text.partition("/")
    parts = (*owner.partition("@")[::2], *repository.partition("@")[::2])
    if not all(parts) or not parts[1].isdigit() or not parts[3].isdigit():
        raise DeployerError(
            f"`{text}` does not name a repository with its ids",
            found=f"found `{text}`, expected OWNER@OWNER_ID/NAME@REPOSITORY_ID",
            hint="gh api repos/OWNER/NAME --jq '.owner.id,.id'",
        )
    return Subject(*parts, has_ids=has_ids)


class Gh:
    """GitHub's own command, signed in as whoever uses this machine."""

    def unusable(self) -> str:
        """Return why it cannot be used, or an empty text."""
        try:
            done = _called("gh", "auth", "status")
        except (OSError, subprocess.TimeoutExpired):
            return "`gh` is not installed"
        return "" if done.returncode == 0 else "`gh` is not signed in"

    def read(self, path: str) -> Any:
        """Return GitHub's answer as data, None where there is nothing of that name (404).

        Raises DeployerError when it is refused or does not answer.
        """
        try:
            done = _called("gh", "api", path)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeployerError("GitHub did not answer", found=str(error), hint="gh auth status") from error
        if done.returncode == 0:
            return json.loads(done.stdout)
        if "HTTP 404" in done.stderr:
            return None
        raise DeployerError(
            f"GitHub refuses `{path}`", found=done.stderr.strip()[:500], hint="gh auth status"
        )

    def call(self, words: Sequence[str]) -> str:
        """Carry a command out; return why it failed, or an empty text."""
        try:
            done = _called("gh", *words)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return "" if done.returncode == 0 else done.stderr.strip()[:500] or f"exit {done.returncode}"


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


def _called(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _run(*command: str) -> str | None:
    try:
        done = _called(*command)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
