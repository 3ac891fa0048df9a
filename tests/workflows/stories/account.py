"""The AWS account of a world, as its administrator sees it. Shell."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig
from testbed.local_aws import LocalAws

from deployer.aws import calls
from deployer.config import Config, load
from deployer.rollout import sample as samples
from rehearsal.clock import CompressedClock
from rehearsal.ledger import week_before
from rehearsal.traffic import CALLS, Target, Watch, flowing
from workflows.stories.hub import Hub

REQUESTS_PER_S = 12.0
PRODUCTION = "production"


@dataclass
class Account:
    """An account that enforces roles, and the repository that is deployed to it."""

    hub: Hub
    local_aws: LocalAws
    clock: CompressedClock
    _has_past: set[str] = field(default_factory=set, init=False)

    @property
    def config(self) -> Config:
        """Return the settings in a person's clone."""
        return load(self.hub.edit / "deploy.toml")

    def client(self, service: str) -> Any:
        """Return an administrator's client of the local AWS."""
        own = self.local_aws.environment()
        return boto3.session.Session(
            aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
            region_name=self.config.function.region,
        ).client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.local_aws.endpoint,
            config=ClientConfig(
                read_timeout=60, retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}
            ),
        )

    def alias(self, environment: str = PRODUCTION) -> tuple[str, dict[str, float], str]:
        """Return the alias's version, the weights of others, and its description."""
        name = self.config.function_name(environment)
        found = self.client("lambda").get_alias(FunctionName=name, Name="live")
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        return found["FunctionVersion"], weights, found.get("Description", "")

    def denied(self, since: int = 0) -> list[str]:
        """Return what AWS denied to roles since that many decisions, as `role action resource`."""
        made = self.local_aws.decisions()[since:]
        return [
            f"{one.who.rpartition(':')[2]} {one.action} {one.resource}" for one in made if not one.allowed
        ]

    @contextlib.contextmanager
    def traffic(
        self, environment: str = PRODUCTION, *, per_s: float = REQUESTS_PER_S, beside: Path | None = None
    ) -> Iterator[Watch]:
        """Send the real sample's event to an environment's alias for the length of a `with` block.

        Calls of its own that a command makes in the folder `beside` are counted with them.
        """
        name = self.config.function_name(environment)
        stack = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        names = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        sample = samples.load(self.hub.edit)
        assert sample
        for call in sample.before:
            calls.make(calls.filled(call, names), self.client)
        event = calls.fill(sample.event, names, where="the sample's event")
        others = (beside or self.hub.remote.parent) / CALLS
        clients = self.client("lambda"), self.client("cloudwatch")
        self._give_past(name, per_s)
        target = Target(name, event, *clients, self.clock, others)
        with flowing(target, per_s=per_s, seed=uuid.uuid4().hex, look=lambda _: None) as watch:
            yield watch

    def _give_past(self, name: str, per_s: float) -> None:
        """Write a calm week of such traffic once: without any, a release goes by its sample alone."""
        if name in self._has_past:
            return
        self._has_past.add(name)
        for data in week_before(name, self.clock.now(), per_s / self.clock.speed):
            self.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=data)
