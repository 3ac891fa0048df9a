"""What a game day does, what it expects, how much it may cost, and what it says of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployer.config import Config, Environment
from deployer.errors import DeployerError
from deployer.gameday.findings import Finding, Line
from deployer.steps import StepSettings

WEIGHT_PCT = 25
PER_MINUTE = 30  # calls through the alias: seven or eight of them reach the version that cannot answer
# A bake nobody sees the end of: a trial ends before it, so that the version is never given more.
_BAKE_S = 6 * 3600


@dataclass(frozen=True)
class Trial:
    """One release of a version that cannot answer; who has to end it, and within how many seconds."""

    line: Line
    within_s: int

    @property
    def most_calls(self) -> int:
        """Return how many calls are sent through the alias at most."""
        return self.within_s * PER_MINUTE // 60

    def identifier(self, rollout_id: str) -> str:
        """Return the id its rollout carries; `rollback --only-if-owner` of the same job finds it."""
        return f"{rollout_id}-{self.line.value}"


TRIALS = (Trial(Line.GATE, 15 * 60), Trial(Line.GUARD, 20 * 60))
CALM_WITHIN_S = 5 * 60  # how long the alarms that a game day set off may take to be quiet again
CALM_CALLS = CALM_WITHIN_S * PER_MINUTE // 60
LONGEST_S = (
    sum(trial.within_s for trial in TRIALS) + CALM_WITHIN_S + 8 * 60
)  # publishing and putting back included


@dataclass
class Result:
    """How one trial ended; `took_s` is from the first traffic to its return, None if the line did not act.

    `is_disturbed`: somebody else moved the alias, and whatever is tried after that says nothing.
    """

    line: Line
    took_s: float | None = None
    sent: int = 0
    lost: int = 0
    reason: str = ""
    is_disturbed: bool = False
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        if self.took_s is None:
            return (
                f"{self.line.value}: nobody gave the traffic back, {self.lost} of {self.sent} requests lost"
            )
        return (
            f"{self.line.value}: traffic back after {self.took_s / 60:.1f} min, "
            f"{self.lost} of {self.sent} requests lost"
        )


def tried(config: Config, environment: str) -> Config:
    """Return the settings under which a game day releases: its own steps, the environment's own gate.

    The stable version is the one that is live; warm capacity would be paid for a version that cannot start.
    """
    before: Environment = config.environment(environment)
    mine = before.model_copy(
        update={
            "steps": [StepSettings(weight_pct=WEIGHT_PCT, bake_s=_BAKE_S)],
            "final_bake_s": 0,
            "driver": "runner",
            "mode": "act",
            "on_slow": "off",
            "on_cancel": "rollback",
            "second_rollout": "refuse",
            "sample_every_s": 0,
        }
    )
    environments = config.environments.model_copy(update={environment: mine})
    function = config.function.model_copy(update={"provisioned_concurrency": 0})
    return config.model_copy(update={"environments": environments, "function": function})


def outlook(function: str) -> str:
    """Say before anything is changed what will happen, and what it costs at most."""
    most = sum(trial.most_calls for trial in TRIALS) + CALM_CALLS
    return (
        f"game day   of {function}: a version that cannot answer gets {WEIGHT_PCT} % of the traffic, twice; "
        f"at most {most} calls of smoke/probe.json, at most {LONGEST_S // 60} min"
    )


def badge(results: Sequence[Result], at: float) -> str:
    """Return the game day in a few words; `at` is in seconds since the epoch."""
    day = datetime.fromtimestamp(at, tz=UTC)
    names = {Line.GATE: "gate", Line.GUARD: "guard alone"}
    parts = []
    for result in results:
        is_good = result.took_s is not None and not result.findings
        took = f"{max(1, round((result.took_s or 0) / 60))} min" if is_good else "red"
        parts.append(f"{names[result.line]} {took}")
    return ", ".join([*parts, f"{day.day} {day:%b}"])


def markdown(function: str, results: Sequence[Result], line: str) -> str:
    """Return the game day as the summary page of a job."""
    rows = [
        f"| {result.line.value} | {f'{result.took_s / 60:.1f}' if result.took_s is not None else 'not back'} "
        f"| {result.sent} | {result.lost} | {result.reason or 'none'} |"
        for result in results
    ]
    found = [
        f"- {finding.what}: {finding.found}; mend it: `{finding.hint}`"
        for r in results
        for finding in r.findings
    ]
    head = ["| line of defence | minutes | requests | lost | reason |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"### Game day of `{function}`: {line}", "", *head, *rows, "", *found, ""])


def verdict(results: Sequence[Result]) -> DeployerError | None:
    """Return the error a red game day ends with, None when the net held."""
    findings = [finding for result in results for finding in result.findings]
    if not findings:
        return None
    return DeployerError(
        f"the safety net has {len(findings)} fault{'s' * (len(findings) != 1)}",
        found="\n".join(f"{finding.what}: {finding.found}" for finding in findings),
        hint=findings[0].hint,
    )


def shield(line: str, *, is_green: bool) -> dict[str, str | int]:
    """Return the badge as shields.io reads it.

    Source: https://shields.io/badges/endpoint-badge
    """
    return {
        "schemaVersion": 1,
        "label": "game day",
        "message": line,
        "color": "green" if is_green else "red",
    }
