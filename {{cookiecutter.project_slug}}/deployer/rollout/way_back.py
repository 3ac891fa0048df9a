"""The way back: one UpdateAlias to the version that was stable before. Shell.

AWS may be unwell just then, so every call is one short try, and the loop here is what tries again for as
long as the job has. When the time is over, the error names who takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import marker as markers
from deployer.canary import moves
from deployer.clock import Clock, SystemClock
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, Known, RolloutState, Routing
from deployer.rollout.guard import alarm_name
from deployer.rollout.signals import Stop

# GitHub leaves a cancelled job 7.5 s between its first signal and the second one, and then at most five
# minutes for its last steps.
# Source: https://docs.github.com/actions/reference/workflow-cancellation-reference
SIGNAL_S = 7.5
COMMAND_S = 240.0
JOB_S = 900.0  # of a job that has hours
CONFLICT_LIMIT = 10
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
_SLICE_S = 0.5


@dataclass(frozen=True)
class Patience:
    """For how long the way back is tried: `limit_s` seconds from its beginning, SIGNAL_S from a signal."""

    clock: Clock = field(default_factory=SystemClock)
    limit_s: float = COMMAND_S
    stop: Stop | None = None

    def deadline(self) -> Callable[[], float]:
        """Return what tells until when; a signal that comes meanwhile brings that nearer."""
        began = self.clock.now()

        def until() -> float:
            if self.stop is None or self.stop.signal is None:
                return began + self.limit_s
            asked = began if self.stop.at is None else self.stop.at
            return min(began + self.limit_s, asked + SIGNAL_S)

        return until

    def pause(self, seconds: float, until: Callable[[], float]) -> None:
        """Wait that long, but not beyond the deadline."""
        end = self.clock.now() + seconds
        while (left := min(end, until()) - self.clock.now()) > 0:
            self.clock.sleep(min(left, _SLICE_S))


@dataclass(frozen=True)
class RolledBack:
    """How a rollback ended; `version` is None when there was nothing to roll back.

    `before` is the alias as it was found.
    """

    version: str | None
    reason: str
    write: AliasWrite | None = None
    before: AliasState | None = None


def roll_back(
    aws: Aws,
    *,
    reason: str,
    only_owner: str | Known | None = None,
    to: str | None = None,
    patience: Patience | None = None,
) -> RolledBack:
    """Give all traffic to the version that was stable before, with one UpdateAlias, and verify it.

    With `only_owner`, only that owner's running rollout is touched; an owner who knows what the alias showed
    last may also clear exactly those weights when the marker next to them cannot be read.
    A conflict means the alias moved: it is read and judged again, until it shows what was written or a newer
    rollout's id. A call without an answer is tried again until the deadline; a write that AWS has confirmed
    counts as done when only the look at it has no answer.
    Raises DeployerError (exit 5) when there is no earlier version to go back to, Unavailable.
    """
    patience = patience or Patience()
    until, port = patience.deadline(), aws.brisk
    tried, answered, before = None, None, None
    failed, conflicts = 0, 0
    while True:
        try:
            alias = port.alias()
            if tried is not None and shows(alias, tried):
                return RolledBack(tried.version, reason, tried, before)
            before = before or alias
            choice = _choose(alias, reason=reason, only_owner=only_owner, to=to)
            if isinstance(choice, RolledBack):
                return replace(choice, before=before)
            tried = choice
            port.update_alias(choice, revision=alias.revision)
            answered = choice
        except Conflict as error:
            conflicts += 1
            if conflicts <= CONFLICT_LIMIT:
                continue
            last: DeployerError = error
        except Unavailable as error:
            last = error
        else:
            continue
        if patience.clock.now() >= until():
            if tried is not None and tried is answered:
                return RolledBack(tried.version, reason, tried, before)
            raise _not_back(aws, only_owner, last) from last
        patience.pause(min(_FIRST_PAUSE_S * 2**failed, _LONGEST_PAUSE_S), until)
        failed += 1


def _not_back(aws: Aws, only_owner: str | Known | None, last: DeployerError) -> DeployerError:
    version = only_owner.marker.to_version if isinstance(only_owner, Known) else "VERSION"
    alarm = alarm_name(aws.function_name, version)
    hint = f"`deployer rollback` once AWS answers; before that the guard does it when alarm `{alarm}` fires"
    found = f"{last.what}\n{last.found}" if last.found else last.what
    if isinstance(last, Conflict):
        return DeployerError(
            "the alias keeps moving, so the rollback could not be verified", found=found, hint=hint
        )
    return Unavailable(
        "the traffic could not be given back, or nobody could see that it was", found=found, hint=hint
    )


def shows(alias: AliasState, write: AliasWrite | None) -> bool:
    """Tell whether that write was carried out: a marker is written once, whatever weights Lambda shows."""
    if write is None or alias.routing.stable != write.version:
        return False
    _, written = markers.parse(write.description)
    if written is not None:
        return alias.marker == written
    is_there = alias.routing == Routing(write.version, write.canary, write.weight_pct)
    return is_there and alias.description == write.description


def is_owned_by(rollout_id: str, owner: str) -> bool:
    """Tell whether a rollout is an owner's: the very id, or an attempt of a GitHub run (`RUN.ATTEMPT`)."""
    return rollout_id == owner or rollout_id.startswith(f"{owner}.")


def _choose(
    alias: AliasState, *, reason: str, only_owner: str | Known | None, to: str | None
) -> AliasWrite | RolledBack:
    marker, routing = alias.marker, alias.routing
    known = only_owner if isinstance(only_owner, Known) else None
    owner = known.marker.id if known is not None else only_owner
    if known is not None and known.is_left_on(alias):
        return moves.rollback_write(
            alias, target=known.marker.from_version, reason=reason, known=known.marker
        )
    if owner is not None and not (marker and marker.is_active and is_owned_by(marker.id, str(owner))):
        return RolledBack(None, f"no rollout of `{owner}` is running: nothing to roll back")
    target = to or earlier_version(alias)
    if target is None:
        raise DeployerError(
            "there is no earlier version to roll back to",
            found=f"found all traffic on version {routing.stable}, and no record of the one before",
            hint="deployer rollback --to VERSION",
            exit_code=Exit.REFUSED,
        )
    if routing == Routing(target) and (marker is None or not marker.is_active):
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
