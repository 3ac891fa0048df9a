"""Simulated traffic of a stable and a canary version, minute by minute, seeded.

Calls arrive as a Poisson process, and each is independently routed and independently fails. A Poisson
process split at random is several independent ones, so every count here is one exact Poisson number with
a mean known beforehand, drawn by looking a uniform number up in its distribution: as fast for 10 000
calls per minute as for ten.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

RAMP = (5,) * 10 + (10,) * 10 + (25,) * 30  # the canary's weight in each minute of the rollout, in percent
HORIZON = 60  # minutes; a person notices what no rule found
SPLIT_MINUTES = 10  # as long as CodeDeploy's schedules shift traffic


@dataclass(frozen=True)
class Case:
    """One situation: calls per minute and both versions' error rates (0-1), and an outage of both, if any.

    `outage` is the first minute and the one after the last in which both fail at the rate `OUTAGE_RATE`.
    """

    rpm: int
    stable_rate: float
    canary_rate: float
    outage: tuple[int, int] | None = None

    def rates(self, minute: int) -> tuple[float, float]:
        """Return the error rates of stable and canary version in that minute."""
        if self.outage and self.outage[0] <= minute < self.outage[1]:
            return OUTAGE_RATE, OUTAGE_RATE
        return self.stable_rate, self.canary_rate


OUTAGE_RATE = 0.3


@dataclass(frozen=True)
class Row:
    """One minute as both versions' metrics show it."""

    canary_calls: int
    canary_errors: int
    stable_calls: int
    stable_errors: int


@dataclass(frozen=True)
class Run:
    """The same calls under three schedules: our ramp (an hour long), and CodeDeploy's canary and linear."""

    ramp: tuple[Row, ...]
    canary: tuple[Row, ...]
    linear: tuple[Row, ...]


class Poisson:
    """Draw Poisson numbers of any mean by inversion; exact to the last digits of a float."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random
        self._tables: dict[float, tuple[int, list[float]]] = {}

    def draw(self, mean: float) -> int:
        """Return one number with that mean."""
        table = self._tables.get(mean)
        if table is None:
            table = self._tables[mean] = _distribution(mean)
        return table[0] + bisect_left(table[1], self._random())


def _distribution(mean: float) -> tuple[int, list[float]]:
    """Return the smallest number worth listing, and P(X <= number) from there on (to 1e-20)."""
    if mean <= 0:
        return 0, [1.0]
    spread = 10 * math.sqrt(mean) + 30
    low, high = max(0, int(mean - spread)), int(mean + spread)
    chances = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(low, high)]
    total, sums = 0.0, []
    for chance in chances:
        total += chance
        sums.append(total)
    sums[-1] = 1.0
    return low, sums


def simulate(case: Case, poisson: Poisson) -> Run:
    """Return an hour of traffic.

    In the first minutes the calls are drawn in slices by who would serve them under which schedule, and a
    call that fails on the stable version fails on the canary too, so that all schedules see the same calls.
    """
    ramp, canary, linear = [], [], []
    for minute in range(HORIZON):
        weight = RAMP[min(minute, len(RAMP) - 1)] / 100
        stable_rate, canary_rate = case.rates(minute)
        if minute >= SPLIT_MINUTES:
            ramp.append(_row(case.rpm, weight, (stable_rate, canary_rate), poisson))
            continue
        edges = (0.0, weight, 0.1, (minute + 1) / 10, 1.0)
        slices = [
            _slice(case.rpm * (end - start), (stable_rate, canary_rate), poisson)
            for start, end in pairwise(edges)
        ]
        ramp.append(_served(slices, 1))
        canary.append(_served(slices, 2))
        linear.append(_served(slices, 3))
    return Run(tuple(ramp), tuple(canary), tuple(linear))


def _row(rpm: int, weight: float, rates: tuple[float, float], poisson: Poisson) -> Row:
    stable_rate, canary_rate = rates
    canary_errors = poisson.draw(rpm * weight * canary_rate)
    stable_errors = poisson.draw(rpm * (1 - weight) * stable_rate)
    return Row(
        canary_errors + poisson.draw(rpm * weight * (1 - canary_rate)),
        canary_errors,
        stable_errors + poisson.draw(rpm * (1 - weight) * (1 - stable_rate)),
        stable_errors,
    )


def _slice(mean: float, rates: tuple[float, float], poisson: Poisson) -> tuple[int, int, int]:
    """Return how many calls there are, and how many fail on the stable version, and on the canary."""
    stable_rate, canary_rate = rates
    both = poisson.draw(mean * stable_rate)
    canary_only = poisson.draw(mean * (canary_rate - stable_rate))
    return both + canary_only + poisson.draw(mean * (1 - canary_rate)), both, both + canary_only


def _served(slices: list[tuple[int, int, int]], by_canary: int) -> Row:
    """Return the minute as it is when the canary serves the first slices."""
    mine, others = slices[:by_canary], slices[by_canary:]
    return Row(sum(s[0] for s in mine), sum(s[2] for s in mine), sum(s[0] for s in others),
               sum(s[1] for s in others))  # fmt: skip
