"""Which ARN, and with which conditions, CloudFormation's handlers ask for a right. Shell: MiniStack's state.

By service, and within a service by what the resource type names. A type of a service that is not here is
judged on `*`, which a grant for single resources does not allow: add its names to `_named`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import get_account_id, get_region

from testbed.enforcement.functions import PULLS, repository_arn
from testbed.enforcement.requests import log_group

# Rights that know no resource, whatever the resource type.
_ANY = {
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "lambda:CreateEventSourceMapping",
    "lambda:ListEventSourceMappings",
    "sns:Unsubscribe",
}
_OF_VERSION = {
    "lambda:DeleteFunction",
    "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionScalingConfig",
    "lambda:GetProvisionedConcurrencyConfig",
    "lambda:PutFunctionScalingConfig",
    "lambda:PutProvisionedConcurrencyConfig",
}

Properties = Mapping[str, Any]


def resources(right: str, kind: str, properties: Properties, physical: str, stack: str) -> list[str]:
    """Return the ARNs a handler asks a right for; more than one where AWS knows the resource by two names."""
    if right in _ANY:
        return ["*"]
    if right == "iam:PassRole":
        return [_role(properties)]
    if right in PULLS:
        return [repository_arn(str((properties.get("Code") or {}).get("ImageUri", "")))]
    service = right.partition(":")[0]
    named = _named.get(service)
    return named(right, kind, properties, physical, stack) if named else ["*"]


def context(right: str, kind: str, properties: Properties) -> dict[str, str]:
    """Return what conditions see when a handler asks for a right."""
    found = {}
    if right == "iam:PassRole":
        found["iam:PassedToService"] = (
            "lambda.amazonaws.com" if "Lambda" in kind else kind.split("::")[1].lower() + ".amazonaws.com"
        )
    if kind == "AWS::IAM::Role" and properties.get("PermissionsBoundary"):
        found["iam:PermissionsBoundary"] = str(properties["PermissionsBoundary"])
    if kind == "AWS::Lambda::Permission":
        found["lambda:Principal"] = str(properties.get("Principal", ""))
        if properties.get("FunctionUrlAuthType"):
            found["lambda:FunctionUrlAuthType"] = str(properties["FunctionUrlAuthType"])
    if kind == "AWS::Lambda::Url":
        found["lambda:FunctionUrlAuthType"] = str(properties.get("AuthType", ""))
    if kind == "AWS::Lambda::EventSourceMapping":
        found["lambda:FunctionArn"] = _function_arn(str(properties.get("FunctionName", "")))
    return found


def _where() -> str:
    return f"{get_region()}:{get_account_id()}"


def _role(properties: Properties) -> str:
    return str(next((properties[key] for key in ("Role", "RoleArn") if properties.get(key)), "*"))


def _name(properties: Properties, keys: tuple[str, ...], physical: str) -> str:
    """Return the resource's name: a property, or what CloudFormation named it; `*` while that is unknown."""
    for key in keys:
        value = properties.get(key)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value:
            return value
    return physical or "*"


def _function_arn(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:lambda:{_where()}:function:{name}"


def _lambda(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    """Name version or alias where the call does.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
    """
    if kind == "AWS::Lambda::EventSourceMapping":
        mapping = physical or "*"
        return [f"arn:aws:lambda:{_where()}:event-source-mapping:{mapping}"]
    arn = _function_arn(_name(properties, ("FunctionName", "TargetFunctionArn"), physical))
    function = ":".join(arn.split(":")[:7])
    match kind:
        case "AWS::Lambda::Permission":
            return [arn]
        case "AWS::Lambda::Version" if right in _OF_VERSION:
            version = physical.rsplit(":", 1)[-1] if physical.count(":") == 7 else "1"
            return [f"{function}:{version}"]
        case "AWS::Lambda::Alias" if "ProvisionedConcurrency" in right:
            return [f"{function}:{properties.get('Name', '*')}"]
        case "AWS::Lambda::EventInvokeConfig" | "AWS::Lambda::Url":
            qualifier = properties.get("Qualifier")
            return [f"{function}:{qualifier}" if qualifier else function]
    return [function]


def _iam(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    account = get_account_id()
    if kind == "AWS::IAM::ManagedPolicy":
        name = _name(properties, ("ManagedPolicyName",), physical.rsplit("/", 1)[-1])
        return [f"arn:aws:iam::{account}:policy/{name}"]
    if kind == "AWS::IAM::Role":
        return [f"arn:aws:iam::{account}:role/{_name(properties, ('RoleName',), physical)}"]
    return ["*"]


def _s3(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    return [f"arn:aws:s3:::{_name(properties, ('BucketName', 'Bucket'), physical)}"]


def _logs(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    name = _name(properties, ("LogGroupName",), physical)
    found = f"arn:aws:logs:{_where()}:log-group:{name}"
    return list(log_group(right.partition(":")[2], found, ""))


def _sns(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    name = _name(properties, ("TopicName", "Topics", "TopicArn"), physical)
    return [name if name.startswith("arn:") else f"arn:aws:sns:{_where()}:{name}"]


def _sqs(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    name = _name(properties, ("QueueName", "Queues"), physical).rsplit("/", 1)[-1]
    return [f"arn:aws:sqs:{_where()}:{name}"]


def _cloudwatch(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    if kind == "AWS::CloudWatch::Dashboard":
        name = _name(properties, ("DashboardName",), physical)
        return [f"arn:aws:cloudwatch::{get_account_id()}:dashboard/{name}"]
    if right == "cloudwatch:DescribeAlarms":
        return [f"arn:aws:cloudwatch:{_where()}:alarm:*"]
    return [f"arn:aws:cloudwatch:{_where()}:alarm:{_name(properties, ('AlarmName',), physical)}"]


def _ecr(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    return [f"arn:aws:ecr:{_where()}:repository/{_name(properties, ('RepositoryName',), physical)}"]


def _dynamodb(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    return [f"arn:aws:dynamodb:{_where()}:table/{_name(properties, ('TableName',), physical)}"]


def _events(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    name = _name(properties, ("Name",), physical)
    return [f"arn:aws:events:{_where()}:{'event-bus' if kind.endswith('EventBus') else 'rule'}/{name}"]


def _scheduler(right: str, kind: str, properties: Properties, physical: str, _: str) -> list[str]:
    group = properties.get("GroupName") or "default"
    return [f"arn:aws:scheduler:{_where()}:schedule/{group}/{_name(properties, ('Name',), physical)}"]


_named: dict[str, Callable[[str, str, Properties, str, str], list[str]]] = {
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "ecr": _ecr,
    "events": _events,
    "iam": _iam,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "scheduler": _scheduler,
    "sns": _sns,
    "sqs": _sqs,
}
