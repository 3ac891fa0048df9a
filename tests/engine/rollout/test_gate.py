"""The gate: what is asked of AWS, what is remembered, and what a missing answer becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.aws.errors import Unavailable
from deployer.canary.decision import SetWeight
from deployer.canary.moves import write_for
from deployer.judge.counts import Block, Counts
from deployer.model import AlarmState, Ends, GateSettings, Outcome, RolloutPlan, Step
from deployer.rollout.gate import Gate
from deployer.rollout.sample import Sample
from deployer.rollout.sampling import Sampler
from engine.fakes import FakeAws, Traffic, VirtualClock

PLAN = RolloutPlan(id="7f3a", target="42", steps=(Step(10, 300), Step(50, 300), Step(95, 300)))
SETTINGS = GateSettings(compare_slow=True)


@pytest.fixture
def clock():
    """Return a virtual clock."""
    return VirtualClock()


def begun(clock, **about):
    """Return an AWS on which the first step began just now."""
    aws = FakeAws(clock, **about)
    alias = aws.alias()
    aws.update_alias(write_for(SetWeight(1, 10, ""), PLAN, alias, clock.now()), revision=alias.revision)
    aws.calls.clear()
    return aws


def look(gate, aws, clock, plan=PLAN):
    """Look once and return the evidence."""
    return gate.look(aws, plan, aws.alias(), clock.now())


def outcomes(evidence):
    """Return the verdicts' outcomes."""
    return [verdict.outcome for verdict in evidence.verdicts]


def test_before_the_rollout_only_alarms_are_read(clock):
    """There is nothing to compare yet, and nothing is asked."""
    aws = FakeAws(clock)
    assert look(Gate(SETTINGS, ("errors",)), aws, clock).verdicts == ()
    assert aws.calls == ["GetAlias", "DescribeAlarms"]


def test_without_steps_only_alarms_are_read(clock):
    """All traffic at once leaves nothing to compare with."""
    aws = begun(clock)
    assert look(Gate(SETTINGS, ("errors",)), aws, clock, replace(PLAN, steps=())).verdicts == ()


def test_the_time_before_is_read_once(clock):
    """Hour, week and minutes are three metric calls at the first look; later ones take one."""
    aws, gate = begun(clock), Gate(SETTINGS, ("errors",))
    look(gate, aws, clock)
    assert aws.calls.count("GetMetricData") == 3
    look(gate, aws, clock)
    assert aws.calls.count("GetMetricData") == 4


def test_minutes_that_are_not_complete_prove_nothing(clock):
    """No minute is judged before its numbers are complete; a good canary passes, and what it proves is said."""
    aws, gate = begun(clock), Gate(SETTINGS, ("errors",))
    clock.sleep(60)
    assert look(gate, aws, clock).judged_s == 0
    clock.sleep(240)
    found = look(gate, aws, clock)
    assert outcomes(found) == [Outcome.PASS]
    assert (found.judged_s, found.has_shown, found.holds) == (120, False, frozenset())
    assert 0 < found.gap_pct < 100
    shows = replace(PLAN, steps=(replace(PLAN.steps[0], ends=Ends.SHOWN), *PLAN.steps[1:]))
    assert look(gate, aws, clock, shows).has_shown


def test_what_was_paused_is_judged_from_then_on(clock):
    """Minutes before a pause ended count no more for the place; without a pause all of them do."""
    aws, gate = begun(clock), Gate(SETTINGS, ("errors",))
    clock.sleep(600)
    alias = aws.alias()
    for since_s, judged_s in ((300, 120), (0, 420)):
        resumed = replace(alias, marker=replace(alias.marker, since_s=since_s))
        assert gate.look(aws, PLAN, resumed, clock.now()).judged_s == judged_s


def test_another_process_judges_the_same(clock):
    """What a gate remembers is a cache: a new one comes to the same verdicts."""
    aws, gate = begun(clock, traffic=Traffic(errors={"42": 0.2})), Gate(SETTINGS, ("errors",))
    for _ in range(20):
        clock.sleep(20)
        found = look(gate, aws, clock)
        assert look(Gate(SETTINGS, ("errors",)), aws, clock).verdicts == found.verdicts
    assert Outcome.FAIL in outcomes(found)


def test_metrics_that_cannot_be_read_are_a_verdict(clock):
    """Without numbers the alarms still count, and how long nothing was seen is counted from the last reading."""
    aws, gate = begun(clock), Gate(SETTINGS, ("errors",))
    look(gate, aws, clock)
    aws.given_alarm("errors", AlarmState.ALARM)
    for _ in range(2):
        clock.sleep(300)
        aws.given_throttling(len(aws.calls) + 3)
        found = look(gate, aws, clock)
    assert found.alarms["errors"].state is AlarmState.ALARM
    assert (outcomes(found), found.blind_s) == ([Outcome.UNMEASURABLE], 600.0)
    assert look(gate, aws, clock).blind_s == 0.0


