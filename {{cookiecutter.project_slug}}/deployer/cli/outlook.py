"""What `plan` says about the rollout to come, as text. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deployer.config import Environment
from deployer.judge.auto import Route
from deployer.judge.counts import Dispersion
from deployer.judge.estimate import Estimate, duration_s
from deployer.model import Ends, Step

NOTHING_SHARED = "all traffic at once: no step compares the new version with the stable one"
LONG_MIN = 30  # what a job should not wait for: a runner is paid by the minute


def describe(settings: Environment, found: Estimate) -> str:
    """Return what the places are, what they find, how long they take, and what another goal would cost."""
    return "\n".join(
        [*_traffic(found), "", *_places(settings, found), "", *_finds(found), *_times(settings, found)]
    )


def _traffic(found: Estimate) -> Iterator[str]:
    outlook = found.outlook
    if not outlook.has_calls:
        yield "last week: no calls in the metrics"
        return
    traffic = outlook.traffic
    yield (
        f"last week, at this time of day: {number(traffic.calls_per_min)} calls per minute or more; "
        f"{100 * traffic.error_rate:.2g} % of all calls failed"
    )
    yield from _runs(outlook.dispersion)


def _runs(found: Dispersion) -> Iterator[str]:
    """Say how many errors count as one, where it is not each by itself."""
    if not found.is_measured:
        yield f"less than six hours of history: {found.phi:.0f} errors count as one"
    elif found.phi > 1:
        yield f"errors came in runs last week: {found.phi:.1f} count as one"


def _places(settings: Environment, found: Estimate) -> Iterator[str]:
    yield "place   weight   judged for        over"
    for place, step in enumerate(found.places.steps, 1):
        minutes = f"{step.bake_s // 60} min" if step.ends is Ends.TIME else f"up to {step.bake_s // 60} min"
        yield f"{place:>5}   {step.weight_pct:>4g} %   {minutes:<15}   {_over(step)}"
    if found.places.route is Route.SEARCH and found.places.goal_pct != settings.find_pct:
        yield (
            f"find_pct = {settings.find_pct:g} takes longer than within_s = {settings.within_s} with this "
            f"traffic: it searches for {found.places.goal_pct:g} points"
        )


def _over(step: Step) -> str:
    match step.ends:
        case Ends.SHOWN:
            return "as soon as a version that fails every call would have been found"
        case Ends.SIMILAR:
            return f"as soon as the new version is at most {step.goal_pct:g} points worse, with 95 %"
        case Ends.TIME:
            return "after that time"


def _finds(found: Estimate) -> Iterator[str]:
    yield "canary fails   found    after   failed requests"
    for pct, case in found.detections:
        after = "-" if case.found_min is None else f"{case.found_min:.0f} min"
        yield f"{pct:>10g} %   {100 * case.found:>3.0f} %   {after:>6}   {number(case.failed):>15}"
    yield ""
    if found.smallest_pct is None:
        yield (
            "THIS TRAFFIC PROVES NOTHING: a version that fails every call may not be noticed. The sample "
            "(smoke/sample.toml) is sent to it three times before any traffic, and its alarm stays armed for "
            "a day after it is done"
        )
    else:
        yield f"19 of 20 releases that fail {found.smallest_pct:g} % of their calls or more are found"


def _times(settings: Environment, found: Estimate) -> Iterator[str]:
    healthy = found.healthy
    search = f"searching ends after {healthy.search_min:.0f} min, " if healthy.search_min else ""
    yield (
        f"{search}done after {healthy.total_min:.0f} min, at most {found.longest_min} min without a pause; "
        f"{math.ceil(duration_s(found, settings.driver) / 60)} runner minutes"
    )
    if healthy.total_min > LONG_MIN and settings.driver == "runner":
        yield 'driver = "durable" waits without a runner; it is recommended above 30 minutes'
    if not found.frontier:
        return
    yield ""
    yield "find_pct   within_s   done after   found   failed requests of a release that is that much worse"
    for choice in found.frontier:
        mine = " *" if choice.goal_pct == found.places.goal_pct else ""
        yield (
            f"{choice.goal_pct:>8g}   {60 * choice.within_min:>8}   {choice.total_min:>6.0f} min   "
            f"{100 * choice.worse.found:>3.0f} %   {number(choice.worse.failed):>15}{mine}"
        )


def number(value: float) -> str:
    """Return a count as people read it."""
    return f"{value:,.0f}".replace(",", " ") if value >= 10 else f"{value:.2g}"
