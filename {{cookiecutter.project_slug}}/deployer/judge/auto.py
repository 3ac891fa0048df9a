"""The places of a rollout from last week's traffic: `steps = "auto"`. Pure, and the same for whoever resumes.

N is what the function is called by the minute at this time of day, rather too few than too many. The rollout
takes up to three places:

    A  the smallest weight at which a canary that fails every call is noticed in two minutes;
       over as soon as such a canary would have been found
    B  10, 25 or 50 %; over as soon as the canary is at most `goal` points worse than the stable version.
       The goal is find_pct, or the next of a ladder that this traffic reaches in within_s
    C  all but 5, 10 or 20 %, for ten judged minutes; then all traffic, and done

    only a canary that fails every call would be found in within_s:  50 % until it would have been, then C
    not even that:  50 % for ten judged minutes, and done. Traffic proves nothing then, and that is said.

A place costs its judged minutes, the minute of the change, the time its numbers take to settle, and one more
for the slowest calls and the poll. Want of data never pauses a rollout: each place has a longest time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from deployer.judge.power import Traffic, minutes_to_match, minutes_to_show
from deployer.model import Ends, GateSettings, Step

GOALS_PCT = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
FIRST_PCT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 25)
SEARCH_PCT = (10, 25, 50)
HALF_PCT = 50
FIRST_ERRORS = 4  # of phi, in two minutes, are enough for a rollback
FIRST_MIN = 2
SLACK_MIN = 10  # how much longer than expected the first place may take
LEAST_SEARCH_MIN = 3
LAST_BAKE_S = 600
BLOCK_MIN = 30
AROUND_BLOCKS = 2  # an hour before and behind this time of day
DAY_MIN = 1440
LEAST_DAYS = 3
LOW_QUARTER = 0.25


class Route(Enum):
    """What last week's traffic allows a rollout to prove."""

    SEARCH = "search"  # a canary that is worse by the goal is found
    TOTAL = "total"  # a canary that fails every call is found
    NONE = "none"  # nothing: the sample and the alarm are all there is


@dataclass(frozen=True)
class Places:
    """The steps of a rollout; `goal_pct` is what the search ends on, in points, None without one.

    `show_min` and `match_min` are the judged minutes that the searching places are expected to take.
    """

    route: Route
    steps: tuple[Step, ...]
    goal_pct: float | None = None
    show_min: int = 0
    match_min: int = 0


def usual_calls(calls: Sequence[float], until: int, at: float) -> float:
    """Return the calls per minute to expect at `at`: the lower quartile of half hours around its time of day.

    `calls` are last week's, minute by minute; `until` is when they end and `at` when traffic moves, both in
    seconds since the epoch. With less than three days of history all half hours of it count.
    """
    begun = next((place for place, count in enumerate(calls) if count), len(calls))
    ends = [len(calls)]
    reach = (len(calls) - begun) // BLOCK_MIN
    if len(calls) - begun >= LEAST_DAYS * DAY_MIN:
        here = len(calls) + math.floor((at - until) / 60) + AROUND_BLOCKS * BLOCK_MIN
        ends, reach = [here - day * DAY_MIN for day in range(len(calls) // DAY_MIN + 2)], 2 * AROUND_BLOCKS
    blocks = [
        statistics.fmean(calls[end - (number + 1) * BLOCK_MIN : end - number * BLOCK_MIN])
        for end in ends
        for number in range(reach)
        if begun <= end - (number + 1) * BLOCK_MIN and end - number * BLOCK_MIN <= len(calls)
    ]
    return sorted(blocks)[int(LOW_QUARTER * len(blocks))] if blocks else 0.0


def last_weight(calls_per_min: float) -> float:
    """Return the weight (percent) that keeps as large a control as this traffic needs to be told apart."""
    return 95 if calls_per_min >= 100 else 90 if calls_per_min >= 30 else 80


def place_cost_min(settings: GateSettings) -> int:
    """Return what a place takes besides its judged minutes."""
    return 2 + math.ceil(settings.settle_s / 60)


def auto(traffic: Traffic, settings: GateSettings, find_pct: float, within_s: int) -> Places:
    """Return the places for that traffic; the search is over within `within_s` seconds."""
    cost = place_cost_min(settings)
    last = Step(last_weight(traffic.calls_per_min), LAST_BAKE_S)
    first_pct = _first_weight(traffic)
    show = minutes_to_show(traffic, first_pct / 100, settings)
    if math.isfinite(show):
        show_min = math.ceil(show)
        first = Step(first_pct, (show_min + SLACK_MIN) * 60, Ends.SHOWN)
        left = within_s // 60 - (show_min + cost) - cost
        goals = [find_pct, *(goal for goal in GOALS_PCT if goal > find_pct)]
        for goal_pct in goals if left >= LEAST_SEARCH_MIN else []:
            for weight_pct in SEARCH_PCT:
                match_min = minutes_to_match(traffic, weight_pct / 100, goal_pct / 100, left)
                if weight_pct > first_pct and match_min is not None:
                    search = Step(weight_pct, left * 60, Ends.SIMILAR, goal_pct)
                    expected = max(LEAST_SEARCH_MIN, match_min)
                    return Places(Route.SEARCH, (first, search, last), goal_pct, show_min, expected)
    left = within_s // 60 - cost
    show = minutes_to_show(traffic, HALF_PCT / 100, settings)
    if show <= left:
        half = Step(HALF_PCT, left * 60, Ends.SHOWN)
        return Places(Route.TOTAL, (half, last), show_min=math.ceil(show))
    return Places(Route.NONE, (Step(HALF_PCT, LAST_BAKE_S),))


def _first_weight(traffic: Traffic) -> float:
    """Return the smallest weight at which a canary that fails every call has enough errors in two minutes."""
    needed = FIRST_ERRORS * traffic.phi
    calls = needed + 2 * math.sqrt(needed)  # with room for chance
    return next(
        (pct for pct in FIRST_PCT if FIRST_MIN * traffic.calls_per_min * pct / 100 >= calls), FIRST_PCT[-1]
    )