def test_alarms_that_cannot_be_read_are_an_error(clock):
    """Alarms are the last thing to go by: not seeing them is the driver's business."""
    aws = begun(clock).given_throttling(2)
    with pytest.raises(Unavailable):
        look(Gate(SETTINGS, ("errors",)), aws, clock)


def sampling(every_s: int) -> Gate:
    """Return a gate that sends a sample that often."""
    sample = Sample(event={"a": "real event"}, answer={"resized": []})
    return Gate(SETTINGS, ("errors",), sampler=Sampler(every_s, sample, {}, lambda _: None))


def test_samples_are_a_stratum_of_their_own(clock):
    """With hardly any traffic, work of our own by both versions is what is compared, one pair per interval."""
    aws = begun(clock, traffic=Traffic(per_minute=0))
    gate = sampling(60)
    for _ in range(40):
        clock.sleep(15)
        found = look(gate, aws, clock)
    assert aws.calls.count("Invoke") == 2 * 10
    assert outcomes(found) == [Outcome.PASS]


def test_a_tick_with_samples_stays_within_six_calls(clock):
    """GetAlias, DescribeAlarms, one GetMetricData, two samples and a write: never samples and the hour before."""
    aws, gate = begun(clock), sampling(15)
    for _ in range(4):
        before = len(aws.calls)
        look(gate, aws, clock)
        assert len(aws.calls) - before <= 5
        clock.sleep(15)


RUNS = tuple(Block(9000, 90 if place % 9 == 0 else 0) for place in range(7 * 24 * 4))


@pytest.mark.parametrize(("week", "is_failed"), [(Traffic().week, True), (RUNS, False)], ids=["calm", "runs"])
def test_errors_of_the_canary_are_judged_by_last_week(clock, week, is_failed):
    """The same errors fail a canary after a calm week, and prove nothing where errors come in runs of ninety."""
    aws = begun(clock, traffic=Traffic(errors={"42": 0.1}, week=week))
    gate = Gate(GateSettings(), ("errors",))
    clock.sleep(400)
    found = look(gate, aws, clock)
    assert (Outcome.FAIL in outcomes(found)) is is_failed
    resumed = look(Gate(GateSettings(), ("errors",)), aws, clock)
    assert resumed == found, "whoever resumes judges otherwise"


def test_a_week_that_came_late_costs_no_seventh_call(clock):
    """While the week before could not be read no sample is sent; the tick that reads it has six calls at most."""
    aws, gate = begun(clock), sampling(15)
    aws.given_failure(4, Unavailable("throttled"))  # after GetAlias, DescribeAlarms and the hour
    assert outcomes(look(gate, aws, clock)) == [Outcome.UNMEASURABLE]
    clock.sleep(15)
    aws.calls.clear()
    look(gate, aws, clock)
    assert "Invoke" not in aws.calls
    assert len(aws.calls) <= 5, "a write is the sixth"


def test_throttles_of_the_last_place_are_held_against_last_week(clock):
    """More of them than in any such time of last week is a verdict, and the cause of a pause."""
    aws = begun(clock, traffic=Traffic(throttled={"41": 0.05, "42": 0.05}))
    for step, weight in ((2, 50), (3, 95)):
        clock.sleep(600)
        alias = aws.alias()
        aws.update_alias(
            write_for(SetWeight(step, weight, ""), PLAN, alias, clock.now()), revision=alias.revision
        )
    gate = Gate(SETTINGS, ("errors",))
    clock.sleep(240)
    assert look(gate, aws, clock).holds == set()
    clock.sleep(600)
    found = look(gate, aws, clock)
    assert [verdict.metric for verdict in found.verdicts] == ["throttles"]
    assert found.holds == {"throttles"}


@pytest.mark.parametrize(("silent_from", "expected"), [(56, Outcome.UNMEASURABLE), (4, Outcome.PASS)])
def test_silence_by_day_is_none_of_the_night(clock, silent_from, expected):
    """Metrics that are an hour late look like a night without calls, and count as one only at its time of day."""
    night = (Block(0, 0),) * 24
    day = (Block(1500, 1),) * 96
    week = tuple((day[:silent_from] + night + day)[:96]) * 7
    aws = begun(clock, traffic=Traffic(per_minute=100, lag_s=3600.0, week=week))
    gate = Gate(SETTINGS, ("errors",))
    clock.sleep(1500)
    assert outcomes(look(gate, aws, clock)) == [expected]


@pytest.mark.parametrize("side", ["stable", "canary"])
def test_one_version_without_metrics_becomes_a_pause(clock, side):
    """For how long nothing was seen of a version is told of either, so that ten minutes of it pause."""
    aws = begun(clock)
    port = aws.metrics()
    found = port.minutes
    port.minutes = lambda *about: tuple(replace(minute, **{side: Counts()}) for minute in found(*about))
    aws.metrics = lambda: port
    clock.sleep(700)
    evidence = look(Gate(SETTINGS, ("errors",)), aws, clock)
    assert outcomes(evidence) == [Outcome.UNMEASURABLE]
    assert (evidence.blind_s, evidence.holds) == (700, {"blind"})
