"""A rollout's plan from the owner's settings and last week's traffic. Pure; the same for whoever resumes."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployer.config import Environment
from deployer.judge import dispersion
from deployer.judge.auto import Places, Route, auto, last_weight, usual_calls
from deployer.judge.counts import Dispersion, Week
from deployer.judge.power import Traffic, minutes_to_show
from deployer.model import RolloutPlan, Step

EXPOSURE_MIN = 14.0  # of a plan whose places take as long as they do on average: the plan itself needs phi
ARMED_S, ARMED_UNPROVEN_S = 3600, 86_400


@dataclass(frozen=True)
class Outlook:
    """What last week says: the traffic to expect, and whether how errors came was measured on it.

    `has_calls` is False for a week in which nobody called the function.
    """

    traffic: Traffic = field(default_factory=lambda: Traffic(0.0))
    dispersion: Dispersion = field(default_factory=Dispersion)
    has_calls: bool = False

    @classmethod
    def of(cls, week: Week, at: float, attempts: int = 1) -> Outlook:
        """Return what that week says about a rollout that begins at `at` (seconds since the epoch)."""
        runs = dispersion.dispersion(week.blocks, exposure_min=EXPOSURE_MIN, attempts=attempts)
        calls = sum(week.calls)
        rate = min(1.0, sum(week.errors) / calls) if calls else 0.0
        found = Traffic(usual_calls(week.calls, week.until, at), rate, runs.phi)
        return cls(found, runs, has_calls=calls > 0)


def places(settings: Environment, traffic: Traffic) -> Places:
    """Return all places of a rollout: those of `auto`, or the listed ones and the one with the control."""
    gate = settings.gate_settings()
    if settings.steps == "auto":
        return auto(traffic, gate, settings.find_pct, settings.within_s)
    steps = settings.listed_steps()
    last_pct = last_weight(traffic.calls_per_min)
    is_watched = settings.final_bake_s > 0 and settings.driver != "codedeploy"  # which has no such place
    if steps and is_watched and steps[-1].weight_pct < last_pct:
        steps = (*steps, Step(last_pct, settings.final_bake_s))
    return Places(
        Route.TOTAL if any(_shows(step, traffic, settings) for step in steps) else Route.NONE, steps
    )


def _shows(step: Step, traffic: Traffic, settings: Environment) -> bool:
    """Tell whether a canary that fails every call would be found in that place."""
    return minutes_to_show(traffic, step.weight_pct / 100, settings.gate_settings()) <= step.bake_s / 60


def rollout_plan(settings: Environment, rollout_id: str, target: str, found: Places) -> RolloutPlan:
    """Return the plan for `canary.decide`; where traffic proves nothing its alarm is armed for longer."""
    proves = found.route is not Route.NONE or not found.steps
    return settings.rollout_plan(
        rollout_id,
        target,
        found.steps,
        armed_s=ARMED_S if proves else ARMED_UNPROVEN_S,
        proves=proves,
    )
