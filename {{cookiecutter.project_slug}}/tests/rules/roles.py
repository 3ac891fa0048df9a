"""What each role and each ceiling may do, in full: the list that infra/registry.yaml and bootstrap.yaml are held to.

Pure. Held against the templates as they are written: what infra/permissions.yaml adds is the owner's. A right that is
missing here or there is a finding, so whoever adds one says so twice. `test_bootstrap.py` generates a mutant of
every grant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rules.templates import Rule, Template, grants, resources

# An ARN is written without partition, and without region and account where they are the stack's own.
OWN = re.compile(r"arn:\$\{AWS::Partition\}:(\w+):(?:\$\{AWS::Region\}|):(?:\$\{AWS::AccountId\}|):")
WORDS = {
    "${FunctionName}": "NAME",
    "${Name}": "NAME",
    "${Environment}": "ENV",
    "${AWS::Region}": "REGION",
}
FUNCTION, GUARD, DRIVER = (
    "lambda:function:NAME-ENV",
    "lambda:function:NAME-ENV-guard",
    "lambda:function:NAME-ENV-rollout",
)
IMAGES = "arn:${AWS::Partition}:ecr:REGION:${RegistryAccount}:repository/NAME"
STACK = "cloudformation:stack/NAME-ENV/*"
CHANGE_SETS = "cloudformation:changeSet/NAME-ENV-*/*"
SCHEDULE = "scheduler:schedule/default/NAME-ENV-rollout"
CANARY = "cloudwatch:alarm:NAME-ENV-canary-*"
TOPIC, QUEUE = "sns:NAME-ENV-rollouts", "sqs:NAME-ENV-failures"
ROLES = {who: f"iam:role/NAME-ENV-{who}-REGION" for who in ("function", "guard", "rollout", "schedule")}
BY_LAMBDA = tuple(role for who, role in ROLES.items() if who != "schedule")
OF_ACCOUNT = "StringEqualsIfExists aws:ResourceAccount = AWS::AccountId"

Row = tuple[str, tuple[str, ...], str]  # actions, joined by blanks; resources; condition


def _log(name: str) -> Row:
    return "logs:CreateLogStream logs:PutLogEvents", (f"logs:log-group:/aws/lambda/{name}:*",), OF_ACCOUNT


def _made(who: str, ceiling: str) -> Row:
    """Return how CloudFormation makes a role: below its ceiling only."""
    below = f"StringEquals iam:PermissionsBoundary = {ceiling}"
    return "iam:CreateRole iam:DeleteRolePolicy iam:PutRolePolicy", (ROLES[who],), below


def _passed_to(service: str) -> str:
    return f"StringEquals iam:PassedToService = {service}.amazonaws.com"


READ = "lambda:GetAlias lambda:GetFunction lambda:GetFunctionConfiguration lambda:ListVersionsByFunction"
ALLOWED: dict[str, tuple[Row, ...]] = {
    "PushRole": (
        ("ecr:GetAuthorizationToken", ("*",), ""),
        (
            "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:CompleteLayerUpload"
            " ecr:DescribeRepositories ecr:InitiateLayerUpload ecr:PutImage ecr:UploadLayerPart",
            ("Repository.Arn",),
            "",
        ),
    ),
    "DeployRole": (
        (
            f"{READ} lambda:DeleteProvisionedConcurrencyConfig lambda:GetProvisionedConcurrencyConfig"
            " lambda:InvokeFunction lambda:PublishVersion lambda:PutProvisionedConcurrencyConfig"
            " lambda:UpdateAlias lambda:UpdateFunctionCode",
            (FUNCTION, f"{FUNCTION}:*"),
            "",
        ),
        (
            "lambda:GetFunction lambda:GetFunctionConfiguration lambda:InvokeFunction lambda:UpdateFunctionCode",
            (DRIVER, f"{DRIVER}:*"),
            "",
        ),
        ("cloudwatch:DescribeAlarms cloudwatch:GetMetricData cloudwatch:ListMetrics", ("*",), ""),
        ("cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm", (CANARY,), ""),
        ("sns:Publish", (TOPIC,), ""),
        ("scheduler:CreateSchedule scheduler:UpdateSchedule", (SCHEDULE,), ""),
        ("iam:PassRole", (ROLES["schedule"],), _passed_to("scheduler")),
        ("ecr:BatchGetImage ecr:DescribeImages ecr:GetDownloadUrlForLayer", (IMAGES,), ""),
        (
            "cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:DescribeChangeSet"
            " cloudformation:DescribeEvents cloudformation:DescribeStackEvents cloudformation:DescribeStacks"
            " cloudformation:ExecuteChangeSet cloudformation:GetTemplate",
            (STACK,),
            "",
        ),
        ("cloudformation:DescribeEvents", (CHANGE_SETS,), ""),
        ("iam:PassRole", ("StackRole.Arn",), _passed_to("cloudformation")),
    ),
    "PlanRole": (
        (
            "lambda:GetAlias lambda:GetFunction lambda:GetFunctionConfiguration lambda:GetPolicy",
            (FUNCTION, f"{FUNCTION}:*"),
            "",
        ),
        ("cloudwatch:DescribeAlarms cloudwatch:GetMetricData", ("*",), ""),
        ("cloudformation:DescribeStacks cloudformation:GetTemplate", (STACK,), ""),
        ("ecr:DescribeImages", (IMAGES,), ""),
    ),
    "RollbackRole": (
        (f"{READ} lambda:InvokeFunction lambda:UpdateAlias", (FUNCTION, f"{FUNCTION}:*"), ""),
        ("lambda:DeleteProvisionedConcurrencyConfig", (f"{FUNCTION}:*",), ""),
        ("cloudwatch:DescribeAlarms", ("*",), ""),
        ("cloudwatch:DeleteAlarms", (CANARY,), ""),
        ("cloudformation:DescribeStacks cloudformation:GetTemplate", (STACK,), ""),
        ("sns:Publish", (TOPIC,), ""),
        ("ecr:DescribeImages", (IMAGES,), ""),
    ),
    "SmokeRole": (("lambda:InvokeFunction", (f"{FUNCTION}:live",), ""),),
    "GamedayRole": (
        (
            f"{READ} lambda:InvokeFunction lambda:PublishVersion lambda:UpdateAlias"
            " lambda:UpdateFunctionConfiguration",
            (FUNCTION, f"{FUNCTION}:*"),
            "",
        ),
        ("lambda:DeleteFunction", (f"{FUNCTION}:*",), ""),
        ("cloudwatch:DescribeAlarms cloudwatch:GetMetricData", ("*",), ""),
        ("cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm", (CANARY,), ""),
        ("sns:GetTopicAttributes sns:ListSubscriptionsByTopic sns:Publish", (TOPIC,), ""),
        ("lambda:GetFunctionConfiguration lambda:GetPolicy", (GUARD,), ""),
        ("cloudformation:DescribeStacks cloudformation:GetTemplate", (STACK,), ""),
    ),
    "StackRole": (
        (
            f"{READ} lambda:CreateAlias lambda:CreateFunction lambda:DeleteAlias lambda:DeleteFunction"
            " lambda:DeleteFunctionConcurrency lambda:DeleteFunctionEventInvokeConfig"
            " lambda:GetFunctionCodeSigningConfig lambda:GetFunctionEventInvokeConfig"
            " lambda:GetFunctionRecursionConfig lambda:GetFunctionScalingConfig lambda:GetPolicy"
            " lambda:GetProvisionedConcurrencyConfig lambda:GetRuntimeManagementConfig lambda:ListTags"
            " lambda:PublishVersion lambda:PutFunctionConcurrency lambda:PutFunctionEventInvokeConfig"
            " lambda:RemovePermission lambda:TagResource lambda:UntagResource lambda:UpdateAlias"
            " lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
            " lambda:UpdateFunctionEventInvokeConfig",
            (FUNCTION, f"{FUNCTION}:*", GUARD, f"{GUARD}:*", DRIVER, f"{DRIVER}:*"),
            "",
        ),
        ("lambda:AddPermission", (GUARD,), "StringEquals lambda:Principal = sns.amazonaws.com"),
        ("ecr:BatchGetImage ecr:GetDownloadUrlForLayer", (IMAGES,), ""),
        _made("function", "Boundary"),
        _made("guard", "GuardBoundary"),
        _made("rollout", "RolloutBoundary"),
        _made("schedule", "ScheduleBoundary"),
        (
            "iam:DeleteRole iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListRolePolicies"
            " iam:TagRole iam:UntagRole iam:UpdateRole",
            tuple(ROLES.values()),
            "",
        ),
        ("iam:PassRole", BY_LAMBDA, _passed_to("lambda")),
        (
            "logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy logs:GetDataProtectionPolicy"
            " logs:ListTagsForResource logs:PutRetentionPolicy logs:TagResource logs:UntagResource",
            tuple(
                f"logs:log-group:/aws/lambda/NAME-ENV{which}{all_of_it}"
                for which in ("", "-guard", "-rollout")
                for all_of_it in ("", ":*")
            ),
            "",
        ),
        (
            "cloudwatch:DescribeAlarms logs:DescribeIndexPolicies logs:DescribeLogGroups"
            " logs:DescribeResourcePolicies",
            ("*",),
            "",
        ),
        (
            "sqs:CreateQueue sqs:DeleteQueue sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ListQueueTags"
            " sqs:SetQueueAttributes sqs:TagQueue sqs:UntagQueue",
            (QUEUE,),
            "",
        ),
        (
            "sns:CreateTopic sns:DeleteTopic sns:GetDataProtectionPolicy sns:GetTopicAttributes"
            " sns:ListSubscriptionsByTopic sns:ListTagsForResource sns:SetTopicAttributes sns:Subscribe"
            " sns:TagResource sns:UntagResource",
            (TOPIC,),
            "",
        ),
        (
            "cloudwatch:DeleteAlarms cloudwatch:ListTagsForResource cloudwatch:PutMetricAlarm"
            " cloudwatch:TagResource cloudwatch:UntagResource",
            ("cloudwatch:alarm:NAME-ENV-*",),
            "",
        ),
    ),
    "Boundary": (_log("NAME-ENV"), ("sqs:SendMessage", (QUEUE,), OF_ACCOUNT)),
    "GuardBoundary": (
        _log("NAME-ENV-guard"),
        ("lambda:GetAlias lambda:UpdateAlias", (FUNCTION,), OF_ACCOUNT),
        ("cloudwatch:DeleteAlarms", (CANARY,), OF_ACCOUNT),
        ("sqs:SendMessage", (QUEUE,), OF_ACCOUNT),
    ),
    "ScheduleBoundary": (("lambda:InvokeFunction", (GUARD,), OF_ACCOUNT),),
    "RolloutBoundary": (
        _log("NAME-ENV-rollout"),
        ("lambda:CheckpointDurableExecution lambda:GetDurableExecutionState", (f"{DRIVER}:*",), OF_ACCOUNT),
        ("lambda:GetAlias lambda:UpdateAlias", (FUNCTION,), OF_ACCOUNT),
        ("lambda:DeleteProvisionedConcurrencyConfig", (f"{FUNCTION}:*",), OF_ACCOUNT),
        ("cloudwatch:DescribeAlarms cloudwatch:GetMetricData", ("*",), OF_ACCOUNT),
        ("cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm", (CANARY,), OF_ACCOUNT),
        ("sns:Publish", (TOPIC,), OF_ACCOUNT),
    ),
}
# Two templates have a role of this name, for images and for versions.
PRUNE: dict[str, tuple[Row, ...]] = {
    "registry": (("ecr:BatchDeleteImage ecr:DescribeImages", ("Repository.Arn",), ""),),
    "environment": (
        (
            "lambda:GetFunction lambda:ListAliases lambda:ListVersionsByFunction",
            (FUNCTION, f"{FUNCTION}:*"),
            "",
        ),
        ("lambda:DeleteFunction", (f"{FUNCTION}:*",), ""),
        ("cloudwatch:DescribeAlarms", ("*",), ""),
    ),
}
Right = tuple[str, str, str]  # action, resource, condition


def short(value: Any) -> str:
    """Return a resource or a value as a reader names it: `lambda:function:NAME-ENV`, `Repository.Arn`."""
    match value:
        case {"Fn::Sub": str(text)}:
            return short(OWN.sub(r"\1:", text))
        case {"Fn::GetAtt": [str(resource), str(attribute)]}:
            return f"{resource}.{attribute}"
        case {"Ref": str(name)}:
            return name
    named = str(value)
    for long, word in WORDS.items():
        named = named.replace(long, word)
    return named


def _condition(condition: dict[str, Any]) -> str:
    found = [
        f"{operator} {key} = {short(value)}"
        for operator, keys in sorted(condition.items())
        for key, value in sorted(keys.items())
    ]
    return " and ".join(found)


def listed(holder: str, rows: dict[str, tuple[Row, ...]]) -> set[Right]:
    """Return the rights that a holder has on the list."""
    return {
        (action, resource, condition)
        for actions, where, condition in rows.get(holder, ())
        for action in actions.split()
        for resource in where
    }


def granted(template: Template) -> Iterator[tuple[str, Right]]:
    """Yield every right that a template grants, with its holder."""
    for grant in grants(template):
        for action in grant.actions:
            for resource in grant.resources:
                yield grant.holder, (action, short(resource), _condition(grant.conditions))


def rights_are_listed(template: Template) -> list[str]:
    """Require that roles and ceilings have the rights of the list, and that these are all they have."""
    kind = "environment" if "Environment" in template["Parameters"] else "registry"
    return compared(template, {**ALLOWED, "PruneRole": PRUNE[kind]})


def compared(template: Template, rows: dict[str, tuple[Row, ...]]) -> list[str]:
    """Return each right that a holder has and its rows do not, and the other way round."""
    found: dict[str, set[Right]] = {}
    for holder, right in granted(template):
        found.setdefault(holder, set()).add(right)
    holders = [
        name for type_ in ("Role", "ManagedPolicy") for name in resources(template, f"AWS::IAM::{type_}")
    ]
    problems = []
    for holder in holders:
        has, may = found.get(holder, set()), listed(holder, rows)
        problems += [
            f"{holder} allows {_told(right)}, which is not on its list" for right in sorted(has - may)
        ]
        problems += [f"{holder} lacks {_told(right)}, which is on its list" for right in sorted(may - has)]
    return problems


def _told(right: Right) -> str:
    action, resource, condition = right
    return f"{action} on {resource}{f' if {condition}' if condition else ''}"


RULES: tuple[Rule, ...] = (rights_are_listed,)
