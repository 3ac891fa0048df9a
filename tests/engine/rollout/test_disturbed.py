"""Rollouts that something else disturbs: a second driver, a wrong clock, a person at any second, late numbers."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from deployer.aws.errors import Conflict
from deployer.canary import marker
from deployer.canary.decision import Promote, Rollback
from deployer.canary.moves import Wish
from deployer.errors import DeployerError
from deployer.model import GateSettings, RolloutPlan, RolloutState, Routing, Step
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate
from engine.fakes import FakeAws, Traffic, VirtualClock

PLAN = RolloutPlan("7f3a", "42", (Step(10, 120), Step(50, 120), Step(95, 120)), max_pause_s=600)
JUDGING = GateSettings(compare_slow=True)
HEALTHY = Traffic(per_minute=100)
BROKEN = Traffic(per_minute=100, errors={"42": 1.0})


class Wrong:
    """A clock that is always that many seconds ahead of the world's."""

    def __init__(self, clock: VirtualClock, ahead_s: float) -> None:
        self.clock, self.ahead_s = clock, ahead_s

    def now(self) -> float:
        """Return the wrong time."""
        return self.clock.now() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        """Let the right time pass."""
        self.clock.sleep(seconds)


def gate() -> Gate:
    """Return a gate that nothing was asked of yet."""
    return Gate(JUDGING, ("errors",))


def drive(aws: FakeAws, clock: object = None) -> rollout.Tick:
    """Drive a rollout to its end and return its last tick."""
    wanted = rollout.Rollout(PLAN, gate(), lambda _: None)
    return rollout.run(aws, wanted, clock or aws.clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("every_s", [4, 15, 61])
def test_two_drivers_take_each_place_once(every_s: int) -> None:
    """A second process that drives the same rollout does no harm: one of them writes, the other reads again."""
    aws, other = FakeAws(traffic=HEALTHY), gate()

    def tick() -> None:
        with contextlib.suppress(Conflict):
            rollout.tick(aws, replace(PLAN, is_begun=True), other, aws.clock)  # type: ignore[arg-type]
        aws.clock.at(every_s, lambda: aws.elsewhere(tick))

    aws.clock.at(1, lambda: aws.elsewhere(tick))
    drive(aws)
    assert [(write.version, write.weight_pct) for write in aws.writes] == [
        ("41", 10),
        ("41", 50),
        ("41", 95),
        ("42", 0),
    ]


@pytest.mark.parametrize("ahead_s", [-600, -61, 61, 600])
def test_a_wrong_clock_promotes_nothing_bad(ahead_s: int) -> None:
    """Ten minutes ahead or behind: a version that fails every call goes back, and a good one ends by itself."""
    bad = FakeAws(traffic=BROKEN)
    assert isinstance(drive(bad, Wrong(bad.clock, ahead_s)).decision, Rollback)
    assert bad.routing == Routing("41")
    good = FakeAws(traffic=HEALTHY)
    assert isinstance(drive(good, Wrong(good.clock, ahead_s)).decision, Promote)
    assert good.clock.slept < 3600


@pytest.mark.parametrize("wish", list(Wish), ids=lambda wish: wish.value)
def test_a_wish_at_any_moment_ends_well(wish: Wish) -> None:
    """Whatever a person asks for, and whenever: it ends done or on the version before, and nothing is lost."""
    for second in range(5, 1000, 41):
        aws = FakeAws(traffic=HEALTHY)

        def ask(aws: FakeAws = aws) -> None:
            with contextlib.suppress(DeployerError):
                rollout.wish(aws, PLAN, wish, aws.clock, "by a person")  # type: ignore[arg-type]

        aws.clock.at(second, lambda aws=aws, ask=ask: aws.elsewhere(ask))
        drive(aws)
        found = marker.parse(aws.description)[1]
        assert found is not None
        ended = (aws.routing, found.state)
        assert ended in ((Routing("42"), RolloutState.DONE), (Routing("41"), RolloutState.ROLLED_BACK)), (
            second
        )


@pytest.mark.parametrize(
    ("traffic", "decision"), [(HEALTHY, Promote), (BROKEN, Rollback)], ids=["good", "bad"]
)
def test_numbers_that_are_eight_minutes_late_are_waited_for(traffic: Traffic, decision: type) -> None:
    """A late CloudWatch makes a rollout longer, and neither pauses it nor lets a bad version through."""
    aws = FakeAws(traffic=replace(traffic, lag_s=480.0))
    assert isinstance(drive(aws).decision, decision)
    assert aws.clock.slept < 3600
