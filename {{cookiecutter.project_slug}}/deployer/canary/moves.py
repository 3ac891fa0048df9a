"""A decision, or a person's wish, as the one UpdateAlias that carries it out. Pure.

Traffic and marker always change in the same call; the marker that comes out is what the next `decide` reads.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from deployer.canary import decide as canary
from deployer.canary import marker as markers
from deployer.canary.decision import Pause, Promote, Resume, Rollback, SetWeight
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, Cause, Marker, RolloutPlan, RolloutState, Routing

Move = SetWeight | Promote | Pause | Resume | Rollback


class Wish(Enum):
    """What a person may ask of a running rollout, from any machine."""

    PAUSE = "pause"  # keep the weight until somebody resumes
    RESUME = "resume"  # go on from a pause; what the place has to be judged for starts again
    SKIP = "skip"  # take the next place now; behind the last one the canary has all traffic
    PROMOTE = "promote"  # give the canary all traffic now, and be done
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
            weights=plan.weights,
            starts=(),
            state=RolloutState.RUN,
        )
        why = why or plan.skip_reason
    match move:
        case SetWeight(_, weight_pct, _):
            after = replace(marker, starts=(*marker.starts, at), since_s=0, state=RolloutState.RUN, why=why)
            text = markers.render(alias.text, replace(after, cause=None))
            return AliasWrite(marker.from_version, text, canary=plan.target, weight_pct=weight_pct)
        case Promote():
            begun = replace(marker, starts=marker.starts or (at,))
            after = _stayed(begun, RolloutState.DONE, at, why or marker.why)
            return AliasWrite(plan.target, markers.render(alias.text, after))
        case Pause(reason, cause):
            paused = replace(_stayed(marker, RolloutState.PAUSE, at, reason), cause=cause)
            return _unmoved(alias, replace(paused, pauses=marker.pauses + 1))
        case Resume():
            # How slow it was is over; it is not held against what follows.
            accepted_s = at - marker.starts[0] if marker.cause is Cause.SLOW else marker.accepted_s
            resumed = _stayed(marker, RolloutState.RUN, at)
            return _unmoved(alias, replace(resumed, accepted_s=accepted_s))
        case Rollback(reason):
            return rollback_write(alias, target=marker.from_version, reason=reason, known=marker)


def write_for_wish(wish: Wish, plan: RolloutPlan, alias: AliasState, now: float, why: str) -> AliasWrite:
    """Return the UpdateAlias of a person's wish.

    Raises DeployerError (exit 5) when the alias is in no state in which it can be granted.
    """
    marker = alias.marker
    if marker is None or not marker.is_active:
        raise no_rollout(marker)
    if not marker.weights and wish is not Wish.ABORT:
        raise DeployerError(
            f"the running rollout `{marker.id}` was begun by another release of this tool",
            found="found a marker without `w=`, expected the shares of its places",
            hint="deployer rollout abort, then start it again",
            exit_code=Exit.REFUSED,
        )
    plan = plan.following(marker.weights)
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
        case Wish.PAUSE if marker.state is not RolloutState.PAUSE or marker.cause is not None:
            return _unmoved(alias, _stayed(marker, RolloutState.PAUSE, int(now), why))
        case Wish.RESUME if marker.state is RolloutState.PAUSE:
            return _unmoved(alias, _stayed(moved_on, RolloutState.RUN, int(now), why))
        case Wish.SKIP:
            return write_for(canary.next_move(plan, marker, why), plan, accepted, now, why=why)
        case Wish.PROMOTE:
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


def _stayed(marker: Marker, state: RolloutState, at: int, why: str = "") -> Marker:
    """Return the marker in the same place, in another state since now, for which the engine has no cause."""
    return replace(marker, since_s=max(0, at - marker.starts[-1]), state=state, cause=None, why=why)


def _unmoved(alias: AliasState, marker: Marker) -> AliasWrite:
    """Return a write that changes the marker and leaves the traffic where it is."""
    routing: Routing = alias.routing
    text = markers.render(alias.text, marker)
    return AliasWrite(routing.stable, text, canary=routing.canary, weight_pct=routing.weight_pct)


def no_rollout(marker: Marker | None) -> DeployerError:
    """Return the error for a wish about a rollout that is not running."""
    return DeployerError(
        "no rollout is running",
        found=f"found {marker.state.value if marker else 'no marker'}, expected run or pause",
        hint="deployer rollout start",
        exit_code=Exit.REFUSED,
    )
