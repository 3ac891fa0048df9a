"""What must be true of every rollout, whatever goes wrong: each a function of what one process did.

They look at what the fake saw and what was told, never at the engine's own idea of it.
"""

from __future__ import annotations

from collections.abc import Callable

from deployer.canary import marker
from deployer.canary.decide import BLIND_LIMIT_S
from deployer.canary.decision import Rollback
from deployer.model import AliasWrite, Outcome, RolloutState, Routing
from deployer.rollout.way_back import SIGNAL_S
from engine.proof.process import CANARY, OUTAGES_S, STABLE, TEXT, Kind, Story, has_failed

Invariant = Callable[[Story], None]
MOST_CALLS_IN_A_TICK = 6
PASSES = {Kind.THROTTLE, Kind.CONFLICT, Kind.LOST, Kind.AWAY_1, Kind.AWAY_5}


def ends_done_or_rolled_back(story: Story) -> None:
    """When nothing is left to do, the canary serves everything and is done, or serves nothing."""
    if story.end != "over":
        return
    ended = (story.after.routing, story.after.state)
    assert ended in (
        (Routing(CANARY), RolloutState.DONE),
        (Routing(STABLE), RolloutState.ROLLED_BACK),
        (Routing(STABLE), None),
    ), f"it ended as {ended}"


def has_never_more_than_two_versions(story: Story) -> None:
    """No write ever names a third version, or a canary without a share."""
    for write in _writes(story):
        assert write.version in (STABLE, CANARY), f"it wrote {write}"
        assert write.canary in (None, CANARY), f"it wrote {write}"
        assert (write.canary is None) == (write.weight_pct == 0), f"it wrote {write}"


def never_raises_the_weight_after_a_fail(story: Story) -> None:
    """Once an alarm went red or the comparison failed, the canary's share only ever falls."""
    if story.scenario.plan.only_observes:
        return
    failed, weight = story.before.has_failed, _weight(story.before.routing)
    failing = [tick.at for tick in story.told if has_failed(tick)]
    for written in story.written:
        after = _weight(_routing(written.write))
        if written.actor == "driver" and (failed or any(at <= written.at for at in failing)):
            assert after <= weight, f"the share went from {weight} to {after} % after a fail"
        weight = after


def rolls_back_what_failed(story: Story) -> None:
    """Give the traffic back in the very tick that is shown a fail."""
    for tick in story.told:
        if has_failed(tick) and not story.scenario.plan.only_observes:
            assert isinstance(tick.decision, Rollback), f"it decided {tick.decision}"


def rolls_back_to_what_was(story: Story) -> None:
    """Leave, after a rollback, the version that was stable, no weights, and the people's own words."""
    for write in _writes(story):
        text, found = marker.parse(write.description)
        assert text == TEXT, f"the text became {text!r}"
        if found is None or found.state is RolloutState.ROLLED_BACK:
            assert _routing(write) == Routing(STABLE), f"it went back to {_routing(write)}"


def writes_under_the_revision_it_decided_on(story: Story) -> None:
    """Every write carries the RevisionId of the very alias the decision was made on."""
    decided = {id(tick.written): tick.alias.revision for tick in story.told if tick.written}
    for written in story.written:
        assert written.revision, "it wrote without a RevisionId"
        assert decided.get(id(written.write), written.revision) == written.revision, "it wrote blindly"


def tells_every_transition_once(story: Story) -> None:
    """Tell what was written exactly once; only who is killed, or ends without an answer, leaves the last untold."""
    told = [tick.written for tick in story.told if tick.written] + list(story.told_back)
    writes = [written.write for written in story.written if written.actor == "driver"]
    for write in told:
        assert told.count(write) == writes.count(write), f"it told {told.count(write)} times: {write}"
    for number, write in enumerate(writes, start=1):
        may_be_untold = number == len(writes) and (story.has_died or story.is_away)
        assert write in told or may_be_untold, f"it never told {write}"


def terminates(story: Story) -> None:
    """However it is disturbed, it is over within the longest time of its plan, and a little for each fault."""
    assert story.end != "endless", "it asks and asks"
    took_s = story.after.at - story.began_at
    assert took_s <= story.scenario.longest_s, f"it took {took_s:.0f} s"


def makes_at_most_six_calls_in_a_tick(story: Story) -> None:
    """Ask AWS at most six times in a tick that nothing disturbs, and write at most once."""
    if not story.faults and not story.was_away and story.end != "gone" and len(story.told) == 1:
        assert len(story.calls) <= MOST_CALLS_IN_A_TICK, f"it made {story.calls}"
    writes_since_a_look = 0
    for call in story.calls:
        writes_since_a_look = {"GetAlias": 0, "UpdateAlias": writes_since_a_look + 1}.get(
            call, writes_since_a_look
        )
        assert writes_since_a_look <= 1, "it wrote twice without looking"


