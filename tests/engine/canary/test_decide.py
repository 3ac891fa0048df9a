"""`canary.decide`: a table of situations, each with the one decision it must lead to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.canary import decide as canary
from deployer.canary.decision import Done, Pause, Promote, Refuse, Resume, Rollback, SetWeight, Wait
from deployer.model import (
    AlarmReading,
    AlarmState,
    AliasState,
    Cause,
    Ends,
    Evidence,
    Known,
    Marker,
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
    steps=(Step(10, 300), Step(50, 600), Step(95, 120)),
    max_pause_s=1000,
)
START = 1_000_000
GREEN = {"errors": AlarmReading(AlarmState.OK)}


def verdict(outcome: Outcome, metric: str = "errors") -> tuple[Verdict, ...]:
    """Return what a comparison concluded, as evidence holds it."""
    return (Verdict(outcome, f"{metric}: {outcome.value}", metric),)


def seen(outcome: Outcome = Outcome.PASS, metric: str = "errors", **rest: object) -> Evidence:
    """Return green alarms and one verdict."""
    return Evidence(**{"alarms": GREEN, "verdicts": verdict(outcome, metric), **rest})  # type: ignore[arg-type]


def alarms(state: AlarmState, since: float | None = None) -> Evidence:
    """Return one alarm's state, and a canary that is no worse."""
    return seen(alarms={"errors": AlarmReading(state, since)})


OK = seen()
SILENT = alarms(AlarmState.INSUFFICIENT_DATA)
RED = alarms(AlarmState.ALARM, START + 5)
RED_SINCE_ALWAYS = alarms(AlarmState.ALARM, START - 5)
RED_SINCE_WHEN = alarms(AlarmState.ALARM)
GONE = alarms(AlarmState.MISSING)
NONE = seen(alarms={})
WORSE = seen(Outcome.FAIL)
SLOWER = seen(Outcome.FAIL, "slow calls", holds=frozenset({"slow"}))
SLOWER_NO_MORE = seen(Outcome.FAIL, "slow calls")
THROTTLED = seen(Outcome.FAIL, "throttles", holds=frozenset({"throttles"}))
OPEN = seen(Outcome.INCONCLUSIVE)
UNSEEN = seen(Outcome.UNMEASURABLE, holds=frozenset({"blind"}))
BLIND = replace(UNSEEN, blind_s=600.0)
NOT_COMPARED = Evidence(GREEN)


def judged(seconds: int, evidence: Evidence = OK, **rest: object) -> Evidence:
    """Return the evidence after that many judged seconds of the place."""
    return replace(evidence, judged_s=seconds, **rest)  # type: ignore[arg-type]


def untouched(stable: str = "41") -> AliasState:
    """Return an alias no rollout has touched."""
    return AliasState(Routing(stable), "r1")


def at_step(step: int, state: RolloutState = RolloutState.RUN, **changes: object) -> AliasState:
    """Return the alias as a rollout of 41 -> 42 leaves it at that step, which began at START."""
    starts = tuple(START - 1000 * earlier for earlier in reversed(range(step)))
    found = Marker("7f3a", "41", "42", PLAN.weights, starts, state)
    routing = Routing("42") if state is RolloutState.DONE else Routing("41", "42", PLAN.weights[step - 1])
    if state is RolloutState.ROLLED_BACK:
        routing = Routing("41")
    return replace(AliasState(routing, "r2", marker=found), **changes)  # type: ignore[arg-type]


