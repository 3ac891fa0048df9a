"""Does Lambda turn away more calls than it did in any equally long time of last week? Pure.

Reserved concurrency is shared by both versions, so comparing them says nothing. In the last place, where the
canary has most of the traffic, its last minutes are held against all equally long windows of last week:

    share = throttles / (throttles + calls), of both versions together

    too many: share > the largest share of last week's windows, and at least 1 %, and at least five throttles

Where nothing changed, each of the windows is the largest with the same chance: wrong in 1 of as many as there
are, whatever the law of the calls. Bursts that came last week too are no reason. A throttled call of an
asynchronous trigger comes back for hours, so a rollout pauses by this and is never rolled back. The reason is
over once the last minutes are no longer above the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar, Week, Windows

THROTTLES = "throttles"
LONGEST_MIN = 10
SHORTEST_HISTORY_MIN = 1440
LEAST_SHARE = 0.01
LEAST_THROTTLES = 5


def usual(week: Week, bake_s: int) -> Windows:
    """Return the largest share (0-1) of throttled calls in any window of last week as long as the place.

    A place of more than ten minutes is judged by its last ten. None where less than a day of the function's
    life is known.
    """
    minutes = max(1, min(LONGEST_MIN, bake_s // 60))
    begun = next((at for at, calls in enumerate(week.calls) if calls), len(week.calls))
    if len(week.calls) - begun < SHORTEST_HISTORY_MIN:
        return Windows(minutes)
    turned = list(accumulate(week.throttles[begun:], initial=0.0))
    served = list(accumulate(week.calls[begun:], initial=0.0))
    return Windows(
        minutes,
        max(
            share_of(turned[end] - turned[end - minutes], served[end] - served[end - minutes])
            for end in range(minutes, len(turned))
        ),
    )


def share_of(throttles: float, calls: float) -> float:
    """Return the share (0-1) of calls that were turned away."""
    return throttles / (throttles + calls) if throttles else 0.0


def above(minutes: Sequence[Minute], rollout: RolloutSoFar, judged: int) -> tuple[int, int] | None:
    """Return (throttles, all calls) of the last minutes of the last place where they are too many, else None.

    `judged` are the minutes of the place that are judged; before a whole window of them is nothing is said.
    """
    windows = rollout.windows
    if rollout.current.weight_pct <= 50 or windows.highest is None or judged < windows.minutes:
        return None
    end = rollout.current.first_whole + 60 * judged
    last = [m for m in minutes if m.source == TRAFFIC and end - 60 * windows.minutes <= m.at < end]
    throttles = sum(m.canary.throttles + m.stable.throttles for m in last)
    calls = sum(m.canary.calls + m.stable.calls for m in last)
    share = share_of(throttles, calls)
    is_more = share > windows.highest and share >= LEAST_SHARE and throttles >= LEAST_THROTTLES
    return (throttles, throttles + calls) if is_more else None
