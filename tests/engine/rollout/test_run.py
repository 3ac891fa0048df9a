"""Whole rollouts on a strict fake with a virtual clock: the story, the wish, the lost answer, the signal.

What happens at every single call and second is proven in `proof/`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import decide as canary
from deployer.canary import marker
from deployer.canary.decision import Done, Pause, Promote, Refuse, Resume, Rollback, Wait
from deployer.canary.moves import Wish
from deployer.errors import DeployerError, Exit
from deployer.model import (
    AlarmState,
    GateSettings,
    RolloutPlan,
    RolloutState,
    Routing,
    Step,
)
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate
from deployer.rollout.way_back import JOB_S
from engine.fakes import Death, FakeAws, Traffic, VirtualClock

PLAN = RolloutPlan(
    id="7f3a", target="42", steps=(Step(10, 300), Step(50, 300), Step(95, 300)), max_pause_s=3600
)
JUDGING = GateSettings(compare_slow=True)
BROKEN = Traffic(errors={"41": 0.001, "42": 0.2})


def new(**about):
    """Return a fake AWS and its clock."""
    clock = VirtualClock()
    return FakeAws(clock, **about), clock


def rollout_of(plan=PLAN, told=None, **about):
    """Return what `run` needs, with a gate nothing has been asked of yet."""
    return rollout.Rollout(
        plan, Gate(JUDGING, ("errors",)), (told if told is not None else []).append, **about
    )


def go(aws, clock, plan=PLAN, **about):
    """Run a rollout and return its last tick with everything it told."""
    told = []
    return rollout.run(aws, rollout_of(plan, told, **about), clock), told


def state(aws):
    """Return the rollout's state as the alias has it."""
    return marker.parse(aws.description)[1].state


def moved(told):
    """Return the decisions that were more than waiting."""
    return [type(tick.decision) for tick in told if not isinstance(tick.decision, Wait)]


def test_a_healthy_version_is_promoted_step_by_step():
    """The canary gets 10 %, 50 %, 95 %, each for its judged minutes, and then everything: that is done."""
    aws, clock = new()
    last, told = go(aws, clock)
    assert [(w.version, w.canary, w.weight_pct) for w in aws.writes] == [
        ("41", "42", 10),
        ("41", "42", 50),
        ("41", "42", 95),
        ("42", None, 0),
    ]
    assert isinstance(last.decision, Promote)
    assert 900 + 3 * 120 <= clock.slept <= 900 + 3 * 300
    assert state(aws) is RolloutState.DONE
    assert [tick.written for tick in told if tick.written] == aws.writes


def test_a_worse_version_is_rolled_back_by_the_comparison():
    """A canary that fails far more often gives its traffic back in the first step, and the reason has numbers."""
    aws, clock = new(traffic=BROKEN)
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Rollback)
    assert aws.routing == Routing("41")
    assert len(aws.writes) == 2
    assert "v42 served 1" in aws.description


def test_an_outage_of_both_versions_is_no_reason():
    """Five minutes in which every third call of both versions fails do not roll back a good canary."""
    clock = VirtualClock()
    aws = FakeAws(clock, traffic=Traffic(outage=(clock.now() + 100, clock.now() + 400, 0.3)))
    assert isinstance(go(aws, clock)[0].decision, Promote)


def test_an_alarm_gives_all_traffic_back():
    """An alarm inside the second step rolls back within one poll, with one write."""
    aws, clock = new()
    clock.at(670, lambda: aws.given_alarm("errors", AlarmState.ALARM))
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Rollback)
    assert aws.routing == Routing("41")
    assert len(aws.writes) == 3
    assert clock.slept <= 670 + rollout.POLL_S
    assert "alarm `errors` went to ALARM" in aws.description


def test_an_alarm_that_was_red_before_does_not_block_the_cure():
    """A release over a red alarm is promoted when the comparison passes, and going red again ends the next one."""
    aws, clock = new()
    aws.given_alarm("errors", AlarmState.ALARM, since=clock.now() - 60)
    clock.at(200, lambda: aws.given_alarm("errors", AlarmState.OK))
    assert isinstance(go(aws, clock)[0].decision, Promote)
    again, clock = new()
    again.given_alarm("errors", AlarmState.ALARM, since=clock.now() - 60)
    clock.at(200, lambda: again.given_alarm("errors", AlarmState.OK))
    clock.at(300, lambda: again.given_alarm("errors", AlarmState.ALARM))
    assert isinstance(go(again, clock)[0].decision, Rollback)


