"""From which share of failing calls on an alarm fires after a release, by replaying last week. Pure.

Once all traffic is on the new version there is nothing left to compare it with. What is left is last week: of
these alarms, the first that would not have fired once in it

    at least 5, 10, 20, 50 or 90 % of the calls fail, in all of the last 5, 10, 15, 30 or 60 minutes

Where nothing changed, this hour is as likely the worst as any of the week's: it fires in about 1 of 169 hours
at most. So it finds what fails for long, by design, and is silent in what last week brought as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from deployer.judge.counts import Week

CANDIDATES = (
    *((5, 5), (10, 5), (10, 10), (20, 5), (20, 10)),
    *((50, 5), (50, 10), (50, 15), (50, 30), (90, 30), (90, 60)),
)
PERIODS_S = (60, 300, 900)
LEAST_CALLS = 5  # of a period: one failing call of fewer would be a large share
LEAST_PERIODS = 3


@dataclass(frozen=True)
class Threshold:
    """Fires when `share_pct` of the calls or more fail in each of the last `periods` of `period_s`."""

    share_pct: int
    period_s: int
    periods: int

    def __str__(self) -> str:
        return f"{self.share_pct} % of the calls failed for {self.period_s * self.periods // 60} min"


def threshold(week: Week) -> Threshold | None:
    """Return the first threshold that would not have fired in that week; None when each would have."""
    period_s = _period_s(week)
    shares = _shares(week, period_s)
    for share_pct, minutes in CANDIDATES:
        found = Threshold(share_pct, period_s, max(LEAST_PERIODS, math.ceil(60 * minutes / period_s)))
        if _longest(shares, share_pct / 100) < found.periods:
            return found
    return None


def _period_s(week: Week) -> int:
    """Return the shortest period that usually has calls enough, in seconds."""
    per_second = sum(week.calls) / (60 * max(1, len(week.calls)))
    return next((period for period in PERIODS_S if per_second * period >= LEAST_CALLS), PERIODS_S[-1])


def _shares(week: Week, period_s: int) -> list[float]:
    """Return the share (0-1) of failing calls in each period with calls; an alarm ignores the others."""
    width = period_s // 60
    sums = (
        (sum(week.errors[at : at + width]), sum(week.calls[at : at + width]))
        for at in range(0, len(week.calls), width)
    )
    return [errors / calls for errors, calls in sums if calls]


def _longest(shares: list[float], limit: float) -> int:
    """Return the most periods in a row at the limit or above it."""
    longest = run = 0
    for share in shares:
        run = run + 1 if share >= limit else 0
        longest = max(longest, run)
    return longest
