"""What roles and registry of infra/registry.yaml and infra/bootstrap.yaml must be, with the owner's rights in them.

Pure: a parsed template in, one sentence per finding out. Who may assume the roles is in `trust.py`, what each may do
in `roles.py`. `test_bootstrap.py` has a mutant for each rule.
"""

from __future__ import annotations

import json
from typing import Any

from rules import trust as trust_rules
from rules.templates import Grant, Rule, Template, as_list, grants, resources

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
# What would let a stack role give itself, or the function, more than an administrator decided, or read the owner's data.
NEVER_FOR_A_STACK = {
    "ecr:SetRepositoryPolicy",
    "lambda:CreateFunctionUrlConfig",
    "lambda:InvokeFunction",
    "lambda:InvokeFunctionUrl",
    "lambda:UpdateFunctionUrlConfig",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "sns:Publish",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}
# Services whose actions change what is released, or who may.
NEVER_FOR_A_TEST = {"cloudformation", "cloudwatch", "ecr", "iam", "lambda", "sts"}
# The smallest that IAM takes, without blanks: all inline policies of a role together, and one managed policy.
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_INLINE, MAX_MANAGED = 10_240, 6_144
LONGEST = {
    "${FunctionName}": "n" * 29,
    "${Environment}": "production",
    "${AWS::Region}": "ap-southeast-1",
    "${AWS::AccountId}": "1" * 12,
    "${RegistryAccount}": "1" * 12,
    "${AWS::Partition}": "aws",
}
PULL = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
# What is not made everywhere: who tries what staging serves has no role in production.
CONDITIONS = {"OidcProvider": "CreatesOidcProvider", "SmokeRole": "IsStaging", "GamedayRole": "IsStaging"}
MEANINGS: dict[str, Any] = {
    "CreatesOidcProvider": {"Fn::Equals": [{"Ref": "ExistingOidcProviderArn"}, ""]},
    "IsStaging": {"Fn::Equals": [{"Ref": "Environment"}, "staging"]},
    **{
        f"{environment}IsElsewhere": {
            "Fn::Not": [{"Fn::Equals": [{"Ref": f"{environment}Account"}, {"Ref": "RegistryAccount"}]}]
        }
        for environment in ("Staging", "Production")
    },
}
ROLE_KEYS = {"RoleName", "Description", "MaxSessionDuration", "AssumeRolePolicyDocument", "Policies"}
POLICY_KEYS = {"ManagedPolicyName", "Description", "PolicyDocument"}


def roles_have_their_names(template: Template) -> list[str]:
    """Require of each role and ceiling the name by which others look for it, and no policy from elsewhere.

    The name has the region, since IAM is global.
    """
    ours = (
        "${FunctionName}-${Environment}-" if "Environment" in template["Parameters"] else "${FunctionName}-"
    )
    problems = []
    for kind, key, end in (("Role", "RoleName", "Role"), ("ManagedPolicy", "ManagedPolicyName", "Boundary")):
        for name, properties in resources(template, f"AWS::IAM::{kind}").items():
            word = name.removesuffix(end).lower()
            word = "-".join(filter(None, (word, "boundary"))) if end == "Boundary" else word
            if properties.get(key) != {"Fn::Sub": f"{ours}{word}-${{AWS::Region}}"}:
                problems.append(
                    f"{name} is called {properties.get(key)}, expected {ours}{word}-${{AWS::Region}}"
                )
            known = ROLE_KEYS if end == "Role" else POLICY_KEYS
            problems += [f"{name} has {extra}" for extra in sorted(properties.keys() - known)]
            problems += [
                f"{name} has {len(properties['Policies'])} policies, expected one"
                for _ in [0]
                if end == "Role" and len(properties["Policies"]) != 1
            ]
    return problems


def nothing_else_is_made(template: Template) -> list[str]:
    """Require that nothing but roles, their ceilings, the registry and the provider is made."""
    known = {
        "AWS::IAM::Role",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::OIDCProvider",
        "AWS::ECR::Repository",
    }
    return [
        f"{name} is an {resource['Type']}"
        for name, resource in template["Resources"].items()
        if resource["Type"] not in known
    ]