def test_the_weight_never_rises_after_an_alarm():
    """Once the canary was rolled back, an alarm that recovers does not bring it back."""
    aws, clock = new()
    clock.at(30, lambda: aws.given_alarm("errors", AlarmState.ALARM))
    go(aws, clock)
    aws.given_alarm("errors", AlarmState.OK)
    last, _ = go(aws, clock, replace(PLAN, is_begun=True))
    assert last.decision == Done(RolloutState.ROLLED_BACK, last.decision.reason)
    assert aws.routing == Routing("41")


def test_a_slower_version_waits_for_a_person():
    """A canary that is only slower is paused, and goes back when nobody decides for an hour."""
    aws, clock = new(traffic=Traffic(slow={"41": 0.1, "42": 0.6}))
    last, told = go(aws, clock)
    assert moved(told)[-2:] == [Pause, Rollback]
    assert "nobody decided" in last.decision.reason
    assert clock.slept >= PLAN.max_pause_s


def test_a_slow_spell_ends_its_own_pause():
    """A canary that was slow for a while pauses by itself, and goes on by itself when it is slow no more."""
    aws, clock = new(traffic=Traffic(slow={"41": 0.1, "42": 0.6}))
    clock.at(900, lambda: aws.turns(Traffic(slow={"41": 0.1, "42": 0.1})))
    last, told = go(aws, clock)
    assert isinstance(last.decision, Promote)
    assert (moved(told).count(Pause), moved(told).count(Resume)) == (1, 1)
    assert clock.slept < PLAN.max_pause_s


def test_a_spell_without_metrics_ends_its_own_pause():
    """When nobody can see the versions for ten minutes it pauses, and goes on by itself when somebody can."""
    aws, clock = new()
    since = clock.now()

    def unreadable(name):
        if name == "GetMetricData" and 200 < clock.now() - since < 1500:
            raise Unavailable("GetMetricData: AWS did not answer")

    aws.before_call = unreadable
    last, told = go(aws, clock)
    assert isinstance(last.decision, Promote)
    assert (moved(told).count(Pause), moved(told).count(Resume)) == (1, 1)


@pytest.mark.parametrize("per_minute", [0, 0.2, 2, 6])
def test_hardly_any_traffic_is_no_reason_to_wait(per_minute):
    """A function that is hardly called is promoted without a person, within an hour."""
    aws, clock = new(traffic=Traffic(per_minute=per_minute))
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Promote)
    assert clock.slept < 3600


@pytest.mark.parametrize("onset_s", range(30, 300, 45))
@pytest.mark.parametrize("place", [1, 2])
def test_a_version_that_turns_bad_shortly_before_the_end_of_a_place_goes_no_further(place, onset_s):
    """Whenever in a place a version begins to fail every call, it never gets the next place's share."""
    aws, clock = new(traffic=Traffic(per_minute=100))
    last, _ = go(bad_from(aws, clock, place, onset_s), clock)
    assert isinstance(last.decision, Rollback)
    assert max(write.weight_pct for write in aws.writes) == PLAN.steps[place - 1].weight_pct


@pytest.mark.parametrize("onset_s", range(0, 181, 30))
def test_a_version_that_turns_bad_in_its_last_place_is_never_done(onset_s):
    """Whoever fails every call soon after the last increase is found before the rollout is done."""
    aws, clock = new(traffic=Traffic(per_minute=100))
    last, _ = go(bad_from(aws, clock, 3, onset_s), clock)
    assert isinstance(last.decision, Rollback)
    assert aws.routing == Routing("41")


def bad_from(aws, clock, place, onset_s):
    """Let the canary fail every call from so many seconds after that place began."""
    good, known = aws.traffic, []

    def look(name):
        found = marker.parse(aws.description)[1]
        if not known and found is not None and found.step == place:
            known.append(found)
            failing = Traffic(per_minute=good.per_minute, errors={"42": 1.0})
            clock.at(onset_s, lambda: aws.turns(failing))

    aws.before_call = look
    return aws


