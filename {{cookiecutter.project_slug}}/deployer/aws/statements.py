"""The AWS CLI's commands that put a statement back between alarm, topic and guard. Pure.

A deployment does not: CloudFormation compares templates, and does not look at what somebody deleted.
Source: https://github.com/aws/aws-cdk/issues/16769
"""

from __future__ import annotations

import json


def let_alarms_publish(topic: str, function: str) -> str:
    """Return the command that gives the rollout topic the policy of `infra/service.yaml` again.

    It replaces the whole policy: `aws sns add-permission` takes accounts, and no service.
    Source: https://docs.aws.amazon.com/sns/latest/api/API_AddPermission.html
    """
    _, partition, _, region, account, _ = topic.split(":", 5)
    alarms = f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{function}-*"
    statement = {
        "Sid": "AlarmsPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": alarms}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    attribute = f"--attribute-name Policy --attribute-value '{policy}'"
    return f"aws sns set-topic-attributes --topic-arn {topic} {attribute}"


def let_topic_invoke_guard(topic: str, function: str) -> str:
    """Return the command that lets the rollout topic wake the guard again."""
    return (
        f"aws lambda add-permission --function-name {function}-guard --statement-id RolloutTopic "
        f"--action lambda:InvokeFunction --principal sns.amazonaws.com --source-arn {topic}"
    )
