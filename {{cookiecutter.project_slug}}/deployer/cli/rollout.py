"""`deployer rollout …`: each subcommand reads its options and calls one function. Shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deployer.cli.options import (
    ASKED,
    PRODUCTION,
    SETTINGS,
    ConfigPath,
    Env,
    Events,
    Reason,
    Watch,
    context_of,
)

if TYPE_CHECKING:
    from deployer.context import Context

rollout_app = typer.Typer(
    help="Move the alias to a version by the environment's steps.", no_args_is_help=True
)


@rollout_app.command("start")
def rollout_start(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    version: Annotated[str | None, typer.Option(help="Which version; default: the newest.")] = None,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Start although something speaks against it.")
    ] = None,
    skip_steps: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Give all traffic at once: a hotfix.", envvar="SKIP_STEPS_REASON"
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Take the first step only.")] = False,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Roll a version out, step by step, and back when a gate says so (exit 4)."""
    from deployer.cli import rollout_commands

    how = rollout_commands.Start(version, force, detach, skip_steps or None)
    return rollout_commands.start(context_of(ctx, env, config, events), how)


@rollout_app.command("resume")
def rollout_resume(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    detach: Annotated[bool, typer.Option("--detach", help="End a pause, and leave the rest.")] = False,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Go on with a rollout that was paused, or whose process was lost, from the step it is in."""
    from deployer.cli import rollout_commands

    return rollout_commands.resume(context_of(ctx, env, config, events), reason, detach=detach)


@rollout_app.command("pause")
def rollout_pause(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Keep the weight until somebody resumes; the gates stay awake."""
    return _ask(context_of(ctx, env, config, events), "pause", reason)


@rollout_app.command("skip")
def rollout_skip(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Take the next step now."""
    return _ask(context_of(ctx, env, config, events), "skip", reason)


@rollout_app.command("promote")
def rollout_promote(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Give the canary all traffic now."""
    return _ask(context_of(ctx, env, config, events), "promote", reason)


@rollout_app.command("abort")
def rollout_abort(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """End the running rollout and give all traffic back."""
    return _ask(context_of(ctx, env, config, events), "abort", reason)


@rollout_app.command("control")
def rollout_control(
    ctx: typer.Context,
    wish: Annotated[
        Literal["status", "pause", "resume", "skip", "promote", "abort", "rollback"],
        typer.Argument(help="What to do."),
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with who asked.")],
    env: Env = PRODUCTION,
    to: Annotated[str, typer.Option(help="For rollback: which version; empty for the one before.")] = "",
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Carry out what somebody chose from a list, as the workflow Control does."""
    from deployer.cli import control

    return control.control(context_of(ctx, env, config, events), wish, reason, to)


@rollout_app.command("status")
def rollout_status(
    ctx: typer.Context, env: Env = PRODUCTION, watch: Watch = False, config: ConfigPath = SETTINGS
) -> int:
    """Print where the traffic goes, what the rollout does, and the alarms."""
    from deployer.cli import status as statuses

    context = context_of(ctx, env, config)
    return statuses.watch(context) if watch else statuses.status(context)


def _ask(context: Context, wish: str, reason: str) -> int:
    """Ask the running rollout for what a person wishes."""
    from deployer.canary.moves import Wish
    from deployer.cli import rollout_commands

    return rollout_commands.ask(context, Wish(wish), reason)
