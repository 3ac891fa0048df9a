"""What the gate judges by: counts per minute and the rollout so far. Pure."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

BLOCK_S = 900
_MINUTES = BLOCK_S // 60
_DAY_MIN = 1440
_AROUND_MIN = 60
TRAFFIC = "traffic"  # the source of calls that are the users' own


@dataclass(frozen=True)
class Counts:
    """One version's calls in one minute; `slow` are those that took longer than the limit in use.

    Throttled calls are in neither `calls` nor `errors`.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """

    calls: int = 0
    errors: float = 0
    slow: int = 0
    throttles: int = 0


@dataclass(frozen=True)
class Minute:
    """What both versions did in one minute, by one source of calls.

    `at` is the start of the minute in seconds since the epoch. Each source (the alias's traffic, each
    probe) is a stratum of its own: a version is compared with the other on the same calls only.
    """

    at: int
    canary: Counts
    stable: Counts
    source: str = TRAFFIC


@dataclass(frozen=True)
class Block:
    """What both versions together did in 15 minutes of the time before a rollout."""

    calls: float = 0.0
    errors: float = 0.0


@dataclass(frozen=True)
class Week:
    """What the alias, both versions together, did in each minute of the week before a rollout, oldest first.

    `until` is where it ends (seconds since the epoch). Minutes without a data point are zeros.
    `counts_errors` is False where the gate compares the app's own metric, which has no series of the alias.
    """

    until: int
    calls: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    throttles: tuple[float, ...] = ()
    counts_errors: bool = True

    def quiet_s(self, at: float) -> float:
        """Return for how many seconds at most there was no call within an hour of this time of day.

        `at` is in seconds since the epoch. A quiet night says nothing about noon: by day, silence may be a
        CloudWatch that is late. Where less than a day of the function's life is known nothing is unusual.
        """
        begun = self._silences[0][1] if self._silences and self._silences[0][0] == 0 else 0
        if len(self.calls) - begun < _DAY_MIN:
            return 60.0 * len(self.calls)
        here = (len(self.calls) + math.floor((at - self.until) / 60)) % _DAY_MIN
        near = [
            end - start
            for start, end in self._silences
            if start >= begun
            and math.ceil((start - _AROUND_MIN - here) / _DAY_MIN) * _DAY_MIN <= end + _AROUND_MIN - here
        ]
        return 60.0 * max(near, default=0)

    @cached_property
    def _silences(self) -> tuple[tuple[int, int], ...]:
        """Return the first minute and the one after the last of each time without a call."""
        found, end = [], 0
        for is_silent, run in groupby(self.calls, key=operator.not_):
            start, end = end, end + len(list(run))
            if is_silent:
                found.append((start, end))
        return tuple(found)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Return the quarters of an hour; none where the errors are not those that the gate compares."""
        if not self.counts_errors:
            return ()
        starts = range(0, len(self.calls), _MINUTES)
        return tuple(
            Block(math.fsum(self.calls[at : at + _MINUTES]), math.fsum(self.errors[at : at + _MINUTES]))
            for at in starts
        )


@dataclass(frozen=True)
class Dispersion:
    """How many errors count as one, at least 1; `is_measured` is False where the history is too short."""

    phi: float = 1.0
    is_measured: bool = True


@dataclass(frozen=True)
class Windows:
    """The largest share (0-1) of throttled calls in any `minutes` of last week; None: too little is known."""

    minutes: int = 10
    highest: float | None = None


@dataclass(frozen=True)
class StepStart:
    """When a step began (seconds since the epoch) and the canary's weight in it; 100 once it has all."""

    at: float
    weight_pct: float

    @property
    def first_whole(self) -> int:
        """Return the first minute that is wholly after it, in seconds since the epoch."""
        return math.ceil(self.at / 60) * 60


@dataclass(frozen=True)
class RolloutSoFar:
    """What is known about the rollout besides its counts.

    `starts` are the steps so far, the current one last; earlier ones that nobody remembers may be missing,
    but never the first. `read_at` is when the metrics were last read completely, None for never.
    `before` is what the stable version did in the hour before the first step. `accepted_at` is when a person
    last resumed the rollout: how slow it was before does not pause it again. `dispersion` is how errors came
    in the week before the first step, `windows` how often calls were throttled in it, `quiet_s` for how long
    at most it had no call at this time of day.
    """

    stable: str
    canary: str
    starts: tuple[StepStart, ...]
    read_at: float | None
    p99_duration_s: float = 0.0
    before: Counts = Counts()
    accepted_at: float = 0.0
    dispersion: Dispersion = field(default_factory=Dispersion)
    windows: Windows = field(default_factory=Windows)
    quiet_s: float = 0.0

    @property
    def current(self) -> StepStart:
        """Return the step that runs now."""
        return self.starts[-1]
