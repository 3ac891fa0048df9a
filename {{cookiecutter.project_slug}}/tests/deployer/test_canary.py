"""`canary.decide`: a table of situations, each with the one decision it must lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer import canary, marker
from deployer.model import (
    AlarmReading,
    AlarmState,
    AliasState,
    Done,
    Evidence,
    Finish,
    Marker,
    Outcome,
    Promote,
    Refuse,
    Rollback,
    RolloutPlan,
    RolloutState,
    Routing,
    SetWeight,
    Step,
    Verdict,
    Wait,
)

PLAN = RolloutPlan(
    id="7f3a", target="42", steps=(Step(10, 300), Step(50, 600)), final_bake_s=120, max_extend_s=200
)
OK = Evidence({"errors": AlarmReading(AlarmState.OK)})
SILENT = Evidence({"errors": AlarmReading(AlarmState.INSUFFICIENT_DATA)})
RED = Evidence({"errors": AlarmReading(AlarmState.ALARM), "throttles": AlarmReading(AlarmState.OK)})
GONE = Evidence({"errors": AlarmReading(AlarmState.MISSING)})
NONE = Evidence({})
START = 1_000_000


def untouched(stable: str = "41") -> AliasState:
    """Return an alias no rollout has touched."""
    return AliasState(Routing(stable), "r1")


def at_step(step: int, state: RolloutState = RolloutState.RUN, **changes: object) -> AliasState:
    """Return the alias as a rollout of 41 -> 42 leaves it at that step."""
    found = Marker("7f3a", "41", "42", step, 2, START, PLAN.fingerprint, state)
    routing = (
        Routing("41", "42", PLAN.steps[step - 1].weight_pct) if state is RolloutState.RUN else Routing("42")
    )
    if state is RolloutState.ROLLED_BACK:
        routing = Routing("41")
    return replace(AliasState(routing, "r2", marker=found), **changes)  # type: ignore[arg-type]


SITUATIONS = [
    ("an untouched alias gets the first step", PLAN, untouched(), OK, 0, SetWeight(1, 10, "")),
    ("no data before the start does not block it", PLAN, untouched(), SILENT, 0, SetWeight(1, 10, "")),
    ("without steps all traffic moves at once", replace(PLAN, steps=()), untouched(), OK, 0, Promote("")),
    ("a version that is live needs nothing", PLAN, untouched("42"), OK, 0, Done(RolloutState.DONE, "")),
    ("a red alarm refuses the start", PLAN, untouched(), RED, 0, Refuse("", "")),
    ("a missing alarm refuses the start", PLAN, untouched(), GONE, 0, Refuse("", "")),
    ("no alarm at all refuses the start", PLAN, untouched(), NONE, 0, Refuse("", "")),
    ("inside the bake there is nothing to do", PLAN, at_step(1), OK, 299, Wait(1, "")),
    ("a clock that went backwards waits", PLAN, at_step(1), OK, -50, Wait(300, "")),
    ("after a good bake the next step", PLAN, at_step(1), OK, 300, SetWeight(2, 50, "")),
    ("after the last step all traffic", PLAN, at_step(2), OK, 600, Promote("")),
    ("the final bake is waited for", PLAN, at_step(2, RolloutState.BAKE), OK, 119, Wait(1, "")),
    ("the final bake ends the rollout", PLAN, at_step(2, RolloutState.BAKE), OK, 120, Finish("")),
    ("an alarm rolls back inside a bake", PLAN, at_step(1), RED, 10, Rollback("")),
    ("an alarm rolls back at the end of a bake", PLAN, at_step(2), RED, 600, Rollback("")),
    ("an alarm rolls back in the final bake", PLAN, at_step(2, RolloutState.BAKE), RED, 10, Rollback("")),
    ("an alarm that was deleted rolls back", PLAN, at_step(1), GONE, 10, Rollback("")),
    ("alarms that are all gone roll back", PLAN, at_step(1), NONE, 10, Rollback("")),
    ("no data extends the step", PLAN, at_step(1), SILENT, 300, Wait(200, "")),
    ("no data for too long rolls back", PLAN, at_step(1), SILENT, 500, Rollback("")),
    (
        "no data in the final bake never finishes",
        PLAN,
        at_step(2, RolloutState.BAKE),
        SILENT,
        320,
        Rollback(""),
    ),
    (
        "no data promotes only when the settings say so",
        replace(PLAN, promote_without_data=True),
        at_step(
            1, marker=replace(at_step(1).marker, plan=replace(PLAN, promote_without_data=True).fingerprint)
        ),
        SILENT,
        300,
        SetWeight(2, 50, ""),
    ),
    (
        "a comparison that failed rolls back",
        PLAN,
        at_step(1),
        replace(OK, verdicts=(Verdict(Outcome.FAIL, "worse"),)),
        10,
        Rollback(""),
    ),
    (
        "a comparison without enough data extends",
        PLAN,
        at_step(1),
        replace(OK, verdicts=(Verdict(Outcome.INCONCLUSIVE, "too little data"),)),
        300,
        Wait(200, ""),
    ),
    (
        "a comparison that passed goes on",
        PLAN,
        at_step(1),
        replace(OK, verdicts=(Verdict(Outcome.PASS, "no worse"),)),
        300,
        SetWeight(2, 50, ""),
    ),
    ("another rollout is not touched", replace(PLAN, id="beef"), at_step(1), OK, 300, Refuse("", "")),
    (
        "foreign weights are refused",
        PLAN,
        untouched_with_weights := AliasState(Routing("41", "40", 5), "r1"),
        OK,
        0,
        Refuse("", ""),
    ),
    (
        "weights changed by hand are refused",
        PLAN,
        at_step(1, routing=Routing("41", "42", 90)),
        OK,
        10,
        Refuse("", ""),
    ),
    ("weights cleared by hand are refused", PLAN, at_step(1, routing=Routing("41")), OK, 10, Refuse("", "")),
    (
        "steps changed on the way are refused",
        replace(PLAN, final_bake_s=121),
        at_step(1),
        OK,
        10,
        Refuse("", ""),
    ),
    (
        "a rollout rolled back elsewhere is not begun again",
        replace(PLAN, is_begun=True),
        at_step(1, RolloutState.ROLLED_BACK),
        OK,
        10,
        Done(RolloutState.ROLLED_BACK, ""),
    ),
    (
        "a rollout finished elsewhere is done",
        replace(PLAN, is_begun=True),
        at_step(2, RolloutState.DONE),
        OK,
        10,
        Done(RolloutState.DONE, ""),
    ),
    (
        "a rollout that vanished is not begun again",
        replace(PLAN, is_begun=True),
        untouched(),
        OK,
        10,
        Refuse("", ""),
    ),
    (
        "a new rollout may follow a rolled-back one",
        PLAN,
        at_step(1, RolloutState.ROLLED_BACK),
        OK,
        10,
        SetWeight(1, 10, ""),
    ),
    (
        "a long description of the people's own is refused before it could be lost",
        PLAN,
        replace(untouched(), text="x" * 101),
        OK,
        0,
        Refuse("", ""),
    ),
]


@pytest.mark.parametrize(
    ("plan", "alias", "evidence", "elapsed_s", "expected"),
    [pytest.param(*situation[1:], id=situation[0]) for situation in SITUATIONS],
)
def test_decision(plan, alias, evidence, elapsed_s, expected):
    """Each situation leads to its one decision, and every decision gives a reason."""
    decision = canary.decide(plan, alias, evidence, START + elapsed_s)
    assert decision.reason
    blank = {"reason": ""} | ({"hint": ""} if isinstance(decision, Refuse) else {})
    assert replace(decision, **blank) == expected


@pytest.mark.parametrize(
    ("decision", "alias"),
    [
        (SetWeight(1, 10, "go"), untouched()),
        (SetWeight(2, 50, "go"), at_step(1)),
        (Promote("good"), at_step(2)),
        (Finish("good"), at_step(2, RolloutState.BAKE)),
        (Rollback("alarm"), at_step(1)),
        (Rollback("alarm"), at_step(2, RolloutState.BAKE)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_write_and_the_marker_agree(decision, alias):
    """What a decision writes is read back as a state in which the same rollout knows where it is."""
    write = canary.write_for(decision, PLAN, alias, START + 5)
    text, found = marker.parse(write.description)
    after = AliasState(Routing(write.version, write.canary, write.weight_pct), "r3", text, found)
    following = canary.decide(replace(PLAN, is_begun=True), after, OK, START + 5)
    match decision:
        case SetWeight(step, weight_pct, _):
            assert (after.routing, found.step) == (Routing("41", "42", weight_pct), step)
            assert isinstance(following, Wait)
        case Promote():
            assert after.routing == Routing("42")
            assert isinstance(following, Wait)
        case Finish():
            assert after.routing == Routing("42")
            assert following == Done(RolloutState.DONE, following.reason)
        case Rollback():
            assert after.routing == Routing("41")
            assert following == Done(RolloutState.ROLLED_BACK, following.reason)
            assert "alarm" in following.reason


def test_rolling_back_works_without_room_for_the_marker():
    """A description that leaves no room for the record never stands in the way of moving the traffic."""
    alias = replace(at_step(1), text="x" * 250)
    write = canary.rollback_write(alias, target="41", reason="alarm")
    assert (write.version, write.canary, write.description) == ("41", None, "x" * 250)


aliases = st.builds(
    AliasState,
    routing=st.builds(
        Routing,
        st.sampled_from(["41", "42"]),
        st.one_of(st.none(), st.sampled_from(["41", "42"])),
        st.integers(0, 100),
    ),
    revision=st.just("r"),
    text=st.text(max_size=120),
    marker=st.one_of(
        st.none(),
        st.builds(
            Marker,
            id=st.sampled_from(["7f3a", "beef"]),
            from_version=st.sampled_from(["40", "41"]),
            to_version=st.sampled_from(["42", "43"]),
            step=st.integers(-1, 5),
            steps=st.integers(0, 5),
            at=st.integers(0, 2 * START),
            plan=st.sampled_from([PLAN.fingerprint, "0000"]),
            state=st.sampled_from(RolloutState),
        ),
    ),
)
evidences = st.builds(
    Evidence,
    alarms=st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(AlarmState)),
    verdicts=st.lists(st.builds(Verdict, st.sampled_from(Outcome), st.just("why")), max_size=2).map(tuple),
)


@given(alias=aliases, evidence=evidences, now=st.floats(0, 2 * START), is_begun=st.booleans())
def test_decide_is_total_and_never_goes_on_without_proof(alias, evidence, now, is_begun):
    """Whatever it is shown, it decides; and more traffic never follows from anything but OK alarms."""
    decision = canary.decide(replace(PLAN, is_begun=is_begun), alias, evidence, now)
    moving_on = isinstance(decision, Promote | Finish) or (
        isinstance(decision, SetWeight) and decision.step > 1
    )
    if moving_on:
        assert set(evidence.alarms.values()) == {AlarmState.OK}
        assert all(verdict.outcome is Outcome.PASS for verdict in evidence.verdicts)
    if isinstance(decision, SetWeight | Promote | Finish):
        assert not is_begun or (alias.marker is not None and alias.marker.id == PLAN.id)
