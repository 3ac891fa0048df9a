"""Decide the next move of a rollout. Pure: no AWS, no clock, no I/O.

The alias is read back before every decision and is the only state, so a killed rollout goes on by asking
again. What is true in each state, and what may happen in it:

    no marker, no weights    not started: refuse, or first step, or all at once when the plan has no steps
    run                      stable and canary share the traffic: wait, next step, all traffic, roll back
    bake                     the canary has all traffic: wait, finish, roll back
    done, rolled-back        nothing of this rollout is left to do
    weights, no marker       somebody else shifts traffic: refuse
"""

from __future__ import annotations

from dataclasses import replace

from deployer import marker as markers
from deployer.model import (
    AlarmState,
    AliasState,
    AliasWrite,
    Decision,
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
    Wait,
)


def decide(plan: RolloutPlan, alias: AliasState, evidence: Evidence, now: float) -> Decision:
    """Return the one thing to do now; the first rule that matches wins.

    `now` is in seconds since the epoch. Total: every combination of arguments has a decision, and none of
    them raises.
    """
    marker, target = alias.marker, plan.target
    if marker is not None and marker.is_active:
        if marker.id != plan.id:
            return Refuse(
                f"version {marker.to_version} is being rolled out by `{marker.id}`",
                "deployer status, then wait for it or `deployer rollback`",
            )
        if marker.plan != plan.fingerprint:
            return Refuse(
                f"the steps in deploy.toml changed since version {target} began its rollout",
                "resume from the commit that started it, or `deployer rollback`",
            )
        if alias.routing != _expected_routing(plan, marker):
            return Refuse(
                f"the alias was changed by hand while version {target} was rolled out",
                "deployer rollback",
            )
        return _go_on(plan, marker, evidence, now)
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


def _ended_elsewhere(plan: RolloutPlan, marker: Marker | None) -> Decision:
    """Say how a rollout ended that is no longer active on the alias."""
    if marker is None or marker.id != plan.id:
        return Refuse(f"the rollout `{plan.id}` is no longer on the alias", "deployer status")
    if marker.state is RolloutState.DONE:
        return Done(RolloutState.DONE, f"version {plan.target} already serves all traffic")
    return Done(
        RolloutState.ROLLED_BACK, f"version {plan.target} was rolled back: {marker.why or 'no reason kept'}"
    )


def _begin(plan: RolloutPlan, alias: AliasState, evidence: Evidence) -> Decision:
    """Refuse what must not start; else move the first share of traffic."""
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
    firing = _in_state(evidence, AlarmState.ALARM)
    if firing:
        return Refuse(
            f"alarm `{firing[0]}` is in ALARM before any traffic moved",
            f"wait until it is OK, or start with --despite-alarm {firing[0]} if this release is the fix",
        )
    if not plan.steps:
        return Promote("the plan has no steps: all traffic at once")
    return SetWeight(1, plan.steps[0].weight_pct, f"first step, {plan.steps[0].weight_pct} % of traffic")


def _go_on(plan: RolloutPlan, marker: Marker, evidence: Evidence, now: float) -> Decision:
    """Decide while the canary has traffic: what is wrong first, then what is not yet known, then time."""
    broken = _what_is_wrong(evidence)
    if broken:
        return Rollback(broken)
    baking = marker.state is RolloutState.BAKE
    bake_s = plan.final_bake_s if baking else plan.steps[marker.step - 1].bake_s
    baked_s = max(0.0, now - marker.at)
    share = "all traffic" if baking else f"{plan.steps[marker.step - 1].weight_pct} %"
    if baked_s < bake_s:
        return Wait(
            bake_s - baked_s, f"step {marker.step}/{marker.steps} at {share}: {baked_s:.0f} of {bake_s} s"
        )

    unknown = _what_is_unknown(evidence)
    if unknown and not plan.promote_without_data:
        left_s = bake_s + plan.max_extend_s - baked_s
        if left_s > 0:
            return Wait(left_s, f"{unknown}: extended by up to {plan.max_extend_s} s")
        return Rollback(f"{unknown} after {plan.max_extend_s} s of extension")
    caution = f" ({unknown}; on_no_data = promote)" if unknown else ""
    if baking:
        return Finish(f"watched {bake_s} s at all traffic{caution}")
    if marker.step < len(plan.steps):
        following = plan.steps[marker.step]
        return SetWeight(marker.step + 1, following.weight_pct, f"{bake_s} s at {share} were good{caution}")
    return Promote(f"{bake_s} s at {share} were good{caution}")


