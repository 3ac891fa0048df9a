"""By how much the canary can be worse at most, after what was seen in one place. Pure.

    gap = upper bound of the canary's error rate - lower bound of the stable version's

Both bounds hold at all times at once with 97.5 % each, so that a place may end as soon as the gap is small
enough, however often one looks. A rate p is within its bounds while

    B(x + 1/2, n - x + 1/2) / B(1/2, 1/2)  <  p^x (1 - p)^(n - x) / 0.025       n calls, x of them failed

The left side is the mean of the likelihood over Beta(1/2, 1/2). Its ratio to the likelihood of p is a
martingale under p, which exceeds 1 / 0.025 with a probability of at most 0.025 at any time (Ville 1939).
Calls and errors are divided by phi, how many errors count as one (`judge.dispersion`).

The gap ends a place. It never fails a release and is no condition of its promotion: what few calls cannot
show is said instead. It takes errors of one place, at one weight, for independent draws; how often a good
release is rolled back does not depend on that.

Reference: Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, Annals of Mathematical
Statistics 41, 1970 (bounds by mixtures). Krichevsky & Trofimov 1981 (Beta(1/2, 1/2)).
"""

from __future__ import annotations

import math

from deployer.judge.counts import Counts

LEVEL = 0.025  # of each bound
_HALVINGS = 30


def gap(canary: Counts, stable: Counts, phi: float = 1.0) -> float | None:
    """Return by how much the canary's error rate can be higher (-1 to 1); None while one had no calls."""
    if not canary.calls or not stable.calls:
        return None
    upper = _bound(canary.calls / phi, canary.errors / phi, is_upper=True)
    return upper - _bound(stable.calls / phi, stable.errors / phi, is_upper=False)


def _bound(calls: float, errors: float, *, is_upper: bool) -> float:
    """Return the highest, or the lowest, rate (0-1) that so many errors leave possible."""
    errors = min(errors, calls)
    mixed = math.lgamma(errors + 0.5) + math.lgamma(calls - errors + 0.5) - math.lgamma(calls + 1)
    least = mixed - math.log(math.pi) - math.log(1 / LEVEL)
    inside, outside = errors / calls, 1.0 if is_upper else 0.0
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if _log_likelihood(calls, errors, middle) > least:
            inside = middle
        else:
            outside = middle
    return outside


def _log_likelihood(calls: float, errors: float, rate: float) -> float:
    failed = errors * math.log(rate) if errors else 0.0
    return failed + ((calls - errors) * math.log1p(-rate) if calls > errors else 0.0)
