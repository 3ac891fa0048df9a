"""`canary.decide`: a table of situations, each with the one decision it must lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.canary import decide as canary
from deployer.canary.decision import Done, Finish, Pause, Promote, Refuse, Rollback, SetWeight, Wait
from deployer.model import (
    AlarmReading,
    AlarmState,
    AliasState,
    Evidence,
    Known,
    Marker,
    OnLowTraffic,
    OnSlow,
    Outcome,
    RolloutPlan,
    RolloutState,
    Routing,
    Step,
    Verdict,
)

PLAN = RolloutPlan(
    id="7f3a",
    target="42",
    steps=(Step(10, 300), Step(50, 600)),
    final_bake_s=120,
    max_extend_s=200,
    max_pause_s=1000,
)
START = 1_000_000
GREEN = {"errors": AlarmReading(AlarmState.OK)}


def verdict(outcome: Outcome, metric: str = "errors") -> tuple[Verdict, ...]:
    """Return what a comparison concluded, as evidence holds it."""
    return (Verdict(outcome, f"{metric}: {outcome.value}", metric),)


OK = Evidence(GREEN, verdict(Outcome.PASS))
SILENT = Evidence({"errors": AlarmReading(AlarmState.INSUFFICIENT_DATA)}, verdict(Outcome.PASS))
RED = Evidence(
    {"errors": AlarmReading(AlarmState.ALARM, START + 5), "throttles": AlarmReading(AlarmState.OK)},
    verdict(Outcome.PASS),
)
RED_SINCE_ALWAYS = Evidence({"errors": AlarmReading(AlarmState.ALARM, START - 5)}, verdict(Outcome.PASS))
RED_SINCE_WHEN = Evidence({"errors": AlarmReading(AlarmState.ALARM)}, verdict(Outcome.PASS))
GONE = Evidence({"errors": AlarmReading(AlarmState.MISSING)}, verdict(Outcome.PASS))
NONE = Evidence({}, verdict(Outcome.PASS))
WORSE = Evidence(GREEN, verdict(Outcome.FAIL))
SLOWER = Evidence(GREEN, verdict(Outcome.FAIL, canary.SLOW))
TOO_LITTLE = Evidence(GREEN, verdict(Outcome.INCONCLUSIVE))
UNSEEN = Evidence(GREEN, verdict(Outcome.UNMEASURABLE))
BLIND = replace(UNSEEN, blind_s=600.0)
NOT_COMPARED = Evidence(GREEN)


def untouched(stable: str = "41") -> AliasState:
    """Return an alias no rollout has touched."""
    return AliasState(Routing(stable), "r1")


def at_step(step: int, state: RolloutState = RolloutState.RUN, **changes: object) -> AliasState:
    """Return the alias as a rollout of 41 -> 42 leaves it at that step, which began at START."""
    starts = tuple(START - 1000 * earlier for earlier in reversed(range(step)))
    found = Marker("7f3a", "41", "42", 2, starts, PLAN.fingerprint, state)
    routing = Routing("42") if PLAN.is_bake(step) else Routing("41", "42", PLAN.steps[step - 1].weight_pct)
    if state is RolloutState.ROLLED_BACK:
        routing = Routing("41")
    return replace(AliasState(routing, "r2", marker=found), **changes)  # type: ignore[arg-type]


BEGUN = replace(PLAN, is_begun=True)
OBSERVER = replace(PLAN, only_observes=True)
KNOWN = Known(at_step(1).marker, at_step(1).routing)
PAUSED = at_step(1, RolloutState.PAUSE)
BAKING = at_step(3, RolloutState.BAKE)
PROMOTES_LITTLE = replace(PLAN, on_low_traffic=OnLowTraffic.PROMOTE)
FAILS_LITTLE = replace(PLAN, on_low_traffic=OnLowTraffic.FAIL)
ALL_AT_ONCE = replace(PLAN, steps=())

SITUATIONS = [
    ("an untouched alias gets the first step", PLAN, untouched(), OK, 0, SetWeight(1, 10, "")),
    ("nothing can have been compared before the start", PLAN, untouched(), NOT_COMPARED, 0, SetWeight(1, 10, "")),
    ("no data before the start does not block it", PLAN, untouched(), SILENT, 0, SetWeight(1, 10, "")),
    ("without steps all traffic moves at once", ALL_AT_ONCE, untouched(), NOT_COMPARED, 0, Promote("")),
    ("a version that is live needs nothing", PLAN, untouched("42"), OK, 0, Done(RolloutState.DONE, "")),
    ("a red alarm does not block what may be its cure", PLAN, untouched(), RED, 0, SetWeight(1, 10, "")),
    ("a red alarm blocks what cannot be compared", ALL_AT_ONCE, untouched(), RED, 0, Refuse("", "")),
    ("force goes on over a red alarm", replace(ALL_AT_ONCE, is_forced=True), untouched(), RED, 0, Promote("")),
    ("a missing alarm refuses the start", PLAN, untouched(), GONE, 0, Refuse("", "")),
    ("no alarm at all refuses the start", PLAN, untouched(), NONE, 0, Refuse("", "")),
    ("force does not replace a missing alarm", replace(PLAN, is_forced=True), untouched(), GONE, 0, Refuse("", "")),
    ("inside the bake there is nothing to do", PLAN, at_step(1), OK, 299, Wait(1, "")),
    ("a clock that went backwards waits", PLAN, at_step(1), OK, -50, Wait(300, "")),
    ("after a good bake the next step", PLAN, at_step(1), OK, 300, SetWeight(2, 50, "")),
    ("after the last step all traffic", PLAN, at_step(2), OK, 600, Promote("")),
    ("the final bake is waited for", PLAN, BAKING, OK, 119, Wait(1, "")),
    ("the final bake ends the rollout", PLAN, BAKING, OK, 120, Finish("")),
    ("an alarm rolls back inside a bake", PLAN, at_step(1), RED, 10, Rollback("")),
    ("an alarm rolls back at the end of a bake", PLAN, at_step(1), RED, 600, Rollback("")),
    ("an alarm rolls back in the final bake", PLAN, at_step(1, RolloutState.BAKE), RED, 10, Rollback("")),
    ("an alarm rolls back in a pause", PLAN, PAUSED, RED, 10, Rollback("")),
    ("an alarm that was red before it began says nothing", PLAN, at_step(1), RED_SINCE_ALWAYS, 300, SetWeight(2, 50, "")),
    ("an alarm red since nobody knows when rolls back", PLAN, at_step(1), RED_SINCE_WHEN, 10, Rollback("")),
    ("an alarm that was deleted rolls back", PLAN, at_step(1), GONE, 10, Rollback("")),
    ("alarms that are all gone roll back", PLAN, at_step(1), NONE, 10, Rollback("")),
    ("no data extends the step", PLAN, at_step(1), SILENT, 300, Wait(200, "")),
    ("no data for too long pauses", PLAN, at_step(1), SILENT, 500, Pause("")),
    ("too little data for too long pauses", PLAN, at_step(1), TOO_LITTLE, 500, Pause("")),
    ("too little data rolls back when the settings say so", FAILS_LITTLE, at_step(1), TOO_LITTLE, 500, Rollback("")),
    ("too little data goes on only when the settings say so", PROMOTES_LITTLE, at_step(1), TOO_LITTLE, 500, SetWeight(2, 50, "")),
    ("too little data still has its extension", PROMOTES_LITTLE, at_step(1), TOO_LITTLE, 499, Wait(1, "")),
    ("what could not be seen is not little traffic", PROMOTES_LITTLE, at_step(1), UNSEEN, 500, Pause("")),
    ("what was not compared is not little traffic", PROMOTES_LITTLE, at_step(1), NOT_COMPARED, 500, Pause("")),
    ("too little data in the final bake never finishes", PLAN, BAKING, TOO_LITTLE, 320, Pause("")),
    ("without steps a quiet final bake ends the rollout", ALL_AT_ONCE, replace(BAKING, marker=replace(BAKING.marker, starts=(START,), plan=ALL_AT_ONCE.fingerprint)), NOT_COMPARED, 120, Finish("")),
    ("ten minutes without numbers pause", PLAN, at_step(1), BLIND, 10, Pause("")),
    ("a comparison that failed rolls back", PLAN, at_step(1), WORSE, 10, Rollback("")),
    ("a comparison that failed rolls back in a pause", PLAN, PAUSED, WORSE, 10, Rollback("")),
    ("a canary that is only slower pauses", PLAN, at_step(1), SLOWER, 10, Pause("")),
    ("a slower canary stays paused", PLAN, PAUSED, SLOWER, 10, Wait(990, "")),
    ("a slower canary rolls back when the settings say so", replace(PLAN, on_slow=OnSlow.ROLLBACK), at_step(1), SLOWER, 10, Rollback("")),
    ("a pause is waited for", PLAN, PAUSED, OK, 999, Wait(1, "")),
    ("a pause nobody ends goes back", PLAN, PAUSED, OK, 1000, Rollback("")),
    ("an observer goes on over an alarm", OBSERVER, at_step(1), RED, 300, SetWeight(2, 50, "")),
    ("an observer goes on over a failed comparison", OBSERVER, at_step(1), WORSE, 300, SetWeight(2, 50, "")),
    ("an observer does not wait for data", OBSERVER, at_step(1), TOO_LITTLE, 300, SetWeight(2, 50, "")),
    ("another rollout is not touched", replace(PLAN, id="beef"), at_step(1), OK, 300, Refuse("", "")),
    ("the same rollout of another version is not touched", replace(PLAN, target="43"), at_step(1), OK, 300, Refuse("", "")),
    ("foreign weights are refused", PLAN, AliasState(Routing("41", "40", 5), "r1"), OK, 0, Refuse("", "")),
    ("weights changed by hand are refused", PLAN, at_step(1, routing=Routing("41", "42", 90)), OK, 301, Refuse("", "")),
    ("weights of 100 % by hand are refused", PLAN, at_step(1, routing=Routing("41", "42", 100)), OK, 301, Refuse("", "")),
    ("an alias on $LATEST is refused", PLAN, at_step(1, routing=Routing("$LATEST")), OK, 301, Refuse("", "")),
    ("a rollout does not begin on $LATEST", PLAN, AliasState(Routing("$LATEST"), "r1"), OK, 0, Refuse("", "")),
    ("weights cleared by hand are a way back", PLAN, at_step(1, routing=Routing("41")), OK, 301, Rollback("")),
    ("a weight of 0 by hand is a way back", PLAN, at_step(1, routing=Routing("41", "42", 0)), OK, 301, Rollback("")),
    ("a long note leaves the marker no room", PLAN, replace(at_step(1), text="x" * 165), OK, 10, Rollback("")),
    ("a lost marker whose traffic is still there", replace(PLAN, is_begun=True, known=KNOWN), replace(at_step(1), marker=None), OK, 10, Rollback("")),
    ("a lost marker and other traffic", replace(PLAN, is_begun=True, known=KNOWN), AliasState(Routing("41", "42", 11), "r1"), OK, 10, Refuse("", "")),
    ("weights Lambda itself shows are waited for", PLAN, replace(BAKING, routing=Routing("42", "41", 100)), OK, 60, Wait(240, "")),
    ("the gates are asked while Lambda moves the weights", PLAN, replace(BAKING, routing=Routing("42", "41", 100)), WORSE, 60, Rollback("")),
    ("steps changed on the way are refused", replace(PLAN, final_bake_s=121), at_step(1), OK, 10, Refuse("", "")),
    ("a rollout rolled back elsewhere is not begun again", BEGUN, at_step(1, RolloutState.ROLLED_BACK), OK, 10, Done(RolloutState.ROLLED_BACK, "")),
    ("a rollout finished elsewhere is done", BEGUN, at_step(3, RolloutState.DONE), OK, 10, Done(RolloutState.DONE, "")),
    ("a rollout that vanished is not begun again", BEGUN, untouched(), OK, 10, Refuse("", "")),
    ("a new rollout may follow a rolled-back one", PLAN, at_step(1, RolloutState.ROLLED_BACK), OK, 10, SetWeight(1, 10, "")),
    ("a long description of the people's own is refused before it could be lost", PLAN, replace(untouched(), text="x" * 81), OK, 0, Refuse("", "")),
]  # fmt: skip


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


def test_a_red_alarm_at_the_start_is_said():
    """Starting over a red alarm is allowed, and the reason names the alarm."""
    assert "`errors` was in ALARM before it began" in canary.decide(PLAN, untouched(), RED, START).reason


def test_an_observer_says_what_it_would_have_done():
    """Observing goes on, and the reason keeps the verdict that would have ended the rollout."""
    assert "observed only: errors: fail" in canary.decide(OBSERVER, at_step(1), WORSE, START + 10).reason


aliases = st.builds(
    AliasState,
    routing=st.builds(
        Routing,
        st.sampled_from(["41", "42"]),
        st.one_of(st.none(), st.sampled_from(["41", "42"])),
        st.sampled_from([0, 10, 50, 100]),
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
            steps=st.integers(0, 5),
            starts=st.lists(st.integers(0, 2 * START), max_size=5).map(tuple),
            plan=st.sampled_from([PLAN.fingerprint, "0000"]),
            state=st.sampled_from(RolloutState),
            since_s=st.integers(0, 5000),
        ),
    ),
)
# Half of them are where the marker says they are, or the interesting rules would hardly ever be reached.
plausible = st.builds(
    lambda step, state, since_s: replace(
        at_step(step, state), marker=replace(at_step(step).marker, state=state, since_s=since_s)
    ),
    st.integers(1, 3),
    st.sampled_from([RolloutState.RUN, RolloutState.PAUSE, RolloutState.BAKE]),
    st.integers(0, 5000),
)
evidences = st.builds(
    Evidence,
    alarms=st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.builds(AlarmReading, st.sampled_from(AlarmState), st.one_of(st.none(), st.floats(0, 2 * START))),
        max_size=2,
    ),
    verdicts=st.lists(
        st.builds(
            Verdict, st.sampled_from(Outcome), st.just("why"), st.sampled_from(["errors", canary.SLOW])
        ),
        max_size=2,
    ).map(tuple),
    blind_s=st.floats(0, 5000),
)


@given(
    alias=st.one_of(aliases, plausible),
    evidence=evidences,
    now=st.floats(START - 1000, START + 6000),
    is_begun=st.booleans(),
    on_low_traffic=st.sampled_from(OnLowTraffic),
)
def test_decide_is_total_and_only_pass_promotes(alias, evidence, now, is_begun, on_low_traffic):
    """Whatever it is shown, it decides; and more traffic never follows from less than a pass."""
    plan = replace(PLAN, is_begun=is_begun, on_low_traffic=on_low_traffic)
    decision = canary.decide(plan, alias, evidence, now)
    moving_on = isinstance(decision, Promote | Finish) or (
        isinstance(decision, SetWeight) and decision.step > 1
    )
    if moving_on:
        assert AlarmState.MISSING not in {reading.state for reading in evidence.alarms.values()}
        allowed = {Outcome.PASS}
        if on_low_traffic is OnLowTraffic.PROMOTE:
            allowed |= {Outcome.INCONCLUSIVE}
        assert evidence.verdicts
        assert {found.outcome for found in evidence.verdicts} <= allowed
    if isinstance(decision, SetWeight | Promote | Finish):
        assert not is_begun or (alias.marker is not None and alias.marker.id == PLAN.id)