def made_where_it_should_be(template: Template) -> list[str]:
    """Require that only staging has the roles that change or call what it serves without a release."""
    problems = [
        f"{name} is made if {resource.get('Condition')}, expected {CONDITIONS.get(name, 'always')}"
        for name, resource in template["Resources"].items()
        if resource.get("Condition") != CONDITIONS.get(name)
    ]
    return problems + [
        f"{name} means {meaning}, expected {MEANINGS.get(name)}"
        for name, meaning in template.get("Conditions", {}).items()
        if meaning != MEANINGS.get(name)
    ]


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
        case {"Fn::Sub": str(arn)} if arn.endswith(":${RegistryAccount}:repository/${FunctionName}"):
            return set(grant.actions) <= {*PULL, "ecr:DescribeImages"}
        case {"Fn::Sub": str(arn)}:
            before, name, after = arn.partition("${FunctionName}-${Environment}")
            return bool(name) and "*" not in before and not after[:1].isalnum()
        case {"Fn::GetAtt": ["Repository", "Arn"]}:
            return True
        case {"Fn::GetAtt": [str(role), "Arn"]}:
            return grant.holder == "DeployRole" and role == "StackRole"
    return False


def smoke_role_touches_data_only(template: Template) -> list[str]:
    """Require that the tests in staging invoke one alias, and beside it touch data, never what is released."""
    return [
        f"SmokeRole allows {action}"
        for grant in grants(template)
        for action in grant.actions
        if grant.holder == "SmokeRole"
        and action.partition(":")[0].lower() in NEVER_FOR_A_TEST
        and (action, [str(r)[-7:-2] for r in grant.resources]) != ("lambda:InvokeFunction", [":live"])
    ]


def stack_role_gives_no_more(template: Template) -> list[str]:
    """Require that a stack lets in one service by name, opens no address, and touches no data."""
    problems = []
    for grant in grants(template):
        if grant.holder != "StackRole":
            continue
        problems += [f"StackRole allows {a}" for a in grant.actions if a in NEVER_FOR_A_STACK]
        if "lambda:AddPermission" in grant.actions:
            let_in = grant.conditions.get("StringEquals", {}).get("lambda:Principal", "anybody")
            problems += [
                f"StackRole lets {who} invoke"
                for who in as_list(let_in)
                if not str(who).endswith(".amazonaws.com")
            ]
    return problems


def ceilings_end_at_the_account(template: Template) -> list[str]:
    """Require that what a function may do ends at its own account, unless a statement says where else."""
    return [
        f"{grant.holder} allows {', '.join(grant.actions)} in any account"
        for grant in grants(template)
        if grant.holder.endswith("Boundary")
        and not any("aws:ResourceAccount" in keys for keys in grant.conditions.values())
    ]


def policies_fit(template: Template) -> list[str]:
    """Require that IAM takes the policies with the longest names, the owner's rights included."""
    problems = []
    for name, role in resources(template, "AWS::IAM::Role").items():
        size = sum(_size(policy["PolicyDocument"]) for policy in role["Policies"])
        problems += [f"{name} has {size} characters of policy, of {MAX_INLINE}"] if size > MAX_INLINE else []
    for name, policy in resources(template, "AWS::IAM::ManagedPolicy").items():
        size = _size(policy["PolicyDocument"])
        problems += [f"{name} has {size} characters, of {MAX_MANAGED}"] if size > MAX_MANAGED else []
    return problems


def _size(document: Any) -> int:
    text = json.dumps(document, separators=(",", ":"))
    for name, longest in LONGEST.items():
        text = text.replace(name, longest)
    return len(text.replace('{"Fn::Sub":', "").replace(" ", ""))


RULES: tuple[Rule, ...] = (
    *trust_rules.RULES,
    roles_have_their_names,
    nothing_else_is_made,
    made_where_it_should_be,
    no_action_has_a_wildcard,
    resources_are_scoped,
    smoke_role_touches_data_only,
    stack_role_gives_no_more,
    ceilings_end_at_the_account,
    policies_fit,
)
