"""What a game day may find wrong, and the command that mends it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from deployer.errors import DeployerError


class Line(Enum):
    """Which line of defence has to act."""

    GATE = "gate"  # the process that drives the rollout compares both versions
    GUARD = "guard"  # nobody drives it: the canary's alarm wakes the guard function


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: what, what was found, the command that mends it."""

    what: str
    found: str
    hint: str

    @classmethod
    def of(cls, line: Line, error: DeployerError) -> Finding:
        """Return an expected error as a finding; without a command of its own the page says what to do."""
        found = "\n".join([error.found or "no further reason was given", *getattr(error, "__notes__", ())])
        return cls(f"{line.value}: {error.what}", found, error.hint or "docs/gameday.md")

    def __str__(self) -> str:
        inner = "\n".join(f"    {line}" for line in self.found.splitlines())
        return f"{self.what}\n{inner}\n    mend it: {self.hint}"


def let_pass(line: Line, version: str) -> Finding:
    """Return that the pre-flight did not refuse."""
    return Finding(
        f"{line.value}: the pre-flight lets a version pass that cannot answer",
        f"found version {version} answering smoke/probe.json, expected a refusal",
        "python3 dev.py verify; or the image ignores its command: docs/gameday.md",
    )


def not_seen(canary: tuple[str, str], seen: str) -> Finding:
    """Return that the gate let a version be that cannot answer; `canary` is function and version."""
    function, version = canary
    return Finding(
        "gate: the comparison did not find a version that cannot answer",
        f"found that {seen}",
        f"aws cloudwatch list-metrics --namespace AWS/Lambda --metric-name Errors --dimensions "
        f"Name=FunctionName,Value={function} Name=ExecutedVersion,Value={version}",
    )


def nothing_lost(line: Line, version: str, sent: int) -> Finding:
    """Return that no call reached the version, or that it answered each."""
    return Finding(
        f"{line.value}: no call was lost, so nothing was tried",
        f"found {sent} calls through the alias answered, expected version {version} to fail some of them",
        "deployer status: does the alias share its traffic?",
    )


def by_another(line: Line, reason: str) -> Finding:
    """Return that somebody else ended the rollout."""
    return Finding(
        f"{line.value}: the rollout was ended by somebody else",
        f"found: {reason}",
        "deployer status; see that nobody releases while a game day runs",
    )


def moved(line: Line, stable: str) -> Finding:
    """Return that the alias is not where it was before, by somebody else's hand."""
    return Finding(
        f"{line.value}: the alias was moved while the game day ran",
        f"found the traffic elsewhere, expected all of it on version {stable}, where it was",
        "deployer status; what somebody else wrote is left alone",
    )


def latest_changed(line: Line) -> Finding:
    """Return that `$LATEST` is not what it was before."""
    return Finding(
        f"{line.value}: `$LATEST` is not what it was before the game day",
        "found another image or command, expected those of the live version",
        "deployer gameday --repair; what somebody else applied is left alone",
    )
