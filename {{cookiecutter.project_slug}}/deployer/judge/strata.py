"""What chance alone would give the canary of one stratum's marks: exact where it is small. Pure.

Given a stratum's calls and how many of them are marked (errors, slow calls), the marks of a canary that is no
worse are hypergeometric: each set of that many calls is as likely as any other.

    E0[omega^X] = sum over k of C(c, k) C(s, m - k) / C(c + s, m) * omega^k     c, s: calls; m: marks

The binomial bound (1 + rho (omega - 1))^m with rho = c / (c + s) is never below it (Hoeffding 1963, theorem
4) and close to it where marks are few among many calls. It stands in where the sum would have many terms, so
both are valid and neither is slow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MOST_TERMS = 50
POOLED_CALLS = 10


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
    canary_calls: int, stable_calls: int, marks: int, omegas: tuple[float, ...]
) -> tuple[float, ...]:
    """Return ln E0[omega^X] for each omega, in nats: exact, or the bound above it."""
    calls = canary_calls + stable_calls
    if not marks or not calls:
        return (0.0,) * len(omegas)
    low, high = max(0, marks - stable_calls), min(canary_calls, marks)
    if high - low > MOST_TERMS:
        return tuple(marks * math.log1p(canary_calls / calls * (omega - 1)) for omega in omegas)
    every = _log_choose(calls, marks)
    chances = [
        _log_choose(canary_calls, k) + _log_choose(stable_calls, marks - k) - every
        for k in range(low, high + 1)
    ]
    return tuple(_log_mean(chances, low, math.log(omega)) for omega in omegas)


def _log_mean(chances: Sequence[float], low: int, log_omega: float) -> float:
    terms = [chance + (low + place) * log_omega for place, chance in enumerate(chances)]
    highest = max(terms)
    return highest + math.log(math.fsum(math.exp(term - highest) for term in terms))


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
