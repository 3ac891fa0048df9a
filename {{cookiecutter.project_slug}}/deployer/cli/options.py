"""The options commands share, and what they make of them. Shell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deployer.clock import Clock

if TYPE_CHECKING:
    from deployer.aws.client import Aws, AwsFactory
    from deployer.config import Config
    from deployer.context import Context
    from deployer.report.console import Output

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
STAGING: Literal["staging"] = "staging"
SETTINGS = Path("deploy.toml")


@dataclass(frozen=True)
class Ports:
    """What `main` was given: where time comes from and how AWS is reached."""

    clock: Clock
    aws: AwsFactory


def connect(config: Config, environment: str) -> Aws:
    """Return the port to one environment's function; AWS's libraries are imported when it is asked for."""
    from deployer.aws.client import connect as connected

    return connected(config, environment)


def output(events: Path | None = None) -> Output:
    """Return where a command speaks."""
    from deployer.report.console import Output as Console

    return Console(events=events)


def context_of(context: typer.Context, env: str, config: Path, events: Path | None = None) -> Context:
    """Return what a command needs, from its options and from what `main` was given."""
    from deployer.config import load
    from deployer.context import Context as Held

    ports: Ports = context.obj
    return Held(
        config=load(config),
        root=config.resolve().parent,
        environment=env,
        output=output(events),
        clock=ports.clock,
        connect=ports.aws,
    )
