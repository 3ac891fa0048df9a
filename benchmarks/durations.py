"""Simulated durations of a stable and a canary version, and how often the gate calls the canary slow.

A warm call takes a lognormal time: median 0.7 s, and ln of it has a standard deviation of 0.6. The places are
those that ship. Calls are drawn as counts per minute. Uploads of many photos at once, and environments that
differ, are played call by call, each on the environment of its version that is idle for longest or a new one.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field
from statistics import NormalDist, median

from benchmarks.shipped import Calls, play, steps_for
from benchmarks.traffic import Poisson
from deployer.judge.counts import Counts

MEDIAN_S, SPREAD = 0.7, 0.6
COLD = 3.0  # the first call of an environment takes so many times as long
KEPT_S = 600.0
BEFORE_MIN = 10
ERROR_RATE = 0.001  # of last week, from which the places follow; here no call fails
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Case:
    """One situation: calls per minute, and what makes the canary's calls slower than the stable version's.

    `ratio`: all of its calls take so many times as long. `warming` and `warming_s`: in so many seconds after
    each increase its calls take that share longer. `spread` is the standard deviation of ln of how fast an
    environment is, on both versions. `upload` is how many calls come at once.
    """

    rpm: int
    ratio: float = 1.0
    warming: float = 0.0
    warming_s: int = 0
    spread: float = 0.0
    upload: int = 1


@dataclass
class _Increase:
    """When the canary's weight last changed, in seconds: in the middle of that minute."""

    weight: float = 0.0
    minute: int = -9

    def at(self, minute: int, weight: float) -> float:
        if weight != self.weight and minute > self.minute + 1:
            self.minute = minute
        self.weight = weight
        return 60.0 * self.minute + 30


def counted(case: Case, seed: int) -> Calls:
    """Return a rollout's calls, drawn as counts."""
    poisson, increase = Poisson(seed), _Increase()

    def calls(minute: int, weight: float) -> tuple[Counts, Counts]:
        since = 60 * minute - increase.at(minute, weight)
        warm = max(0.0, min(1.0, (case.warming_s - since) / 60)) if since >= 0 else 1.0
        slower = case.ratio * (1 + case.warming * warm)
        canary, stable = (
            _drawn(poisson, case.rpm * share, _NORMAL.cdf(math.log(factor) / SPREAD))
            for share, factor in ((weight, slower), (1 - weight, 1.0))
        )
        return canary, stable

    return calls


def _drawn(poisson: Poisson, calls: float, share: float) -> Counts:
    late = poisson.draw(round(calls * share, 6))
    return Counts(late + poisson.draw(round(calls * (1 - share), 6)), slow=late)


@dataclass
class _Played:
    """Calls one by one: each environment is idle from a time on, and has its own speed (ln of a factor)."""

    case: Case
    chance: random.Random
    free: dict[bool, list[tuple[float, float]]] = field(default_factory=lambda: {True: [], False: []})
    next_at: float = -60.0 * BEFORE_MIN

    def minute(self, number: int, weight: float) -> tuple[list[float], list[float]]:
        """Return how long the calls of one minute took, on canary and stable version."""
        took: tuple[list[float], list[float]] = ([], [])
        while self.next_at < 60 * (number + 1):
            for _ in range(self.case.upload):
                on_canary = self.chance.random() < weight
                took[not on_canary].append(self._call(self.free[on_canary]))
            self.next_at += self.chance.expovariate(self.case.rpm / self.case.upload / 60)
        return took

    def _call(self, pool: list[tuple[float, float]]) -> float:
        while pool and pool[0][0] + KEPT_S <= self.next_at:
            heapq.heappop(pool)
        is_warm = bool(pool) and pool[0][0] <= self.next_at
        speed = heapq.heappop(pool)[1] if is_warm else self.chance.gauss(0, self.case.spread)
        lasts = self.chance.lognormvariate(math.log(MEDIAN_S) + speed, SPREAD) * (1.0 if is_warm else COLD)
        heapq.heappush(pool, (self.next_at + lasts, speed))
        return lasts


def one_by_one(case: Case, seed: int) -> Calls:
    """Return a rollout's calls, played one by one, after ten minutes of the stable version alone."""
    played = _Played(case, random.Random(seed))
    before = [lasts for minute in range(-BEFORE_MIN, 0) for lasts in played.minute(minute, 0.0)[1]]
    limit = median(before) if before else MEDIAN_S

    def calls(minute: int, weight: float) -> tuple[Counts, Counts]:
        canary, stable = (
            Counts(len(took), slow=sum(lasts > limit for lasts in took))
            for took in played.minute(minute, weight)
        )
        return canary, stable

    return calls


def found(case: Case, runs: int, seed: int) -> list[int]:
    """Return after how many minutes the gate called the canary slow, of those rollouts in which it did."""
    steps, before = steps_for(case.rpm, ERROR_RATE), Counts(60 * case.rpm)
    simulate = one_by_one if case.upload > 1 or case.spread else counted
    slow = (play(steps, simulate(case, seed * 1_000_003 + run), before).slow_at for run in range(runs))
    return sorted(minute for minute in slow if minute is not None)
