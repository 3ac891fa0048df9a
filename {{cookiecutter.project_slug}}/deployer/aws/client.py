"""Lambda and CloudWatch as the deployer needs them. Shell.

AWS errors are translated here, once; every other module sees DeployerError, Conflict or Unavailable.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deployer.aws import alarms
from deployer.aws.clients import Clients
from deployer.aws.errors import NotFound, translated
from deployer.aws.metrics import Metrics
from deployer.aws.observed import FunctionState
from deployer.aws.provisioned import Provisioned
from deployer.aws.tries import BRISK, PATIENT
from deployer.aws.versions import Versions
from deployer.canary import marker
from deployer.config import ALIAS
from deployer.config import Config as DeployConfig
from deployer.context import Context
from deployer.judge.counts import Week
from deployer.model import AlarmReading, AliasState, AliasWrite, Routing, percent

if TYPE_CHECKING:
    from botocore.config import Config as ClientConfig


class Aws(Clients):
    """One environment's function in one region. Every method is one call unless it says otherwise."""

    counts_failures = False  # compares the app's own metric, see `deployer.metrics`

    def __init__(
        self, function_name: str, region: str, *, patient: ClientConfig = PATIENT, brisk: ClientConfig = BRISK
    ) -> None:
        super().__init__(region, patient=patient)
        self.function_name = function_name
        self._brisk = brisk
        self._weeks: dict[int, Week] = {}

    @cached_property
    def brisk(self) -> Aws:
        """Return this port with one short try for each call, for whoever moves the alias."""
        made = copy.copy(self)
        made._lambda = self.made("lambda", self._brisk)
        made._patient = self._brisk
        return made

    def provisioned(self) -> Provisioned:
        """Return the provisioned concurrency of the function's versions."""
        return Provisioned(self._lambda, self.function_name)

    def versions(self) -> Versions:
        """Return what the function's versions are made from."""
        return Versions(self._lambda, self.function_name)

    def identity(self) -> str:
        """Return the ARN the credentials belong to."""
        with translated("asking who we are"):
            return self.sts.get_caller_identity()["Arn"]

    def alias(self) -> AliasState:
        """Read the alias `live`. Raises NotFound before the first deployment."""
        with translated(f"reading alias `{ALIAS}`"):
            found = self._lambda.get_alias(FunctionName=self.function_name, Name=ALIAS)
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        canary, share = next(iter(weights.items()), (None, 0.0))
        description = found.get("Description", "")
        text, parsed = marker.parse(description)
        return AliasState(
            routing=Routing(found["FunctionVersion"], canary, percent(share)),
            revision=found["RevisionId"],
            text=text,
            marker=parsed,
            description=description,
        )

    def update_alias(self, write: AliasWrite, *, revision: str) -> None:
        """Move traffic and marker in one call. Raises Conflict when the alias is no longer at `revision`.

        Weights are always sent: an update without RoutingConfig keeps the old ones.
        Source: https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html
        """
        weights = {write.canary: write.weight_pct / 100} if write.canary else {}
        with translated(f"updating alias `{ALIAS}`"):
            self._lambda.update_alias(
                FunctionName=self.function_name,
                Name=ALIAS,
                FunctionVersion=write.version,
                RoutingConfig={"AdditionalVersionWeights": weights},
                Description=write.description,
                RevisionId=revision,
            )

    def metrics(self) -> Metrics:
        """Return the numbers of the alias's versions."""
        return Metrics(self.cloudwatch, self.function_name, self._weeks, counts_failures=self.counts_failures)

    def alarms(self, names: tuple[str, ...]) -> dict[str, AlarmReading]:
        """Return each named alarm's state and since when; one that does not exist is MISSING."""
        return alarms.states(self.cloudwatch, names)

    def alarms_without_data(self, names: tuple[str, ...]) -> list[str]:
        """Return those of the alarms whose metric had no data point in two weeks."""
        return alarms.without_data(self.cloudwatch, names)

    def function(self) -> FunctionState:
        """Read `$LATEST`. Raises NotFound before the first deployment."""
        with translated(f"reading function `{self.function_name}`"):
            found = self._lambda.get_function(FunctionName=self.function_name)
        return FunctionState.of(found)

    def image_of(self, version: str) -> str:
        """Return the image URI a version runs, by digest. Raises NotFound for an unknown version."""
        with translated(f"reading version {version}"):
            code = self._lambda.get_function(FunctionName=self.function_name, Qualifier=version)["Code"]
        return code.get("ResolvedImageUri") or code.get("ImageUri", "")

    def update_code(self, image_uri: str, *, revision: str) -> None:
        """Put the image into `$LATEST` and wait (several calls) until Lambda has taken it."""
        with translated("updating the function's code"):
            self._lambda.update_function_code(
                FunctionName=self.function_name, ImageUri=image_uri, RevisionId=revision, Publish=False
            )
        self.wait_updated()

    def wait_updated(self) -> None:
        """Wait, at most 5 minutes, until no update of the function is in progress.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
        """
        with translated("waiting for the function's update"):
            self._lambda.get_waiter("function_updated_v2").wait(
                FunctionName=self.function_name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
            )

    def publish(self, *, code_sha256: str, description: str) -> str:
        """Publish `$LATEST` and wait until the version can serve; returns its number.

        Lambda returns the existing version when nothing changed since it was published.
        Source: https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
        """
        expected: Any = {"CodeSha256": code_sha256} if code_sha256 else {}
        with translated("publishing a version"):
            version = self._lambda.publish_version(
                FunctionName=self.function_name,
                Description=description[:256],
                **expected,
            )["Version"]
        with translated(f"waiting for version {version}"):
            self._lambda.get_waiter("published_version_active").wait(
                FunctionName=self.function_name,
                Qualifier=version,
                WaiterConfig={"Delay": 1, "MaxAttempts": 1560},
            )
        return version

    def newest_version(self) -> str:
        """Return the version published last; several calls when there are many. Raises NotFound."""
        found = self.versions_before(None)
        if not found:
            raise NotFound(f"`{self.function_name}` has no published version", hint="deployer apply")
        return found[0]

    def versions_before(self, number: int | None) -> list[str]:
        """Return the versions below a number, or all, newest first; several calls when there are many."""
        with translated("listing the versions"):
            pages = self._lambda.get_paginator("list_versions_by_function").paginate(
                FunctionName=self.function_name
            )
            found = [version["Version"] for page in pages for version in page["Versions"]]
        numbers = sorted((int(each) for each in found if each != "$LATEST"), reverse=True)
        return [str(each) for each in numbers if number is None or each < number]

    def describe_version(self, version: str) -> dict[str, str]:
        """Return role, dead-letter target, state and description of a version. Raises NotFound."""
        with translated(f"reading version {version}"):
            found = self._lambda.get_function_configuration(
                FunctionName=self.function_name, Qualifier=version
            )
        return {
            "version": found["Version"],
            "role": found["Role"],
            "dead_letter": found.get("DeadLetterConfig", {}).get("TargetArn", ""),
            "state": found.get("State", "Active"),
            "description": found.get("Description", ""),
        }

    def invoke(self, version: str, event: object) -> tuple[str | None, Any]:
        """Invoke a version directly; returns Lambda's FunctionError (or None) and the decoded answer."""
        with translated(f"invoking version {version}"):
            answer = self._lambda.invoke(
                FunctionName=self.function_name, Qualifier=version, Payload=json.dumps(event).encode()
            )
            payload = answer["Payload"].read()
        try:
            decoded = json.loads(payload)
        except ValueError:
            decoded = payload.decode(errors="replace")
        return answer.get("FunctionError"), decoded

    def invoke_later(self, function_name: str, event: object, *, execution_name: str) -> None:
        """Start a durable execution of another function and do not wait for it.

        `$LATEST` by name: a durable function takes qualified invocations only.
        Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-invoking.html
        """
        with translated(f"invoking `{function_name}`"):
            self._lambda.invoke(
                FunctionName=function_name,
                Qualifier="$LATEST",
                InvocationType="Event",
                DurableExecutionName=execution_name,
                Payload=json.dumps(event).encode(),
            )

    def put_code(self, function_name: str, body: bytes, *, code_sha256: str) -> bool:
        """Give another function that Zip (two calls, and waiting), unless it has it: then False."""
        with translated(f"updating the code of `{function_name}`"):
            found = self._lambda.get_function_configuration(FunctionName=function_name)
            if found["CodeSha256"] == code_sha256:
                return False
            waiter = self._lambda.get_waiter("function_updated_v2")
            waiter.wait(FunctionName=function_name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
            self._lambda.update_function_code(FunctionName=function_name, ZipFile=body)
            waiter.wait(FunctionName=function_name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
        return True


AwsFactory = Callable[[DeployConfig, str], Aws]


def reach(context: Context) -> Aws:
    """Return the port to the function of the command's environment.

    Raises DeployerError (exit 2) when there is no such environment.
    """
    context.config.environment(context.environment)
    aws: Aws = context.connect(context.config, context.environment)
    return aws


def connect(config: DeployConfig, environment: str) -> Aws:
    """Return the port to one environment's function, with the credentials boto3 finds."""
    aws = Aws(config.function_name(environment), config.function.region)
    aws.counts_failures = config.environment(environment).errors_from == "app"
    return aws
