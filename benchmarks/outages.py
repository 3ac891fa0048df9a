"""Simulated last places in which both versions meet an outage, or the canary alone fails.

The rollout came from 50 % of the traffic, ten minutes without a difference. In the last place the stable
version keeps a control. What fails begins two minutes in, and `deployer.judge` looks at every closed minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.traffic import OUTAGE_RATE, Poisson
from deployer.judge.counts import Counts, Minute, RolloutSoFar, StepStart
from deployer.judge.evidence import judge
from deployer.model import GateSettings, Outcome

SETTINGS = GateSettings(compare_slow=True)
USUAL = 0.001
BEFORE_MIN, JUDGED_MIN, FIRST_MIN, OUTAGE_MIN = 10, 10, 2, 5


@dataclass(frozen=True)
class Case:
    """Calls per minute, the canary's weight in the last place (percent), and who fails how often (0-1).

    Without a `canary_rate` both versions fail alike for five minutes.
    """

    rpm: int
    weight_pct: float
    canary_rate: float | None = None


def minutes_of(case: Case, poisson: Poisson) -> list[Minute]:
    """Return the minutes of the place before and of the last one."""
    found = []
    for minute in range(BEFORE_MIN + JUDGED_MIN):
        weight = 0.5 if minute < BEFORE_MIN else case.weight_pct / 100
        since = minute - BEFORE_MIN - FIRST_MIN
        canary = stable = USUAL
        if case.canary_rate is not None and since >= 0:
            canary = case.canary_rate
        elif case.canary_rate is None and 0 <= since < OUTAGE_MIN:
            canary = stable = OUTAGE_RATE
        found.append(
            Minute(
                60 * minute,
                _drawn(poisson, case.rpm * weight, canary),
                _drawn(poisson, case.rpm * (1 - weight), stable),
            )
        )
    return found


def _drawn(poisson: Poisson, calls: float, rate: float) -> Counts:
    failed = poisson.draw(round(calls * rate, 6))
    return Counts(failed + poisson.draw(round(calls * (1 - rate), 6)), failed)


def failed_at(case: Case, poisson: Poisson) -> int | None:
    """Return how many minutes after it began the gate rolls back, its lag left out; None if it does not."""
    starts = (StepStart(0, 50), StepStart(60 * BEFORE_MIN, case.weight_pct))
    now = 60.0 * (BEFORE_MIN + JUDGED_MIN + 3)
    before = Counts(60 * case.rpm, 60 * case.rpm * USUAL)
    rollout = RolloutSoFar("1", "2", starts, read_at=now, before=before)
    judgement = judge(SETTINGS, minutes_of(case, poisson), rollout, now)
    if all(verdict.outcome is not Outcome.FAIL for verdict in judgement.verdicts):
        return None
    first = min(trace.failed_at for trace in judgement.traces if trace.failed_at is not None)
    return first // 60 + 1 - BEFORE_MIN - FIRST_MIN


def found(case: Case, runs: int, seed: int) -> list[int]:
    """Return the minutes of those rollouts that were rolled back."""
    poisson = Poisson(seed)
    minutes = (failed_at(case, poisson) for _ in range(runs))
    return sorted(minute for minute in minutes if minute is not None)
