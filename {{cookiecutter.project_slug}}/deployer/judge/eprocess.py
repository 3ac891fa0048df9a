"""The running evidence that the canary gets more than its share: a mixture e-process. Pure.

*The question.* Of `trials` marks (errors of both versions in one minute), `hits` fell on the canary. If the
canary is no worse, each falls on it with probability at most `rho`, its share of that minute's calls. For
an alternative omega (how many times likelier a canary call fails than a stable one), one minute is worth

    ln e_i(omega) = (hits_i * ln(omega) - ln E0[omega^hits_i]) / phi                     [nats]

where E0 is the mean by chance alone (`judge.strata`: exact, or the bound (1 + rho_i (omega - 1))^trials_i),
and phi >= 1 is how many marks count as one (`judge.dispersion`).

and the evidence at time t mixes alternatives and starting points, with weights that sum to one:

    E_t = sum over starts j of 1/(j(j+1)) * E_j,t
    E_j,t = mean over omega of the product of e_i(omega) over the minutes i from start j to t

A start that lies ahead counts as 1, so that the weights need no plan of what is to come.

*Why it is right.* Given how many calls each version had and how many marks there were, `hits` is
hypergeometric when both versions fail alike, stochastically smaller when the canary fails less, and in
convex order below Binomial(trials, rho) (Hoeffding 1963, theorem 4). So E[omega^hits] is at most E0: each
factor has a mean of at most 1 given the past, also as a root (Jensen), their product is a supermartingale, a
mixture of such with fixed weights is one too, and Ville's inequality (1939) says

    P(E_t >= 1/alpha for any t, ever) <= alpha.

Looking every minute therefore costs nothing. What hits both versions alike (an outage) raises `trials` and
leaves `rho` as it is. Weights may change whenever they like: rho is counted, never assumed.

*Why these weights.* The rollout's own start has half of the weight (ln 2 nats of delay instead of the
ln 3 of an even split over a three-step plan); a start every half hour as well as at every step keeps a
regression that begins late from having to undo hours of good behaviour first.

References: Lindon & Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022,
arXiv 2011.03567. Hoeffding, Probability Inequalities for Sums of Bounded Random Variables, JASA 58, 1963.
Ville, Etude critique de la notion de collectif, 1939.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import add

OMEGAS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
RESTART_S = 1800


@dataclass(frozen=True)
class Share:
    """One stratum's marks: `hits` of `trials` are the canary's, each with probability `rho` at most (0-1).

    `at` is the start of its last minute in seconds since the epoch. `log_means` are ln E0[omega^hits] for
    the alternatives; without them the binomial bound stands in. `phi` is how many marks count as one.
    """

    at: int
    hits: float
    trials: float
    rho: float
    log_means: tuple[float, ...] = ()
    phi: float = 1.0


@dataclass(frozen=True)
class Point:
    """The evidence after one minute: `log_e` is ln E, in nats.

    `since` is the start (seconds since the epoch) from which the leading alternative has most evidence.
    """

    at: int
    log_e: float
    since: float


@dataclass(frozen=True)
class Trace:
    """One test's evidence over time, to draw: it can fail once `log_e` reaches `limit` (both in nats).

    `failed_at` is the start of the minute (seconds since the epoch) that made it fail, None if it did not.
    """

    metric: str
    points: tuple[Point, ...]
    limit: float
    failed_at: int | None = None


def start_weight(number: int) -> float:
    """Return the weight of the `number`-th start (from 1); all of them together have weight 1."""
    return 1.0 / (number * (number + 1))


def restarts(step_starts: Sequence[float], until: float, every_s: int = RESTART_S) -> tuple[float, ...]:
    """Return where the process starts anew: at each step, and every `every_s` seconds within one.

    All times are in seconds since the epoch. They depend on the clock alone, never on what was measured.
    """
    begun = sorted(start for start in step_starts if start <= until)
    found: list[float] = []
    for start, end in pairwise([*begun, until + 1]):
        found += [start + n * every_s for n in range(max(1, math.ceil((end - start) / every_s)))]
    return tuple(found)


def accumulate(
    shares: Sequence[Share], starts: Sequence[float], omegas: Sequence[float] = OMEGAS
) -> tuple[Point, ...]:
    """Return ln E after each minute that has a share; several shares of one minute count together.

    The order of `shares` does not matter. `starts` is increasing; minutes before the first are left out.
    `omegas` are the alternatives.
    """
    count = len(omegas)
    logs = [math.log(omega) for omega in omegas]
    sums = [0.0] * count  # ln of the product so far, per omega
    heads = [-math.inf] * count  # ln of sum over starts of weight / product at the start, per omega
    lowest: list[tuple[float, float]] = [(math.inf, 0.0)] * count  # smallest sum at a start, and which
    begun = 0
    points: list[Point] = []
    ordered = sorted(shares, key=_at)
    for place, share in enumerate(ordered, 1):
        while begun < len(starts) and starts[begun] <= share.at:
            weight = math.log(start_weight(begun + 1) / count)
            heads = [log_sum_exp((head, weight - done)) for head, done in zip(heads, sums, strict=True)]
            lowest = [min(low, (done, starts[begun])) for low, done in zip(lowest, sums, strict=True)]
            begun += 1
        if not begun:
            continue
        if share.trials:
            means, hits, phi = share.log_means or _bounds(share, omegas), share.hits, share.phi
            sums = [
                done + (hits * log_omega - mean) / phi
                for done, log_omega, mean in zip(sums, logs, means, strict=True)
            ]
        if place == len(ordered) or ordered[place].at != share.at:
            parts = list(map(add, sums, heads))
            leading = parts.index(max(parts))
            parts.append(-math.log(begun + 1))
            points.append(Point(share.at, log_sum_exp(parts), lowest[leading][1]))
    return tuple(points)


def growths(shares: Sequence[Share], omegas: Sequence[float] = OMEGAS) -> list[float]:
    """Return ln of the product of e_i(omega) over these shares for each alternative, in nats."""
    sums = [0.0] * len(omegas)
    for share in shares:
        means = share.log_means or _bounds(share, omegas)
        for place, omega in enumerate(omegas):
            sums[place] += (share.hits * math.log(omega) - means[place]) / share.phi
    return sums


def log_sum_exp(values: Sequence[float]) -> float:
    """Return ln of the sum of the exponentials, without overflow."""
    highest = max(values)
    if highest == -math.inf:
        return highest
    return highest + math.log(sum([math.exp(value - highest) for value in values]))


def _bounds(share: Share, omegas: Sequence[float]) -> list[float]:
    return [share.trials * math.log1p(share.rho * (omega - 1.0)) for omega in omegas]


def _at(share: Share) -> int:
    return share.at
