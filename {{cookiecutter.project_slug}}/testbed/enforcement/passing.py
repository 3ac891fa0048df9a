"""iam:PassRole: whoever gives a role to an AWS service must be allowed to. Shell.

Replaces: MiniStack asks for it nowhere that this repository's commands go.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

from testbed.enforcement import caller
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.requests import Request
from testbed.enforcement.settings import Settings

# Action: the parameter that names a role, in another one if it has a point, and the service the role is for.
_GIVEN = {
    "cloudformation:CreateChangeSet": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:CreateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:UpdateStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "cloudformation:DeleteStack": ("RoleARN", "cloudformation.amazonaws.com"),
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "lambda:UpdateFunctionConfiguration": ("Role", "lambda.amazonaws.com"),
    "scheduler:CreateSchedule": ("Target.RoleArn", "scheduler.amazonaws.com"),
    "scheduler:UpdateSchedule": ("Target.RoleArn", "scheduler.amazonaws.com"),
}


def install(_: Settings, __: Decisions) -> None:
    """Ask for the right to pass a role with each request that names one."""
    caller.further.append(passed)


def passed(action: str, request: Request) -> list[caller.Further]:
    """Return the right to pass the role that a request names, if it names one."""
    parameter, service = _GIVEN.get(action, ("", ""))
    outer, _, inner = parameter.partition(".")
    held = request.parameters.get(outer)
    role = str(held.get(inner, "")) if inner and isinstance(held, dict) else request.text(parameter)
    return [caller.Further("iam:PassRole", role, {"iam:PassedToService": service})] if role else []
