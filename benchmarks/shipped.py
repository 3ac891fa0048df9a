"""Play a rollout with the places that ship, `steps = "auto"`, on simulated calls. `deployer.judge` judges.

A place begins in the middle of a minute, is looked at when a minute of it is closed, and ends by its own
rule. Evidence whose conditions are open, and slow calls, keep it from ending. Behind the last place all
traffic moves. What the armed alarm finds afterwards is not played, and neither is a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.traffic import Case, Poisson
from deployer.judge import places, shown, similar
from deployer.judge.auto import auto
from deployer.judge.counts import Counts, Dispersion, Minute, RolloutSoFar, StepStart
from deployer.judge.evidence import Judgement, judge
from deployer.judge.power import Traffic
from deployer.model import Ends, GateSettings, Outcome, Step

SETTINGS = GateSettings(compare_slow=True)
FIND_PCT, WITHIN_S = 2.0, 1800
LAG_MIN = 3  # the settling time, the slowest call, and the poll
LEAST_MIN = {Ends.SHOWN: 2, Ends.SIMILAR: 3, Ends.TIME: 0}
LONGEST_WAIT_MIN = 60  # of a place for what keeps it from ending; a pause lasts as long
NOW_S = 130  # after the end of a minute it is looked at

Calls = Callable[[int, float], tuple[Counts, Counts]]


@dataclass(frozen=True)
class Played:
    """How a rollout ended.

    `rolled_back` and `done` are minutes from the first traffic, None where it did not happen. `weights` is
    the canary's share of the traffic in each minute until then, in percent. `slow_at` is
    the minute at which the canary was first called slow, its lag included.
    """

    rolled_back: int | None
    done: int | None
    weights: tuple[float, ...]
    slow_at: int | None = None


def steps_for(rpm: float, error_rate: float, phi: float = 1.0) -> tuple[Step, ...]:
    """Return the places that a week of such traffic leads to."""
    return auto(Traffic(rpm, error_rate, phi), SETTINGS, FIND_PCT, WITHIN_S).steps


def play(steps: Sequence[Step], calls: Calls, before: Counts, dispersion: Dispersion | None = None) -> Played:
    """Roll out; `calls` returns (canary, stable) of a minute at a weight (0-1), asked for in order."""
    minutes: list[Minute] = []
    weights: list[float] = []
    rollout = RolloutSoFar("1", "2", (), None, before=before, dispersion=dispersion or Dispersion())
    slow_at: int | None = None
    for step in steps:
        first = len(minutes)
        starts = (*rollout.starts, StepStart(60 * first + 30, step.weight_pct))
        last_weight = weights[-1] if weights else 0.0
        _draw(minutes, weights, calls, (last_weight + step.weight_pct) / 2)
        judged = 0
        while True:
            judged += 1
            while len(minutes) < first + judged + LAG_MIN:
                _draw(minutes, weights, calls, step.weight_pct)
            now = 60.0 * (first + judged + 1) + NOW_S
            rollout = replace(rollout, starts=starts, read_at=now)
            if not _is_over(step, judged, minutes, rollout, now):
                continue
            found = judge(SETTINGS, minutes, rollout, now)
            crossed = found.traces[1].failed_at
            slow_at = slow_at or (None if crossed is None else crossed // 60 + 1 + LAG_MIN)
            at = _rolled_back(found)
            if at is not None:
                served = [*weights, *(step.weight_pct,) * LAG_MIN][:at]
                return Played(at, None, tuple(served), slow_at)
            waits = found.holds or found.verdicts[0].outcome is not Outcome.PASS
            if not waits:
                break
            if judged * 60 >= step.bake_s + 60 * LONGEST_WAIT_MIN:
                return Played(len(weights) if found.holds else None, None, tuple(weights), slow_at)
    return Played(None, len(minutes), tuple(weights), slow_at)


def _draw(minutes: list[Minute], weights: list[float], calls: Calls, weight_pct: float) -> None:
    minutes.append(Minute(60 * len(minutes), *calls(len(minutes), weight_pct / 100)))
    weights.append(weight_pct)


def _is_over(step: Step, judged: int, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float) -> bool:
    """Tell whether the place may end, as `canary.decide` does."""
    if 60 * judged >= step.bake_s:
        return True
    if judged < LEAST_MIN[step.ends] or step.ends is Ends.TIME:
        return False
    if step.ends is Ends.SHOWN:
        return shown.has_shown(SETTINGS, minutes, rollout, now)
    gap = similar.gap(*places.place_counts(minutes, SETTINGS, rollout, now), rollout.dispersion.phi)
    return gap is not None and 100 * gap < step.goal_pct


def _rolled_back(found: Judgement) -> int | None:
    """Return at which minute errors rolled it back, the lag included."""
    if all(v.outcome is not Outcome.FAIL or v.metric != "errors" for v in found.verdicts):
        return None
    crossed = [t.failed_at for t in found.traces if t.failed_at is not None and t.metric != "slow calls"]
    return min(crossed) // 60 + 1 + LAG_MIN


def independent(case: Case, poisson: Poisson) -> Calls:
    """Return calls that arrive at random and fail each by itself; half of them beyond the median."""

    def calls(minute: int, weight: float) -> tuple[Counts, Counts]:
        stable, canary = case.rates(minute)
        return _counts(case.rpm * weight, canary, poisson), _counts(case.rpm * (1 - weight), stable, poisson)

    return calls


def _counts(calls: float, rate: float, poisson: Poisson) -> Counts:
    errors = poisson.draw(round(calls * rate, 6))
    slow, fast = (poisson.draw(round(calls * (1 - rate) / 2, 6)) for _ in range(2))
    return Counts(errors + slow + fast, errors, slow)
