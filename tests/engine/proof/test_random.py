"""Random plans, traffic, faults and wishes from another machine: the same invariants."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.canary.moves import Wish
from deployer.errors import DeployerError
from deployer.model import AlarmState, GateSettings, OnSlow, RolloutPlan, Step
from deployer.rollout import run as rollout
from engine.fakes import Traffic
from engine.proof.invariants import check
from engine.proof.process import Engine, Fault, Kind, Node, Scenario, play

MOST_PROCESSES = 12

seconds = st.integers(1, 1500)
rates = st.sampled_from([0.0, 0.002, 0.02, 0.2, 1.0])
plans = st.builds(
    lambda weights, bakes, **rest: RolloutPlan(
        id="77.1", target="42", steps=tuple(map(Step, sorted(weights), bakes)), **rest
    ),
    weights=st.sets(st.integers(1, 99), max_size=4),
    bakes=st.lists(st.sampled_from([60, 240, 600]), min_size=4, max_size=4),
    max_pause_s=st.sampled_from([60, 300]),
    on_slow=st.sampled_from(OnSlow),
    only_observes=st.booleans(),
)
traffics = st.builds(
    Traffic,
    per_minute=st.sampled_from([0, 6, 60, 600]),
    errors=st.fixed_dictionaries({"41": rates, "42": rates}),
    slow=st.fixed_dictionaries({"41": st.sampled_from([0.0, 0.1]), "42": st.sampled_from([0.0, 0.1, 0.6])}),
    throttled=st.fixed_dictionaries({}, optional={"42": st.sampled_from([0.1])}),
    lag_s=st.sampled_from([0.0, 90.0, 119.0]),
)
alarms = st.lists(
    st.tuples(seconds, st.sampled_from([AlarmState.ALARM, AlarmState.OK, AlarmState.INSUFFICIENT_DATA])),
    max_size=2,
)
faults_of_a_process = st.lists(
    st.one_of(
        st.builds(Fault, st.sampled_from(Kind), call=st.integers(1, 120)),
        st.builds(lambda second: Fault(Kind.CANCEL, second=second), seconds),
    ),
    max_size=4,
    unique_by=lambda fault: fault.call,
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    plan=plans,
    traffic=traffics,
    changes=alarms,
    faults=st.lists(faults_of_a_process, max_size=3),
    wishes=st.lists(st.tuples(seconds, st.sampled_from(Wish)), max_size=3),
    holds=st.booleans(),
    transient_s=st.sampled_from([0.0, 0.0, 100.0]),
)
def test_whatever_happens_the_invariants_hold(  # noqa: PLR0917 - hypothesis passes them by name
    plan, traffic, changes, faults, wishes, holds, transient_s
):
    """Any plan, traffic, faults and wishes: it ends done or rolled back, and every invariant holds on the way."""
    judging = GateSettings(compare_slow=plan.on_slow is not OnSlow.OFF)
    disturbances = len(wishes) + sum(map(len, faults))
    grace_s = disturbances * (
        1200 + plan.max_pause_s + sum(step.bake_s for step in plan.steps) + 600 * len(plan.steps)
    )
    in_order = tuple(sorted(changes, key=lambda change: change[0]))
    scenario = Scenario("random", plan, traffic, in_order, holds, transient_s, grace_s, judging)
    aws = scenario.world()
    for second, wish in wishes:
        aws.clock.at(second, lambda wish=wish: ask(aws, plan, wish))
    node: Node | None = Node(aws)
    for process in range(MOST_PROCESSES):
        given_now = tuple(faults[process]) if process < len(faults) else ()
        played = play(Engine(), scenario, node, given_now, rests=False)
        check(played.story)
        node = played.following
        if node is None:
            break
    assert node is None, "it goes on for ever"


def ask(aws, plan, wish):
    """Ask for something as a person at another machine does; what cannot be granted changes nothing."""

    def wanted():
        with contextlib.suppress(DeployerError):
            rollout.wish(aws, plan, wish, aws.clock, "by a person")

    aws.elsewhere(wanted)