BEGUN = replace(PLAN, is_begun=True)
OBSERVER = replace(PLAN, only_observes=True)
KNOWN = Known(at_step(1).marker, at_step(1).routing)
PAUSED = at_step(1, RolloutState.PAUSE)
BY_ENGINE = replace(PAUSED, marker=replace(PAUSED.marker, cause=Cause.SLOW, pauses=2))
THIRD_TIME = replace(PAUSED, marker=replace(PAUSED.marker, cause=Cause.SLOW, pauses=3))
NO_TRAFFIC = replace(PAUSED, marker=replace(PAUSED.marker, cause=Cause.BLIND, pauses=1))
LAST = at_step(3)
ALL_AT_ONCE = replace(PLAN, steps=())
SHOWS = replace(PLAN, steps=(Step(10, 300, Ends.SHOWN), *PLAN.steps[1:]))
COMPARES = replace(PLAN, steps=(Step(10, 300, Ends.SIMILAR, goal_pct=2.0), *PLAN.steps[1:]))
OLD = replace(at_step(1), marker=replace(at_step(1).marker, weights=()))

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
    ("before its minutes are judged a place goes on", PLAN, at_step(1), judged(240), 10_000, Wait(60, "")),
    ("a clock that went backwards waits", PLAN, at_step(1), OK, -50, Wait(300, "")),
    ("after its judged minutes the next place", PLAN, at_step(1), judged(300), 1, SetWeight(2, 50, "")),
    ("after the second place the last one", PLAN, at_step(2), judged(600), 600, SetWeight(3, 95, "")),
    ("the last place is judged like any other", PLAN, LAST, judged(60), 10_000, Wait(60, "")),
    ("behind the last place all traffic, and done", PLAN, LAST, judged(120), 120, Promote("")),
    ("evidence whose conditions are open is no pass", PLAN, at_step(1), judged(600, OPEN), 900, Wait(60, "")),
    ("what cannot be seen is no pass", PLAN, at_step(1), judged(300, UNSEEN), 900, Wait(60, "")),
    ("what was not compared is no pass", PLAN, at_step(1), judged(300, NOT_COMPARED), 900, Wait(60, "")),
    ("one judged minute shows nothing", SHOWS, at_step(1), judged(60, has_shown=True), 900, Wait(240, "")),
    ("a place ends once a total failure would have shown", SHOWS, at_step(1), judged(120, has_shown=True), 9, SetWeight(2, 50, "")),
    ("what shows nothing ends with its longest time", SHOWS, at_step(1), judged(300), 900, SetWeight(2, 50, "")),
    ("two judged minutes prove no likeness", COMPARES, at_step(1), judged(120, gap_pct=1.0), 900, Wait(180, "")),
    ("a place ends once the versions are alike", COMPARES, at_step(1), judged(180, gap_pct=1.9), 9, SetWeight(2, 50, "")),
    ("a gap as large as the goal is not below it", COMPARES, at_step(1), judged(180, gap_pct=2.0), 900, Wait(120, "")),
    ("a gap that nobody knows ends nothing", COMPARES, at_step(1), judged(180), 900, Wait(120, "")),
    ("what proves no likeness ends with its longest time", COMPARES, at_step(1), judged(300, gap_pct=9.0), 900, SetWeight(2, 50, "")),
    ("an alarm rolls back inside a bake", PLAN, at_step(1), RED, 10, Rollback("")),
    ("an alarm rolls back at the end of a bake", PLAN, at_step(1), RED, 600, Rollback("")),
    ("an alarm rolls back in the last place", PLAN, LAST, RED, 10, Rollback("")),
    ("an alarm rolls back in a pause", PLAN, PAUSED, RED, 10, Rollback("")),
    ("an alarm that was red before it began says nothing", PLAN, at_step(1), judged(300, RED_SINCE_ALWAYS), 300, SetWeight(2, 50, "")),
    ("an alarm red since nobody knows when rolls back", PLAN, at_step(1), RED_SINCE_WHEN, 10, Rollback("")),
    ("an alarm that was deleted rolls back", PLAN, at_step(1), GONE, 10, Rollback("")),
    ("alarms that are all gone roll back", PLAN, at_step(1), NONE, 10, Rollback("")),
    ("an alarm without data holds nothing up", PLAN, at_step(1), judged(300, SILENT), 300, SetWeight(2, 50, "")),
    ("ten minutes without numbers pause", PLAN, at_step(1), BLIND, 10, Pause("", Cause.BLIND)),
    ("a comparison that failed rolls back", PLAN, at_step(1), WORSE, 10, Rollback("")),
    ("a comparison that failed rolls back in a pause", PLAN, PAUSED, WORSE, 10, Rollback("")),
    ("a canary that is only slower pauses", PLAN, at_step(1), SLOWER, 10, Pause("", Cause.SLOW)),
    ("a canary that is throttled more than last week pauses", PLAN, LAST, THROTTLED, 10, Pause("", Cause.THROTTLES)),
    ("a throttled canary pauses whatever slowness does", replace(PLAN, on_slow=OnSlow.ROLLBACK), LAST, THROTTLED, 10, Pause("", Cause.THROTTLES)),
    ("a slower canary does nothing where nobody asks", replace(PLAN, on_slow=OnSlow.OFF), at_step(1), SLOWER, 10, Wait(300, "")),
    ("a pause of the engine lasts while its cause does", PLAN, BY_ENGINE, SLOWER, 10, Wait(990, "")),
    ("a pause of the engine ends with its cause", PLAN, BY_ENGINE, SLOWER_NO_MORE, 10, Resume("")),
    ("a pause for want of metrics ends when they are back", PLAN, NO_TRAFFIC, OK, 10, Resume("")),
    ("a pause for want of metrics lasts until they are back", PLAN, NO_TRAFFIC, UNSEEN, 10, Wait(990, "")),
    ("a pause does not end while something else holds", PLAN, BY_ENGINE, THROTTLED, 10, Wait(990, "")),
    ("the third pause of the engine is a person's to end", PLAN, THIRD_TIME, SLOWER_NO_MORE, 10, Wait(990, "")),
    ("a cause that never ends goes back", PLAN, BY_ENGINE, SLOWER, 1000, Rollback("")),
    ("a person's pause does not end by itself", PLAN, PAUSED, SLOWER_NO_MORE, 10, Wait(990, "")),
    ("a slower canary stays paused", PLAN, PAUSED, SLOWER, 10, Wait(990, "")),
    ("a slower canary rolls back when the settings say so", replace(PLAN, on_slow=OnSlow.ROLLBACK), at_step(1), SLOWER, 10, Rollback("")),
    ("a pause is waited for", PLAN, PAUSED, OK, 999, Wait(1, "")),
    ("a pause nobody ends goes back", PLAN, PAUSED, OK, 1000, Rollback("")),
    ("an observer goes on over an alarm", OBSERVER, at_step(1), judged(300, RED), 300, SetWeight(2, 50, "")),
    ("an observer goes on over a failed comparison", OBSERVER, at_step(1), judged(300, WORSE), 300, SetWeight(2, 50, "")),
    ("an observer does not wait for proof", OBSERVER, at_step(1), judged(300, OPEN), 300, SetWeight(2, 50, "")),
    ("an observer that sees nothing goes on by the clock", OBSERVER, at_step(1), BLIND, 900, SetWeight(2, 50, "")),
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
    ("weights Lambda itself shows are waited for", PLAN, replace(LAST, routing=Routing("42", "41", 100)), OK, 60, Wait(240, "")),
    ("the gates are asked while Lambda moves the weights", PLAN, replace(LAST, routing=Routing("42", "41", 100)), WORSE, 60, Rollback("")),
    ("a rollout goes on with the weights that it began with", replace(PLAN, steps=(Step(1, 60), Step(50, 60))), at_step(1), judged(60), 900, SetWeight(2, 50, "")),
    ("a place that the settings lost is judged as long as their longest", replace(PLAN, steps=(Step(1, 60), Step(99, 180))), at_step(2), judged(120), 900, Wait(60, "")),
    ("a rollout that another release of the tool began is refused", PLAN, OLD, OK, 10, Refuse("", "")),
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
            weights=st.sampled_from([(), (10,), PLAN.weights]),
            starts=st.lists(st.integers(0, 2 * START), max_size=5).map(tuple),
            state=st.sampled_from(RolloutState),
            since_s=st.integers(0, 5000),
            cause=st.one_of(st.none(), st.sampled_from(Cause)),
            pauses=st.integers(0, 4),
        ),
    ),
)
# Half of them are where the marker says they are, or the interesting rules would hardly ever be reached.
plausible = st.builds(
    lambda step, state, since_s: replace(
        at_step(step, state), marker=replace(at_step(step).marker, state=state, since_s=since_s)
    ),
    st.integers(1, 3),
    st.sampled_from([RolloutState.RUN, RolloutState.PAUSE]),
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
            Verdict, st.sampled_from(Outcome), st.just("why"), st.sampled_from(["errors", *canary.CAUSES])
        ),
        max_size=2,
    ).map(tuple),
    blind_s=st.floats(0, 5000),
    judged_s=st.sampled_from([0, 60, 300, 900]),
    holds=st.frozensets(st.sampled_from([cause.value for cause in Cause])),
)


