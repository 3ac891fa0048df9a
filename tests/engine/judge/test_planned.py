"""A rollout's plan from settings and last week: the same for whoever resumes."""

from __future__ import annotations

import pytest

from deployer.config import Environment
from deployer.judge.auto import Route
from deployer.judge.counts import Week
from deployer.judge.planned import Outlook, places, rollout_plan
from deployer.judge.power import Traffic
from deployer.model import Step
from deployer.steps import StepSettings

UNTIL = 1_763_337_600
MINUTES = 7 * 1440


def week(calls: float, errors: float = 0.0) -> Week:
    """Return a week of steady traffic."""
    return Week(UNTIL, (calls,) * MINUTES, (errors,) * MINUTES, (0.0,) * MINUTES)


def listed(*steps: tuple[float, int], **others: object) -> Environment:
    """Return settings that list their steps (weight_pct, bake_s)."""
    made = [StepSettings(weight_pct=weight, bake_s=bake_s) for weight, bake_s in steps]
    return Environment.model_validate({"steps": [step.model_dump() for step in made], **others})


def test_a_week_is_traffic():
    """Calls, the share that failed and how errors came are read off one week."""
    found = Outlook.of(week(100, 1), UNTIL + 600)
    assert found.traffic == Traffic(100, 0.01, 1.0)
    assert found.has_calls
    assert found.dispersion.is_measured


def test_a_week_without_metrics_is_no_traffic():
    """A new function, or one whose metrics are gone, is rolled out as one that nothing can prove."""
    for empty in (Week(UNTIL), week(0)):
        found = Outlook.of(empty, UNTIL + 600)
        assert (found.traffic.calls_per_min, found.has_calls) == (0.0, False)
        plan = rollout_plan(
            Environment(steps="auto"), "7f3a", "42", places(Environment(steps="auto"), found.traffic)
        )
        assert not plan.proves
        assert plan.armed_s == 86_400


def test_whoever_resumes_plans_the_same():
    """The week ends at an hour, so minutes later it is the same, and so is the plan."""
    settings = Environment(steps="auto")
    plans = [
        rollout_plan(settings, "7f3a", "42", places(settings, Outlook.of(week(100, 0.1), at).traffic))
        for at in (UNTIL + 600, UNTIL + 600)
    ]
    assert plans[0] == plans[1]
    assert plans[0].proves
    assert plans[0].armed_s == 3600


@pytest.mark.parametrize(("calls", "last"), [(5, 80), (30, 90), (100, 95)])
def test_a_list_gets_a_last_place_that_keeps_a_control(calls, last):
    """Behind the listed steps the stable version keeps 5, 10 or 20 %, for `final_bake_s`."""
    found = places(listed((10, 300), (50, 300)), Traffic(calls))
    assert found.steps == (Step(10, 300), Step(50, 300), Step(last, 600))


def test_a_list_that_ends_with_a_control_is_left_as_it_is():
    """So is one without a last place, one all at once, and one that CodeDeploy carries out."""
    assert places(listed((10, 300), (98, 300)), Traffic(100)).steps[-1] == Step(98, 300)
    assert places(listed((10, 300), final_bake_s=0), Traffic(100)).steps == (Step(10, 300),)
    assert places(listed((10, 300), driver="codedeploy"), Traffic(100)).steps == (Step(10, 300),)
    assert places(Environment(), Traffic(100)).steps == ()


def test_a_list_proves_something_when_a_total_failure_would_show():
    """Five minutes of 10 % are enough at 300 calls a minute, and nothing at one."""
    settings = listed((10, 300), final_bake_s=0)
    assert places(settings, Traffic(300)).route is Route.TOTAL
    assert places(settings, Traffic(1)).route is Route.NONE
    assert rollout_plan(Environment(), "7f3a", "42", places(Environment(), Traffic(1))).proves
