"""What will probably happen in a rollout's places: a hundred rollouts played with the shipped rules. Pure.

Each minute both versions get a Poisson number of calls at the place's weight, and errors that come in runs of
phi. A place ends by the rules that end it (`judge.shown`, `judge.similar`, its judged minutes), and
`judge.evidence` judges all of it. The draws are seeded, so that the same week gives the same answer.

What is played is errors alone: no slow calls, no throttles, no pause.
"""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

from deployer.judge import evidence, shown, similar
from deployer.judge.counts import Counts, Dispersion, Minute, RolloutSoFar, StepStart
from deployer.judge.power import Traffic
from deployer.model import Ends, GateSettings, Step

DRAWS = 100
LEAST_SHOWN_MIN, LEAST_SIMILAR_MIN = 2, 3
_NORMAL_FROM = 200.0


@dataclass(frozen=True)
class Forecast:
    """What happened to releases that fail a certain share of their calls.

    `found` is the share (0-1) of them that was rolled back, after `found_min` minutes (the median, None
    without one), and `failed` are their failed requests on average. `search_min` and `total_min` are when the
    last searching place was over and when all traffic had moved, on average over those that got so far.
    """

    found: float
    found_min: float | None
    failed: float
    search_min: float
    total_min: float


@dataclass(frozen=True)
class _Played:
    search_min: int
    total_min: int
    found_min: int | None
    failed: float


def forecast(
    steps: Sequence[Step], traffic: Traffic, settings: GateSettings, rate: float, draws: int = DRAWS
) -> Forecast:
    """Return what happens to a canary that fails `rate` (0-1) of its calls."""
    played = [_play(steps, _Calls(traffic, rate, seed), settings) for seed in range(draws)]
    found = [each.found_min for each in played if each.found_min is not None]
    through = [each for each in played if each.found_min is None] or played
    return Forecast(
        found=len(found) / draws,
        found_min=statistics.median(found) if found else None,
        failed=statistics.fmean(each.failed for each in played),
        search_min=statistics.fmean(each.search_min for each in through),
        total_min=statistics.fmean(each.total_min for each in through),
    )


@dataclass
class _Calls:
    """Both versions' calls and errors, minute by minute."""

    traffic: Traffic
    rate: float
    seed: int
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - draws of a simulation

    def minute(self, at: int, weight_pct: float) -> Minute:
        """Return what both versions do in the minute that starts at `at` (seconds)."""
        share = weight_pct / 100
        return Minute(at, self._counts(share, self.rate), self._counts(1 - share, self.traffic.error_rate))

    def _counts(self, share: float, rate: float) -> Counts:
        calls, size = self.traffic.calls_per_min * share, max(1, round(self.traffic.phi))
        errors = size * self._poisson(calls * rate / size)
        return Counts(errors + self._poisson(calls * (1 - rate)), errors)

    def _poisson(self, mean: float) -> int:
        if mean > _NORMAL_FROM:
            return max(0, round(self.chance.gauss(mean, math.sqrt(mean))))
        return bisect_left(_sums(round(mean, 6)), self.chance.random())


@lru_cache(maxsize=256)
def _sums(mean: float) -> list[float]:
    """Return the Poisson distribution function at 0, 1, 2 and so on."""
    last = round(mean + 10 * math.sqrt(mean) + 30)
    log_mean = math.log(mean) if mean else -math.inf
    chances = [
        math.exp(k * log_mean - mean - math.lgamma(k + 1)) if k else math.exp(-mean) for k in range(last)
    ]
    return [*accumulate(chances), 1.0]


def _play(steps: Sequence[Step], calls: _Calls, settings: GateSettings) -> _Played:
    """Return one rollout; each place begins a second behind the minute in which the one before ended."""
    lag = math.ceil((60 + settings.settle_s) / 60)  # minutes from the start of a minute until it is judged
    minutes: list[Minute] = []
    so_far = _before(calls.traffic)
    search_min = 0
    for step in steps:
        start = StepStart(60 * len(minutes) + 1, step.weight_pct)
        so_far = replace(so_far, starts=(*so_far.starts, start))
        begun = len(minutes) + 1
        while not _is_over(step, minutes[begun : max(begun, len(minutes) - lag + 1)], settings, so_far):
            minutes.append(calls.minute(60 * len(minutes), step.weight_pct))
        if step.ends is not Ends.TIME:
            search_min = len(minutes)
    now = 60.0 * len(minutes) + 1
    judged = evidence.judge(settings, minutes, replace(so_far, read_at=now), now)
    failed_at = min((trace.failed_at for trace in judged.traces if trace.failed_at is not None), default=None)
    until = len(minutes) if failed_at is None else min(len(minutes), failed_at // 60 + lag)
    failed = sum(minute.canary.errors for minute in minutes[:until])
    return _Played(search_min, len(minutes), None if failed_at is None else until, failed)


def _is_over(step: Step, judged: Sequence[Minute], settings: GateSettings, so_far: RolloutSoFar) -> bool:
    """Tell whether a place with those judged minutes is over."""
    if 60 * len(judged) >= step.bake_s:
        return True
    if step.ends is Ends.SHOWN and len(judged) >= LEAST_SHOWN_MIN:
        now = judged[-1].at + 61 + settings.settle_s
        return shown.has_shown(settings, judged, replace(so_far, read_at=now), now)
    if step.ends is Ends.SIMILAR and len(judged) >= LEAST_SIMILAR_MIN:
        canary, stable = (_sum([getattr(minute, side) for minute in judged]) for side in ("canary", "stable"))
        found = similar.gap(canary, stable, so_far.dispersion.phi)
        return found is not None and 100 * found < step.goal_pct
    return False


def _before(traffic: Traffic) -> RolloutSoFar:
    hour = 60 * traffic.calls_per_min
    before = Counts(round(hour), hour * traffic.error_rate)
    return RolloutSoFar("1", "2", (), None, before=before, dispersion=Dispersion(traffic.phi))


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(sum(each.calls for each in counts), sum(each.errors for each in counts))
