"""infra/bootstrap.yaml keeps the rules of `rules/bootstrap.py` and `rules/trust.py`; each has a mutant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rules import bootstrap as rules
from rules import trust as trust_rules
from rules.templates import BOOTSTRAP, PERMISSIONS, Rule, merged, text


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_bootstrap_keeps_the_rule(rule: Rule) -> None:
    """The template as it is breaks no rule."""
    assert rule(merged(BOOTSTRAP)) == []


@dataclass(frozen=True)
class Mutant:
    """One edit that makes the template worse, and the finding it must cause."""

    rule: Rule
    old: str
    new: str
    finding: str
    file: str = BOOTSTRAP


MUTANTS = {
    "claims are compared with StringLike": Mutant(
        trust_rules.github_trust_is_exact,
        "              StringEquals:\n                token",
        "              StringLike:\n                token",
        "PushRole compares claims with ['StringLike']",
    ),
    "a missing claim satisfies ForAllValues": Mutant(
        trust_rules.github_trust_is_exact,
        "              StringEquals:\n                token",
        "              ForAllValues:StringEquals:\n                token",
        "ProductionDeployRole compares claims with ['ForAllValues:StringEquals']",
    ),
    "production is open to every environment": Mutant(
        trust_rules.github_trust_is_exact,
        "sub: !Sub ${GitHubSubject}:environment:production",
        "sub: !Sub ${GitHubSubject}:environment:*",
        "ProductionDeployRole has token.actions.githubusercontent.com:sub = "
        "{'Fn::Sub': '${GitHubSubject}:environment:*'}",
    ),
    "the subject is any repository": Mutant(
        trust_rules.github_trust_is_exact,
        "sub: !Sub ${GitHubSubject}:ref:refs/heads/main",
        "sub: repo:*",
        "PushRole has token.actions.githubusercontent.com:sub = repo:*",
    ),
    "the subject is not asked for": Mutant(
        trust_rules.github_trust_is_exact,
        f"                {trust_rules.CLAIM}sub: !Sub ${{GitHubSubject}}:environment:staging\n",
        "",
        "StagingDeployRole has token.actions.githubusercontent.com:sub = None",
    ),
    "the audience is not asked for": Mutant(
        trust_rules.github_trust_is_exact,
        "                token.actions.githubusercontent.com:aud: sts.amazonaws.com\n",
        "",
        "PushRole has token.actions.githubusercontent.com:aud = None",
    ),
    "the repository's id is not asked for": Mutant(
        trust_rules.github_trust_is_exact,
        "                token.actions.githubusercontent.com:repository_id: !Ref GitHubRepositoryId\n",
        "",
        "PushRole has token.actions.githubusercontent.com:repository_id = None",
    ),
    "any branch deploys to production": Mutant(
        trust_rules.github_trust_is_exact,
        "environment: production\n                token.actions.githubusercontent.com:ref: refs/heads/main\n",
        "environment: production\n",
        "ProductionDeployRole has token.actions.githubusercontent.com:ref = None",
    ),
    "staging's token opens production": Mutant(
        trust_rules.github_trust_is_exact,
        "token.actions.githubusercontent.com:environment: production",
        "token.actions.githubusercontent.com:environment: staging",
        "ProductionDeployRole has token.actions.githubusercontent.com:environment = staging",
    ),
    "GitHub assumes the stack role": Mutant(
        trust_rules.github_trust_is_exact,
        "              Service: cloudformation.amazonaws.com",
        "              Federated: !Ref OidcProvider",
        "StagingStackRole trusts GitHub",
    ),
    "the conditions are gone": Mutant(
        trust_rules.github_trust_is_exact,
        f"            Condition:\n              StringEquals:\n                {trust_rules.CLAIM}aud",
        f"            X:\n              StringEquals:\n                {trust_rules.CLAIM}aud",
        "PushRole compares claims with []",
    ),
    "the subject may be a pattern": Mutant(
        trust_rules.subject_takes_no_wildcard,
        "AllowedPattern: ^repo:[A-Za-z0-9][A-Za-z0-9-]*(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$",
        "AllowedPattern: ^repo:.+$",
        "GitHubSubject accepts repo:*",
    ),
    "the subject may go on": Mutant(
        trust_rules.subject_takes_no_wildcard,
        "[A-Za-z0-9._-]+(@[0-9]+)?$",
        "[A-Za-z0-9._-]+(@[0-9]+)?",
        "GitHubSubject accepts repo:org@1/repo@2:environment:production",
    ),
    "the account assumes the stack role": Mutant(
        trust_rules.other_roles_trust_one_service,
        "              Service: cloudformation.amazonaws.com",
        "              AWS: !Sub arn:aws:iam::${AWS::AccountId}:root",
        "StagingStackRole trusts {'AWS'",
    ),
    "a deploy role may do anything to functions": Mutant(
        rules.no_action_has_a_wildcard,
        "                  - lambda:DeleteProvisionedConcurrencyConfig\n                  - lambda:InvokeFunction",
        "                  - lambda:*",
        "StagingDeployRole allows lambda:*",
    ),
    "a grant by exclusion": Mutant(
        rules.no_action_has_a_wildcard,
        "                Action: cloudwatch:GetMetricData",
        "                NotAction: iam:CreateUser",
        "StagingDeployRole allows by NotAction",
    ),
    "staging deploys to production": Mutant(
        rules.resources_are_scoped,
        "function:${FunctionName}-staging:*\n              # The rollout's gate",
        "function:${FunctionName}-production:*\n              # The rollout's gate",
        "StagingDeployRole allows lambda:DeleteProvisionedConcurrencyConfig, lambda:GetAlias",
    ),
    "every function of the account": Mutant(
        rules.resources_are_scoped,
        "function:${FunctionName}-production:*\n              # The rollout's gate",
        "function:*\n              # The rollout's gate",
        "ProductionDeployRole allows lambda:DeleteProvisionedConcurrencyConfig, lambda:GetAlias",
    ),
    "a star where the action knows its resource": Mutant(
        rules.resources_are_scoped,
        "                Resource: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/"
        "${FunctionName}-production-function",
        '                Resource: "*"',
        "ProductionStackRole allows iam:CreateRole",
    ),
    "functions whose name merely starts alike": Mutant(
        rules.resources_are_scoped,
        ":${FunctionName}-staging-failures",
        ":${FunctionName}-stagingfailures",
        "StagingStackRole allows sqs:CreateQueue",
    ),
    "a deploy role pushes images": Mutant(
        rules.github_roles_grant_only_the_flow,
        "                  - lambda:DeleteProvisionedConcurrencyConfig\n                  - lambda:InvokeFunction",
        "                  - lambda:InvokeFunction\n                  - ecr:PutImage",
        "StagingDeployRole allows ecr:PutImage",
    ),
    "a deploy role opens the function to others": Mutant(
        rules.github_roles_grant_only_the_flow,
        "                  - lambda:DeleteProvisionedConcurrencyConfig\n                  - lambda:InvokeFunction",
        "                  - lambda:AddPermission",
        "ProductionDeployRole allows lambda:AddPermission",
    ),
    "the smoke tests reach every version": Mutant(
        rules.smoke_role_tries_what_is_live,
        "function:${FunctionName}-staging:live",
        "function:${FunctionName}-staging:*",
        "StagingSmokeRole invokes",
    ),
    "the smoke tests deploy": Mutant(
        rules.smoke_role_tries_what_is_live,
        "smoke:\n",
        "smoke:\n  - {Action: lambda:UpdateAlias, Resource: '${FunctionName}'}\n",
        "StagingSmokeRole allows lambda:UpdateAlias",
        PERMISSIONS,
    ),
    "the smoke tests touch another's bucket": Mutant(
        rules.resources_are_scoped,
        "${FunctionName}-resized-${AWS::AccountId}/smoke/*",
        "other-resized-${AWS::AccountId}/smoke/*",
        "StagingSmokeRole allows s3:DeleteObject",
        PERMISSIONS,
    ),
    "the function may do everything with objects": Mutant(
        rules.no_action_has_a_wildcard,
        "Action: s3:PutObject",
        "Action: s3:Put*",
        "ProductionBoundary allows s3:Put*",
        PERMISSIONS,
    ),
    "the stack reads what is in the buckets": Mutant(
        rules.made_roles_have_a_ceiling,
        "      - s3:GetBucketLocation",
        "      - s3:GetObject",
        "StagingStackRole allows s3:GetObject",
        PERMISSIONS,
    ),
    "the push role deletes images": Mutant(
        rules.github_roles_grant_only_the_flow,
        "                  - ecr:PutImage",
        "                  - ecr:BatchDeleteImage",
        "PushRole allows ecr:BatchDeleteImage",
    ),
    "the push role has every repository": Mutant(
        rules.push_role_has_one_repository,
        "- ecr:PutImage\n                Resource: !GetAtt Repository.Arn",
        "- ecr:PutImage\n                Resource: !Sub arn:aws:ecr:*:${AWS::AccountId}:repository/*",
        "PushRole pushes to {'Fn::Sub'",
    ),
    "the stack role is passed to anything": Mutant(
        rules.roles_are_passed_to_one_service,
        "                    iam:PassedToService: cloudformation.amazonaws.com",
        "                    iam:PassedToService: ec2.amazonaws.com",
        "StagingDeployRole passes a role under",
    ),
    "the function's role has no ceiling": Mutant(
        rules.made_roles_have_a_ceiling,
        "                    iam:PermissionsBoundary: !Ref ProductionBoundary",
        "                    aws:ResourceAccount: !Ref AWS::AccountId",
        "ProductionStackRole allows iam:CreateRole, iam:PutRolePolicy without the boundary",
    ),
    "the guard's role is made below another's ceiling": Mutant(
        rules.made_roles_have_a_ceiling,
        "                    iam:PermissionsBoundary: !Ref StagingGuardBoundary",
        "                    iam:PermissionsBoundary: !Ref StagingBoundary",
        "StagingStackRole allows iam:CreateRole, iam:PutRolePolicy without the boundary",
    ),
    "a release silences the stack's alarms": Mutant(
        rules.deploy_roles_touch_canary_alarms_only,
        "alarm:${FunctionName}-production-canary-*",
        "alarm:${FunctionName}-production-*",
        "ProductionDeployRole changes",
    ),
    "the ceiling can be lifted": Mutant(
        rules.made_roles_have_a_ceiling,
        "                  - iam:UpdateRole",
        "                  - iam:PutRolePermissionsBoundary",
        "StagingStackRole allows iam:PutRolePermissionsBoundary",
    ),
    "production grants what staging does not": Mutant(
        rules.environments_are_twins,
        "RoleName: !Sub ${FunctionName}-deploy-production\n",
        "RoleName: !Sub ${FunctionName}-deploy-production\n      Path: /x/\n",
        "EnvDeployRole is not the same",
    ),
    "tags move": Mutant(
        rules.images_stay_what_they_are,
        "ImageTagMutability: IMMUTABLE",
        "ImageTagMutability: MUTABLE",
        "lets tags move",
    ),
    "images go with the stack": Mutant(
        rules.images_stay_what_they_are,
        "    # A version whose image is gone answers every invocation with an error.\n"
        "    DeletionPolicy: RetainExceptOnCreate",
        "    DeletionPolicy: Delete",
        "Repository has DeletionPolicy Delete",
    ),
    "the provider goes with the stack": Mutant(
        rules.other_repositories_keep_their_provider,
        "    # Other repositories' roles may rely on it by then.\n    DeletionPolicy: RetainExceptOnCreate\n",
        "",
        "OidcProvider has DeletionPolicy Delete",
    ),
    "Lambda pulls for every account": Mutant(
        rules.lambda_pulls_for_our_functions_only,
        "            Condition:\n              ArnLike:",
        "            X:\n              ArnLike:",
        "pull for any function",
    ),
    "anybody pulls": Mutant(
        rules.lambda_pulls_for_our_functions_only,
        "              Service: lambda.amazonaws.com\n            Action:\n              - ecr",
        '              AWS: "*"\n            Action:\n              - ecr',
        "Repository is open to",
    ),
    "the policy is left to Lambda": Mutant(
        rules.lambda_pulls_for_our_functions_only,
        "      RepositoryPolicyText:",
        "      X:",
        "Repository has 0 policy statements",
    ),
    "released images expire": Mutant(
        rules.only_untagged_images_expire, '"untagged"', '"any"', "Repository expires any images"
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_rule_refuses_the_mutant(mutant: Mutant) -> None:
    """A rule finds the template that breaks it, and says where."""
    original = text(mutant.file)
    assert mutant.old in original
    changed = {mutant.file.removesuffix(".yaml"): original.replace(mutant.old, mutant.new)}
    findings = mutant.rule(merged(BOOTSTRAP, **changed))
    assert any(mutant.finding in finding for finding in findings), findings


def test_every_rule_has_a_mutant() -> None:
    """No rule passes unproven."""
    assert {mutant.rule for mutant in MUTANTS.values()} == set(rules.RULES)
