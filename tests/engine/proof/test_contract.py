"""The fake and the local AWS tell the same story: one scenario on both, the same observations.

Where the local AWS is more lenient than Lambda (it accepts versions that do not exist, and `$LATEST` next to
another version), the fake follows AWS's documentation, and `test_fakes.py` holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from testbed import local_aws

from deployer.aws.client import Aws
from deployer.canary.moves import Wish
from deployer.errors import DeployerError
from deployer.model import AlarmState, AliasState, AliasWrite, GateSettings, RolloutPlan, Step
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate
from engine.fakes import FakeAws, VirtualClock

FN = "contract-production"
PLAN = RolloutPlan(id="77.1", target="2", steps=(Step(10, 300), Step(50, 300), Step(95, 300)))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Return the port to a function with two versions and an alias on a local AWS; its image never runs."""
    try:
        local_aws.find_python()
    except DeployerError as error:
        pytest.skip(error.what)
    with local_aws.running() as running, pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in running.environment().items():
            patch.setenv(name, value)
        client = boto3.client("lambda", region_name=running.region)
        role = "arn:aws:iam::000000000000:role/contract"
        image = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/contract@sha256:"
        client.create_function(
            FunctionName=FN, PackageType="Image", Code={"ImageUri": image + "a" * 64}, Role=role
        )
        client.publish_version(FunctionName=FN)
        client.update_function_code(FunctionName=FN, ImageUri=image + "b" * 64)
        client.publish_version(FunctionName=FN)
        client.create_alias(FunctionName=FN, Name="live", FunctionVersion="1", Description="mine")
        boto3.client("cloudwatch", region_name=running.region).put_metric_alarm(
            AlarmName="errors",
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        yield Aws(FN, running.region)


def fake() -> FakeAws:
    """Return the fake in the same situation."""
    made = FakeAws(function_name=FN, stable="1", versions={"1", "2"}, description="mine")
    return made.given_alarm("errors", AlarmState.INSUFFICIENT_DATA)


def seen(alias: AliasState) -> tuple[object, ...]:
    """Return what can be observed of an alias on any AWS; revisions only as far as they differ."""
    state = alias.marker.state.value if alias.marker else None
    return alias.routing, alias.text, state, alias.description


def kind_of(action) -> tuple[str, str]:
    """Return how a refused call is told: our kind of error, and AWS's own code."""
    try:
        action()
    except DeployerError as error:
        return type(error).__name__, (error.found or "").partition(":")[0]
    return "", ""


def story(aws) -> list[object]:
    """Do what a rollout does to an alias, and what goes wrong with it; return everything observed."""
    clock = VirtualClock()
    gate = Gate(GateSettings(), ("errors", "no-such-alarm"))
    first = aws.alias()
    told: list[object] = [seen(first)]
    aws.update_alias(AliasWrite("1", "mine", "2", 7), revision=first.revision)
    second = aws.alias()
    told += ["weights are set", seen(second), first.revision != second.revision]
    told += [
        "a stale revision",
        kind_of(lambda: aws.update_alias(AliasWrite("2", "x"), revision=first.revision)),
    ]
    told += ["changes nothing", seen(aws.alias())]
    aws.update_alias(AliasWrite("1", "mine", "2", 7), revision=second.revision)
    third = aws.alias()
    told += ["a write without a change is one", second.revision != third.revision, seen(third)]
    aws.update_alias(AliasWrite("1", "mine"), revision=third.revision)
    told += ["weights are cleared", seen(aws.alias())]
    told += ["an unknown version", kind_of(lambda: aws.describe_version("99"))]
    told += ["the versions", aws.newest_version(), aws.describe_version("2")["version"]]
    found = aws.alarms(gate.alarms)
    told += ["alarms", {name: reading.state for name, reading in found.items()}]
    told += [
        "a long description",
        kind_of(lambda: aws.update_alias(AliasWrite("1", "x" * 257), revision="r"))[0],
    ]
    watched = Gate(GateSettings(), ("errors",))
    rollout.begin(aws, rollout.Rollout(PLAN, watched, lambda _: None), clock)
    told += ["begun", seen(aws.alias())]
    for wish in (Wish.PAUSE, Wish.RESUME, Wish.SKIP, Wish.PROMOTE):
        clock.sleep(10)
        rollout.wish(aws, PLAN, wish, clock, "by a person")
        told += [wish.value, seen(aws.alias())]
    rollout.roll_back(aws, reason="not good")
    told += ["rolled back", seen(aws.alias())]
    return told


def test_the_fake_is_like_the_local_aws(local: Aws):
    """The same rollout, conflict, wishes and refusals look the same on both."""
    on_the_fake = story(fake())
    # botocore itself refuses nothing longer here, and the local AWS takes it: only AWS and the fake refuse.
    on_the_local_aws = story(local)
    at = on_the_fake.index("a long description")
    assert on_the_fake[:at] == on_the_local_aws[:at]
    assert on_the_fake[at + 2 :] == on_the_local_aws[at + 2 :]


def test_the_fake_refuses_what_the_local_aws_refuses(local: Aws):
    """No call that the local AWS refuses is accepted by the fake: the fake is the stricter of the two."""
    writes = [
        AliasWrite("99", "x"),
        AliasWrite("1", "x", "99", 10),
        AliasWrite("1", "x", "$LATEST", 10),
        AliasWrite("1", "x", "1", 10),
        AliasWrite("1", "x" * 257),
    ]
    made = fake()
    for write in writes:
        revision = local.alias().revision
        refused = kind_of(lambda write=write, revision=revision: local.update_alias(write, revision=revision))
        by_the_fake = kind_of(lambda write=write: made.update_alias(write, revision=made.alias().revision))
        assert by_the_fake != ("", ""), write
        assert refused in (("", ""), by_the_fake), write


def test_the_contract_can_fail(local: Aws, tmp_path: Path):
    """A fake without its lock would not be taken for the local AWS."""

    class Lockless(FakeAws):
        def update_alias(self, write: AliasWrite, *, revision: str) -> None:
            super().update_alias(write, revision=f"r{self._revision}")

    made = Lockless(function_name=FN, stable="1", versions={"1", "2"}, description="mine")
    first = made.alias()
    made.someone_else_writes()
    assert kind_of(lambda: made.update_alias(AliasWrite("2", "x"), revision=first.revision)) == ("", "")
    now = local.alias()
    local.update_alias(AliasWrite(now.routing.stable, now.description), revision=now.revision)
    assert kind_of(lambda: local.update_alias(AliasWrite("2", "x"), revision=now.revision))[0] == "Conflict"
