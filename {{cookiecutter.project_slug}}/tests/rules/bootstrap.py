"""What roles and registry of infra/bootstrap.yaml must be; who may assume the roles is in `trust.py`.

Pure: a parsed template in, one sentence per finding out. `test_bootstrap.py` has a mutant for each rule.
"""

from __future__ import annotations

import json
from typing import Any

from rules import trust as trust_rules
from rules.templates import Grant, Rule, Template, as_list, grants, resources
from rules.trust import ENVIRONMENTS

# They read, and AWS offers nothing narrower that works: no resource at all, or one that hides composite alarms.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
UNSCOPED_ACTIONS = {
    "ecr:GetAuthorizationToken",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
}

PUSH_ACTIONS = {
    "ecr:GetAuthorizationToken",
    "ecr:DescribeRepositories",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
}
DEPLOY_ACTIONS = {
    "lambda:GetFunction",
    "lambda:GetFunctionConfiguration",
    "lambda:GetAlias",
    "lambda:ListVersionsByFunction",
    "lambda:UpdateFunctionCode",
    "lambda:PublishVersion",
    "lambda:UpdateAlias",
    "lambda:PutProvisionedConcurrencyConfig",
    "lambda:GetProvisionedConcurrencyConfig",
    "lambda:DeleteProvisionedConcurrencyConfig",
    "lambda:InvokeFunction",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DeleteAlarms",
    "sns:Publish",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DescribeStacks",
    "cloudformation:DescribeStackEvents",
    "cloudformation:GetTemplate",
    "iam:PassRole",
}
# What would let a stack role give itself, or the function, more than an administrator decided.
NEVER_ON_A_ROLE = {
    "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PutRolePermissionsBoundary",
    "iam:UpdateAssumeRolePolicy",
    "ecr:SetRepositoryPolicy",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "sns:Publish",
}
# Services whose actions change what is released, or who may.
NEVER_FOR_A_TEST = {"cloudformation", "cloudwatch", "ecr", "iam", "lambda", "sts"}


def no_action_has_a_wildcard(template: Template) -> list[str]:
    """Require that every grant lists its actions; none is granted by exclusion."""
    return [
        f"{grant.holder} allows {action}"
        for grant in grants(template)
        for action in grant.actions
        if "*" in action or "?" in action
    ] + [
        f"{grant.holder} allows by {key}"
        for grant in grants(template)
        for key in ("NotAction", "NotResource")
        if key in grant.statement
    ]


def resources_are_scoped(template: Template) -> list[str]:
    """Require that a resource is ours and named in full; `*` is for the few that need it."""
    return [
        f"{grant.holder} allows {', '.join(sorted(set(grant.actions) - UNSCOPED_ACTIONS))} on {resource}"
        for grant in grants(template)
        for resource in grant.resources
        if not _is_scoped(grant, resource)
    ]


def _is_scoped(grant: Grant, resource: Any) -> bool:
    match resource:
        case "*":
            return set(grant.actions) <= UNSCOPED_ACTIONS
        case {"Fn::Sub": str(arn)}:
            environment = next((e for e in ENVIRONMENTS if grant.holder.startswith(e.capitalize())), None)
            before, name, after = arn.partition(f"${{FunctionName}}-{environment}")
            return bool(name) and "*" not in before and not after[:1].isalnum()
        case {"Ref": "AWS::StackId"}:
            return set(grant.actions) == {"cloudformation:DescribeStacks"}
        case {"Fn::GetAtt": ["Repository", "Arn"]}:
            return True
        case {"Fn::GetAtt": [str(role), "Arn"]}:
            return role == grant.holder.replace("DeployRole", "StackRole")
    return False


def github_roles_grant_only_the_flow(template: Template) -> list[str]:
    """Require that push and deploy roles grant what a release calls, and no action beside."""
    allowed = {
        "PushRole": PUSH_ACTIONS,
        "StagingDeployRole": DEPLOY_ACTIONS,
        "ProductionDeployRole": DEPLOY_ACTIONS,
    }
    return [
        f"{grant.holder} allows {action}, which no release calls"
        for grant in grants(template)
        for action in grant.actions
        if action not in allowed.get(grant.holder, {action})
    ]


def smoke_role_tries_what_is_live(template: Template) -> list[str]:
    """Require that the smoke role invokes one alias, and beside it touches data only, never what is released."""
    live = (
        "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${FunctionName}-staging:live"
    )
    invokes = ("lambda:InvokeFunction",)
    mine = [grant for grant in grants(template) if grant.holder == "StagingSmokeRole"]
    problems = [
        f"StagingSmokeRole invokes {grant.resources}"
        for grant in mine
        if grant.actions == invokes and grant.resources != ({"Fn::Sub": live},)
    ]
    return problems + [
        f"StagingSmokeRole allows {action}"
        for grant in mine
        for action in grant.actions
        if grant.actions != invokes and action.partition(":")[0].lower() in NEVER_FOR_A_TEST
    ]


def push_role_has_one_repository(template: Template) -> list[str]:
    """Require that the push role touches our repository and, to log in, the registry."""
    repository = {"Fn::GetAtt": ["Repository", "Arn"]}
    return [
        f"PushRole pushes to {resource}"
        for grant in grants(template)
        if grant.holder == "PushRole" and grant.actions != ("ecr:GetAuthorizationToken",)
        for resource in grant.resources
        if resource != repository
    ]


def roles_are_passed_to_one_service(template: Template) -> list[str]:
    """Require that stack roles are passed to CloudFormation only, and the function's role to Lambda only."""
    problems = []
    for grant in grants(template):
        if "iam:PassRole" in grant.actions:
            service = "lambda" if grant.holder.endswith("StackRole") else "cloudformation"
            expected = {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}
            if grant.conditions != expected:
                problems.append(f"{grant.holder} passes a role under {grant.conditions}, expected {expected}")
    return problems