def never_rolls_back_as_an_observer(story: Story) -> None:
    """In observe mode nothing that is measured takes traffic away; a cancel and a person still do."""
    if story.scenario.plan.only_observes:
        for tick in story.told:
            found = tick.alias.marker
            is_paused = found is not None and found.state is RolloutState.PAUSE
            assert is_paused or not isinstance(tick.decision, Rollback), f"it decided {tick.decision}"


def promotes_only_what_passed(story: Story) -> None:
    """More traffic, and all of it, follow from a pass alone."""
    plan = story.scenario.plan
    if plan.only_observes or not plan.steps:
        return
    for tick in story.told:
        if tick.written is None or tick.alias.marker is None or not tick.alias.marker.is_active:
            continue
        found = marker.parse(tick.written.description)[1]
        is_finish = found is not None and found.state is RolloutState.DONE
        if is_finish or _weight(_routing(tick.written)) > _weight(tick.alias.routing):
            outcomes = {verdict.outcome for verdict in tick.evidence.verdicts}
            assert outcomes, "it went on without any verdict"
            assert outcomes == {Outcome.PASS}, f"it went on after {outcomes}"


def judges_every_place(story: Story) -> None:
    """No place ends before its minutes were judged, after they happened, unless a person asked for that."""
    plan = story.scenario.plan
    for tick in story.told:
        found = tick.alias.marker
        if tick.written is None or found is None or not found.is_active:
            continue
        after = marker.parse(tick.written.description)[1]
        if after is None or (after.step == found.step and after.state is not RolloutState.DONE):
            continue
        step = plan.steps[found.step - 1]
        assert after.state is not RolloutState.DONE or found.step == len(plan.steps), "it left places out"
        assert plan.only_observes or tick.evidence.judged_s >= step.bake_s, (
            f"step {found.step} was left after {tick.evidence.judged_s} judged seconds"
        )
        assert tick.at - found.at >= step.bake_s, f"step {found.step} was left after {tick.at - found.at} s"


def answers_a_signal_at_once(story: Story) -> None:
    """End within a second of a cancel that nothing else disturbs, in 7.5 s otherwise: held, or given back."""
    if story.stopped_at is None or story.has_died:
        return
    took_s = story.after.at - story.stopped_at
    assert took_s <= SIGNAL_S + 1.0, f"it went on for {took_s} s"
    if story.was_away or any(fault.kind in OUTAGES_S for fault in story.faults):
        return
    assert took_s <= 1.0 or len(story.faults) > 1, f"it went on for {took_s} s"
    is_untouched = not story.written and story.before.state is None
    if story.raised and not story.scenario.holds_on_cancel and not is_untouched:
        assert story.after.state in (RolloutState.ROLLED_BACK, RolloutState.DONE), (
            f"it left {story.after.state}"
        )


def survives_what_passes(story: Story) -> None:
    """Go on after a conflict, a throttled call, a lost answer, or an AWS that was away for five minutes."""
    if story.was_away or not story.was_driving or not all(fault.kind in PASSES for fault in story.faults):
        return
    if sum(OUTAGES_S.get(fault.kind, 0.0) for fault in story.faults) < BLIND_LIMIT_S:
        assert not story.raised, f"it ended: {story.raised}"


INVARIANTS: tuple[Invariant, ...] = (
    ends_done_or_rolled_back,
    has_never_more_than_two_versions,
    never_raises_the_weight_after_a_fail,
    rolls_back_what_failed,
    rolls_back_to_what_was,
    writes_under_the_revision_it_decided_on,
    tells_every_transition_once,
    terminates,
    makes_at_most_six_calls_in_a_tick,
    never_rolls_back_as_an_observer,
    promotes_only_what_passed,
    judges_every_place,
    answers_a_signal_at_once,
    survives_what_passes,
)


class Broken(AssertionError):
    """An invariant that does not hold, by name, and the faults that led there."""

    def __init__(self, invariant: Invariant, story: Story, found: AssertionError) -> None:
        super().__init__(f"{invariant.__name__}: {found} [{story.scenario.name}; {describe(story)}]")
        self.invariant = invariant.__name__


def check(story: Story) -> None:
    """Hold a story against every invariant. Raises Broken."""
    for invariant in INVARIANTS:
        try:
            invariant(story)
        except AssertionError as error:
            raise Broken(invariant, story, error) from error


def describe(story: Story) -> str:
    """Say what went wrong from outside."""
    faults = [
        f"{fault.kind.value} {'in second ' + str(fault.second) if fault.call is None else 'at call ' + str(fault.call)}"
        for fault in story.faults
    ]
    return ", ".join(faults) or "no fault"


def _writes(story: Story) -> list[AliasWrite]:
    return [written.write for written in story.written]


def _routing(write: AliasWrite) -> Routing:
    return Routing(write.version, write.canary, write.weight_pct)


def _weight(routing: Routing) -> float:
    """Return the canary's share in percent."""
    return 100 if routing.stable == CANARY else routing.weight_pct
