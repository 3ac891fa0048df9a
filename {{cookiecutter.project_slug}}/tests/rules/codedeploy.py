"""What infra/codedeploy.yaml may grant, and to whom: two holders, with all their rights. Pure.

`test_codedeploy.py` of the template generates a mutant of every grant and of the trust.
"""

from __future__ import annotations

from typing import Any

from rules import roles
from rules.templates import Rule, Template, resources

GROUP = "codedeploy:deploymentgroup:NAME-ENV/NAME-ENV"
APPLICATION = "codedeploy:application:NAME-ENV"
CONFIGURATIONS = (
    "codedeploy:deploymentconfig:NAME-ENV-*",
    "codedeploy:deploymentconfig:CodeDeployDefault.LambdaAllAtOnce",
)
ROWS: dict[str, tuple[roles.Row, ...]] = {
    "ServiceRole": (
        (
            "lambda:GetAlias lambda:GetProvisionedConcurrencyConfig lambda:UpdateAlias",
            (roles.FUNCTION, f"{roles.FUNCTION}:*"),
            "",
        ),
        ("cloudwatch:DescribeAlarms", ("*",), ""),
    ),
    "DeployRights": (
        ("codedeploy:CreateDeployment codedeploy:GetDeployment", (GROUP,), ""),
        ("codedeploy:StopDeployment", ("*",), ""),
        ("codedeploy:GetApplicationRevision codedeploy:RegisterApplicationRevision", (APPLICATION,), ""),
        ("codedeploy:CreateDeploymentConfig codedeploy:GetDeploymentConfig", CONFIGURATIONS, ""),
    ),
}
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "codedeploy.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        }
    ],
}


def rights_are_listed(template: Template) -> list[str]:
    """Require that CodeDeploy moves one alias, and that the deploy role asks it for one group's deployments."""
    return roles.compared(template, ROWS)


def only_codedeploy_shifts(template: Template) -> list[str]:
    """Require that CodeDeploy alone becomes its role, for this account, and that the deploy role alone asks it."""
    problems = [
        f"{name} trusts {role['AssumeRolePolicyDocument']}"
        for name, role in resources(template, "AWS::IAM::Role").items()
        if role["AssumeRolePolicyDocument"] != TRUST
    ]
    ours = [{"Fn::Sub": "${Name}-${Environment}-deploy-${AWS::Region}"}]
    for name, policy in resources(template, "AWS::IAM::ManagedPolicy").items():
        held = {key: policy.get(key) for key in ("Roles", "Users", "Groups")}
        if held != {"Roles": ours, "Users": None, "Groups": None}:
            problems.append(f"{name} is held by {held}")
    return problems


RULES: tuple[Rule, ...] = (rights_are_listed, only_codedeploy_shifts)