def test_an_observer_never_rolls_back():
    """In observe mode a broken canary is promoted by time alone, and every verdict is reported."""
    aws, clock = new(traffic=BROKEN)
    last, told = go(aws, clock, replace(PLAN, only_observes=True))
    assert isinstance(last.decision, Promote)
    assert any("observed only: v42 served" in tick.decision.reason for tick in told)


def test_all_at_once():
    """Without steps one write moves all traffic, and it is done."""
    aws, clock = new()
    last, _ = go(aws, clock, replace(PLAN, steps=()))
    assert isinstance(last.decision, Promote)
    assert (aws.routing, len(aws.writes), state(aws)) == (Routing("42"), 1, RolloutState.DONE)


def test_a_killed_rollout_is_resumed_from_where_it_was():
    """A process killed just after its second step moved traffic leaves all another one needs."""
    aws, clock = new()
    go_until = next(n for n in range(1, 500) if kills_after_second_write(n))
    aws.given_death_after(go_until)
    with pytest.raises(Death):
        go(aws, clock)
    found = marker.parse(aws.description)[1]
    assert found.step == 2
    assert isinstance(go(aws, clock, replace(PLAN, id=found.id, is_begun=True))[0].decision, Promote)
    assert [w.weight_pct for w in aws.writes] == [10, 50, 95, 0]


def kills_after_second_write(number):
    """Tell whether that call is the one that carries out the second write."""
    aws, clock = new()
    aws.given_death_after(number)
    with pytest.raises(Death):
        go(aws, clock)
    return len(aws.writes) == 2


@pytest.mark.parametrize("wish", [Wish.SKIP, Wish.PROMOTE, Wish.PAUSE, Wish.ABORT])
def test_a_wish_from_another_machine_is_followed(wish):
    """Whoever drives the rollout notices what was asked for elsewhere, and ends well."""
    aws, clock = new()
    clock.at(100, lambda: rollout.wish(aws, PLAN, wish, clock, "by the person on call"))
    last, _ = go(aws, clock)
    match wish:
        case Wish.SKIP:
            assert isinstance(last.decision, Promote)
            assert clock.slept < 1100
        case Wish.PROMOTE:
            assert last.decision == Done(RolloutState.DONE, last.decision.reason)
            assert [w.weight_pct for w in aws.writes] == [10, 0]
        case Wish.PAUSE:
            assert (type(last.decision), aws.routing) == (Rollback, Routing("41"))
        case Wish.ABORT:
            assert last.decision == Done(RolloutState.ROLLED_BACK, last.decision.reason)
            assert "by the person on call" in last.decision.reason


def test_a_pause_that_is_ended_goes_on():
    """After a resume the place is judged for its whole time again, and the rollout finishes."""
    aws, clock = new()
    clock.at(100, lambda: rollout.wish(aws, PLAN, Wish.PAUSE, clock, "wait"))
    clock.at(2000, lambda: rollout.wish(aws, PLAN, Wish.RESUME, clock, "go on"))
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Promote)
    assert clock.slept >= 2000 + 900


def test_a_skip_whose_answer_was_lost_skips_once():
    """The client repeats a request without an answer; the conflict it then gets is its own first try."""
    aws, clock = new()
    rollout.begin(aws, rollout_of(), clock)
    lost = aws.update_alias

    def answered_at_the_second_try(write, *, revision):
        lost(write, revision=revision)
        aws.update_alias = lost
        lost(write, revision=revision)

    aws.update_alias = answered_at_the_second_try
    write = rollout.wish(aws, PLAN, Wish.SKIP, clock, "once")
    assert (write.weight_pct, aws.weight_pct) == (50, 50)
    assert len(aws.writes) == 2


def test_a_skip_never_skips_what_nobody_saw():
    """When the rollout takes its next step in the same moment, the skip is refused instead of taken further."""
    aws, clock = new()
    rollout.begin(aws, rollout_of(), clock)
    clock.sleep(700)
    nested = []

    def once(name):
        if name == "UpdateAlias" and not nested:
            nested.append(name)
            clock.sleep(1)
            rollout.tick(aws, replace(PLAN, is_begun=True), Gate(JUDGING, ("errors",)), clock)

    aws.before_call = once
    with pytest.raises(DeployerError, match="by itself") as caught:
        rollout.wish(aws, PLAN, Wish.SKIP, clock, "once")
    assert caught.value.exit_code == Exit.REFUSED
    assert aws.weight_pct == 50