def _what_is_wrong(evidence: Evidence) -> str | None:
    """Return why the canary must go, or None."""
    firing = _in_state(evidence, AlarmState.ALARM)
    if firing:
        return f"alarm `{firing[0]}` went to ALARM"
    missing = _in_state(evidence, AlarmState.MISSING)
    if missing:
        return f"alarm `{missing[0]}` no longer exists"
    if not evidence.alarms:
        return "no alarm watches the function any more"
    return next((v.sentence for v in evidence.verdicts if v.outcome is Outcome.FAIL), None)


def _what_is_unknown(evidence: Evidence) -> str | None:
    """Return what cannot be called healthy because nothing is known about it, or None."""
    silent = _in_state(evidence, AlarmState.INSUFFICIENT_DATA)
    if silent:
        return f"alarm `{silent[0]}` has no data"
    return next((v.sentence for v in evidence.verdicts if v.outcome is not Outcome.PASS), None)


def _in_state(evidence: Evidence, state: AlarmState) -> list[str]:
    return sorted(name for name, found in evidence.alarms.items() if found is state)


def _expected_routing(plan: RolloutPlan, marker: Marker) -> Routing | None:
    """Return where the alias must send traffic in the marker's state; None for a step the plan lacks."""
    if marker.state is RolloutState.BAKE:
        return Routing(marker.to_version)
    if not 1 <= marker.step <= len(plan.steps):
        return None
    return Routing(marker.from_version, marker.to_version, plan.steps[marker.step - 1].weight_pct)


def write_for(
    decision: SetWeight | Promote | Finish | Rollback,
    plan: RolloutPlan,
    alias: AliasState,
    now: float,
) -> AliasWrite:
    """Return the one UpdateAlias that carries the decision out: traffic and marker in the same call.

    Raises ValueError when the alias's own text leaves no room for the marker, which `decide` refuses first.
    """
    before = alias.marker if alias.marker is not None and alias.marker.is_active else None
    marker = before or Marker(
        id=plan.id,
        from_version=alias.routing.stable,
        to_version=plan.target,
        step=0,
        steps=len(plan.steps),
        at=int(now),
        plan=plan.fingerprint,
        state=RolloutState.RUN,
    )
    match decision:
        case SetWeight(step, weight_pct, _):
            marker = replace(marker, step=step, at=int(now), state=RolloutState.RUN)
            description = markers.render(alias.text, marker)
            return AliasWrite(marker.from_version, description, canary=plan.target, weight_pct=weight_pct)
        case Promote():
            state = RolloutState.BAKE if plan.final_bake_s > 0 else RolloutState.DONE
            marker = replace(marker, at=int(now), state=state)
            return AliasWrite(plan.target, markers.render(alias.text, marker))
        case Finish():
            marker = replace(marker, at=int(now), state=RolloutState.DONE)
            return AliasWrite(plan.target, markers.render(alias.text, marker))
        case Rollback(reason):
            return rollback_write(alias, target=marker.from_version, reason=reason)


def rollback_write(alias: AliasState, *, target: str, reason: str) -> AliasWrite:
    """Return the one UpdateAlias that gives all traffic to `target` and clears the weights.

    It works on every alias: without a readable marker, or without room for one, the people's own text stays
    and only the marker is left out, since traffic matters more than the record.
    """
    if alias.marker is None:
        return AliasWrite(target, alias.text)
    marker = replace(alias.marker, state=RolloutState.ROLLED_BACK, why=reason)
    try:
        return AliasWrite(target, markers.render(alias.text, marker))
    except ValueError:
        return AliasWrite(target, alias.text)
