"""The command line: reads arguments, prints errors, exits. Shell."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from deployer import bootstrap as account
from deployer import commands, github, image_commands, rollout_commands
from deployer.aws import AwsFactory, connect
from deployer.clock import Clock, SystemClock
from deployer.commands import Context
from deployer.config import load
from deployer.console import Output
from deployer.errors import DeployerError, Exit
from deployer.moves import Wish

app = typer.Typer(
    name="deployer",
    help="Ship this repository's Lambda function: build, scan, push, canary, roll back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rollout_app = typer.Typer(
    help="Move the alias to a version by the environment's steps.", no_args_is_help=True
)
app.add_typer(rollout_app, name="rollout")

Env = Annotated[
    Literal["staging", "production"], typer.Option("--env", help="Which environment.", envvar="DEPLOY_ENV")
]
ConfigPath = Annotated[Path, typer.Option("--config", help="The settings file.")]
Image = Annotated[str | None, typer.Option("--image", help="REPOSITORY@sha256:DIGEST, as `push` printed it.")]
Events = Annotated[
    Path | None, typer.Option("--events", help="Append one JSON line per decision to this file.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Print changes until no rollout is running.")]
Reason = Annotated[str, typer.Option(help="Kept in the alias's marker.")]

ASKED = "asked for by hand"
PRODUCTION: Literal["production"] = "production"
SETTINGS = Path("deploy.toml")


@dataclass(frozen=True)
class Ports:
    """What `main` was given: where time comes from and how AWS is reached."""

    clock: Clock
    aws: AwsFactory


def main(argv: list[str], *, clock: Clock | None = None, aws: AwsFactory = connect) -> int:
    """Run one command and return its exit code; never raises for an expected error."""
    try:
        result = app(argv, standalone_mode=False, obj=Ports(clock or SystemClock(), aws))
    except DeployerError as error:
        Output().fail(error)
        return int(error.exit_code)
    except typer.Abort:
        Output().fail(DeployerError("stopped by SIGINT", hint="deployer status"))
        return Exit.INTERRUPTED
    except typer.TyperException as error:
        if str(error):  # a bare `deployer` has shown its help already
            Output().fail(DeployerError(str(error).rstrip("."), hint="deployer --help, or COMMAND --help"))
        return Exit.USAGE
    except Exception:
        sys.stderr.write("this is a bug in the deployer: please report what is below\n")
        sys.excepthook(*sys.exc_info())
        return Exit.BUG
    return int(result) if isinstance(result, int) else Exit.DONE


def console() -> None:
    """Run the command line of this process."""
    sys.exit(main(sys.argv[1:]))


def _context(context: typer.Context, env: str, config: Path, events: Path | None = None) -> Context:
    ports: Ports = context.obj
    return Context(
        config=load(config),
        root=config.resolve().parent,
        environment=env,
        output=Output(events=events),
        clock=ports.clock,
        connect=ports.aws,
    )


@app.command()
def doctor(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    config: ConfigPath = SETTINGS,
    offline: Annotated[bool, typer.Option("--offline", help="Check this machine only.")] = False,
) -> int:
    """Check the settings, this machine, the credentials and the environment."""
    return account.doctor(_context(ctx, env, config), offline=offline)


@app.command()
def settings(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Print what workflows must know of deploy.toml: name, region, architecture, runner."""
    return image_commands.settings(_context(ctx, PRODUCTION, config))


@app.command()
def bootstrap(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME on GitHub; default: this checkout's.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="OWNER@OWNER_ID/NAME@REPOSITORY_ID, without asking gh.")
    ] = None,
    oidc_provider: Annotated[
        str, typer.Option(help="ARN of the account's GitHub OIDC provider, if it has one.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing the account.")] = False,
) -> int:
    """Create roles and image repository in the AWS account, once (needs an administrator)."""
    found = github.parse_subject(subject) if subject else github.subject(repository)
    return account.bootstrap(
        _context(ctx, PRODUCTION, config),
        account.Account(found, oidc_provider),
        confirm=lambda: yes or typer.confirm("change the account?"),
    )


@app.command()
def plan(
    ctx: typer.Context, env: Env = PRODUCTION, image: Image = None, config: ConfigPath = SETTINGS
) -> int:
    """Print what apply and the rollout would change."""
    return commands.plan(_context(ctx, env, config), image)


