"""The durable driver on the local AWS: the packed Zip in a real durable function, waits and resumption included.

Two things there are not as in AWS, and both are made good here and nowhere else: only a plain request can make
a function durable (the local AWS wants `Enabled`, a member of the preview that today's botocore drops), and an
asynchronous invocation of one never ends, so the first invocation is synchronous; it answers PENDING.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from testbed.local_aws import LocalAws, find_python, running

from deployer.aws.client import Aws
from deployer.cli.main import main
from deployer.config import Config, load
from deployer.drivers import handover, package
from deployer.model import RolloutState
from engine.around import given_settings
from generating import GENERATED

ROOT = GENERATED
ROLE = "arn:aws:iam::000000000000:role/rehearsal"
SETTINGS = """
[project]
name = "Resizer"
[function]
name = "resizer"
region = "eu-central-1"
architecture = "x86_64"
[environments.staging]
driver = "durable"
steps = [{ weight_pct = 10, bake_s = 3600 }]
alarms = ["staging-errors"]
[environments.production]
driver = "durable"
steps = [{ weight_pct = 10, bake_s = 3600 }]
alarms = ["production-errors"]
"""


class LocallyDurable(Aws):
    """The port to AWS, with a look every two seconds and the first invocation made synchronously."""

    def invoke_later(self, function_name: str, event: Any, *, execution_name: str) -> None:
        """Start the durable execution; its first answer is that it is pending."""
        answer = self._lambda.invoke(
            FunctionName=function_name, Payload=json.dumps({**event, "poll_s": 2}).encode()
        )
        first = json.loads(answer["Payload"].read())
        assert first["Status"] == "PENDING", first


def connect(config: Config, environment: str) -> Aws:
    """Return the port to one environment's function on the local AWS."""
    return LocallyDurable(config.function_name(environment), config.function.region)


@pytest.fixture(scope="module")
def local_aws() -> Iterator[LocalAws]:
    """Run a local AWS without containers, and let boto3 talk to it alone."""
    with running(docker=None) as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment().items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        yield started


def given_function(aws: Aws, alarm: str) -> None:
    """Make the function that is rolled out: two versions, the alias on the first, an alarm that is OK."""
    client: Any = aws._lambda
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return {}\n")
    client.create_function(
        FunctionName=aws.function_name, Runtime="python3.11", Handler="index.handler", Role=ROLE,
        Code={"ZipFile": buffer.getvalue()},
    )  # fmt: skip
    aws.wait_updated()
    first = aws.publish(code_sha256="", description="first")
    client.create_alias(FunctionName=aws.function_name, Name="live", FunctionVersion=first)
    client.update_function_configuration(FunctionName=aws.function_name, MemorySize=256)
    aws.wait_updated()
    aws.publish(code_sha256="", description="second")
    aws.cloudwatch.put_metric_alarm(
        AlarmName=alarm, Namespace="Rehearsal", MetricName=alarm, Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
        ActionsEnabled=False,
    )  # fmt: skip
    aws.cloudwatch.put_metric_data(Namespace="Rehearsal", MetricData=[{"MetricName": alarm, "Value": 0}])
    aws.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="given")


@cache
def packed() -> tuple[str, str]:
    """Return the very Zip that `apply` uploads, in base64, and for which Python it is: the local AWS's own."""
    told = subprocess.run(
        [find_python(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    python = told.stdout.strip()
    made = package.build(ROOT, "arm64" if os.uname().machine == "aarch64" else "x86_64", python=python)
    return base64.b64encode(made.body).decode(), python


def given_durable_function(local_aws: LocalAws, name: str) -> None:
    """Make the durable function."""
    code, python = packed()
    body = {
        "FunctionName": name,
        "Runtime": f"python{python}",
        "Handler": handover.HANDLER,
        "Role": ROLE,
        "Timeout": 60,
        "MemorySize": 512,
        "DurableConfig": {"Enabled": True, "ExecutionTimeout": 86400, "RetentionPeriodInDays": 1},
        "Code": {"ZipFile": code},
    }
    address = urlsplit(local_aws.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    scope = f"test/20260101/{local_aws.region}/lambda/aws4_request"
    headers = {"Content-Type": "application/json", "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}"}
    connection.request("POST", "/2015-03-31/functions", json.dumps(body), headers)
    assert connection.getresponse().status == 201
    connection.close()


def eventually(is_true: Callable[[], bool], within_s: float = 60.0) -> bool:
    """Tell whether something becomes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.5)
    return is_true()


def executions(aws: Aws) -> list[str]:
    """Return the state of each durable execution there was."""
    client: Any = aws._lambda
    name = handover.function_name(aws.function_name)
    found = client.list_durable_executions_by_function(FunctionName=name)["DurableExecutions"]
    return [execution["Status"] for execution in found]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Write a deploy.toml."""
    return given_settings(tmp_path, SETTINGS)


def test_alarm_while_nobody_waits(local_aws: LocalAws, settings: Path):
    """A rollout handed over by a process that has ended is taken back by the durable function when its alarm fires."""
    aws = connect(load(settings), "production")
    given_function(aws, "production-errors")
    given_durable_function(local_aws, handover.function_name(aws.function_name))
    started = time.monotonic()
    assert main(["rollout", "start", "--env", "production", "--config", str(settings)], aws=connect) == 0
    # The command is back although the step bakes for an hour.
    assert time.monotonic() - started < 60
    assert aws.alias().routing.weight_pct == 10
    time.sleep(5)
    assert executions(aws) == ["RUNNING"]
    aws.cloudwatch.set_alarm_state(AlarmName="production-errors", StateValue="ALARM", StateReason="given")
    assert eventually(lambda: state(aws) is RolloutState.ROLLED_BACK)
    assert (aws.alias().routing.stable, aws.alias().routing.canary) == ("1", None)
    assert eventually(lambda: executions(aws) == ["FAILED"])


def test_promoted_from_another_machine(local_aws: LocalAws, settings: Path):
    """A person promotes through the alias; the durable function sees it and its execution succeeds."""
    aws = connect(load(settings), "staging")
    given_function(aws, "staging-errors")
    given_durable_function(local_aws, handover.function_name(aws.function_name))
    assert main(["rollout", "start", "--env", "staging", "--config", str(settings)], aws=connect) == 0
    assert main(["rollout", "promote", "--env", "staging", "--config", str(settings)], aws=connect) == 0
    assert eventually(lambda: executions(aws) == ["SUCCEEDED"])
    assert state(aws) is RolloutState.DONE
    assert aws.alias().routing.stable == "2"


def state(aws: Aws) -> RolloutState | None:
    """Return the state in the alias's marker."""
    marker = aws.alias().marker
    return marker.state if marker else None
