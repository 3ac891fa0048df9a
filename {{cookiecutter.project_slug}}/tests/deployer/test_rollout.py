"""Whole rollouts on a strict fake with a virtual clock: the story, the crash, the conflict, the signal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer import marker, rollout
from deployer.aws_errors import Conflict, Unavailable
from deployer.errors import DeployerError, Exit
from deployer.model import AlarmState, Done, Finish, Rollback, RolloutPlan, RolloutState, Step
from tests.deployer.fakes import Death, FakeAws, VirtualClock

PLAN = RolloutPlan(
    id="7f3a", target="42", steps=(Step(10, 60), Step(50, 60)), final_bake_s=60, max_extend_s=60
)


def go(aws, clock, plan=PLAN, stop=None):
    """Run a rollout and return its last tick with everything it told."""
    told = []
    wanted = rollout.Rollout(plan, ("errors",), told.append, stop or rollout.Stop())
    return rollout.run(aws, wanted, clock), told


def resume(aws, clock, plan=PLAN):
    """Resume as the command does: with the id on the alias, or start again when nothing was begun."""
    found = marker.parse(aws.description)[1]
    if found is not None and found.is_active:
        plan = replace(plan, id=found.id, is_begun=True)
    return go(aws, clock, plan)[0]


def routing(aws):
    """Return where the traffic goes."""
    return aws.stable, aws.canary, aws.weight_pct


def test_a_healthy_version_is_promoted_step_by_step():
    """The canary gets 10 %, 50 %, everything, and after the final bake the rollout is done."""
    aws, clock = FakeAws(), VirtualClock()
    last, _ = go(aws, clock)
    assert [(w.version, w.canary, w.weight_pct) for w in aws.writes] == [
        ("41", "42", 10),
        ("41", "42", 50),
        ("42", None, 0),
        ("42", None, 0),
    ]
    assert isinstance(last.decision, Finish)
    assert 180 <= clock.slept <= 200  # three bakes of 60 s and no long sleep past any of them
    assert marker.parse(aws.description)[1].state is RolloutState.DONE


def test_an_alarm_gives_all_traffic_back():
    """An alarm inside the second step rolls back within one poll, with one write."""
    aws, clock = FakeAws(), VirtualClock()
    clock.at(70, lambda: aws.given_alarm("errors", AlarmState.ALARM))
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Rollback)
    assert routing(aws) == ("41", None, 0)
    assert len(aws.writes) == 3
    assert clock.slept <= 70 + rollout.POLL_S
    assert "alarm `errors` went to ALARM" in aws.description


def test_the_weight_never_rises_after_an_alarm():
    """Once the canary was rolled back, an alarm that recovers does not bring it back."""
    aws, clock = FakeAws(), VirtualClock()
    clock.at(30, lambda: aws.given_alarm("errors", AlarmState.ALARM))
    go(aws, clock)
    aws.given_alarm("errors", AlarmState.OK)
    last, _ = go(aws, clock, replace(PLAN, is_begun=True))
    assert last.decision == Done(RolloutState.ROLLED_BACK, last.decision.reason)
    assert routing(aws) == ("41", None, 0)


CALLS = 40


@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_killed_after_any_call_then_resumed(call):
    """A process killed just after its n-th call leaves an alias from which a resume ends promoted."""
    aws, clock = FakeAws().given_death_after(call), VirtualClock()
    try:
        go(aws, clock)
    except Death:
        aws.given_death_after(0)
        resume(aws, clock)
    assert routing(aws) == ("42", None, 0)
    assert [w.weight_pct for w in aws.writes] == [10, 50, 0, 0]  # no step was skipped or repeated


def test_the_crash_points_cover_the_whole_rollout():
    """The kill test reaches every call: a rollout of this plan makes no more calls than it kills at."""
    aws = FakeAws()
    go(aws, VirtualClock())
    assert len(aws.calls) <= CALLS


@pytest.mark.parametrize("call", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", ["conflict", "throttle"])
def test_a_fault_at_any_call_is_survived(call, fault):
    """A conflict or a throttled request at any single call changes nothing about how it ends."""
    aws, clock = FakeAws(), VirtualClock()
    aws.given_failure(call, Conflict("moved") if fault == "conflict" else Unavailable("throttled"))
    go(aws, clock)
    assert routing(aws) == ("42", None, 0)


@pytest.mark.parametrize("second", range(1, 200, 7))
def test_a_signal_at_any_time_gives_the_traffic_back(second):
    """A cancelled rollout ends with exit 130 and all traffic on the stable version, within a second."""
    aws, clock, stop = FakeAws(), VirtualClock(), rollout.Stop()
    clock.at(second, lambda: stop("SIGINT"))
    try:
        go(aws, clock, stop=stop)
    except DeployerError as error:
        assert error.exit_code == Exit.INTERRUPTED
        assert routing(aws) == ("41", None, 0)
        assert clock.slept <= second + 1
    else:
        assert clock.slept <= second  # it was over before


def test_an_aws_that_cannot_be_asked_is_never_read_as_healthy():
    """Ten minutes without an answer end the rollout with an error, and no weight rises meanwhile."""
    aws, clock = FakeAws(), VirtualClock()
    aws.given_throttling(*range(5, 200))
    with pytest.raises(Unavailable) as caught:
        go(aws, clock)
    assert [w.weight_pct for w in aws.writes] == [10]
    assert rollout.BLIND_LIMIT_S <= clock.slept <= rollout.BLIND_LIMIT_S + 60
    assert any("deployer rollback" in note for note in caught.value.__notes__)


def test_an_unexpected_error_rolls_back_and_is_passed_on():
    """A bug or a refused call after traffic moved gives the traffic back before it is reported."""
    aws, clock = FakeAws(), VirtualClock()
    aws.given_failure(5, RuntimeError("boom"))
    with pytest.raises(RuntimeError, match="boom") as caught:
        go(aws, clock)
    assert routing(aws) == ("41", None, 0)
    assert "all traffic is on version 41" in caught.value.__notes__


def test_an_endless_conflict_ends():
    """An alias that moves at every try is reported instead of tried for ever."""
    aws = FakeAws()
    for number in range(1, 200):
        aws.given_failure(number, Conflict("moved"))
    with pytest.raises(Conflict):
        go(aws, VirtualClock())


def test_rollback_is_one_write_and_a_second_one_none():
    """Rolling back a finished rollout takes one UpdateAlias; doing it again changes nothing."""
    aws = FakeAws()
    go(aws, VirtualClock())
    before = len(aws.writes)
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert routing(aws) == ("41", None, 0)
    assert rollout.roll_back(aws, reason="by hand").version is None
    assert len(aws.writes) == before + 1


def test_rollback_of_another_owner_is_left_alone():
    """A job that cleans up after itself never touches a rollout that is not its own."""
    aws = FakeAws().given_alias(
        "[lc1 id=99.1 from=41 to=42 step=1/2 at=1763712000 plan=aaaa st=run]", canary="42", weight_pct=10
    )
    assert rollout.roll_back(aws, reason="failed", only_owner="98").version is None
    assert rollout.roll_back(aws, reason="failed", only_owner="9").version is None
    assert aws.writes == []
    assert rollout.roll_back(aws, reason="failed", only_owner="99").version == "41"


def test_rollback_clears_weights_nobody_owns():
    """Weights without a marker go back to the version that has the rest of the traffic."""
    aws = FakeAws().given_alias("words of my own", canary="42", weight_pct=30)
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert (routing(aws), aws.description) == (("41", None, 0), "words of my own")


def test_rollback_without_history_is_refused():
    """With one version and no record there is nowhere to go, and the error says how to name a version."""
    with pytest.raises(DeployerError) as caught:
        rollout.roll_back(FakeAws(), reason="by hand")
    assert caught.value.exit_code == Exit.REFUSED
    assert "--to" in caught.value.hint


def test_rollback_wins_against_conflicts():
    """A rollback keeps trying while the alias moves, reading it again each time."""
    aws = FakeAws().given_alias("", canary="42", weight_pct=10)
    for number in (2, 4, 6):
        aws.given_failure(number, Conflict("moved"))
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert routing(aws) == ("41", None, 0)


def test_a_rollback_from_another_machine_ends_the_rollout():
    """A rollout that is rolled back from elsewhere notices at its next look and stops."""
    aws, clock = FakeAws(), VirtualClock()
    clock.at(70, lambda: rollout.roll_back(aws, reason="by the person on call"))
    last, _ = go(aws, clock)
    assert last.decision == Done(RolloutState.ROLLED_BACK, last.decision.reason)
    assert "by the person on call" in last.decision.reason
    assert routing(aws) == ("41", None, 0)
