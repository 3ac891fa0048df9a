"""What a third-party action's stand-in gets and gives. Shell: it acts on the job it is called in."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflows.github.errors import ActionFailedError
from workflows.github.records import StepRecord
from workflows.github.state import JobState


class Given(dict[str, str]):
    """An action's inputs, with its defaults."""

    def required(self, name: str) -> str:
        """Return an input; fail the step without it, as the actions' toolkit does."""
        value = self.get(name, "").strip()
        if not value:
            raise ActionFailedError(f"Input required and not supplied: {name}")
        return value

    def flag(self, name: str) -> bool:
        """Return an input of YAML's core schema that is a truth value; fail the step for anything else."""
        value = self.get(name, "")
        if value.lower() not in ("true", "false"):
            raise ActionFailedError(f"Input does not meet YAML 1.2 Core Schema specification: {name}")
        return value.lower() == "true"


@dataclass(frozen=True)
class Call:
    """One use of an action, in a job."""

    state: JobState
    step: StepRecord
    inputs: Given
    environment: Mapping[str, str]
    version: str

    def export(self, values: Mapping[str, str]) -> None:
        """Give variables to the steps that follow."""
        self.state.exported.update(values)

    def add_path(self, folder: Path) -> None:
        """Put a folder on the PATH of the steps that follow."""
        self.state.path.append(str(folder))

    def hide(self, *values: str) -> None:
        """Hide values in all later output."""
        for value in values:
            self.state.masks.add(value)

    def say(self, line: str) -> None:
        """Print a line into the step's output."""
        self.state.say(self.step, line)

    def needs(self, scope: str, right: str) -> None:
        """Fail the step unless the job's token has the right."""
        found = self.state.record.permissions.get(scope, "none")
        if found not in (right, "write"):
            raise ActionFailedError(
                f"Resource not accessible by integration: `{scope}: {right}`, found {found}"
            )

    def id_token(self, audience: str) -> str:
        """Ask for an ID token as the toolkit does; fail the step without the right to."""
        url = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
        right = self.environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        if not url or not right:
            raise ActionFailedError("Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable")
        request = urllib.request.Request(  # noqa: S310 - the issuer's own address
            f"{url}&audience={audience}", headers={"Authorization": f"Bearer {right}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                token = str(json.load(answer)["value"])
        except urllib.error.HTTPError as error:
            error.close()
            raise ActionFailedError(f"Failed to get ID Token. Error Code: {error.code}") from None
        self.hide(token)
        return token


@dataclass(frozen=True)
class Action:
    """A stand-in: the inputs it knows with their defaults, and what it does."""

    inputs: Mapping[str, str]
    run: Callable[[Call], Mapping[str, str] | None]