def test_a_transition_whose_answer_was_lost_is_told_once():
    """A write that was carried out without an answer is told when the alias shows it, and not written again."""
    aws, clock = new()
    aws.given_lost_answer(3)
    _, told = go(aws, clock)
    assert [tick.written for tick in told if tick.written] == aws.writes
    assert len(aws.writes) == 4


@pytest.mark.parametrize("second", [1, 299, 301, 450, 899])
def test_a_signal_gives_the_traffic_back(second):
    """A cancelled rollout ends with exit 130 and all traffic on the stable version, within a second."""
    aws, clock = new()
    stop = rollout.Stop()
    clock.at(second, lambda: stop("SIGINT"))
    with pytest.raises(DeployerError) as caught:
        go(aws, clock, stop=stop)
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert aws.routing == Routing("41")
    assert clock.slept <= second + 1


def test_a_signal_may_hold_the_traffic():
    """With on_cancel = hold the job ends and the alias stays as it is, for whoever resumes."""
    aws, clock = new()
    stop = rollout.Stop()
    clock.at(100, lambda: stop("SIGINT"))
    with pytest.raises(DeployerError) as caught:
        go(aws, clock, stop=stop, holds_on_cancel=True)
    assert (
        caught.value.found
        == f"found {stop.signal} in the middle of the rollout, expected it to end by itself"
    )
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert (aws.routing, state(aws)) == (Routing("41", "42", 10), RolloutState.RUN)


def test_a_signal_while_aws_is_busy_still_gives_the_traffic_back():
    """A throttled call on the way back is asked again: a cancelled job has no later."""
    aws, clock = new()
    stop = rollout.Stop()
    clock.at(
        100, lambda: (stop("SIGINT"), aws.given_throttling(*range(len(aws.calls) + 1, len(aws.calls) + 4)))
    )
    with pytest.raises(DeployerError) as caught:
        go(aws, clock, stop=stop)
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert aws.routing == Routing("41")


def test_an_aws_that_cannot_be_asked_is_never_read_as_healthy():
    """Ten minutes without an answer end the rollout with an error; it then tries to go back, and names the guard."""
    aws, clock = new()
    aws.given_outage(5, 3600)
    with pytest.raises(Unavailable) as caught:
        go(aws, clock)
    assert [w.weight_pct for w in aws.writes] == [10]
    longest_s = canary.BLIND_LIMIT_S + JOB_S
    assert longest_s <= clock.slept <= longest_s + 60
    assert any("deployer rollback" in note for note in caught.value.__notes__)
    assert any("alarm `image-resizer-production-canary-42` fires" in note for note in caught.value.__notes__)


def test_the_way_back_waits_for_aws():
    """An outage of twenty minutes outlasts the rollout and not its way back: the traffic is back after it."""
    aws, clock = new()
    aws.given_outage(5, 1200)
    with pytest.raises(Unavailable) as caught:
        go(aws, clock)
    assert aws.routing == Routing("41")
    assert "all traffic is on version 41" in caught.value.__notes__


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_short_outage_changes_nothing(minutes):
    """AWS may be away for minutes in the middle of a step: a healthy version is promoted all the same."""
    aws, clock = new()
    aws.given_outage(5, 60 * minutes)
    assert isinstance(go(aws, clock)[0].decision, Promote)
    assert [w.weight_pct for w in aws.writes] == [10, 50, 95, 0]


def test_a_first_write_nobody_answered_is_taken_back():
    """When all that is known is that the first write may have moved traffic, giving up takes it back."""
    aws, clock = new()
    aws.given_lost_answer(3)
    aws.given_throttling(*range(4, 45))
    with pytest.raises(Unavailable):
        go(aws, clock)
    assert [w.weight_pct for w in aws.writes] == [10, 0]
    assert aws.routing == Routing("41")


def test_an_unexpected_error_rolls_back_and_is_passed_on():
    """A bug or a refused call after traffic moved gives the traffic back before it is reported."""
    aws, clock = new()
    aws.given_failure(5, RuntimeError("boom"))
    with pytest.raises(RuntimeError, match="boom") as caught:
        go(aws, clock)
    assert aws.routing == Routing("41")
    assert "all traffic is on version 41" in caught.value.__notes__


