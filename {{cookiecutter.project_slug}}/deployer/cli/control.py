"""`deployer rollout control`: what a person asked for by name, with who asked and why. Shell."""

from __future__ import annotations

import re

from deployer.canary.moves import Wish
from deployer.cli import rollback, rollout_commands, status
from deployer.context import Context
from deployer.errors import DeployerError, Exit


def control(context: Context, wish: str, reason: str, to: str) -> Exit:
    """Carry out one wish, `status` and `rollback` included; the reason is kept with the name of who asked.

    A rollout is resumed for whoever drives it, never driven from here. Raises DeployerError (exit 2) for a
    reason that is no line of text, and for a version that is no number or not wanted.
    """
    if not reason.strip() or not reason.isprintable():
        raise DeployerError(
            f"`{wish}` needs a reason",
            found=f"found `{reason!r}`, expected one line of text",
            hint="say why: it is kept in the alias, the events and the summary",
            exit_code=Exit.USAGE,
        )
    if to and (wish != "rollback" or not re.fullmatch(r"[1-9][0-9]*", to)):
        raise DeployerError(
            f"`{to}` is no version to roll back to" if wish == "rollback" else f"`{wish}` takes no version",
            found=f"found version `{to}`, expected {'a number' if wish == 'rollback' else 'none'}",
            hint="leave the version empty, or choose rollback and the number of a version",
            exit_code=Exit.USAGE,
        )
    who = context.output.environ.get("GITHUB_ACTOR", "")
    why = f"{reason.strip()} ({who})" if who else reason.strip()
    if wish == "status":
        return status.status(context)
    if wish == "rollback":
        return rollback.rollback(context, why, to or None, None)
    return rollout_commands.ask(context, Wish(wish), why)