def made_roles_have_a_ceiling(template: Template) -> list[str]:
    """Require that a stack role writes the policy of a role only below the boundary meant for that role."""
    problems = []
    for grant in grants(template):
        written = {"iam:CreateRole", "iam:PutRolePolicy"} & set(grant.actions)
        if written:
            made = str(grant.resources)
            ceiling = "Guard" if "-guard" in made else "Rollout" if "-rollout" in made else ""
            boundary = {"Ref": grant.holder.replace("StackRole", f"{ceiling}Boundary")}
            if grant.conditions != {"StringEquals": {"iam:PermissionsBoundary": boundary}}:
                problems.append(f"{grant.holder} allows {', '.join(sorted(written))} without the boundary")
            if len(grant.resources) != 1:
                problems.append(f"{grant.holder} makes {len(grant.resources)} roles below one boundary")
        if grant.holder.endswith("StackRole"):
            problems += [f"{grant.holder} allows {a}" for a in grant.actions if a in NEVER_ON_A_ROLE]
    return problems


def deploy_roles_touch_canary_alarms_only(template: Template) -> list[str]:
    """Require that a release can neither silence nor delete an alarm of the stack."""
    return [
        f"{grant.holder} changes {resource}"
        for grant in grants(template)
        if grant.holder.endswith("DeployRole")
        and {"cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"} & set(grant.actions)
        for resource in grant.resources
        if not str(resource).endswith("-canary-*'}")
    ]


def environments_are_twins(template: Template) -> list[str]:
    """Require that staging and production differ in their name, and in the smoke role that staging alone has."""

    def of(environment: str) -> Any:
        prefix = environment.capitalize()
        mine = {
            k: v for k, v in template["Resources"].items() if k.startswith(prefix) and k != "StagingSmokeRole"
        }
        renamed = json.dumps(mine, sort_keys=True)
        for name in (environment, environment.capitalize()):
            renamed = renamed.replace(name, "ENV" if name == environment else "Env")
        return json.loads(renamed)

    staging, production = of("staging"), of("production")
    return [
        f"{name} is not the same for staging and production"
        for name in sorted(staging.keys() | production.keys())
        if staging.get(name) != production.get(name)
    ]


def images_stay_what_they_are(template: Template) -> list[str]:
    """Require that a tag is never moved to another image, and deleting the stack deletes none."""
    problems = []
    for name, properties in resources(template, "AWS::ECR::Repository").items():
        if properties.get("ImageTagMutability") != "IMMUTABLE":
            problems.append(f"{name} lets tags move ({properties.get('ImageTagMutability', 'MUTABLE')})")
        problems += _kept(template, name)
        if properties.get("EmptyOnDelete"):
            problems.append(f"{name} deletes its images with itself")
    return problems


def other_repositories_keep_their_provider(template: Template) -> list[str]:
    """Require that the account's one provider outlives this stack."""
    return [p for name in resources(template, "AWS::IAM::OIDCProvider") for p in _kept(template, name)]


def _kept(template: Template, name: str) -> list[str]:
    resource = template["Resources"][name]
    kept = {"DeletionPolicy": ("Retain", "RetainExceptOnCreate"), "UpdateReplacePolicy": ("Retain",)}
    return [
        f"{name} has {key} {resource.get(key, 'Delete')}, expected {values[-1]}"
        for key, values in kept.items()
        if resource.get(key) not in values
    ]


def lambda_pulls_for_our_functions_only(template: Template) -> list[str]:
    """Require that the repository's policy is written out: Lambda reads, for our functions."""
    problems = []
    for name, properties in resources(template, "AWS::ECR::Repository").items():
        statements = properties.get("RepositoryPolicyText", {}).get("Statement", [])
        if len(statements) != 1:
            problems.append(f"{name} has {len(statements)} policy statements, expected the one of Lambda")
        for statement in statements:
            if statement.get("Principal") != {"Service": "lambda.amazonaws.com"}:
                problems.append(f"{name} is open to {statement.get('Principal')}")
            if set(as_list(statement["Action"])) != {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}:
                problems.append(f"{name} lets Lambda {statement['Action']}")
            sources = as_list(statement.get("Condition", {}).get("ArnLike", {}).get("aws:sourceArn", []))
            function = (
                "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${FunctionName}"
            )
            ours = [{"Fn::Sub": f"{function}-{e}{q}"} for e in ENVIRONMENTS for q in ("", ":*")]
            if sources != ours:
                problems.append(f"{name} lets Lambda pull for {sources or 'any function'}")
    return problems


def only_untagged_images_expire(template: Template) -> list[str]:
    """Require that no lifecycle rule can remove an image that was released."""
    return [
        f"{name} expires {rule['selection']['tagStatus']} images"
        for name, properties in resources(template, "AWS::ECR::Repository").items()
        for rule in json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        if rule["selection"]["tagStatus"] != "untagged"
    ]


RULES: tuple[Rule, ...] = (
    *trust_rules.RULES,
    no_action_has_a_wildcard,
    resources_are_scoped,
    github_roles_grant_only_the_flow,
    smoke_role_tries_what_is_live,
    push_role_has_one_repository,
    roles_are_passed_to_one_service,
    made_roles_have_a_ceiling,
    deploy_roles_touch_canary_alarms_only,
    environments_are_twins,
    images_stay_what_they_are,
    other_repositories_keep_their_provider,
    lambda_pulls_for_our_functions_only,
    only_untagged_images_expire,
)
