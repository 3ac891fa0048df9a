"""What each driver costs, from prices that are named and dated."""

from __future__ import annotations

import pytest

from deployer.drivers import costs
from deployer.rollout import run as rollout


def test_runner_by_the_started_minute():
    """A runner costs each started minute at GitHub's price, and what reading the metrics costs."""
    cost = costs.estimate("runner", 61)
    assert cost.sentence.startswith("2 runner minutes")
    assert cost.usd == pytest.approx(2 * costs.RUNNER_USD_PER_MINUTE, rel=0.2)


def test_durable_waits_for_nothing():
    """A day on the durable driver costs less than an hour on a runner."""
    assert costs.estimate("durable", 86_400).usd < costs.estimate("runner", 3600).usd


def test_codedeploy_is_free():
    """CodeDeploy adds nothing to the minutes that watch it."""
    assert costs.estimate("codedeploy", 600).usd == pytest.approx(10 * costs.RUNNER_USD_PER_MINUTE)


def test_described():
    """Each driver has its line, the chosen one is marked."""
    assert costs.describe("durable", 1800).splitlines() == [
        "cost       runner     $0.190: 30 runner minutes, 972 metrics read",
        "cost *     durable    $0.004: 31 invocations, 372 metrics read",
        "cost       codedeploy $0.180: 30 runner minutes that watch; CodeDeploy is free for Lambda",
    ]


def test_polls_as_the_runner_does():
    """The estimate counts as many looks as the runner takes."""
    assert costs.RUNNER_POLL_S == rollout.POLL_S


def test_unknown_driver():
    """A driver that does not exist has no price."""
    with pytest.raises(ValueError, match="unknown driver `cron`"):
        costs.estimate("cron", 60)
