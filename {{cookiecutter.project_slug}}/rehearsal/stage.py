"""The stage of a rehearsal: a local AWS, a copy of the sources, and the clients to look at them. Shell."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from deployer.aws import calls
from deployer.config import Config, load
from deployer.errors import DeployerError
from deployer.image.docker import find_docker
from deployer.rollout import sample as samples
from deployer.rollout.sample import Sample
from rehearsal import zip_function
from rehearsal.clock import CompressedClock
from rehearsal.faults import copy_sources, handler_file
from rehearsal.jobs import Jobs
from rehearsal.ledger import week_before
from rehearsal.product import Product
from rehearsal.settings import COMMON, PLAYED, adapted, described
from rehearsal.traffic import CALLS, Target
from rehearsal.view import View
from testbed import smoke_tests
from testbed.excuses import EXCUSES
from testbed.local_aws import LocalAws, running
from testbed.roles import Roles
from testbed.tokens import TokenIssuer

ENVIRONMENT = "production"
RELEASE_REAL_S = 12.0  # how long a whole rollout may take
UNHURRIED, FASTEST = 20.0, 120.0  # faster, and a minute is too short to be looked at twice


@dataclass(frozen=True)
class Options:
    """What the command line asked for; `speed` 0 chooses one that fits the steps of deploy.toml."""

    acts: tuple[int, ...] = (1, 2, 3, 4)
    speed: float = 0.0
    without_docker: str = ""  # why no containers are used; empty to use them if possible
    per_s: float = 20.0
    seed: int = 1
    report: Path = Path("rehearsal") / "report.html"


@dataclass(frozen=True)
class Requests:
    """What smoke/ says may be sent: the harmless probe, and the real sample if there is one."""

    probe: Any
    sample: Sample | None

    @property
    def spared(self) -> tuple[Any, ...]:
        """Return the events no fault acts on: the probe, unless it is the traffic itself."""
        return () if self.sample is None else (self.probe,)


@dataclass
class Stage:
    """Everything the acts share. `docker` is None when the function runs without containers.

    `event` is what traffic consists of, once `set_traffic` has made it valid.
    """

    options: Options
    config: Config
    docker: list[str] | None
    local_aws: LocalAws
    clock: CompressedClock
    product: Product
    view: View
    requests: Requests
    speed: float = 1.0
    event: Any = None
    facts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def function(self) -> str:
        """Return the name of the function under rehearsal, which is its stack's too."""
        return self.config.function_name(ENVIRONMENT)

    def client(self, service: str) -> Any:
        """Return a client of the local AWS's administrator; nothing of the user's own settings is read."""
        make: Any = boto3.session.Session(
            *self.local_aws.credentials,
            region_name=self.config.function.region,
        ).client
        return make(
            service,
            endpoint_url=self.local_aws.endpoint,
            config=ClientConfig(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 2},
                s3={"addressing_style": "path"},
            ),
        )

    def outputs(self) -> dict[str, str]:
        """Return the outputs of the function's stack."""
        found = self.client("cloudformation").describe_stacks(StackName=self.function)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def give_past(self, per_s: float | None = None) -> None:
        """Write a calm week of the alias: a rollout measures on it the traffic, and how errors come."""
        for data in week_before(self.function, self.clock.now(), per_s or self.options.per_s / self.speed):
            self.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=data)

    def set_traffic(self) -> None:
        """Choose the event of the traffic: the sample's, after its calls before, or else the probe."""
        self.event = self.requests.probe
        if (sample := self.requests.sample) is None:
            self.tell(f"traffic is {samples.PROBE}, which proves little: there is no {samples.SAMPLE}")
            return
        names = self.outputs()
        for call in sample.before:
            calls.make(calls.filled(call, names), self.client)
        self.event = calls.fill(sample.event, names, where=f"the event of `{samples.SAMPLE}`")

    def target(self) -> Target:
        """Return what traffic is sent to."""
        return Target(
            function=self.function,
            event=self.event,
            lambda_client=self.client("lambda"),
            cloudwatch=self.client("cloudwatch"),
            clock=self.clock,
            calls=self.product.sources / CALLS,
        )

    def tell(self, line: str) -> None:
        """Say something about how this is run; the report repeats it."""
        self.facts.append(line)
        self.view.say(line, "yellow")

    def leave_out(self, line: str) -> None:
        """Say what is not rehearsed and why; the report repeats it."""
        self.left_out.append(line)
        self.view.say(line, "yellow")


