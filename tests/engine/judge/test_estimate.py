"""What `plan` says about a rollout before traffic moves, held against traffic of every size."""

from __future__ import annotations

import pytest

from deployer.config import Environment
from deployer.judge.auto import Route
from deployer.judge.estimate import Estimate, duration_s, estimate
from deployer.judge.planned import Outlook
from deployer.judge.power import Traffic

AUTO = Environment(steps="auto")


@pytest.fixture(scope="module")
def at_100() -> Estimate:
    """Return the estimate of the shipped settings at 100 calls a minute."""
    return estimate(AUTO, Outlook(Traffic(100, 0.001), has_calls=True))


def test_traffic_that_is_enough_finds_small_regressions(at_100):
    """At 100 calls a minute 19 of 20 releases that fail 2 or 3 % are found, in half an hour."""
    assert at_100.smallest_pct in (1.5, 2, 3)
    assert 20 <= at_100.healthy.total_min <= 45
    assert duration_s(at_100) >= 60 * at_100.healthy.total_min
    assert at_100.longest_min >= at_100.healthy.total_min
    assert dict(at_100.detections)[100.0].found == 1


def test_a_smaller_regression_costs_more_time(at_100):
    """Along the frontier a coarser goal is sooner; each row is a goal that an owner can write down."""
    waits = [choice.within_min for choice in at_100.frontier]
    goals = [choice.goal_pct for choice in at_100.frontier]
    assert goals == sorted(goals)
    assert waits == sorted(waits, reverse=True)
    assert len(set(waits)) == len(waits)
    assert 2.0 in goals
    assert all(choice.worse.found >= 0.5 for choice in at_100.frontier)


def test_traffic_that_proves_nothing_has_no_smallest_regression():
    """With a call every five minutes not even a version that fails every call is sure to be found."""
    found = estimate(AUTO, Outlook(Traffic(0.2), has_calls=True))
    assert (found.smallest_pct, found.places.route, found.frontier) == (None, Route.NONE, ())


def test_a_rate_that_is_usual_is_no_regression():
    """Where 30 % of all calls fail anyway, 20 % is no regression to look for."""
    found = estimate(AUTO, Outlook(Traffic(10, 0.3), has_calls=True))
    assert [pct for pct, _ in found.detections] == [100.0]
