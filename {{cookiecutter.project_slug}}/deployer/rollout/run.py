"""Move the alias by decisions: `tick` reads, asks `canary.decide`, writes at most once. Shell.

Nothing is kept between ticks but the alias itself, so a killed process loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import decide as canary
from deployer.canary import marker as markers
from deployer.canary import moves
from deployer.canary.decision import (
    Decision,
    Done,
    Pause,
    Promote,
    Refuse,
    Resume,
    Rollback,
    SetWeight,
    Tick,
    Wait,
)
from deployer.canary.moves import Wish
from deployer.clock import Clock
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, Known, RolloutPlan, Routing
from deployer.rollout.gate import Gate
from deployer.rollout.signals import Interrupted, Stop
from deployer.rollout.way_back import JOB_S, Patience, roll_back, shows

POLL_S = 15.0
CONFLICT_LIMIT = 10
_SLICE_S = 0.5


@dataclass(frozen=True)
class Rollout:
    """What one rollout needs to know; the same on a resume."""

    plan: RolloutPlan
    gate: Gate
    tell: Callable[[Tick], None]
    stop: Stop = field(default_factory=Stop)
    holds_on_cancel: bool = False
    tell_back: Callable[[AliasWrite, str], None] = lambda _write, _reason: None  # a rollback outside a tick


def tick(
    aws: Aws,
    plan: RolloutPlan,
    gate: Gate,
    clock: Clock,
    reading: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Tick:
    """Read alias, alarms and metrics, decide, and write at most once: six calls at the most.

    `reading` surrounds what only reads. Raises Conflict when the alias moved between the read and the write,
    Unavailable when AWS did not answer.
    """
    with reading():
        alias = aws.alias()
        now = clock.now()
        evidence = gate.look(aws, plan, alias, now)
    decision = canary.decide(plan, alias, evidence, now)
    match decision:
        case SetWeight() | Promote() | Pause() | Resume() | Rollback():
            made = Tick(now, alias, evidence, decision, moves.write_for(decision, plan, alias, now))
            return _carry_out(aws, made)
        case Wait() | Refuse() | Done():
            return Tick(now, alias, evidence, decision)


def _carry_out(aws: Aws, made: Tick) -> Tick:
    """Write what a tick decided; an error tells what was attempted, since it may have been carried out."""
    if made.written is not None:
        try:
            aws.brisk.update_alias(made.written, revision=made.alias.revision)
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
    rollout.stop.now = clock.now
    while True:
        try:
            last = tick(aws, plan, rollout.gate, clock, rollout.stop.reading)
            _tell_answered(rollout, unanswered, last.alias)
            rollout.tell(last)
        except Interrupted:
            raise _interrupted(aws, replace(rollout, plan=plan), clock, unanswered) from None
        except (Conflict, Unavailable) as error:
            unanswered = error.attempted or unanswered
            conflicts += isinstance(error, Conflict)
            blind_since = blind_since or clock.now()
            if conflicts > CONFLICT_LIMIT or clock.now() - blind_since >= canary.BLIND_LIMIT_S:
                _roll_back_after(aws, replace(rollout, plan=plan), clock, error, unanswered)
                raise
            if isinstance(error, Unavailable):
                _wait(clock, POLL_S, rollout.stop)
            continue
        except Exception as error:
            _roll_back_after(aws, replace(rollout, plan=plan), clock, error, unanswered)
            raise
        conflicts, blind_since, unanswered = 0, None, None
        if _is_last(last.decision):
            return last
        plan = remember(plan, last)
        if isinstance(last.decision, Wait):
            _wait(clock, min(last.decision.seconds, POLL_S), rollout.stop)


def begin(aws: Aws, rollout: Rollout, clock: Clock) -> Tick:
    """Take the first step, or refuse it, and return: whoever resumes goes on. Raises what `tick` raises."""
    first = tick(aws, rollout.plan, rollout.gate, clock)
    rollout.tell(first)
    return first


def remember(plan: RolloutPlan, last: Tick) -> RolloutPlan:
    """Return the plan with what the alias shows of the rollout since that tick."""
    found, routing = last.alias.marker, last.alias.routing
    if last.written is not None:
        _, found = markers.parse(last.written.description)
        routing = Routing(last.written.version, last.written.canary, last.written.weight_pct)
    if found is None or found.id != plan.id or routing != canary.expected_routing(found):
        return replace(plan, is_begun=True)
    return replace(plan, is_begun=True, known=Known(found, routing))


def _is_last(decision: Decision) -> bool:
    match decision:
        case Done() | Refuse() | Rollback() | Promote():
            return True
        case SetWeight() | Pause() | Resume() | Wait():
            return False


def _wait(clock: Clock, seconds: float, stop: Stop) -> None:
    """Sleep in slices, so that a signal is answered within half a second."""
    until = clock.now() + seconds
    while not stop.signal and (left := until - clock.now()) > 0:
        clock.sleep(min(left, _SLICE_S))


def _interrupted(aws: Aws, rollout: Rollout, clock: Clock, unanswered: Tick | None) -> DeployerError:
    signal = rollout.stop.signal
    found = f"found {signal} in the middle of the rollout, expected it to end by itself"
    if rollout.holds_on_cancel:
        with suppress(Unavailable):  # what cannot be told now is told by nobody: the job has no later
            _tell_answered(rollout, unanswered, aws.brisk.alias())
        return DeployerError(
            f"stopped by {signal}, and the traffic stays as it is (on_cancel = hold)",
            found=found,
            hint="deployer rollout resume, or `deployer rollback`",
            exit_code=Exit.INTERRUPTED,
        )
    try:
        where = _go_back(aws, rollout, clock, f"stopped by {signal}", unanswered)
    except DeployerError as error:
        return DeployerError(
            f"stopped by {signal}, and {error.what}",
            found=error.found or found,
            hint=error.hint,
            exit_code=Exit.INTERRUPTED,
        )
    return DeployerError(
        f"stopped by {signal}, {where}",
        found=found,
        hint="run the release again; it starts from the first step",
        exit_code=Exit.INTERRUPTED,
    )


def _roll_back_after(
    aws: Aws, rollout: Rollout, clock: Clock, error: Exception, unanswered: Tick | None
) -> None:
    """Roll back because of `error`; when that fails too, `error` says so and stays the one raised.

    Also before anything is known to have been written: the answer to the first write may be what was lost.
    """
    try:
        error.add_note(_go_back(aws, rollout, clock, f"stopped by an error: {error}", unanswered))
    except DeployerError as second:
        way_on = second.hint or "run `deployer rollback`"
        error.add_note(f"rolling back failed as well: {second.what}; {way_on}")


def _go_back(aws: Aws, rollout: Rollout, clock: Clock, reason: str, unanswered: Tick | None) -> str:
    """Give the traffic back, tell what was written meanwhile, and return where the traffic is."""
    done = roll_back(
        aws,
        reason=reason,
        only_owner=rollout.plan.known or rollout.plan.id,
        patience=Patience(clock, JOB_S, rollout.stop),
    )
    _tell_answered(rollout, unanswered, done.before)
    if done.write is not None:
        rollout.tell_back(done.write, done.reason)
    return f"all traffic is on version {done.version}" if done.version else done.reason


def _tell_answered(rollout: Rollout, unanswered: Tick | None, alias: AliasState | None) -> None:
    """Tell of a write whose answer was lost, once the alias shows it."""
    if unanswered is not None and alias is not None and shows(alias, unanswered.written):
        rollout.tell(unanswered)


def wish(aws: Aws, plan: RolloutPlan, wanted: Wish, clock: Clock, why: str) -> AliasWrite:
    """Carry out what a person asks of the running rollout, from any machine; returns what was written.

    It is meant for the step at which the person asked: once the rollout has moved on, a skip is not repeated.
    Raises DeployerError (exit 5) when no rollout is in a state for it, Conflict when the alias keeps moving.
    """
    step, tried = None, None
    for attempt in range(CONFLICT_LIMIT):
        alias = aws.alias()
        if tried is not None and shows(alias, tried):
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
