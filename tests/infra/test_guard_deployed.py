"""The guard on a local AWS: nothing runs but what the stack deployed, and the alarm gives the traffic back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from deployer.aws.provisioned import Provisioned
from deployer.aws.schedule import Schedule
from deployer.judge.counts import Counts
from deployer.model import AliasWrite
from deployer.rollout.guard import Guard
from deployer.rollout.notify import Notifier
from infra.conftest import ACCOUNT, NAME, Client, Outputs, Stacks

FUNCTION = "guarded-production"
NO_META = {"ResponseMetadata": None}
MARKER = "mine [lc1 id=7.1 from=1 to=2 step=1/2 at=1763712000 w=10+95 st=run]"


def release_version_2(client: Client, stacks: Stacks, function: str) -> tuple[Guard, Any, Outputs]:
    """Deploy the stack and leave it as a rollout leaves it whose runner died in the first step."""
    outputs, lambda_ = stacks.service(function), client("lambda")
    image = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{NAME}@sha256:{'2' * 64}"
    lambda_.update_function_code(FunctionName=function, ImageUri=image)
    assert lambda_.publish_version(FunctionName=function)["Version"] == "2"
    guard = Guard(client("cloudwatch"), function, outputs["RolloutTopicArn"])
    guard.arm("2", Counts())
    lambda_.update_alias(
        FunctionName=function,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}},
        Description=MARKER,
    )
    return guard, lambda_, outputs


def eventually(holds: Callable[[], bool], within_s: float = 30.0) -> bool:
    """Wait until something is true; the guard starts at its own pace."""
    until = time.monotonic() + within_s
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def test_alarm_gives_the_traffic_back_without_a_runner(client: Client, stacks: Stacks) -> None:
    """CloudWatch's alarm, the topic and the guard roll the alias back; no other process takes part."""
    guard, lambda_, _ = release_version_2(client, stacks, FUNCTION)

    def alias() -> Any:
        return lambda_.get_alias(FunctionName=FUNCTION, Name="live")

    cloudwatch = client("cloudwatch")
    name = guard.alarm_name("2")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    assert alias()["RoutingConfig"]["AdditionalVersionWeights"] == {"2": 0.1}
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")

    assert eventually(lambda: "st=rolled-back" in alias()["Description"])
    after = alias()
    assert (after["FunctionVersion"], after.get("RoutingConfig") or {}) in (
        ("1", {}),
        ("1", {"AdditionalVersionWeights": {}}),
    )
    assert after["Description"] == MARKER.replace("st=run", f"st=rolled-back why=guard: {name}")
    assert guard.disarm() == (name,)
    assert guard.disarm() == ()


def test_schedule_ends_what_nobody_drives(client: Client, stacks: Stacks) -> None:
    """At the rollout's latest end the scheduler invokes the guard, which gives the traffic back and deletes the alarm."""
    function = "scheduled-production"
    guard, lambda_, outputs = release_version_2(client, stacks, function)
    arns = (outputs["GuardFunctionArn"], outputs["ScheduleRoleArn"])
    schedule = Schedule(client("scheduler"), function, *arns)
    schedule.put(time.time() + 3600, {"rollout": "7.1", "version": "2", "until": 0})
    at = time.time() - 1
    schedule.put(at, {"rollout": "7.1", "version": "2", "until": int(at)})

    def alias() -> Any:
        return lambda_.get_alias(FunctionName=function, Name="live")

    assert eventually(lambda: "st=rolled-back" in alias()["Description"], within_s=60)
    after = alias()
    assert after["FunctionVersion"] == "1"
    assert after["Description"] == MARKER.replace(
        "st=run", "st=rolled-back why=guard: nobody drove it to its end"
    )
    assert eventually(lambda: guard.disarm() == ())
    assert client("scheduler").list_schedules()["Schedules"] == []


def test_announcement_leaves_the_alias_alone(client: Client, stacks: Stacks) -> None:
    """The rollout's own events go to the same topic, and the guard does nothing about them."""
    outputs = stacks.service("announced-production")
    lambda_, sns, said = client("lambda"), client("sns"), list[str]()
    topic = outputs["RolloutTopicArn"]
    queue = client("sqs").create_queue(QueueName="listener")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    before = lambda_.get_alias(FunctionName="announced-production", Name="live")

    def send(subject: str, text: str) -> None:
        sns.publish(TopicArn=topic, Subject=subject, Message=text)

    Notifier("announced-production", {"topic": send}, said.append).announce(
        AliasWrite("1", MARKER, canary="2", weight_pct=10), "first step", 1_763_712_000.0
    )

    (message,) = client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    event = json.loads(json.loads(message["Body"])["Message"])
    assert (said, event["kind"], event["id"]) == ([], "start", "announced-production/7.1/1/0/start")
    assert lambda_.get_alias(FunctionName="announced-production", Name="live") | NO_META == before | NO_META


def test_provisioned_concurrency_is_put_read_and_removed(client: Client, stacks: Stacks) -> None:
    """The port's three calls do on a version what they say."""
    stacks.service("warm-production")
    port = Provisioned(client("lambda"), "warm-production")
    assert port.read("1") is None
    port.put("1", 2)
    assert eventually(lambda: (found := port.read("1")) is not None and found.status == "READY")
    port.remove("1")
    port.remove("1")
    assert port.read("1") is None
