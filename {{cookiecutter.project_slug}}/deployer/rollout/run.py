"""Move the alias by decisions: `tick` reads, asks `canary.decide`, writes at most once. Shell.

Nothing is kept between ticks but the alias itself, so a killed process loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import decide as canary
from deployer.canary import moves
from deployer.canary.decision import (
    Decision,
    Done,
    Finish,
    Pause,
    Promote,
    Refuse,
    Rollback,
    SetWeight,
    Tick,
    Wait,
)
from deployer.canary.moves import Wish
from deployer.clock import Clock
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, RolloutPlan, RolloutState, Routing
from deployer.rollout.gate import Gate

POLL_S = 15.0
CONFLICT_LIMIT = 10
_SLICE_S = 0.5


@dataclass
class Stop:
    """Set by a signal handler; looked at between calls, so that no call is torn apart."""

    signal: str | None = None

    def __call__(self, name: str) -> None:
        """Ask for an orderly end."""
        self.signal = name


@dataclass(frozen=True)
class Rollout:
    """What one rollout needs to know; the same on a resume."""

    plan: RolloutPlan
    gate: Gate
    tell: Callable[[Tick], None]
    stop: Stop = field(default_factory=Stop)
    holds_on_cancel: bool = False
    tell_back: Callable[[AliasWrite, str], None] = lambda _write, _reason: None  # a rollback outside a tick


def tick(aws: Aws, plan: RolloutPlan, gate: Gate, clock: Clock) -> Tick:
    """Read alias, alarms and metrics, decide, and write at most once: six calls at the most.

    Raises Conflict when the alias moved between the read and the write, Unavailable when AWS did not answer.
    """
    alias = aws.alias()
    now = clock.now()
    evidence = gate.look(aws, plan, alias, now)
    decision = canary.decide(plan, alias, evidence, now)
    match decision:
        case SetWeight() | Promote() | Pause() | Finish() | Rollback():
            made = Tick(now, alias, evidence, decision, moves.write_for(decision, plan, alias, now))
            return _carry_out(aws, made)
        case Wait() | Refuse() | Done():
            return Tick(now, alias, evidence, decision)


def _carry_out(aws: Aws, made: Tick) -> Tick:
    """Write what a tick decided; an error tells what was attempted, since it may have been carried out."""
    if made.written is not None:
        try:
            aws.update_alias(made.written, revision=made.alias.revision)
        except (Conflict, Unavailable) as error:
            error.attempted = made
            raise
    return made


def run(aws: Aws, rollout: Rollout, clock: Clock) -> Tick:
    """Tick until the rollout is done, rolled back or refused; returns the last tick.

    A signal, or an AWS that cannot be asked for ten minutes, rolls back. Raises DeployerError (exit 130)
    after a signal, and passes on what stops it otherwise, after trying to roll back.
    """
    plan, conflicts, blind_since = rollout.plan, 0, None
    unanswered: Tick | None = None
    while True:
        if rollout.stop.signal:
            raise _interrupted(aws, rollout, unanswered)
        try:
            last = tick(aws, plan, rollout.gate, clock)
            if unanswered is not None and _shows(last.alias, unanswered.written):
                rollout.tell(unanswered)
            rollout.tell(last)
        except (Conflict, Unavailable) as error:
            unanswered = error.attempted or unanswered
            conflicts += isinstance(error, Conflict)
            blind_since = blind_since or clock.now()
            if conflicts > CONFLICT_LIMIT or clock.now() - blind_since >= canary.BLIND_LIMIT_S:
                _roll_back_after(aws, rollout, error)
                raise
            if isinstance(error, Unavailable):
                _wait(clock, POLL_S, rollout.stop)
            continue
        except Exception as error:
            _roll_back_after(aws, rollout, error)
            raise
        conflicts, blind_since, unanswered = 0, None, None
        if _is_last(last.decision, plan):
            return last
        plan = replace(plan, is_begun=True)
        if isinstance(last.decision, Wait):
            _wait(clock, min(last.decision.seconds, POLL_S), rollout.stop)


def begin(aws: Aws, rollout: Rollout, clock: Clock) -> Tick:
    """Take the first step, or refuse it, and return: whoever resumes goes on. Raises what `tick` raises."""
    first = tick(aws, rollout.plan, rollout.gate, clock)
    rollout.tell(first)
    return first


def _is_last(decision: Decision, plan: RolloutPlan) -> bool:
    match decision:
        case Done() | Refuse() | Rollback() | Finish():
            return True
        case Promote():
            return plan.final_bake_s == 0
        case SetWeight() | Pause() | Wait():
            return False


def _wait(clock: Clock, seconds: float, stop: Stop) -> None:
    """Sleep in slices, so that a signal is answered within half a second."""
    until = clock.now() + seconds
    while not stop.signal and (left := until - clock.now()) > 0:
        clock.sleep(min(left, _SLICE_S))


def _interrupted(aws: Aws, rollout: Rollout, unanswered: Tick | None) -> DeployerError:
    with suppress(Unavailable):  # what cannot be told now must not stand in the way of rolling back
        if unanswered is not None and _shows(aws.alias(), unanswered.written):
            rollout.tell(unanswered)
    if rollout.holds_on_cancel:
        return DeployerError(
            f"stopped by {rollout.stop.signal}, and the traffic stays as it is (on_cancel = hold)",
            hint="deployer rollout resume, or `deployer rollback`",
            exit_code=Exit.INTERRUPTED,
        )
    outcome = roll_back(aws, reason=f"stopped by {rollout.stop.signal}", only_owner=rollout.plan.id)
    where = f"all traffic is on version {outcome.version}" if outcome.version else outcome.reason
    if outcome.write is not None:
        rollout.tell_back(outcome.write, outcome.reason)
    return DeployerError(
        f"stopped by {rollout.stop.signal}, {where}",
        hint="run the release again; it starts from the first step",
        exit_code=Exit.INTERRUPTED,
    )


def _roll_back_after(aws: Aws, rollout: Rollout, error: Exception) -> None:
    """Roll back because of `error`; when that fails too, `error` says so and stays the one raised.

    Also before anything is known to have been written: the answer to the first write may be what was lost.
    """
    try:
        done = roll_back(aws, reason=f"stopped by an error: {error}", only_owner=rollout.plan.id)
        error.add_note(f"all traffic is on version {done.version}" if done.version else done.reason)
        if done.write is not None:
            rollout.tell_back(done.write, done.reason)
    except DeployerError as second:
        error.add_note(f"rolling back failed as well: {second.what}; run `deployer rollback`")


@dataclass(frozen=True)
class RolledBack:
    """How a rollback ended; `version` is None when there was nothing to roll back."""

    version: str | None
    reason: str
    write: AliasWrite | None = None


def roll_back(aws: Aws, *, reason: str, only_owner: str | None = None, to: str | None = None) -> RolledBack:
    """Give all traffic to the version that was stable before, with one UpdateAlias, and verify it.

    With `only_owner`, only that owner's running rollout is touched. A conflict means the alias moved: it is
    read and judged again, until it shows what was written or a newer rollout's id; so is a call without an
    answer, and the client has waited between its own tries by then.
    Raises DeployerError (exit 5) when there is no earlier version to go back to, Unavailable.
    """
    tried: AliasWrite | None = None
    unanswered: Unavailable | None = None
    for _ in range(CONFLICT_LIMIT):
        try:
            alias = aws.alias()
            if tried is not None and _shows(alias, tried):
                return RolledBack(tried.version, reason, tried)
            choice = _rollback_write(alias, reason=reason, only_owner=only_owner, to=to)
            if isinstance(choice, RolledBack):
                return choice
            tried = choice
            aws.update_alias(choice, revision=alias.revision)
        except Conflict:
            continue
        except Unavailable as error:
            unanswered = error
    if unanswered is not None:
        raise unanswered
    raise DeployerError(
        "the alias keeps moving, so the rollback could not be verified",
        found=f"found it changed {CONFLICT_LIMIT} times in a row",
        hint="deployer status, then `deployer rollback`",
    )


def wish(aws: Aws, plan: RolloutPlan, wanted: Wish, clock: Clock, why: str) -> AliasWrite:
    """Carry out what a person asks of the running rollout, from any machine; returns what was written.

    It is meant for the step at which the person asked: once the rollout has moved on, a skip is not repeated.
    Raises DeployerError (exit 5) when no rollout is in a state for it, Conflict when the alias keeps moving.
    """
    step, tried = None, None
    for attempt in range(CONFLICT_LIMIT):
        alias = aws.alias()
        if tried is not None and _shows(alias, tried):
            return tried
        if wanted is Wish.SKIP and step is not None and alias.marker and alias.marker.step != step:
            raise DeployerError(
                "the rollout went to its next step by itself", hint="deployer status", exit_code=Exit.REFUSED
            )
        step = alias.marker.step if alias.marker else None
        tried = moves.write_for_wish(wanted, plan, alias, clock.now(), why)
        try:
            aws.update_alias(tried, revision=alias.revision)
        except Conflict:
            if attempt == CONFLICT_LIMIT - 1:
                raise
            continue
        return tried
    raise AssertionError("the loop returns or raises")


def _shows(alias: AliasState, write: AliasWrite | None) -> bool:
    """Tell whether that write was carried out: a marker is written once, whatever weights Lambda shows."""
    if write is None or (alias.description, alias.routing.stable) != (write.description, write.version):
        return False
    return alias.marker is not None or alias.routing == Routing(write.version, write.canary, write.weight_pct)


def is_owned_by(rollout_id: str, owner: str) -> bool:
    """Tell whether a rollout is an owner's: the very id, or an attempt of a GitHub run (`RUN.ATTEMPT`)."""
    return rollout_id == owner or rollout_id.startswith(f"{owner}.")


def _rollback_write(
    alias: AliasState, *, reason: str, only_owner: str | None, to: str | None
) -> AliasWrite | RolledBack:
    marker, routing = alias.marker, alias.routing
    if only_owner is not None and not (marker and marker.is_active and is_owned_by(marker.id, only_owner)):
        return RolledBack(None, f"no rollout of `{only_owner}` is running: nothing to roll back")
    target = to or earlier_version(alias)
    if target is None:
        raise DeployerError(
            "there is no earlier version to roll back to",
            found=f"found all traffic on version {routing.stable}, and no record of the one before",
            hint="deployer rollback --to VERSION",
            exit_code=Exit.REFUSED,
        )
    if routing == type(routing)(target) and (marker is None or not marker.is_active):
        return RolledBack(None, f"version {target} already serves all traffic")
    return moves.rollback_write(alias, target=target, reason=reason)


def earlier_version(alias: AliasState) -> str | None:
    """Return the version a rollback goes to: the stable one while weights are set, else the one before."""
    marker = alias.marker
    if marker is not None and (marker.is_active or marker.state is RolloutState.DONE):
        return marker.from_version
    if alias.routing.canary is not None or marker is not None:
        return alias.routing.stable
    return None
