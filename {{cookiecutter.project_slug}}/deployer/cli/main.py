"""The command line: reads arguments, prints errors, exits. Shell.

A command imports what it needs when it is run: whoever asks for a rollback does not wait for the scanner.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deployer.cli.bootstrap_command import bootstrap
from deployer.cli.options import (
    ASKED,
    PRODUCTION,
    SETTINGS,
    STAGING,
    ConfigPath,
    Env,
    Events,
    Image,
    Ports,
    Reason,
    Watch,
    connect,
    context_of,
    output,
)
from deployer.cli.prune_command import prune
from deployer.cli.rollout import rollout_app
from deployer.cli.watch import watch_app
from deployer.clock import Clock, SystemClock
from deployer.errors import DeployerError, Exit

if TYPE_CHECKING:
    from deployer.aws.client import AwsFactory

app = typer.Typer(
    name="deployer",
    help="Ship this repository's Lambda function: build, scan, push, canary, roll back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(rollout_app, name="rollout")
app.add_typer(watch_app, name="watch")


def main(argv: list[str], *, clock: Clock | None = None, aws: AwsFactory = connect) -> int:
    """Run one command and return its exit code; never raises for an expected error."""
    try:
        result = app(argv, standalone_mode=False, obj=Ports(clock or SystemClock(), aws))
    except DeployerError as error:
        output().fail(error)
        return int(error.exit_code)
    except typer.Abort:
        found = "found SIGINT in the middle of the command, expected it to end by itself"
        output().fail(DeployerError("stopped by SIGINT", found=found, hint="deployer status"))
        return Exit.INTERRUPTED
    except typer.TyperException as error:
        if str(error):  # a bare `deployer` has shown its help already
            output().fail(DeployerError(str(error).rstrip("."), hint="deployer --help, or COMMAND --help"))
        return Exit.USAGE
    except Exception:
        sys.stderr.write("this is a bug in the deployer: please report what is below\n")
        sys.excepthook(*sys.exc_info())
        return Exit.BUG
    return int(result) if isinstance(result, int) else Exit.DONE


def console() -> None:
    """Run the command line of this process."""
    sys.exit(main(sys.argv[1:]))


@app.command()
def doctor(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    config: ConfigPath = SETTINGS,
    offline: Annotated[bool, typer.Option("--offline", help="Check this machine only.")] = False,
) -> int:
    """Check every link from this checkout to AWS, and say what mends those that do not hold."""
    from deployer.cli import doctor as doctoring

    return doctoring.doctor(context_of(ctx, env, config), offline=offline)


@app.command()
def settings(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Print what workflows must know of deploy.toml: name, region, architecture, runner."""
    from deployer.cli import image_commands

    return image_commands.settings(context_of(ctx, PRODUCTION, config))


app.command("bootstrap")(bootstrap)


@app.command()
def plan(
    ctx: typer.Context, env: Env = PRODUCTION, image: Image = None, config: ConfigPath = SETTINGS
) -> int:
    """Print what apply and the rollout would change."""
    from deployer.cli import commands

    return commands.plan(context_of(ctx, env, config), image)


@app.command()
def build(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Build the image, save it as build/image.tar and record its digest."""
    from deployer.cli import image_commands

    return image_commands.build(context_of(ctx, PRODUCTION, config))


@app.command()
def smoke(
    ctx: typer.Context,
    env: Annotated[
        Literal["staging", "production"] | None,
        typer.Option("--env", help="Test the alias of this environment instead of the built image."),
    ] = None,
    config: ConfigPath = SETTINGS,
) -> int:
    """Run the tests in smoke/ against the built image beside a local AWS."""
    from deployer.cli import smoke_commands

    return smoke_commands.smoke(context_of(ctx, env or PRODUCTION, config), deployed=env is not None)


@app.command("smoke-target")
def smoke_target(ctx: typer.Context, env: Env = PRODUCTION, config: ConfigPath = SETTINGS) -> int:
    """Print what tests of the alias must know: function, alias, region, the stack's outputs."""
    from deployer.cli import smoke_commands

    return smoke_commands.smoke_target(context_of(ctx, env, config))


@app.command()
def sample(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="Which published version.")],
    env: Env = PRODUCTION,
    config: ConfigPath = SETTINGS,
) -> int:
    """Send the real sample of smoke/sample.toml to one version."""
    from deployer.cli import smoke_commands

    return smoke_commands.sample(context_of(ctx, env, config), version)


@app.command()
def scan(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    download: Annotated[bool, typer.Option(help="Download the vulnerability database first.")] = True,
) -> int:
    """Scan the saved image with Trivy; exit 1 unless it is clean."""
    from deployer.cli import image_commands

    return image_commands.scan(context_of(ctx, PRODUCTION, config), download=download)


@app.command()
def push(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    tag: Annotated[str | None, typer.Option(help="Label of the image; default: COMMIT-RUN-ATTEMPT.")] = None,
    config_digest: Annotated[
        str | None, typer.Option(help="What the job that scanned says it scanned; nothing else is pushed.")
    ] = None,
    allow_unscanned: Annotated[
        bool, typer.Option("--allow-unscanned", help="Push an image no scanner has looked at; says so.")
    ] = False,
) -> int:
    """Push the scanned image to ECR and print its digest."""
    from deployer.cli import image_commands

    return image_commands.push(
        context_of(ctx, PRODUCTION, config),
        tag,
        config_digest=config_digest,
        allow_unscanned=allow_unscanned,
    )


@app.command("verify-attestation")
def verify_attestation(
    ctx: typer.Context,
    image: Annotated[str, typer.Option("--image", help="REPOSITORY@sha256:DIGEST, as `push` printed it.")],
    config: ConfigPath = SETTINGS,
) -> int:
    """Demand that this repository's release of this commit built and pushed the image."""
    from deployer.cli import image_commands

    return image_commands.verify_attestation(context_of(ctx, PRODUCTION, config), image)


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
    from deployer.cli import commands
    from deployer.drivers import start as driver_commands

    context = context_of(ctx, env, config)
    done = commands.apply_plan(context, image, stack_role or None)
    driver_commands.deliver(context)
    return done


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
    from deployer.cli import rollback as rolling_back

    return rolling_back.rollback(context_of(ctx, env, config, events), reason, to, only_if_owner)


@app.command()
def gameday(
    ctx: typer.Context,
    env: Env = STAGING,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Try production as well, which loses requests there.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put back what a killed game day left, and try nothing.")
    ] = False,
    config: ConfigPath = SETTINGS,
) -> int:
    """Release a version that cannot answer, and see that gate and guard give the traffic back."""
    from deployer.gameday import run as gamedays

    return gamedays.run(context_of(ctx, env, config), gamedays.How(force, repair))


@app.command()
def status(
    ctx: typer.Context, env: Env = PRODUCTION, watch: Watch = False, config: ConfigPath = SETTINGS
) -> int:
    """Print where the traffic goes, what the rollout does, and the alarms."""
    from deployer.cli import status as statuses

    context = context_of(ctx, env, config)
    return statuses.watch(context) if watch else statuses.status(context)


@app.command()
def drift(ctx: typer.Context, env: Env = PRODUCTION, config: ConfigPath = SETTINGS) -> int:
    """Print what is live but not asked for; exit 3 when there is anything."""
    from deployer.cli import commands

    return commands.drift(context_of(ctx, env, config))


app.command("prune")(prune)