def test_a_report_that_cannot_be_written_rolls_back():
    """A full disk under the events is no reason to leave a canary alone."""
    aws, clock = new()

    def full(_tick):
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        rollout.run(aws, rollout.Rollout(PLAN, Gate(JUDGING, ("errors",)), full), clock)
    assert aws.routing == Routing("41")


def test_an_endless_conflict_ends_and_gives_the_traffic_back():
    """An alias that moves at every write is given up on, and what moves it may end before the way back does."""
    aws, clock = new()
    rollout.begin(aws, rollout_of(), clock)
    clock.sleep(300)
    conflicts = iter(range(rollout.CONFLICT_LIMIT + 1))
    aws.before_call = lambda name: (
        name == "UpdateAlias" and next(conflicts, None) is not None and aws.someone_else_writes()
    )
    with pytest.raises(Conflict):
        go(aws, clock, replace(PLAN, is_begun=True))
    assert aws.routing == Routing("41")


@pytest.mark.parametrize("fault", ["none", "throttle", "conflict", "lost answer"])
@pytest.mark.parametrize("call", range(1, 7))
def test_a_tick_makes_at_most_six_calls(call, fault):
    """Whatever goes wrong at whichever call, one tick never asks AWS more than six times."""
    aws, clock = new()
    rollout.begin(aws, rollout_of(), clock)
    clock.sleep(300)
    aws.calls.clear()
    match fault:
        case "throttle":
            aws.given_throttling(call)
        case "conflict":
            aws.given_conflict(call)
        case "lost answer":
            aws.given_lost_answer(call)
    try:
        rollout.tick(aws, replace(PLAN, is_begun=True), Gate(JUDGING, ("errors",)), clock)
    except (Conflict, Unavailable):
        assert fault != "none"
    assert len(aws.calls) <= 6


def test_rollback_is_one_write_and_a_second_one_none():
    """Rolling back a finished rollout takes one UpdateAlias; doing it again changes nothing."""
    aws, clock = new()
    go(aws, clock)
    before = len(aws.writes)
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert aws.routing == Routing("41")
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
    assert (aws.routing, aws.description) == (Routing("41"), "words of my own")


def test_rollback_without_history_is_refused():
    """With one version and no record there is nowhere to go, and the error says how to name a version."""
    with pytest.raises(DeployerError) as caught:
        rollout.roll_back(FakeAws(), reason="by hand")
    assert caught.value.exit_code == Exit.REFUSED
    assert "--to" in caught.value.hint


@pytest.mark.parametrize("fault", ["conflict", "throttle", "lost answer"])
def test_rollback_wins_against_faults(fault):
    """A rollback keeps trying while the alias moves or AWS is busy, reading it again each time."""
    aws = FakeAws().given_alias("", canary="42", weight_pct=10)
    match fault:
        case "conflict":
            for number in (2, 4, 6):
                aws.given_conflict(number)
        case "throttle":
            aws.given_throttling(1, 3, 5, 6)
        case "lost answer":
            aws.given_lost_answer(2)
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert aws.routing == Routing("41")
    assert len(aws.writes) == 1


def test_a_rollback_from_another_machine_ends_the_rollout():
    """A rollout that is rolled back from elsewhere notices at its next look and stops."""
    aws, clock = new()
    clock.at(70, lambda: rollout.roll_back(aws, reason="by the person on call"))
    last, _ = go(aws, clock)
    assert last.decision == Done(RolloutState.ROLLED_BACK, last.decision.reason)
    assert "by the person on call" in last.decision.reason
    assert aws.routing == Routing("41")


def test_an_alias_changed_by_hand_is_left_to_whoever_did_it():
    """Weights set by hand in the middle of a step stop the rollout without another write."""
    aws, clock = new()

    def by_hand():
        aws.weight_pct = 90
        aws.someone_else_writes()

    clock.at(310, by_hand)
    last, _ = go(aws, clock, replace(PLAN, steps=(Step(10, 600), Step(50, 300))))
    assert isinstance(last.decision, Refuse)
    assert aws.weight_pct == 90


def edit(aws, **about):
    """Change the alias as a person in the console does: no marker is written, and the revision moves."""
    for name, value in about.items():
        setattr(aws, name, value)
    aws.someone_else_writes()


