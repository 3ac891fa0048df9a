"""The repository on GitHub: a bare repository for its files, a JSON file for the rest. Shell."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generating import commit, git
from workflows.github.repository import Environment, Repository

OWNER, OWNER_ID, ID = "octo-org", 11, 22


@dataclass
class Hub:
    """`state` is what the program in `gh/` reads and writes; `edit` is a person's clone."""

    remote: Path
    edit: Path
    state: Path
    name: str

    @classmethod
    def made(cls, folder: Path, repository: Path) -> Hub:
        """Push a generated repository to a new bare one below `folder`."""
        hub = cls(folder / "remote.git", repository, folder / "github.json", repository.name)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(hub.remote))
        facts = {
            "owner": OWNER,
            "owner_id": OWNER_ID,
            "name": hub.name,
            "id": ID,
            "private": True,
            "immutable_subject": True,
            "variables": {},
            "environments": {},
            "rulesets": [],
            "calls": [],
            "runs": [],
            "tokens": str(folder / "tokens"),
            "artifacts": str(folder / "artifacts"),
            "attestations": str(folder / "artifacts" / "attestations"),
        }
        hub.state.write_text(json.dumps(facts), encoding="utf-8")
        git(repository, "remote", "add", "origin", f"file://{hub.remote}")
        return hub

    def push(self, message: str, branch: str = "main") -> str:
        """Commit everything in the clone and push it; returns the commit."""
        sha = commit(self.edit, message)
        git(self.edit, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return sha

    def read(self) -> dict[str, Any]:
        """Return what GitHub was told."""
        found: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
        return found

    def write(self, **changes: Any) -> None:
        """Change what GitHub knows, as a person would in the settings."""
        self.state.write_text(json.dumps({**self.read(), **changes}, indent=2), encoding="utf-8")

    def repository(self) -> Repository:
        """Return the repository as a run sees it."""
        found = self.read()
        environments = {
            name: Environment(
                about["variables"],
                about["secrets"],
                None if about["branches"] is None else tuple(about["branches"]),
                tuple(f"{each['type']} {each['id']}" for each in about["reviewers"]),
            )
            for name, about in found["environments"].items()
        }
        return Repository(
            self.remote,
            owner=found["owner"],
            name=found["name"],
            owner_id=found["owner_id"],
            id=found["id"],
            is_private=found["private"],
            immutable_subject=found["immutable_subject"],
            variables=found["variables"],
            environments=environments,
        )

    def obey(self, output: str, environment: Mapping[str, str]) -> list[str]:
        """Run every `gh` command that a text tells its reader to, and return them; a refused one is an error."""
        told = [line.strip() for line in output.splitlines() if line.startswith((" ", "\t"))]
        commands = [line for line in told if line.startswith("gh ")]
        for line in commands:
            must(shlex.split(line), self.edit, environment)
        return commands


def must(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a program that has to end well; returns what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
