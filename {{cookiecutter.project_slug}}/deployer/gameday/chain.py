"""From the canary's errors to the guard: which link of the chain is broken, and what mends it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.aws import statements
from deployer.gameday.findings import Finding

DIMENSIONS = ("FunctionName", "Resource", "ExecutedVersion")


@dataclass(frozen=True)
class Chain:
    """The links as AWS reports them; None is one that does not exist, and `unread` those nobody may read.

    `alarm` is DescribeAlarms' own answer, `policy` and `permission` are policies as JSON, `listeners` the
    endpoints that are subscribed to the topic, `state` that of the guard function.
    """

    function: str
    alarm_name: str
    topic: str
    alarm: Mapping[str, Any] | None
    policy: str | None = None
    listeners: tuple[str, ...] = ()
    permission: str | None = None
    state: str | None = None
    unread: tuple[str, ...] = ()

    @property
    def guard(self) -> str:
        """Return the name of the guard function."""
        return f"{self.function}-guard"


def broken_link(chain: Chain) -> Finding:
    """Return the first link that does not hold; when each looks whole, the guard itself is the last one."""
    return definition(chain) or _state(chain) or _topic(chain) or _guard(chain)


def definition(chain: Chain) -> Finding | None:
    """Return what is wrong with the alarm as it was put, before it has seen anything; None if nothing is."""
    name, alarm = chain.alarm_name, chain.alarm
    look = f"aws cloudwatch describe-alarms --alarm-names {name}"
    if alarm is None:
        return Finding(
            "guard: the canary's alarm does not exist",
            f"found no alarm `{name}`, expected the one that was put before traffic moved",
            "aws cloudtrail lookup-events --lookup-attributes "
            "AttributeKey=EventName,AttributeValue=DeleteAlarms: who deleted it",
        )
    found = {pair["Name"] for pair in alarm.get("Dimensions", [])}
    missing = [dimension for dimension in DIMENSIONS if dimension not in found]
    if missing:
        return Finding(
            "guard: the canary's alarm does not watch the canary",
            f"found the dimensions {', '.join(sorted(found)) or 'none'}, expected also {', '.join(missing)}",
            "python3 dev.py verify, then git checkout -- deployer/rollout/guard.py",
        )
    if not alarm.get("ActionsEnabled", True):
        return Finding(
            "guard: the actions of the canary's alarm are switched off",
            "found ActionsEnabled false, expected true",
            f"aws cloudwatch enable-alarm-actions --alarm-names {name}",
        )
    if chain.topic not in alarm.get("AlarmActions", []):
        return Finding(
            "guard: the canary's alarm tells somebody else",
            f"found {', '.join(alarm.get('AlarmActions', [])) or 'no action'}, expected {chain.topic}",
            look,
        )
    return None


def _state(chain: Chain) -> Finding | None:
    alarm = chain.alarm or {}
    if alarm.get("StateValue") == "ALARM":
        return None
    return Finding(
        "guard: the canary's alarm did not fire",
        f"found it in state {alarm.get('StateValue')}, expected ALARM: {alarm.get('StateReason', '')}",
        f"aws cloudwatch describe-alarms --alarm-names {chain.alarm_name}: compare metric and threshold",
    )


def _topic(chain: Chain) -> Finding | None:
    if "policy" not in chain.unread and not allows(
        chain.policy, "cloudwatch.amazonaws.com", ("SNS:Publish", "sns:Publish", "sns:*")
    ):
        return Finding(
            "guard: CloudWatch may not publish to the rollout topic",
            f"found no statement for cloudwatch.amazonaws.com in the policy of {chain.topic}",
            statements.let_alarms_publish(chain.topic, chain.function),
        )
    if "listeners" not in chain.unread and not any(
        end.endswith(f":{chain.guard}") for end in chain.listeners
    ):
        return Finding(
            "guard: the guard does not listen to the rollout topic",
            f"found {', '.join(chain.listeners) or 'no subscription'}, expected the function {chain.guard}",
            f"aws sns subscribe --topic-arn {chain.topic} --protocol lambda "
            f"--notification-endpoint {guard_arn(chain)}",
        )
    return None


def _guard(chain: Chain) -> Finding:
    log = f"aws logs tail /aws/lambda/{chain.guard} --since 1h"
    if "state" not in chain.unread and chain.state != "Active":
        return Finding(
            "guard: the guard function cannot run",
            f"found it {chain.state or 'missing'}, expected Active",
            f"aws lambda get-function-configuration --function-name {chain.guard}",
        )
    if "permission" not in chain.unread and not allows(
        chain.permission, "sns.amazonaws.com", ("lambda:InvokeFunction", "lambda:*")
    ):
        return Finding(
            "guard: SNS may not invoke the guard function",
            f"found no statement for sns.amazonaws.com in the policy of {chain.guard}",
            statements.let_topic_invoke_guard(chain.topic, chain.function),
        )
    unread = f"; not allowed to read: {', '.join(chain.unread)}" if chain.unread else ""
    return Finding(
        "guard: the alarm fired, and the guard did not give the traffic back",
        f"found each link from the alarm to {chain.guard} whole, expected it to write the alias with its role"
        f"{unread}",
        f"{log}; its role needs lambda:GetAlias and lambda:UpdateAlias",
    )


def guard_arn(chain: Chain) -> str:
    """Return the guard function's ARN; the topic is in the same account and region."""
    _, partition, _, region, account, _ = chain.topic.split(":", 5)
    return f"arn:{partition}:lambda:{region}:{account}:function:{chain.guard}"


def allows(policy: str | None, service: str, actions: tuple[str, ...]) -> bool:
    """Tell whether a resource policy lets a service do one of these; conditions are not looked at."""
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return False
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else [principal]
        known = [services] if isinstance(services, str) else services
        allowed = statement.get("Action", [])
        allowed = [allowed] if isinstance(allowed, str) else allowed
        if statement.get("Effect") == "Allow" and service in known and set(allowed) & {*actions, "*"}:
            return True
    return False
