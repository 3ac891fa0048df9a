"""The errors a user is expected to meet, and the exit codes they end with. Pure."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command; one per outcome, so that scripts need not read text."""

    DONE = 0  # what was asked for is true now
    FAILED = 1  # an expected failure: a red gate, a missing thing, a refused call
    USAGE = 2  # the command line or `deploy.toml` is not understood
    DRIFT = 3  # what is live differs from what the repository asks for
    ROLLED_BACK = 4  # the canary failed and all traffic is on the stable version
    REFUSED = 5  # nothing was changed, because starting would not have been safe
    BUG = 70  # our mistake: the traceback is printed
    INTERRUPTED = 130  # stopped by a signal


class DeployerError(Exception):
    """An expected failure: what happened, what was found against what was expected, the next command.

    `what` is lower-case without a full stop, with the user's values in backticks; `found` reads
    "found X, expected Y"; `hint` names the next command. None of them ever holds a secret.
    """

    def __init__(
        self,
        what: str,
        *,
        found: str | None = None,
        hint: str | None = None,
        exit_code: int = Exit.FAILED,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.found = found
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        if self.found:
            lines += [f"  {line}" for line in self.found.splitlines()]
        if self.hint:
            lines += [f"  hint: {self.hint}"]
        return "\n".join(lines)
