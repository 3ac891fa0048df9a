"""Decisions and wishes as writes: what is written is read back as the state that was meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.canary import decide as canary
from deployer.canary import marker, moves
from deployer.canary.decision import Done, Pause, Promote, Refuse, Resume, Rollback, SetWeight, Wait
from deployer.canary.moves import Wish
from deployer.errors import DeployerError, Exit
from deployer.model import AlarmReading, AlarmState, AliasState, Cause, RolloutState, Routing, Step
from engine.canary.test_decide import (
    ALL_AT_ONCE,
    BY_ENGINE,
    LAST,
    OK,
    PAUSED,
    PLAN,
    START,
    at_step,
    untouched,
)

BEGUN = replace(PLAN, is_begun=True)


def after(write, plan=PLAN):
    """Return the alias as that write leaves it."""
    text, found = marker.parse(write.description)
    return AliasState(Routing(write.version, write.canary, write.weight_pct), "r3", text, found)


@pytest.mark.parametrize(
    ("decision", "alias", "routing", "following"),
    [
        (SetWeight(1, 10, "go"), untouched(), Routing("41", "42", 10), Wait),
        (SetWeight(2, 50, "go"), at_step(1), Routing("41", "42", 50), Wait),
        (SetWeight(3, 95, "go"), at_step(2), Routing("41", "42", 95), Wait),
        (Promote("good"), LAST, Routing("42"), Done),
        (Pause("slow", Cause.SLOW), at_step(1), Routing("41", "42", 10), Resume),
        (Pause("slow", Cause.SLOW), LAST, Routing("41", "42", 95), Resume),
        (Resume("over"), BY_ENGINE, Routing("41", "42", 10), Wait),
        (Rollback("alarm"), at_step(1), Routing("41"), Done),
        (Rollback("alarm"), PAUSED, Routing("41"), Done),
        (Rollback("alarm"), LAST, Routing("41"), Done),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type) else value.__name__,
)
def test_the_write_and_the_marker_agree(decision, alias, routing, following):
    """What a decision writes is read back as a state in which the same rollout knows where it is."""
    write = moves.write_for(decision, PLAN, replace(alias, text="mine"), START + 5)
    left = after(write)
    assert (left.routing, left.text) == (routing, "mine")
    assert isinstance(canary.decide(BEGUN, left, OK, START + 5), following)


def test_each_step_adds_its_start():
    """The marker keeps when every step began, which is what the evidence is counted from."""
    first = after(moves.write_for(SetWeight(1, 10, ""), PLAN, untouched(), START + 0.9))
    second = after(moves.write_for(SetWeight(2, 50, ""), PLAN, first, START + 400))
    done = after(moves.write_for(Promote(""), PLAN, second, START + 1000))
    assert done.marker.starts == (START, START + 400)
    assert (done.marker.at, done.marker.state) == (START + 1000, RolloutState.DONE)


def test_all_at_once_is_done_with_one_write():
    """A plan without steps has one transition, and the marker says when it was."""
    done = after(moves.write_for(Promote(""), ALL_AT_ONCE, untouched(), START))
    assert (done.marker.state, done.marker.at) == (RolloutState.DONE, START)


def test_the_engine_counts_its_pauses_and_keeps_their_cause():
    """A pause keeps why it is there; the next place keeps only how many there were."""
    paused = after(moves.write_for(Pause("why", Cause.THROTTLES), PLAN, BY_ENGINE, START + 90))
    assert (paused.marker.pauses, paused.marker.cause, paused.marker.since_s) == (3, Cause.THROTTLES, 90)
    following = after(moves.write_for(SetWeight(2, 50, ""), PLAN, paused, START + 400))
    assert (following.marker.pauses, following.marker.cause) == (3, None)


@pytest.mark.parametrize(("cause", "accepted_s"), [(Cause.SLOW, 90), (Cause.THROTTLES, 0), (Cause.BLIND, 0)])
def test_what_a_pause_was_for_is_accepted_with_its_end(cause, accepted_s):
    """The place is judged anew from then on; slowness up to then is held against nothing that follows."""
    paused = replace(BY_ENGINE, marker=replace(BY_ENGINE.marker, cause=cause, since_s=30))
    left = after(moves.write_for(Resume("over"), PLAN, paused, START + 90)).marker
    assert (left.state, left.cause, left.at) == (RolloutState.RUN, None, START + 90)
    assert left.accepted_s == accepted_s


def test_a_finished_rollout_is_no_part_of_the_next_one():
    """A new rollout's marker starts from nothing but the people's own text."""
    left = replace(at_step(3, RolloutState.DONE), text="mine", routing=Routing("42"))
    write = moves.write_for(SetWeight(1, 10, ""), replace(PLAN, id="beef", target="43"), left, START + 9)
    assert write.description.startswith("mine [lc1 id=beef from=42 to=43 step=1/3")


WISHES = [
    (Wish.PAUSE, at_step(1), RolloutState.PAUSE, Routing("41", "42", 10), 1),
    (Wish.PAUSE, LAST, RolloutState.PAUSE, Routing("41", "42", 95), 3),
    (Wish.PAUSE, BY_ENGINE, RolloutState.PAUSE, Routing("41", "42", 10), 1),
    (Wish.RESUME, PAUSED, RolloutState.RUN, Routing("41", "42", 10), 1),
    (Wish.RESUME, BY_ENGINE, RolloutState.RUN, Routing("41", "42", 10), 1),
    (Wish.SKIP, at_step(1), RolloutState.RUN, Routing("41", "42", 50), 2),
    (Wish.SKIP, PAUSED, RolloutState.RUN, Routing("41", "42", 50), 2),
    (Wish.SKIP, at_step(2), RolloutState.RUN, Routing("41", "42", 95), 3),
    (Wish.SKIP, LAST, RolloutState.DONE, Routing("42"), 3),
    (Wish.PROMOTE, at_step(1), RolloutState.DONE, Routing("42"), 1),
    (Wish.PROMOTE, LAST, RolloutState.DONE, Routing("42"), 3),
    (Wish.ABORT, at_step(1), RolloutState.ROLLED_BACK, Routing("41"), 1),
    (Wish.ABORT, PAUSED, RolloutState.ROLLED_BACK, Routing("41"), 1),
    (Wish.ABORT, LAST, RolloutState.ROLLED_BACK, Routing("41"), 3),
]


@pytest.mark.parametrize(
    ("wish", "alias", "state", "routing", "step"),
    WISHES,
    ids=[f"{w[0].value} in {w[1].marker.state.value} {w[1].marker.step}" for w in WISHES],
)
def test_a_wish_is_one_write(wish, alias, state, routing, step):
    """Each wish, in each state that allows it, leads to its state and its traffic, in a single write."""
    write = moves.write_for_wish(wish, PLAN, replace(alias, text="mine"), START + 50, "a person")
    left = after(write)
    assert (left.marker.state, left.routing, left.marker.step, left.text) == (state, routing, step, "mine")
    assert left.marker.cause is None


def test_a_resumed_place_is_judged_from_then_on():
    """After a person's pause the place is judged for its whole time once more: it counts from then."""
    left = after(moves.write_for_wish(Wish.RESUME, PLAN, PAUSED, START + 50, "go on"))
    assert (left.marker.at, left.marker.starts) == (START + 50, (START,))


