"""What a rollout's places can prove with last week's traffic, before any traffic moves. Pure.

All of it is played (`judge.forecast`) with the rules that ship. It says how long a healthy release takes, how
many of those that fail 100, 20, 5 or 2 % of their calls are rolled back and at what price, the smallest share
that 19 of 20 times is found, and what another goal would cost: the frontier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deployer.config import Environment
from deployer.judge.auto import GOALS_PCT, Places, Route, auto, place_cost_min
from deployer.judge.forecast import DRAWS, Forecast, forecast
from deployer.judge.planned import Outlook, places
from deployer.judge.power import POWER, Traffic
from deployer.model import GateSettings, Step

REGRESSIONS_PCT = (100.0, 20.0, 5.0, 2.0)
SMALLEST_PCT = (0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 13, 16, 20, 25, 30, 40, 50, 70, 100)
WAITS_MIN = (15, 20, 30, 45, 60, 90, 120, 180, 240, 360)
SEARCH_DRAWS = 40


@dataclass(frozen=True)
class Choice:
    """One goal, in points, as an owner could choose it: how long it takes, and what it finds at what price.

    `worse` is what happens to releases that are worse by the goal. `within_min` is the time for the search.
    """

    goal_pct: float
    within_min: int
    total_min: float
    worse: Forecast


@dataclass(frozen=True)
class Estimate:
    """What `plan` prints about a rollout.

    `healthy` is how long a release takes that is no worse, `longest_min` how long without a pause at most.
    `smallest_pct` is the smallest share of failing calls, in percent, that at least 95 % of the rollouts
    find, None when not even 100 %.
    """

    outlook: Outlook
    places: Places
    healthy: Forecast
    longest_min: int
    detections: tuple[tuple[float, Forecast], ...]
    smallest_pct: float | None
    frontier: tuple[Choice, ...] = ()


def estimate(settings: Environment, outlook: Outlook) -> Estimate:
    """Return what the rollout of those settings can prove with that traffic."""
    traffic, gate, found = outlook.traffic, settings.gate_settings(), places(settings, outlook.traffic)
    steps = found.steps
    rates = [pct for pct in REGRESSIONS_PCT if pct / 100 > traffic.error_rate]
    return Estimate(
        outlook=outlook,
        places=found,
        healthy=forecast(steps, traffic, gate, traffic.error_rate, DRAWS),
        longest_min=sum(step.bake_s // 60 + place_cost_min(gate) for step in steps),
        detections=tuple((pct, forecast(steps, traffic, gate, pct / 100)) for pct in rates),
        smallest_pct=_smallest(steps, traffic, gate),
        frontier=_frontier(settings, traffic) if found.route is Route.SEARCH else (),
    )


def _smallest(steps: Sequence[Step], traffic: Traffic, settings: GateSettings) -> float | None:
    """Return the smallest share of failing calls that is found; what is larger is found as well."""
    tried = [pct for pct in SMALLEST_PCT if pct / 100 > traffic.error_rate and pct >= settings.floor_pct]
    low, high = 0, len(tried)
    while low < high:
        middle = (low + high) // 2
        if forecast(steps, traffic, settings, tried[middle] / 100, SEARCH_DRAWS).found >= POWER:
            high = middle
        else:
            low = middle + 1
    return tried[high] if high < len(tried) else None


def _frontier(settings: Environment, traffic: Traffic) -> tuple[Choice, ...]:
    """Return what each goal would cost that six hours reach; a coarser one only if it is sooner."""
    gate = settings.gate_settings()
    choices: list[Choice] = []
    for goal_pct in sorted({*GOALS_PCT, settings.find_pct}):
        plans = ((wait_min, auto(traffic, gate, goal_pct, 60 * wait_min)) for wait_min in WAITS_MIN)
        wait_min, found = next(((wait, plan) for wait, plan in plans if plan.goal_pct == goal_pct), (0, None))
        if found is None or goal_pct < gate.floor_pct or (choices and choices[-1].within_min <= wait_min):
            continue
        rate = min(1.0, traffic.error_rate + goal_pct / 100)
        total = forecast(found.steps, traffic, gate, traffic.error_rate, SEARCH_DRAWS).total_min
        worse = forecast(found.steps, traffic, gate, rate, SEARCH_DRAWS)
        choices.append(Choice(goal_pct, wait_min, total, worse))
    return tuple(choices)


def duration_s(found: Estimate, driver: str = "runner") -> int:
    """Return how long a healthy release is expected to take; CodeDeploy goes by the clock."""
    if driver == "codedeploy":
        return sum(step.bake_s for step in found.places.steps)
    return 60 * math.ceil(found.healthy.total_min)