@given(
    alias=st.one_of(aliases, plausible),
    evidence=evidences,
    now=st.floats(START - 1000, START + 6000),
    is_begun=st.booleans(),
)
def test_decide_is_total_and_only_pass_promotes(alias, evidence, now, is_begun):
    """Whatever it is shown, it decides; and more traffic never follows from less than a pass, judged in time."""
    plan = replace(PLAN, is_begun=is_begun)
    decision = canary.decide(plan, alias, evidence, now)
    moving_on = isinstance(decision, Promote) or (isinstance(decision, SetWeight) and decision.step > 1)
    if moving_on:
        assert AlarmState.MISSING not in {reading.state for reading in evidence.alarms.values()}
        assert evidence.verdicts
        assert {found.outcome for found in evidence.verdicts} == {Outcome.PASS}
        assert evidence.judged_s >= 60
    if isinstance(decision, SetWeight | Promote):
        assert not is_begun or (alias.marker is not None and alias.marker.id == PLAN.id)


def test_what_no_traffic_proved_says_so_where_it_is_announced():
    """The last write's reason tells whoever hears of it that the release was not proved."""
    assert (
        "no traffic proves version 42"
        in canary.decide(replace(PLAN, proves=False), LAST, judged(120), START + 120).reason
    )
    assert "proves" not in canary.decide(PLAN, LAST, judged(120), START + 120).reason
