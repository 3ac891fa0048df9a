"""What chance alone would give the canary of one stratum's marks: exact. Pure.

Given a stratum's calls, how many of them are marked (errors, slow calls), and how many times the odds of a
mark are higher on the canary, its marks X follow Fisher's noncentral hypergeometric law. At odds 1 that is
the hypergeometric one: each set of that many calls is as likely as any other.

    E[omega^X] = P(odds omega) / P(odds)        P(w) = sum over k of C(c, k) C(s, m - k) w^k
                                                c, s: calls; m: marks

The terms of P rise to one highest and fall again; those below 1e-17 of it are left out.

The binomial bound (1 + rho (omega - 1))^m with rho = c / (c + s) is never below E[omega^X] at odds 1
(Hoeffding 1963, theorem 4). It stands in where many errors would make the sum long, and for broken numbers.

Reference: Fisher, The Logic of Inductive Inference, Journal of the Royal Statistical Society 98, 1935.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MOST_TERMS = 50
POOLED_CALLS = 10
_LEAST_TERM = 1e-17


@dataclass(frozen=True)
class Stratum:
    """Calls and marks of both versions in consecutive minutes; `at` is the start of the last (seconds)."""

    at: int
    canary_calls: int
    canary_marks: float
    stable_calls: int
    stable_marks: float


@lru_cache(maxsize=4096)
def log_means(
    canary_calls: int, stable_calls: int, marks: int, omegas: tuple[float, ...], odds: float = 1.0
) -> tuple[float, ...]:
    """Return ln E[omega^X] for each omega, in nats; at odds 1 perhaps the bound above it."""
    calls = (canary_calls, stable_calls)
    if not marks or not sum(calls):
        return (0.0,) * len(omegas)
    low, high = max(0, marks - stable_calls), min(canary_calls, marks)
    if odds == 1.0 and high - low > MOST_TERMS:
        return tuple(marks * math.log1p(canary_calls / sum(calls) * (omega - 1)) for omega in omegas)
    every = _log_polynomial(calls, marks, odds)
    return tuple(_log_polynomial(calls, marks, odds * omega) - every for omega in omegas)


def _log_polynomial(calls: tuple[int, int], marks: int, weight: float) -> float:
    """Return ln P(weight), summed from its highest term on to both sides."""
    canary, stable = calls
    low, high = max(0, marks - stable), min(canary, marks)
    top = min(high, max(low, _highest(calls, marks, weight)))
    rest = stable - marks
    total = term = 1.0
    for k in range(top, high):
        term *= (canary - k) * (marks - k) * weight / ((k + 1) * (rest + k + 1))
        total += term
        if term < _LEAST_TERM:
            break
    term = 1.0
    for k in range(top, low, -1):
        term *= k * (rest + k) / ((canary - k + 1) * (marks - k + 1) * weight)
        total += term
        if term < _LEAST_TERM:
            break
    chosen = _log_choose(canary, top) + _log_choose(stable, marks - top)
    return chosen + top * math.log(weight) + math.log(total)


def _highest(calls: tuple[int, int], marks: int, weight: float) -> int:
    """Return about which k has the highest term: where two neighbours are as high, a quadratic equation."""
    canary, stable = calls
    a = weight - 1
    b = weight * (canary + marks) + stable - marks
    c = weight * canary * marks
    return int(2 * c / (b + math.sqrt(max(0.0, b * b - 4 * a * c))))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def pooled(minutes: Sequence[Stratum], ends: Sequence[float]) -> tuple[Stratum, ...]:
    """Join consecutive minutes until each stratum has ten calls; none reaches over a time in `ends`.

    What is left of a step without ten calls is dropped. Which minutes are joined depends on the calls alone.
    """
    found: list[Stratum] = []
    waiting: Stratum | None = None
    for minute in minutes:
        if waiting is not None and any(waiting.at < end <= minute.at for end in ends):
            waiting = None
        waiting = minute if waiting is None else _joined(waiting, minute)
        if waiting.canary_calls + waiting.stable_calls >= POOLED_CALLS:
            found.append(waiting)
            waiting = None
    return tuple(found)


def _joined(first: Stratum, second: Stratum) -> Stratum:
    return Stratum(
        second.at,
        first.canary_calls + second.canary_calls,
        first.canary_marks + second.canary_marks,
        first.stable_calls + second.stable_calls,
        first.stable_marks + second.stable_marks,
    )