NOTE = " do not touch, Ann"
# What a person does in the middle of the first step, and how it ends: the last decision, and the traffic.
EDITS = {
    "a note behind the marker": (
        lambda aws: edit(aws, description=aws.description + NOTE),
        Promote,
        Routing("42"),
    ),
    "a note before it": (
        lambda aws: edit(aws, description=NOTE.strip() + " " + aws.description),
        Promote,
        Routing("42"),
    ),
    "a long note": (
        lambda aws: edit(aws, description=aws.description + " " + "x" * 165),
        Rollback,
        Routing("41"),
    ),
    "the marker cut": (lambda aws: edit(aws, description=aws.description[:-5]), Rollback, Routing("41")),
    "the marker deleted": (lambda aws: edit(aws, description="mine"), Rollback, Routing("41")),
    "the weight 0.0": (lambda aws: edit(aws, weight_pct=0), Rollback, Routing("41")),
    "the weights cleared": (lambda aws: edit(aws, canary=None, weight_pct=0), Rollback, Routing("41")),
    "the weight 1.0": (lambda aws: edit(aws, weight_pct=100), Refuse, Routing("41", "42", 100)),
    "all traffic to the canary": (
        lambda aws: edit(aws, stable="42", canary=None, weight_pct=0),
        Refuse,
        Routing("42"),
    ),
    "the alias on $LATEST": (
        lambda aws: edit(aws, stable="$LATEST", canary=None, weight_pct=0),
        Refuse,
        Routing("$LATEST"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_edit_in_the_console_ends_in_one_clear_state(name):
    """Whatever somebody does to the alias in the console, the rollout ends: on, back, or left as it was put."""
    change, decision, routing = EDITS[name]
    aws, clock = new()
    clock.at(310, lambda: change(aws))
    last, told = go(aws, clock, replace(PLAN, steps=(Step(10, 600), Step(50, 300))))
    assert isinstance(last.decision, decision)
    assert aws.routing == routing
    text, found = marker.parse(aws.description)
    if decision is not Refuse and name != "a long note":
        assert found.state is (RolloutState.DONE if decision is Promote else RolloutState.ROLLED_BACK)
    if "note" in name:
        assert NOTE.strip() in text or "x" * 165 in text
    assert [tick.written for tick in told if tick.written] == aws.writes


@pytest.mark.parametrize("name", [name for name, (_, decision, _) in EDITS.items() if decision is Refuse])
def test_a_rollback_ends_what_was_left(name):
    """What the rollout left as somebody put it, `deployer rollback` ends on the stable version."""
    change, _, _ = EDITS[name]
    aws, clock = new()
    rollout.begin(aws, rollout_of(), clock)
    change(aws)
    assert rollout.roll_back(aws, reason="by hand").version == "41"
    assert (aws.routing, state(aws)) == (Routing("41"), RolloutState.ROLLED_BACK)


def test_a_marker_lost_in_a_later_place_gives_the_traffic_back():
    """Who drove the rollout knows the version before, also when nobody else can read it any more."""
    aws, clock = new()
    clock.at(700, lambda: edit(aws, description="mine"))
    last, _ = go(aws, clock)
    assert isinstance(last.decision, Rollback)
    assert aws.routing == Routing("41")


def test_a_signal_after_the_marker_was_lost_gives_the_traffic_back():
    """A cancelled job clears exactly its own weights, marker or not; other weights are not its business."""
    for weight_pct, routing in ((10, Routing("41")), (11, Routing("41", "42", 11))):
        aws, clock = new()
        stop = rollout.Stop()
        clock.at(50, lambda aws=aws, weight=weight_pct: edit(aws, description="mine", weight_pct=weight))
        clock.at(50, lambda stop=stop: stop("SIGINT"))
        with pytest.raises(DeployerError):
            go(aws, clock, stop=stop)
        assert aws.routing == routing


def test_a_note_on_a_rollback_does_not_hide_it():
    """A note typed behind the marker just after it was written is no reason to write it again, or not to tell."""
    aws = FakeAws().given_alias(
        "[lc1 id=99.1 from=41 to=42 step=1/2 at=1763712000 plan=aaaa st=run]", canary="42", weight_pct=10
    )
    aws.before_call = lambda _: aws.writes and edit(aws, description=aws.writes[0].description + NOTE)
    done = rollout.roll_back(aws, reason="by hand", only_owner="99")
    assert (done.version, len(aws.writes)) == ("41", 1)
