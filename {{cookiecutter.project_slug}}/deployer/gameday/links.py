"""Read the chain from the canary's alarm to the guard. Shell; changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployer.aws.client import Aws
from deployer.aws.errors import NotFound, translated
from deployer.errors import DeployerError
from deployer.gameday.chain import Chain
from deployer.rollout.guard import Guard


def read(aws: Aws, guard: Guard, version: str) -> Chain:
    """Read every link (five calls); one that may not be read is named, and not held against the chain."""
    name, unread = guard.alarm_name(version), list[str]()
    lambda_ = aws.client("lambda")
    function = f"{aws.function_name}-guard"

    def link(what: str, call: Callable[[], Any]) -> Any:
        try:
            with translated(f"reading the {what} of the guard's chain"):
                return call()
        except NotFound:
            return None
        except DeployerError:
            unread.append(what)
            return None

    alarms = link("alarm", lambda: guard.client.describe_alarms(AlarmNames=[name])["MetricAlarms"])
    attributes = link("policy", lambda: aws.sns.get_topic_attributes(TopicArn=guard.topic_arn)["Attributes"])
    listed = link(
        "listeners",
        lambda: aws.sns.list_subscriptions_by_topic(TopicArn=guard.topic_arn)["Subscriptions"],
    )
    permission = link("permission", lambda: lambda_.get_policy(FunctionName=function)["Policy"])
    found = link("state", lambda: lambda_.get_function_configuration(FunctionName=function))
    return Chain(
        function=aws.function_name,
        alarm_name=name,
        topic=guard.topic_arn,
        alarm=next(iter(alarms or ()), None),
        policy=(attributes or {}).get("Policy"),
        listeners=tuple(each["Endpoint"] for each in listed or ()),
        permission=permission,
        state=found.get("State", "Active") if found else None,
        unread=tuple(unread),
    )
