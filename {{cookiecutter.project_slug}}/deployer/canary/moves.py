"""A decision, or a person's wish, as the one UpdateAlias that carries it out. Pure.

Traffic and marker always change in the same call; the marker that comes out is what the next `decide` reads.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from deployer.canary import decide as canary
from deployer.canary import marker as markers
from deployer.canary.decision import Finish, Pause, Promote, Rollback, SetWeight
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, Marker, RolloutPlan, RolloutState, Routing

Move = SetWeight | Promote | Pause | Finish | Rollback


class Wish(Enum):
    """What a person may ask of a running rollout, from any machine."""

    PAUSE = "pause"  # keep the weight until somebody resumes
    RESUME = "resume"  # go on from a pause; the step's bake starts again
    SKIP = "skip"  # take the next step now
    PROMOTE = "promote"  # give the canary all traffic now; a final bake still follows
    ABORT = "abort"  # give all traffic back now


def write_for(move: Move, plan: RolloutPlan, alias: AliasState, now: float, *, why: str = "") -> AliasWrite:
    """Return the UpdateAlias of a decision; `why` is the reason a person gave for it, and kept.

    A reason that was kept lasts until the next step, and past the end of the rollout.
    Raises ValueError when the alias's own text leaves no room for the marker, which `decide` refuses first.
    """
    at = int(now)
    marker = alias.marker if alias.marker is not None and alias.marker.is_active else None
    if marker is None and plan.known is not None and plan.known.is_left_on(alias):
        marker = plan.known.marker
    if marker is None:
        marker = Marker(
            id=plan.id,
            from_version=alias.routing.stable,
            to_version=plan.target,
            steps=len(plan.steps),
            starts=(),
            plan=plan.fingerprint,
            state=RolloutState.RUN,
        )
        why = why or plan.skip_reason
    match move:
        case SetWeight(_, weight_pct, _):
            after = _entered(marker, RolloutState.RUN, at, why)
            text = markers.render(alias.text, after)
            return AliasWrite(marker.from_version, text, canary=plan.target, weight_pct=weight_pct)
        case Promote():
            state = RolloutState.BAKE if plan.final_bake_s > 0 else RolloutState.DONE
            # Steps left out begin and end now, so that the marker's step is the one behind the last.
            skipped = (at,) * (len(plan.steps) - marker.step)
            after = _entered(replace(marker, starts=(*marker.starts, *skipped)), state, at, why)
            return AliasWrite(plan.target, markers.render(alias.text, after))
        case Finish():
            after = _stayed(marker, RolloutState.DONE, at, why or marker.why)
            return AliasWrite(plan.target, markers.render(alias.text, after))
        case Pause(reason):
            return _unmoved(alias, _stayed(marker, RolloutState.PAUSE, at, reason))
        case Rollback(reason):
            return rollback_write(alias, target=marker.from_version, reason=reason, known=marker)


def write_for_wish(wish: Wish, plan: RolloutPlan, alias: AliasState, now: float, why: str) -> AliasWrite:
    """Return the UpdateAlias of a person's wish.

    Raises DeployerError (exit 5) when the alias is in no state in which it can be granted.
    """
    marker = alias.marker
    if marker is None or not marker.is_active:
        raise no_rollout(marker)
    if marker.plan != plan.fingerprint and wish not in (Wish.PAUSE, Wish.ABORT):
        raise DeployerError(
            f"the steps in deploy.toml are not those of the running rollout `{marker.id}`",
            found=f"found plan {plan.fingerprint}, expected {marker.plan}",
            hint="do it from the commit that started the rollout; pause and abort work from any",
            exit_code=Exit.REFUSED,
        )
    if wish is not Wish.ABORT and not markers.leaves_room(alias.text, marker):
        raise DeployerError(
            "the alias's description leaves no room for the rollout's marker",
            found=f"found {len(alias.text)} characters of other text, at most {markers.MAX_TEXT} always do",
            hint="shorten the note in the console, or `deployer rollout abort`",
            exit_code=Exit.REFUSED,
        )
    # Whoever moves a rollout on accepts how slow it has been; only what follows is held against it.
    moved_on = replace(marker, accepted_s=max(1, int(now) - marker.starts[0]))
    accepted = replace(alias, marker=moved_on)
    match wish:
        case Wish.PAUSE if marker.state is not RolloutState.PAUSE:
            return _unmoved(alias, _stayed(marker, RolloutState.PAUSE, int(now), why))
        case Wish.RESUME if marker.state is RolloutState.PAUSE:
            state = RolloutState.BAKE if plan.is_bake(marker.step) else RolloutState.RUN
            return _unmoved(alias, _stayed(moved_on, state, int(now), why))
        case Wish.SKIP if not plan.is_bake(marker.step):
            return write_for(canary.next_move(plan, marker, why), plan, accepted, now, why=why)
        case Wish.SKIP:
            return write_for(Finish(why), plan, alias, now, why=why)
        case Wish.PROMOTE if not plan.is_bake(marker.step):
            return write_for(Promote(why), plan, accepted, now, why=why)
        case Wish.ABORT:
            return rollback_write(alias, target=marker.from_version, reason=why)
    raise DeployerError(
        f"the rollout cannot {wish.value} now",
        found=f"found it in state {marker.state.value}, step {marker.step} of {marker.steps}",
        hint="deployer status",
        exit_code=Exit.REFUSED,
    )


def rollback_write(alias: AliasState, *, target: str, reason: str, known: Marker | None = None) -> AliasWrite:
    """Return the one UpdateAlias that gives all traffic to `target` and clears the weights.

    It works on every alias: without a readable marker (`known` is what it was, if anybody knows), or without
    room for one, the people's own text stays and only the marker is left out, since traffic matters more than
    the record.
    """
    marker = alias.marker or known
    if marker is None:
        return AliasWrite(target, alias.text)
    try:
        after = replace(marker, state=RolloutState.ROLLED_BACK, why=reason)
        return AliasWrite(target, markers.render(alias.text, after))
    except ValueError:
        return AliasWrite(target, alias.text)


def _entered(marker: Marker, state: RolloutState, at: int, why: str) -> Marker:
    """Return the marker at the beginning of its next step."""
    return replace(marker, starts=(*marker.starts, at), since_s=0, state=state, why=why)


def _stayed(marker: Marker, state: RolloutState, at: int, why: str = "") -> Marker:
    """Return the marker in the same step, in another state since now."""
    return replace(marker, since_s=max(0, at - marker.starts[-1]), state=state, why=why)


def _unmoved(alias: AliasState, marker: Marker) -> AliasWrite:
    """Return a write that changes the marker and leaves the traffic where it is."""
    routing: Routing = alias.routing
    text = markers.render(alias.text, marker)
    return AliasWrite(routing.stable, text, canary=routing.canary, weight_pct=routing.weight_pct)


def no_rollout(marker: Marker | None) -> DeployerError:
    """Return the error for a wish about a rollout that is not running."""
    return DeployerError(
        "no rollout is running",
        found=f"found {marker.state.value if marker else 'no marker'}, expected run, pause or bake",
        hint="deployer rollout start",
        exit_code=Exit.REFUSED,
    )