@app.command()
def build(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Build the image, save it as build/image.tar and record its digest."""
    return image_commands.build(_context(ctx, PRODUCTION, config))


@app.command()
def smoke(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Run the built image and let it answer its trigger's sample event."""
    return image_commands.smoke(_context(ctx, PRODUCTION, config))


@app.command()
def scan(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    download: Annotated[bool, typer.Option(help="Download the vulnerability database first.")] = True,
) -> int:
    """Scan the saved image with Trivy; exit 1 unless it is clean."""
    return image_commands.scan(_context(ctx, PRODUCTION, config), download=download)


@app.command()
def push(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    tag: Annotated[str | None, typer.Option(help="Label of the image; default: COMMIT-RUN-ATTEMPT.")] = None,
    allow_unscanned: Annotated[
        bool, typer.Option("--allow-unscanned", help="Push an image no scanner has looked at; says so.")
    ] = False,
) -> int:
    """Push the scanned image to ECR and print its digest."""
    return image_commands.push(_context(ctx, PRODUCTION, config), tag, allow_unscanned=allow_unscanned)


@app.command()
def apply(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    image: Image = None,
    config: ConfigPath = SETTINGS,
    stack_role: Annotated[
        str | None, typer.Option(help="Role CloudFormation acts with.", envvar="AWS_STACK_ROLE_ARN")
    ] = None,
) -> int:
    """Change stack and code as planned and publish a version; moves no traffic."""
    return commands.apply_plan(_context(ctx, env, config), image, stack_role or None)


@rollout_app.command("start")
def rollout_start(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    version: Annotated[str | None, typer.Option(help="Which version; default: the newest.")] = None,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Start although something speaks against it.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Take the first step only.")] = False,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Roll a version out, step by step, and back when a gate says so (exit 4)."""
    how = rollout_commands.Start(version, force, detach)
    return rollout_commands.start(_context(ctx, env, config, events), how)


@rollout_app.command("resume")
def rollout_resume(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    detach: Annotated[bool, typer.Option("--detach", help="End a pause, and leave the rest.")] = False,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Go on with a rollout that was paused, or whose process was lost, from the step it is in."""
    return rollout_commands.resume(_context(ctx, env, config, events), detach=detach)


@rollout_app.command("pause")
def rollout_pause(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Keep the weight until somebody resumes; the gates stay awake."""
    return rollout_commands.ask(_context(ctx, env, config, events), Wish.PAUSE, reason)


@rollout_app.command("skip")
def rollout_skip(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Take the next step now."""
    return rollout_commands.ask(_context(ctx, env, config, events), Wish.SKIP, reason)


@rollout_app.command("promote")
def rollout_promote(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Give the canary all traffic now."""
    return rollout_commands.ask(_context(ctx, env, config, events), Wish.PROMOTE, reason)


@rollout_app.command("abort")
def rollout_abort(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    reason: Reason = ASKED,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """End the running rollout and give all traffic back."""
    return rollout_commands.ask(_context(ctx, env, config, events), Wish.ABORT, reason)


@app.command()
def rollback(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    to: Annotated[
        str | None, typer.Option(help="Which version; default: the one that was stable before.")
    ] = None,
    reason: Reason = ASKED,
    only_if_owner: Annotated[
        str | None, typer.Option(help="Only a running rollout of this id, or of this GitHub run.")
    ] = None,
    config: ConfigPath = SETTINGS,
    events: Events = None,
) -> int:
    """Give all traffic back with one call; a second rollback changes nothing."""
    return commands.rollback(_context(ctx, env, config, events), reason, to, only_if_owner)


@app.command()
def status(
    ctx: typer.Context, env: Env = PRODUCTION, watch: Watch = False, config: ConfigPath = SETTINGS
) -> int:
    """Print where the traffic goes, what the rollout does, and the alarms."""
    context = _context(ctx, env, config)
    return commands.watch(context) if watch else commands.status(context)


@rollout_app.command("status")
def rollout_status(
    ctx: typer.Context, env: Env = PRODUCTION, watch: Watch = False, config: ConfigPath = SETTINGS
) -> int:
    """Print where the traffic goes, what the rollout does, and the alarms."""
    return status(ctx, env, watch, config)


@app.command()
def drift(ctx: typer.Context, env: Env = PRODUCTION, config: ConfigPath = SETTINGS) -> int:
    """Print what is live but not asked for; exit 3 when there is anything."""
    return commands.drift(_context(ctx, env, config))