def test_a_resumed_rollout_remembers_what_was_accepted():
    """When a person last resumed is kept through the following steps, since slowness until then was accepted."""
    left = after(moves.write_for_wish(Wish.RESUME, PLAN, PAUSED, START + 50, "go on"))
    assert left.marker.accepted_s == 50
    following = after(moves.write_for(canary.next_move(PLAN, left.marker, "good"), PLAN, left, START + 400))
    assert (following.marker.accepted_s, following.marker.since_s) == (50, 0)


@pytest.mark.parametrize("wish", [Wish.PROMOTE, Wish.SKIP])
def test_moving_a_paused_rollout_on_accepts_its_slowness(wish):
    """Whoever promotes or skips has seen what paused it, so that it does not pause again for the same calls."""
    left = after(moves.write_for_wish(wish, PLAN, PAUSED, START + 50, "go on"))
    assert left.marker.accepted_s == 50


@pytest.mark.parametrize(
    ("wish", "alias"),
    [
        (Wish.PAUSE, PAUSED),
        (Wish.RESUME, at_step(1)),
        *((wish, untouched()) for wish in Wish),
        *((wish, at_step(1, RolloutState.ROLLED_BACK)) for wish in Wish),
        *((wish, at_step(3, RolloutState.DONE)) for wish in Wish),
    ],
    ids=lambda value: value.value if isinstance(value, Wish) else getattr(value.marker, "state", None),
)
def test_a_wish_that_cannot_be_granted_is_refused(wish, alias):
    """Where a wish makes no sense nothing is written, and the error says what was found."""
    with pytest.raises(DeployerError) as caught:
        moves.write_for_wish(wish, PLAN, alias, START, "a person")
    assert caught.value.exit_code == Exit.REFUSED
    assert caught.value.found.startswith("found")


