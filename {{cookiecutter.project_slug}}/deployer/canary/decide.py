"""Decide the next move of a rollout. Pure: no AWS, no clock, no I/O.

The alias is read back before every decision and is the only state, so a killed rollout goes on by asking
again. What is true in each state, and what may happen in it:

    no marker, no weights    not started: refuse, or first place, or all at once when the plan has no steps
    run                      stable and canary share the traffic: wait, next place, done, pause, back
    pause                    as run, but time moves nothing on: wait, go on once the cause is over, back
    done, rolled-back        nothing of this rollout is left to do
    weights, no marker       somebody else shifts traffic: refuse

A place ends on judged time alone: closed whole minutes, which the gate counts. In the last place the stable
version keeps a little traffic as a control; behind it one write gives the canary all traffic, and is done.

The gates are asked in every state in which the canary has traffic, a pause included.
"""

from __future__ import annotations

from deployer.canary import marker as markers
from deployer.canary.decision import Decision, Done, Pause, Promote, Refuse, Resume, Rollback, SetWeight, Wait
from deployer.model import (
    AlarmState,
    AliasState,
    Cause,
    Ends,
    Evidence,
    Marker,
    OnSlow,
    Outcome,
    RolloutPlan,
    RolloutState,
    Routing,
    Step,
)

BLIND_LIMIT_S = 600.0
TRANSIENT_S = 300.0
MOST_PAUSES = 2  # that the engine ends by itself; later ones are a person's to end
# What counts as shown after one minute may be one bad event; as similar after two, a quiet spell.
LEAST_SHOWN_S = 120
LEAST_SIMILAR_S = 180
CAUSES = {"slow calls": Cause.SLOW, "throttles": Cause.THROTTLES}
LATEST = "$LATEST"


def decide(plan: RolloutPlan, alias: AliasState, evidence: Evidence, now: float) -> Decision:
    """Return the one thing to do now; the first rule that matches wins.

    `now` is in seconds since the epoch. Total: every combination of arguments has a decision, and none of
    them raises.
    """
    marker, target = alias.marker, plan.target
    if marker is not None and marker.is_active:
        if marker.id != plan.id or marker.to_version != target:
            return Refuse(
                f"version {marker.to_version} is being rolled out by `{marker.id}`",
                "deployer status, then wait for it or `deployer rollback`",
            )
        if not marker.weights:
            return Refuse(
                f"version {target} began its rollout by another release of this tool",
                "`deployer rollback`, then start it again",
            )
        if not markers.leaves_room(alias.text, marker):
            return Rollback(f"{len(alias.text)} characters of other text leave the marker no room")
        if alias.routing != expected_routing(marker):
            return _unexpected(plan, alias, evidence, now)
        return _go_on(plan.following(marker.weights), marker, evidence, now)
    if plan.known is not None and plan.known.is_left_on(alias):
        return Rollback(
            "the rollout's marker is gone from the alias's description, and its traffic is still there"
        )
    if plan.is_begun:
        return _ended_elsewhere(plan, marker)
    if alias.routing.canary is not None:
        return Refuse(
            f"the alias already sends {alias.routing.weight_pct} % to version {alias.routing.canary}, "
            "and not by a rollout of this tool",
            "deployer rollback",
        )
    if alias.routing.stable == target:
        return Done(RolloutState.DONE, f"version {target} already serves all traffic")
    return _begin(plan, alias, evidence)


