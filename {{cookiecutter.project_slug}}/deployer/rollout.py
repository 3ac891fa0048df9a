"""Move the alias by decisions: `tick` reads, asks `canary.decide`, writes at most once. Shell.

Nothing is kept between ticks but the alias itself, so a killed process loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deployer import canary
from deployer.aws import Aws, Conflict, Unavailable
from deployer.clock import Clock
from deployer.errors import DeployerError, Exit
from deployer.model import (
    AliasState,
    AliasWrite,
    Decision,
    Done,
    Evidence,
    Finish,
    Promote,
    Refuse,
    Rollback,
    RolloutPlan,
    RolloutState,
    SetWeight,
    Wait,
)

POLL_S = 15.0
BLIND_LIMIT_S = 600.0
CONFLICT_LIMIT = 10
_SLICE_S = 0.5


@dataclass(frozen=True)
class Tick:
    """One reading and what was decided on it; `written` is the UpdateAlias that carried it out."""

    at: float
    alias: AliasState
    evidence: Evidence
    decision: Decision
    written: AliasWrite | None = None


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

    target: str
    plan: RolloutPlan
    alarms: tuple[str, ...]
    owner: str
    tell: Callable[[Tick], None]
    stop: Stop = field(default_factory=Stop)


def tick(aws: Aws, rollout: Rollout, clock: Clock) -> Tick:
    """Read the alias and the alarms, decide, and write at most once.

    Raises Conflict when the alias moved between the read and the write, Unavailable when AWS did not answer.
    """
    alias = aws.alias()
    evidence = Evidence(alarms=aws.alarms(rollout.alarms))
    now = clock.now()
    decision = canary.decide(rollout.plan, rollout.target, alias, evidence, now)
    match decision:
        case SetWeight() | Promote() | Finish() | Rollback():
            write = canary.write_for(
                decision, plan=rollout.plan, target=rollout.target, alias=alias, owner=rollout.owner, now=now
            )
            aws.update_alias(write, revision=alias.revision)
            return Tick(now, alias, evidence, decision, write)
        case Wait() | Refuse() | Done():
            return Tick(now, alias, evidence, decision)


def run(aws: Aws, rollout: Rollout, clock: Clock) -> Tick:
    """Tick until the rollout is done, rolled back or refused; returns the last tick.

    A signal, or an AWS that cannot be asked for ten minutes, rolls back. Raises DeployerError (exit 130)
    after a signal, and passes on what stops it otherwise, after trying to roll back.
    """
    conflicts, blind_since, started = 0, None, False
    while True:
        if rollout.stop.signal:
            raise _interrupted(aws, rollout, started)
        try:
            last = tick(aws, rollout, clock)
        except Conflict:
            conflicts += 1
            if conflicts > CONFLICT_LIMIT:
                raise
            continue
        except Unavailable as error:
            blind_since = blind_since if blind_since is not None else clock.now()
            if clock.now() - blind_since < BLIND_LIMIT_S:
                _wait(clock, POLL_S, rollout.stop)
                continue
            _roll_back_after(aws, rollout, f"blind for {BLIND_LIMIT_S:.0f} s", error)
            raise
        except Exception as error:
            if started:
                _roll_back_after(aws, rollout, "the rollout failed", error)
            raise
        conflicts, blind_since = 0, None
        rollout.tell(last)
        match last.decision:
            case Done() | Refuse() | Rollback() | Finish():
                return last
            case Promote() if rollout.plan.final_bake_s == 0:
                return last
            case Promote() | SetWeight():
                started = True
            case Wait(seconds, _):
                started = True
                _wait(clock, min(seconds, POLL_S), rollout.stop)


def _wait(clock: Clock, seconds: float, stop: Stop) -> None:
    """Sleep in slices, so that a signal is answered within half a second."""
    until = clock.now() + seconds
    while not stop.signal and (left := until - clock.now()) > 0:
        clock.sleep(min(left, _SLICE_S))


def _interrupted(aws: Aws, rollout: Rollout, started: bool) -> DeployerError:
    if not started:
        return DeployerError(
            f"stopped by {rollout.stop.signal} before any traffic moved", exit_code=Exit.INTERRUPTED
        )
    outcome = roll_back(aws, reason=f"stopped by {rollout.stop.signal}", only_owner=rollout.owner)
    where = f"all traffic is on version {outcome.version}" if outcome.version else outcome.reason
    return DeployerError(
        f"stopped by {rollout.stop.signal}, {where}",
        hint="run the release again; it starts from the first step",
        exit_code=Exit.INTERRUPTED,
    )


def _roll_back_after(aws: Aws, rollout: Rollout, reason: str, error: Exception) -> None:
    """Roll back because of `error`; when that fails too, `error` says so and stays the one raised."""
    try:
        roll_back(aws, reason=reason, only_owner=rollout.owner)
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
    read and judged again, until it shows the target or a newer rollout's id.
    Raises DeployerError (exit 5) when there is no earlier version to go back to.
    """
    for _ in range(CONFLICT_LIMIT):
        alias = aws.alias()
        choice = _rollback_write(alias, reason=reason, only_owner=only_owner, to=to)
        if isinstance(choice, RolledBack):
            return choice
        try:
            aws.update_alias(choice, revision=alias.revision)
        except Conflict:
            continue
        seen = aws.alias().routing
        if seen.stable == choice.version and seen.canary is None:
            return RolledBack(choice.version, reason, choice)
    raise DeployerError(
        "the alias keeps moving, so the rollback could not be verified",
        found=f"found it changed {CONFLICT_LIMIT} times in a row",
        hint="deployer status, then `deployer rollback`",
    )


def _rollback_write(
    alias: AliasState, *, reason: str, only_owner: str | None, to: str | None
) -> AliasWrite | RolledBack:
    marker, routing = alias.marker, alias.routing
    if only_owner is not None and (marker is None or not marker.is_active or marker.id != only_owner):
        return RolledBack(None, f"no rollout of `{only_owner}` is running: nothing to roll back")
    target = to or _earlier_version(alias)
    if target is None:
        raise DeployerError(
            "there is no earlier version to roll back to",
            found=f"found all traffic on version {routing.stable}, and no record of the one before",
            hint="deployer rollback --to VERSION",
            exit_code=Exit.REFUSED,
        )
    if routing == type(routing)(target) and (marker is None or not marker.is_active):
        return RolledBack(None, f"version {target} already serves all traffic")
    return canary.rollback_write(alias, target=target, reason=reason)


def _earlier_version(alias: AliasState) -> str | None:
    """Return the version a rollback goes to: the stable one while weights are set, else the one before."""
    marker = alias.marker
    if marker is not None and (marker.is_active or marker.state is RolloutState.DONE):
        return marker.from_version
    if alias.routing.canary is not None or marker is not None:
        return alias.routing.stable
    return None