@contextlib.contextmanager
def set_up(options: Options, view: View) -> Iterator[Stage]:
    """Build the stage for the length of a `with` block; nothing of it is left afterwards.

    Raises DeployerError, before anything is started, for a function or a `smoke/` that cannot be rehearsed.
    """
    own = load(Path("deploy.toml"))
    speed = options.speed or chosen_speed(own)
    handler, _ = handler_file(Path.cwd())
    smoke_tests.collect(Path.cwd())
    requests = Requests(samples.load_probe(Path.cwd()), samples.load(Path.cwd()))
    docker, reason = _docker(options)
    roles = Roles() if docker else replace(Roles(), excuses=(*EXCUSES, zip_function.EXCUSE))
    with (
        running(docker=docker, region=own.function.region, roles=roles) as local_aws,
        TokenIssuer(roles.issuer_key) as issuer,
    ):
        # In the folder of the local AWS, so that its watchdog removes it even when this process is killed.
        sources = copy_sources(Path.cwd(), local_aws.state.resolve() / "sources")
        _use_architecture(sources / "deploy.toml", architecture())
        _list_steps(sources / "deploy.toml", own)
        config = load(sources / "deploy.toml")
        if docker is None:
            template = sources / "infra" / "service.yaml"
            text = zip_function.transformed(template.read_text(encoding="utf-8"), handler)
            template.write_text(text, encoding="utf-8")
        clock = CompressedClock.starting_now(speed)
        jobs = Jobs(local_aws, issuer, own.function.name, ENVIRONMENT)
        product = Product(sources, jobs, clock, "image" if docker else "zip", view.heard)
        stage = Stage(options, config, docker, local_aws, clock, product, view, requests, speed)
        view.say(f"local AWS at {local_aws.endpoint}, log in {_shown(local_aws.log_path)}")
        view.say(f"one minute of a release takes {60 / speed:.1f} s: compressed {speed:g} times")
        stage.tell(f"changed in the rehearsal's copy of deploy.toml: {described(COMMON)}")
        if own.environment(ENVIRONMENT).steps == "auto":
            stage.tell(f'steps = "auto" would take half an hour; played is {described({"steps": PLAYED})}')
        if own.function.architecture != config.function.architecture:
            stage.tell(
                f"architecture {config.function.architecture}, this machine's, "
                f"instead of deploy.toml's {own.function.architecture}"
            )
        if docker is None:
            stage.leave_out(
                f"left out: build, smoke, scan, push ({reason}); "
                "the function's code runs in a subprocess of the local AWS"
            )
        elif base := os.environ.get("BASE_IMAGE"):
            stage.tell(f"base image {base} (from BASE_IMAGE), not the one the Dockerfile pins")
        yield stage


def _docker(options: Options) -> tuple[list[str] | None, str]:
    """Return the Docker client's command, or None and why."""
    if options.without_docker:
        return None, options.without_docker
    try:
        return find_docker(), ""
    except DeployerError as error:
        return None, error.what


def architecture() -> str:
    """Return this machine's architecture as Lambda names it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"


def _use_architecture(settings: Path, name: str) -> None:
    """Set the architecture in a copy of deploy.toml."""
    text = settings.read_text(encoding="utf-8")
    changed = re.sub(r'(?m)^(\s*architecture\s*=\s*)(["\'])\w+\2', rf'\g<1>"{name}"', text)
    settings.write_text(changed, encoding="utf-8")


def _list_steps(settings: Path, config: Config) -> None:
    """Write steps into a copy of deploy.toml whose steps are decided by last week's traffic."""
    if config.environment(ENVIRONMENT).steps == "auto":
        text = settings.read_text(encoding="utf-8")
        settings.write_text(adapted(text, ENVIRONMENT, {"steps": PLAYED}), encoding="utf-8")


def chosen_speed(config: Config) -> float:
    """Return a speed at which the steps of deploy.toml take about twenty seconds.

    Raises DeployerError when there is no step to rehearse.
    """
    production = config.environment(ENVIRONMENT)
    if not production.steps:
        raise DeployerError(
            "there is no canary to rehearse",
            found="found no steps in deploy.toml's [environments.production]",
            hint="add a step, e.g. steps = [{ weight_pct = 10, bake_s = 300 }]",
        )
    bakes = [step.bake_s for step in production.listed_steps()] or [int(step["bake_s"]) for step in PLAYED]
    planned_s = sum(bakes) + production.final_bake_s
    return round(min(max(planned_s / RELEASE_REAL_S, UNHURRIED), FASTEST))


def _shown(path: Path) -> str:
    """Return a path relative to the checkout, which is shorter to read."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)