def _unexpected(plan: RolloutPlan, alias: AliasState, evidence: Evidence, now: float) -> Decision:
    """Decide when the traffic is not where the marker says: for a while that may be Lambda's own doing.

    A canary without any traffic was taken back by hand, and that is written down. Whatever else somebody did
    stays as it is, and so does the guard's alarm.

    Source: with provisioned concurrency the weights move when the new version's is ready,
    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    marker, routing = alias.marker, alias.routing
    if marker is None:
        return Refuse("the alias has no marker", "deployer status")
    broken = _what_is_wrong(plan, marker, evidence) if marker.starts else None
    if isinstance(broken, Rollback) and not plan.only_observes:
        return broken
    left_s = marker.at + TRANSIENT_S - now
    if 0 < left_s <= TRANSIENT_S and expected_routing(marker) is not None:
        return Wait(left_s, "the traffic is not where it was sent yet")
    if routing.stable == marker.from_version and not routing.weight_pct:
        return Rollback(f"the traffic of version {plan.target} was taken away by hand")
    if LATEST in (routing.stable, routing.canary):
        return Refuse(
            f"the alias was pointed at `{LATEST}` while version {plan.target} was rolled out",
            "deployer rollback",
        )
    return Refuse(
        f"the alias was changed by hand while version {plan.target} was rolled out", "deployer rollback"
    )


def _ended_elsewhere(plan: RolloutPlan, marker: Marker | None) -> Decision:
    """Say how a rollout ended that is no longer active on the alias."""
    if marker is None or marker.id != plan.id:
        return Refuse(f"the rollout `{plan.id}` is no longer on the alias", "deployer status")
    if marker.state is RolloutState.DONE:
        return Done(RolloutState.DONE, f"version {plan.target} already serves all traffic")
    why = marker.why or "no reason kept"
    return Done(RolloutState.ROLLED_BACK, f"version {plan.target} was rolled back: {why}")


def _begin(plan: RolloutPlan, alias: AliasState, evidence: Evidence) -> Decision:
    """Refuse what must not start; else move the first share of traffic.

    A red alarm does not block the release that may be its cure, as long as the canary can be compared.
    """
    if len(alias.text) > markers.MAX_TEXT:
        return Refuse(
            f"the alias's description has {len(alias.text)} characters of its own, "
            f"at most {markers.MAX_TEXT} leave room for the rollout's marker",
            "shorten it: aws lambda update-alias --description TEXT",
        )
    if not evidence.alarms:
        return Refuse("no alarm watches the function", "deployer apply, or name alarms in deploy.toml")
    missing = _in_state(evidence, AlarmState.MISSING)
    if missing:
        return Refuse(f"alarm `{missing[0]}` does not exist", "deployer apply, or correct it in deploy.toml")
    if plan.steps and alias.routing.stable == LATEST:
        return Refuse(
            f"the alias points at `{LATEST}`, which cannot share its traffic",
            "deployer rollback --to VERSION",
        )
    firing = _in_state(evidence, AlarmState.ALARM)
    caution = f"; alarm `{firing[0]}` was in ALARM before it began" if firing else ""
    if plan.skip_reason:
        return Promote(f"steps skipped: {plan.skip_reason}{caution}")
    if not plan.steps:
        if firing and not plan.is_forced:
            return Refuse(
                f"alarm `{firing[0]}` is in ALARM, and without steps nothing can be compared",
                "wait until it is OK, or --force REASON if this release is its cure",
            )
        return Promote(f"the plan has no steps: all traffic at once{caution}")
    return SetWeight(
        1, plan.steps[0].weight_pct, f"first step, {plan.steps[0].weight_pct} % of traffic{caution}"
    )


def _go_on(plan: RolloutPlan, marker: Marker, evidence: Evidence, now: float) -> Decision:
    """Decide while the canary has traffic: what is wrong first, then judged time, then what is still open."""
    paused = marker.state is RolloutState.PAUSE
    broken = _what_is_wrong(plan, marker, evidence)
    if broken and not plan.only_observes and not (paused and isinstance(broken, Pause)):
        return broken
    observed = f"; observed only: {broken.reason}" if broken and plan.only_observes else ""
    if paused:
        return _stay_paused(plan, marker, evidence, now, observed)
    step = plan.steps[marker.step - 1]
    over = _why_over(step, evidence)
    if plan.only_observes and now - marker.at >= step.bake_s + BLIND_LIMIT_S:
        over = over or f"{now - marker.at:.0f} s have passed"
    if over is None:
        name = f"step {marker.step}/{len(plan.steps)} at {step.weight_pct:g} %"
        return Wait(
            max(1.0, step.bake_s - evidence.judged_s),
            f"{name}: {evidence.judged_s} of {_until(step)} judged{observed}",
        )
    unknown = _what_is_open(evidence)
    if unknown and not plan.only_observes:
        return Wait(60.0, f"{unknown}: not taken for good")
    silent = _in_state(evidence, AlarmState.INSUFFICIENT_DATA)
    unseen = f"; alarm `{silent[0]}` has no data" if silent else ""
    return next_move(plan, marker, f"{over}{unseen}{observed}")


def _stay_paused(
    plan: RolloutPlan, marker: Marker, evidence: Evidence, now: float, observed: str
) -> Decision:
    """Decide in a pause: one that the engine began ends with its cause, the first two of a rollout."""
    paused_s = max(0.0, now - marker.at)
    if marker.cause is not None and marker.pauses <= MOST_PAUSES and not evidence.holds:
        return Resume(f"what it was paused for is over ({marker.cause.value}), after {paused_s:.0f} s")
    left_s = plan.max_pause_s - paused_s
    if left_s > 0:
        return Wait(left_s, f"paused for {paused_s:.0f} of at most {plan.max_pause_s} s{observed}")
    return Rollback(f"paused for {plan.max_pause_s} s and nobody decided")


def next_move(plan: RolloutPlan, marker: Marker, reason: str) -> SetWeight | Promote:
    """Return what comes after the present place."""
    if marker.step < len(plan.steps):
        return SetWeight(marker.step + 1, plan.steps[marker.step].weight_pct, reason)
    return Promote(reason if plan.proves else f"{reason}; no traffic proves version {plan.target}")


def _why_over(step: Step, evidence: Evidence) -> str | None:
    """Return why the present place is over, None while it is not."""
    judged_s, gap_pct = evidence.judged_s, evidence.gap_pct
    share = f"at {step.weight_pct:g} %"
    if step.ends is Ends.SHOWN and judged_s >= LEAST_SHOWN_S and evidence.has_shown:
        return f"{judged_s} s {share} would have shown a version that fails every call"
    similar = step.ends is Ends.SIMILAR and judged_s >= LEAST_SIMILAR_S and gap_pct is not None
    if similar and gap_pct is not None and gap_pct < step.goal_pct:
        return f"{judged_s} s {share} show: at most {gap_pct:.1f} percentage points worse"
    if judged_s < step.bake_s:
        return None
    if step.ends is Ends.SIMILAR:
        worse = "nothing is known" if gap_pct is None else f"at most {gap_pct:.1f} percentage points worse"
        return f"{judged_s} s {share} were good: {worse}, {step.goal_pct:g} was the goal"
    return f"{judged_s} s {share} were good"


def _until(step: Step) -> str:
    """Say how long a place is judged."""
    return f"{step.bake_s} s" if step.ends is Ends.TIME else f"at most {step.bake_s} s"


def _what_is_wrong(plan: RolloutPlan, marker: Marker, evidence: Evidence) -> Rollback | Pause | None:
    """Return why the canary must go, or must not go on, or None."""
    began = marker.starts[0]
    for name, reading in sorted(evidence.alarms.items()):
        if reading.state is AlarmState.MISSING:
            return Rollback(f"alarm `{name}` no longer exists")
        # One that was red before the rollout began says nothing about the canary.
        if reading.state is AlarmState.ALARM and (reading.since is None or reading.since >= began):
            return Rollback(f"alarm `{name}` went to ALARM")
    if not evidence.alarms:
        return Rollback("no alarm watches the function any more")
    failed = [verdict for verdict in evidence.verdicts if verdict.outcome is Outcome.FAIL]
    for verdict in failed:
        cause = CAUSES.get(verdict.metric)
        if cause is None or (cause is Cause.SLOW and plan.on_slow is OnSlow.ROLLBACK):
            return Rollback(verdict.sentence)
    for verdict in failed:
        cause = CAUSES[verdict.metric]
        if cause is not Cause.SLOW or plan.on_slow is OnSlow.PAUSE:
            return Pause(verdict.sentence, cause)
    if evidence.blind_s >= BLIND_LIMIT_S:
        return Pause(f"nothing could be measured for {evidence.blind_s:.0f} s", Cause.BLIND)
    return None


def _what_is_open(evidence: Evidence) -> str | None:
    """Return why the canary cannot be called good yet, or None: not seen, or evidence that is open."""
    if not evidence.verdicts:
        return "the versions were not compared"
    unproven = (Outcome.INCONCLUSIVE, Outcome.UNMEASURABLE)
    return next((v.sentence.rstrip(".") for v in evidence.verdicts if v.outcome in unproven), None)


def _in_state(evidence: Evidence, state: AlarmState) -> list[str]:
    return sorted(name for name, reading in evidence.alarms.items() if reading.state is state)


def expected_routing(marker: Marker) -> Routing | None:
    """Return where the alias must send traffic at the marker's place; None for one the rollout lacks."""
    if not 1 <= marker.step <= marker.steps:
        return None
    return Routing(marker.from_version, marker.to_version, marker.weights[marker.step - 1])
