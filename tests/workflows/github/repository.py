"""What GitHub knows about a repository: ids, variables, secrets, environments. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Environment:
    """An environment of the repository; `branches` None lets every branch use it.

    `reviewers` are recorded, and nobody is asked.
    """

    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    branches: tuple[str, ...] | None = None
    reviewers: tuple[str, ...] = ()

    def admits(self, ref: str) -> bool:
        """Tell whether a job of this ref may use the environment."""
        return self.branches is None or ref in {f"refs/heads/{branch}" for branch in self.branches}


@dataclass
class Repository:
    """A repository whose files are in the bare repository `remote`.

    `immutable_subject`: whether its tokens' subjects have the ids, as those of repositories made after 15 July
    2026 do. `made_by_jobs` are environments that nobody made and a job named, which makes them.
    """

    remote: Path
    owner: str = "octo-org"
    name: str = "image-resizer"
    owner_id: int = 11
    id: int = 22
    is_private: bool = True
    immutable_subject: bool = True
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    made_by_jobs: list[str] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """Return OWNER/NAME."""
        return f"{self.owner}/{self.name}"

    @property
    def subject(self) -> str:
        """Return a token's `sub` up to the part that names branch or environment."""
        if not self.immutable_subject:
            return f"repo:{self.full_name}"
        return f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}"

    def environment(self, name: str) -> Environment:
        """Return the environment a job names; one that does not exist is made, without any protection.

        Source: https://docs.github.com/en/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments
        """
        if name not in self.environments:
            self.made_by_jobs.append(name)
        return self.environments.setdefault(name, Environment())

    def variables_of(self, environment: str) -> Mapping[str, str]:
        """Return the variables a job sees; an environment's win over the repository's."""
        return {**self.variables, **(self.environments[environment].variables if environment else {})}

    def secrets_of(self, environment: str) -> Mapping[str, str]:
        """Return the secrets a job sees; an environment's win over the repository's."""
        return {**self.secrets, **(self.environments[environment].secrets if environment else {})}
