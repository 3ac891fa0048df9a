"""The alias belongs to rollouts and people: what an apply does to keep its hands off it. Shell.

CloudFormation's UpdateAlias knows no RevisionId, so it would undo a rollback that was made meanwhile. The
alias is therefore kept out of stack updates. Where the template itself changes the alias, CloudFormation must
write it; then the alias is watched while it works, and what somebody else wrote meanwhile is put back.
"""

from __future__ import annotations

from collections.abc import Callable

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict
from deployer.aws.observed import Observed
from deployer.config import ALIAS
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite

RESOURCE = "LiveAlias"  # its logical name in infra/service.yaml
_FIRST = "1"  # the version a stack's own first creation points the alias at
_TRIES = 5


def require_unmoved(aws: Aws, before: AliasState | None, *, since: str, is_changed: bool) -> None:
    """Raise DeployerError when the alias is not where it was; one call.

    `since` ends the sentence "the alias moved …"; the exit is 5 as long as nothing was changed, else 1.
    Compared are traffic and description: other calls than UpdateAlias change its RevisionId too.
    """
    if before is None:
        return
    found = aws.alias()
    if (found.routing, found.description) == (before.routing, before.description):
        return
    rest = "and nothing was published" if is_changed else "and nothing was changed"
    raise DeployerError(
        f"alias `{ALIAS}` moved {since}, {rest}",
        found=f"found {_where(found)}, expected {_where(before)}",
        hint="deployer status; then re-run the job, it starts from what is live",
        exit_code=Exit.FAILED if is_changed else Exit.REFUSED,
    )


class Watch:
    """Looks at the alias while CloudFormation may write it, and remembers what others made of it."""

    def __init__(self, aws: Aws, observed: Observed) -> None:
        alias, stack = observed.alias, observed.stack
        assert alias is not None  # noqa: S101 - a stack update that touches the alias needs one
        assert stack is not None  # noqa: S101
        self._aws = aws
        self._last = alias
        earlier = (stack.parameters.get("LiveVersion") or _FIRST, stack.parameters.get("LiveDescription", ""))
        # What CloudFormation writes: the parameters it was given, or in a roll-back those of the last update.
        self._its_own = {(alias.routing.stable, alias.description), earlier}

    def look(self) -> None:
        """Read the alias once."""
        found = self._aws.alias()
        if (found.routing.stable, found.description) not in self._its_own:
            self._last = found

    def restore(self, say: Callable[[str], None]) -> None:
        """Put back what somebody else wrote and CloudFormation wrote over. Raises Conflict.

        Three calls at most, if nobody is faster; somebody who is, is looked at again.
        """
        for attempt in range(_TRIES):
            self.look()
            found, last = self._aws.alias(), self._last
            if (found.routing, found.description) == (last.routing, last.description):
                return
            try:
                self._aws.update_alias(_as_written(last), revision=found.revision)
            except Conflict:
                if attempt == _TRIES - 1:
                    raise
                continue
            say(f"restored   alias {ALIAS}: {_where(last)}, which the stack update had written over")
            return


def _as_written(alias: AliasState) -> AliasWrite:
    routing = alias.routing
    return AliasWrite(routing.stable, alias.description, routing.canary, routing.weight_pct)


def _where(alias: AliasState) -> str:
    routing = alias.routing
    shared = f" with {routing.weight_pct} % on version {routing.canary}" if routing.canary else ""
    return f"version {routing.stable}{shared} ({alias.description or 'no description'})"
