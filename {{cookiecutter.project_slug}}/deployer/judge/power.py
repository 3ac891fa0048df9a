"""How many judged minutes it takes to see something, before any traffic moves. Pure.

For N calls per minute, a weight w, a stable error rate p0 and phi errors that count as one:

*A canary that fails every call.* A stratum of n calls (at least ten) with c canary and s stable ones of which
x fail is worth, for an alternative omega,

    (c ln omega - ln E0[omega^X]) / phi        nats; X: the canary's part of c + x marks, `judge.strata`

Its mean m and variance v are taken over Poisson numbers c, s and x, each at a few equally likely values.
After t strata the evidence exceeds t m - z sqrt(t v) in 95 of 100 rollouts. That has to reach ln(14 / alpha),
14 = 7 alternatives x 2, since the rollout's own start has half of the weight.

*A canary that fails a share p1.* As above with m = (N w p1 g - N (1 - w) p0 b) / phi per minute, where
b = ln(1 + w (omega - 1)) and g = ln omega - b, and Poisson errors.

*A canary that is as good* ends a place once `judge.similar.gap` is below the goal: asked for calls and errors
as expected, the canary's errors half of 1.645 standard deviations above.

Reference: the expected growth of a likelihood ratio is the Kullback-Leibler divergence (Wald 1945).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, product
from statistics import NormalDist

from deployer.judge import strata
from deployer.judge.absolute import GUARD_SHARE, MIN_BAD_MINUTES
from deployer.judge.comparison import MIN_HITS
from deployer.judge.counts import Counts
from deployer.judge.eprocess import OMEGAS, start_weight
from deployer.judge.similar import gap
from deployer.model import GateSettings

POWER = 0.95
Z = NormalDist().inv_cdf(POWER)
RARE = 0.001  # calls per minute; one a day is nothing to wait for


@dataclass(frozen=True)
class Traffic:
    """What a rollout meets: calls per minute, the share of them that fails (0-1), how many errors are one."""

    calls_per_min: float
    error_rate: float = 0.0
    phi: float = 1.0


def nats_needed(settings: GateSettings) -> float:
    """Return the evidence a rollback takes, whatever alternative is true."""
    alternatives = len(OMEGAS) / start_weight(1)
    return math.log(alternatives / (settings.alpha_per_metric * (1 - GUARD_SHARE)))


def minutes_to_show(traffic: Traffic, weight: float, settings: GateSettings) -> float:
    """Return the judged minutes until 95 of 100 canaries that fail every call are found; inf for never.

    `weight` is a share (0-1).
    """
    calls = traffic.calls_per_min
    if calls < RARE:
        return math.inf
    minutes = max(1, math.ceil(strata.POOLED_CALLS / calls))
    canary, stable = calls * minutes * weight, calls * minutes * (1 - weight)
    found = [
        _evidence(*counts)
        for counts in product(
            poisson_quantiles(canary, 20),
            poisson_quantiles(stable, 5),
            poisson_quantiles(stable * traffic.error_rate, 5),
        )
    ]
    best = min(_until(values, nats_needed(settings) * traffic.phi) for values in zip(*found, strict=True))
    return max(best * minutes, _until_errors(traffic.phi) / (calls * weight), MIN_BAD_MINUTES)


def minutes_to_find(traffic: Traffic, weight: float, rate: float, settings: GateSettings) -> float:
    """Return the judged minutes until 95 of 100 canaries that fail `rate` (0-1) are found; inf for never."""
    mine, other = (
        traffic.calls_per_min * weight * rate,
        traffic.calls_per_min * (1 - weight) * traffic.error_rate,
    )
    if mine <= 0:
        return math.inf
    best = math.inf
    for omega in OMEGAS:
        cost = math.log1p(weight * (omega - 1))
        gain = math.log(omega) - cost
        mean = mine * gain - other * cost
        # Errors that come in runs of phi scatter by sqrt(phi) more.
        variance = (mine * gain**2 + other * cost**2) * traffic.phi
        best = min(best, _passage(mean, variance, nats_needed(settings) * traffic.phi))
    return max(best, _until_errors(traffic.phi) / mine, MIN_BAD_MINUTES)


def minutes_to_match(traffic: Traffic, weight: float, goal: float, at_most: int) -> int | None:
    """Return the whole judged minutes until a canary that is as good is at most `goal` (0-1) worse, 95 %.

    None where that takes longer than `at_most` minutes.
    """
    if at_most < 1 or not _matches(traffic, weight, goal, at_most):
        return None
    return 1 + bisect_left(range(1, at_most + 1), x=True, key=lambda t: _matches(traffic, weight, goal, t))


def _matches(traffic: Traffic, weight: float, goal: float, minutes: int) -> bool:
    def counts(share: float, above: float) -> Counts:
        calls = traffic.calls_per_min * share * minutes
        usual = round(calls * traffic.error_rate, 6)
        return Counts(round(calls), min(calls, usual + above * math.sqrt(usual * traffic.phi)))

    found = gap(counts(weight, Z / 2), counts(1 - weight, 0.0), traffic.phi)
    return found is not None and found < goal


def _evidence(canary: int, stable: int, failed: int) -> tuple[float, ...]:
    """Return what a stratum whose canary calls all failed is worth, in nats, for each alternative."""
    if not canary or not stable:
        return (0.0,) * len(OMEGAS)
    means = strata.log_means(canary, stable, canary + min(failed, stable), OMEGAS)
    return tuple(canary * math.log(omega) - mean for omega, mean in zip(OMEGAS, means, strict=True))


def _until(values: tuple[float, ...], needed: float) -> float:
    mean = sum(values) / len(values)
    return _passage(mean, sum((value - mean) ** 2 for value in values) / len(values), needed)


def _passage(mean: float, variance: float, needed: float) -> float:
    """Return the t with t mean - z sqrt(t variance) = needed; inf where the mean is not above zero."""
    if mean <= 0:
        return math.inf
    spread = Z * math.sqrt(variance)
    return ((spread + math.sqrt(spread**2 + 4 * mean * needed)) / (2 * mean)) ** 2


def _until_errors(phi: float) -> float:
    """Return the mean number of errors with which 95 of 100 rollouts have the least number of them."""
    return (Z + math.sqrt(Z**2 + 4 * MIN_HITS * phi)) ** 2 / 4


def poisson_quantiles(mean: float, count: int) -> tuple[int, ...]:
    """Return `count` equally likely values of a Poisson number."""
    shares = [(number + 0.5) / count for number in range(count)]
    if mean > 100:
        law = NormalDist(mean, math.sqrt(mean))
        return tuple(max(0, round(law.inv_cdf(share))) for share in shares)
    log_mean = math.log(mean) if mean > 0 else -math.inf
    chances = [
        math.exp(k * log_mean - mean - math.lgamma(k + 1)) if k else math.exp(-mean) for k in range(200)
    ]
    sums = list(accumulate(chances))
    return tuple(bisect_left(sums, share) for share in shares)