@pytest.mark.parametrize("wish", list(Wish), ids=lambda wish: wish.value)
def test_a_wish_works_from_any_checkout(wish):
    """A checkout with other steps moves a rollout by the shares that it began with."""
    alias = PAUSED if wish is Wish.RESUME else at_step(1)
    write = moves.write_for_wish(wish, replace(PLAN, steps=(Step(1, 60),)), alias, START, "a person")
    left = after(write)
    assert left.marker.weights == PLAN.weights
    assert left.routing.weight_pct in (0, 10, 50)


def test_a_rollout_of_another_release_can_only_be_ended():
    """A marker without the shares of its places is not moved on; giving the traffic back works."""
    old = replace(PAUSED, marker=replace(PAUSED.marker, weights=()))
    with pytest.raises(DeployerError, match="another release of this tool"):
        moves.write_for_wish(Wish.RESUME, PLAN, old, START, "a person")
    assert after(moves.write_for_wish(Wish.ABORT, PLAN, old, START, "back")).routing == Routing("41")


def test_rolling_back_works_without_room_for_the_marker():
    """A description that leaves no room for the record never stands in the way of moving the traffic."""
    alias = replace(at_step(1), text="x" * 250)
    write = moves.rollback_write(alias, target="41", reason="alarm")
    assert (write.version, write.canary, write.description) == ("41", None, "x" * 250)


@pytest.mark.parametrize("wish", list(Wish), ids=lambda wish: wish.value)
def test_the_reason_of_a_wish_is_kept(wish):
    """Whatever a person asks for, the reason stands in the marker next to what it led to."""
    alias = PAUSED if wish is Wish.RESUME else at_step(1)
    assert after(moves.write_for_wish(wish, PLAN, alias, START + 50, "ticket 7")).marker.why == "ticket 7"


def test_a_reason_outlives_the_rollout_but_not_the_next_place():
    """Who promoted, and why, is still said when it is done; a further place has its own reasons."""
    promoted = after(moves.write_for_wish(Wish.PROMOTE, PLAN, at_step(1), START + 50, "ticket 7"))
    assert (promoted.marker.state, promoted.marker.why) == (RolloutState.DONE, "ticket 7")
    skipped = after(moves.write_for_wish(Wish.SKIP, PLAN, at_step(1), START + 50, "ticket 8"))
    assert after(moves.write_for(SetWeight(3, 95, "good"), PLAN, skipped, START + 400)).marker.why == ""


def test_a_hotfix_skips_its_places_and_says_why():
    """All traffic at once, and done, with the reason kept and the shares it would have had."""
    plan = replace(PLAN, skip_reason="ticket 9")
    decision = canary.decide(plan, untouched(), OK, START)
    assert decision == Promote("steps skipped: ticket 9")
    left = after(moves.write_for(decision, plan, untouched(), START))
    assert (left.routing, left.marker.state, left.marker.why) == (
        Routing("42"),
        RolloutState.DONE,
        "ticket 9",
    )
    assert left.marker.weights == PLAN.weights


def test_a_hotfix_is_not_held_up_by_a_red_alarm():
    """The release that is to be the cure starts although an alarm is in ALARM; a missing alarm still refuses it."""
    plan = replace(PLAN, skip_reason="ticket 9")
    red = replace(OK, alarms={"errors": AlarmReading(AlarmState.ALARM, START - 60)})
    assert isinstance(canary.decide(plan, untouched(), red, START), Promote)
    missing = replace(OK, alarms={"errors": AlarmReading(AlarmState.MISSING)})
    assert isinstance(canary.decide(plan, untouched(), missing, START), Refuse)
