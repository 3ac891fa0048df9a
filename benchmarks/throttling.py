"""Simulated calls of an asynchronous trigger under reserved concurrency, and how often the gate pauses.

Ten calls run at a time, shared by both versions; a warm call takes 1.2 s on average. A call that finds no
room is throttled and comes back after 1, 2, 4 ... seconds, at most five minutes, as Lambda's own queue does
it. The plan is 10, 50 and 95 % for 5, 5 and 10 judged minutes; the gate looks at the end of the last place.
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from deployer.judge.counts import Counts, Minute, RolloutSoFar, StepStart, Week
from deployer.judge.throttles import above, usual

LIMIT = 10
CALL_S = 1.2
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
HISTORY_MIN = 1440
LAST_MIN = 10
PLAN = ((10, 5), (50, 5), (95, LAST_MIN))  # weight in percent, judged minutes
LAG_MIN = 3  # a minute's numbers are judged three minutes after its end
MINUTES = sum(1 + length + LAG_MIN for _, length in PLAN)


@dataclass(frozen=True)
class Case:
    """Calls per minute, how many come at once, and how many times as long the canary's calls take."""

    rpm: int
    upload: int
    ratio: float = 1.0


@dataclass
class _Count:
    """Calls that ran and that were turned away in one minute."""

    calls: int = 0
    throttles: int = 0


@dataclass
class _Function:
    """The calls that run, by when they end."""

    ends: list[float] = field(default_factory=list)

    def is_full(self, at: float) -> bool:
        while self.ends and self.ends[0] <= at:
            heapq.heappop(self.ends)
        return len(self.ends) >= LIMIT


def starts() -> tuple[StepStart, ...]:
    """Return when each place begins: in the middle of a minute, when the one before is judged."""
    found, minute = [], 0
    for weight, length in PLAN:
        found.append(StepStart(60 * minute + 30, weight))
        minute += 1 + length + LAG_MIN
    return tuple(found)


def counts(case: Case, minutes: int, places: Sequence[StepStart], chance: random.Random) -> list[_Count]:
    """Return what ran and what was turned away in each minute, of both versions together."""
    found = [_Count() for _ in range(minutes)]
    function, waiting = _Function(), list[tuple[float, float]]()
    for at, first_wait in _in_order(_uploads(case, minutes, chance), waiting):
        minute = found[min(minutes - 1, int(at // 60))]
        if function.is_full(at):
            minute.throttles += 1
            wait = min(LONGEST_WAIT_S, first_wait) * (0.5 + chance.random())
            heapq.heappush(waiting, (at + wait, 2 * first_wait))
            continue
        minute.calls += 1
        weight = max((start.weight_pct for start in places if start.at <= at), default=0) / 100
        slower = case.ratio if chance.random() < weight else 1.0
        heapq.heappush(function.ends, at + chance.expovariate(1 / CALL_S) * slower)
    return found


def _uploads(case: Case, minutes: int, chance: random.Random) -> Iterator[float]:
    at = 0.0
    while (at := at + chance.expovariate(case.rpm / case.upload / 60)) < 60 * minutes:
        yield from (at,) * case.upload


def _in_order(uploads: Iterator[float], waiting: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Return each call as it comes, or comes back, with how long it waits if it finds no room."""
    for at in uploads:
        while waiting and waiting[0][0] <= at:
            yield heapq.heappop(waiting)
        yield at, FIRST_WAIT_S


@lru_cache(maxsize=3)
def history(rpm: int, upload: int, seed: int) -> Week:
    """Return a day of the stable version alone."""
    day = counts(Case(rpm, upload), HISTORY_MIN, (), random.Random(seed))
    calls = tuple(float(minute.calls) for minute in day)
    return Week(0, calls, (0.0,) * HISTORY_MIN, tuple(float(minute.throttles) for minute in day))


def rollout(case: Case, week: Week, seed: int) -> tuple[bool, bool]:
    """Return whether the gate pauses at the end of the last place, and whether any of its calls throttled."""
    places = starts()
    seen = counts(case, MINUTES, places, random.Random(seed))
    minutes = [Minute(60 * at, Counts(m.calls, throttles=m.throttles), Counts()) for at, m in enumerate(seen)]
    windows = usual(week, 60 * LAST_MIN)
    so_far = RolloutSoFar("1", "2", places, read_at=60.0 * MINUTES, windows=windows)
    last = seen[places[-1].first_whole // 60 :][:LAST_MIN]
    return above(minutes, so_far, LAST_MIN) is not None, any(minute.throttles for minute in last)


def paused(case: Case, runs: int, seed: int) -> tuple[int, int]:
    """Return how many rollouts pause, and in how many any call was throttled; three days of history each."""
    weeks = [history(case.rpm, case.upload, seed * 1_000_003 + day) for day in range(3)]
    found = [rollout(case, weeks[run % 3], seed * 1_000_003 + 100 + run) for run in range(runs)]
    return sum(is_above for is_above, _ in found), sum(is_any for _, is_any in found)
