"""infra/registry.yaml and infra/bootstrap.yaml keep their rules, and each rule has mutants that it refuses.

What each role may do, and who may assume it, is mutated by machine: every grant, every condition, every ceiling.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rules import bootstrap as rules
from rules import registry, roles
from rules import trust as trust_rules
from rules.templates import BOOTSTRAP, PERMISSIONS, REGISTRY, Rule, Template, as_list, merged, parse, text

BOTH = (BOOTSTRAP, REGISTRY)
RULES = (*rules.RULES, *registry.RULES)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: getattr(rule, "__name__", None))
def test_template_keeps_the_rule(rule: Rule, name: str) -> None:
    """The template as it is breaks no rule."""
    assert rule(merged(name)) == []


@pytest.mark.parametrize("name", BOTH)
def test_rights_are_those_of_the_list(name: str) -> None:
    """Each role has the rights that are written down for it."""
    assert roles.rights_are_listed(parse(text(name))) == []


def test_every_role_is_on_the_list() -> None:
    """The list has no role that is not made."""
    made = {name for template in BOTH for name in parse(text(template))["Resources"]}
    assert {*roles.ALLOWED, "PruneRole"} <= made


def policies(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy that grants something, with its holder."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        for policy in properties.get("Policies", []):
            yield name, policy["PolicyDocument"]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield name, properties["PolicyDocument"]


def changed_statements(statement: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each way to make one grant wider, narrower, or valid under other conditions."""
    actions, where = as_list(statement["Action"]), as_list(statement["Resource"])
    for action in actions:
        left = [a for a in actions if a != action]
        yield f"without {action}", {**statement, "Action": left or ["sts:GetCallerIdentity"]}
    for more in ("iam:CreatePolicyVersion", "sqs:ReceiveMessage", "lambda:CreateFunctionUrlConfig"):
        yield f"and {more}", {**statement, "Action": [*actions, more]}
    for position, resource in enumerate(where):
        others = where[:position] + where[position + 1 :]
        if others:
            yield f"not on {roles.short(resource)}", {**statement, "Resource": others}
        if resource != "*":
            yield f"on * beside {len(others)} more", {**statement, "Resource": [*others, "*"]}
    conditions = statement.get("Condition", {})
    for operator, keys in conditions.items():
        yield "whenever", {key: value for key, value in statement.items() if key != "Condition"}
        yield "by another operator", {**statement, "Condition": {f"Not{operator}": keys}}
        yield "whatever the value", {**statement, "Condition": {operator: dict.fromkeys(keys, "*")}}


def changed_grants(template: Template) -> Iterator[tuple[str, str, Template]]:
    """Yield a template for every change of every grant in it, with the grant's holder and what was changed."""
    for number, (holder, document) in enumerate(policies(template)):
        for index, statement in enumerate(document["Statement"]):
            for about, changed in changed_statements(statement):
                copied = copy.deepcopy(template)
                list(policies(copied))[number][1]["Statement"][index] = changed
                yield holder, f"{holder}, {as_list(statement['Action'])[0]}: {about}", copied


@pytest.mark.parametrize(("name", "at_least"), [(BOOTSTRAP, 400), (REGISTRY, 29)])
def test_a_changed_grant_is_found(name: str, at_least: int) -> None:
    """A right more, a right less, a wider resource, a lost condition: each is told with its role."""
    mutants = list(changed_grants(parse(text(name))))
    survivors = [
        about
        for holder, about, mutant in mutants
        if not any(finding.startswith(f"{holder} ") for finding in roles.rights_are_listed(mutant))
    ]
    assert survivors == []
    assert len(mutants) >= at_least


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a policy."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def without(value: Any, path: tuple[Any, ...]) -> None:
    """Remove what is at a path."""
    for key in path[:-1]:
        value = value[key]
    del value[path[-1]]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> None:
    """Put something else at a path."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def changed_trusts(template: Template) -> Iterator[tuple[str, Template]]:
    """Yield every trust policy with one of its parts left out, one replaced, or one more way in."""
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        path = ("Resources", name, "Properties", "AssumeRolePolicyDocument")
        document = resource["Properties"]["AssumeRolePolicyDocument"]
        for inner in places(document):
            about = f"{name} {'.'.join(map(str, inner[1:]))}"
            copied = copy.deepcopy(template)
            without(copied, (*path, *inner))
            yield f"{about} left out", copied
            for wider in ("*", {"Fn::Sub": "${GitHubSubject}:*"}):
                copied = copy.deepcopy(template)
                replaced(copied, (*path, *inner), wider)
                yield f"{about} is {wider}", copied
        for operator in (
            "StringLike",
            "ForAllValues:StringEquals",
            "StringEqualsIfExists",
            "StringEqualsIgnoreCase",
        ):
            copied = copy.deepcopy(template)
            [statement] = copied["Resources"][name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            old = next(iter(statement["Condition"]))
            if old != operator:
                statement["Condition"] = {operator: statement["Condition"][old]}
                yield f"{name} compares with {operator}", copied
        for more in (
            {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}},
            {"Service": "lambda.amazonaws.com"},
        ):
            copied = copy.deepcopy(template)
            also = {"Effect": "Allow", "Principal": more, "Action": "sts:AssumeRole"}
            copied["Resources"][name]["Properties"]["AssumeRolePolicyDocument"]["Statement"].append(also)
            yield f"{name} trusts {next(iter(more))} as well", copied


@pytest.mark.parametrize(("name", "at_least"), [(BOOTSTRAP, 200), (REGISTRY, 60)])
def test_a_changed_trust_is_found(name: str, at_least: int) -> None:
    """Whatever is left out of a trust policy, made wider or added to it is told."""
    mutants = list(changed_trusts(parse(text(name))))
    assert [about for about, mutant in mutants if not trust_rules.trust_is_exact(mutant)] == []
    assert len(mutants) >= at_least


@dataclass(frozen=True)
class Mutant:
    """One edit that makes a template worse, and the finding it must cause."""

    rule: Rule
    old: str
    new: str
    finding: str
    file: str = BOOTSTRAP


MUTANTS = {
    "staging's token opens production": Mutant(
        trust_rules.trust_is_exact,
        "token.actions.githubusercontent.com:environment: !Sub ${Environment}-rollback",
        "token.actions.githubusercontent.com:environment: staging-rollback",
        "RollbackRole trusts Statement[0].Condition.StringEquals.token",
    ),
    "a role for somebody else": Mutant(
        trust_rules.trust_is_exact,
        "  SmokeRole:\n",
        "  OtherRole:\n    Type: AWS::IAM::Role\n    Properties: {AssumeRolePolicyDocument: {}}\n  SmokeRole:\n",
        "OtherRole is a role that nobody is known to assume",
    ),
    "sessions of twelve hours": Mutant(
        trust_rules.sessions_end_after_an_hour,
        "MaxSessionDuration: 3600",
        "MaxSessionDuration: 43200",
        "PushRole has sessions of 43200 s",
        REGISTRY,
    ),
    "tokens made for somebody else": Mutant(
        trust_rules.provider_is_githubs,
        "[sts.amazonaws.com]",
        "[sts.amazonaws.com, https://github.com/org]",
        "OidcProvider has ClientIdList",
    ),
    "tokens of another issuer": Mutant(
        trust_rules.provider_is_githubs,
        "Url: https://token.actions.githubusercontent.com",
        "Url: https://token.actions.example.com",
        "OidcProvider has Url",
        REGISTRY,
    ),
    "the subject may be a pattern": Mutant(
        trust_rules.parameters_take_no_pattern,
        "AllowedPattern: ^repo:[A-Za-z0-9][A-Za-z0-9_-]*(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$",
        "AllowedPattern: ^repo:.+$",
        "GitHubSubject accepts 'repo:*'",
    ),
    "the subject may go on": Mutant(
        trust_rules.parameters_take_no_pattern,
        "[A-Za-z0-9._-]+(@[0-9]+)?$",
        "[A-Za-z0-9._-]+(@[0-9]+)?",
        "GitHubSubject accepts 'repo:org@1/repo@2:environment:production'",
    ),
    "owners with an underscore are locked out": Mutant(
        trust_rules.parameters_take_no_pattern,
        "[A-Za-z0-9_-]*(@[0-9]+)?/",
        "[A-Za-z0-9-]*(@[0-9]+)?/",
        "GitHubSubject refuses 'repo:corp_users@1/repo@2'",
        REGISTRY,
    ),
    "any text is a repository's id": Mutant(
        trust_rules.parameters_take_no_pattern,
        "AllowedPattern: ^[0-9]+$",
        'AllowedPattern: ".*"',
        "GitHubRepositoryId accepts '*'",
    ),
    "any provider is accepted": Mutant(
        trust_rules.parameters_take_no_pattern,
        r"oidc-provider/token\.actions\.githubusercontent\.com)?$",
        "oidc-provider/.*)?$",
        "ExistingOidcProviderArn accepts 'arn:aws:iam::123456789012:oidc-provider/example.org'",
    ),
    "a name without region": Mutant(
        rules.roles_have_their_names,
        "RoleName: !Sub ${FunctionName}-${Environment}-plan-${AWS::Region}",
        "RoleName: !Sub ${FunctionName}-${Environment}-plan",
        "PlanRole is called",
    ),
    "a ceiling under another name": Mutant(
        rules.roles_have_their_names,
        "ManagedPolicyName: !Sub ${FunctionName}-${Environment}-guard-boundary-${AWS::Region}",
        "ManagedPolicyName: !Sub ${FunctionName}-${Environment}-boundary-${AWS::Region}",
        "GuardBoundary is called",
    ),
    "a policy from elsewhere": Mutant(
        rules.roles_have_their_names,
        "      Policies:\n        - PolicyName: deploy\n",
        "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n"
        "        - PolicyName: deploy\n",
        "DeployRole has ManagedPolicyArns",
    ),
    "a policy beside the roles": Mutant(
        rules.nothing_else_is_made,
        "Outputs:\n",
        "  Extra:\n    Type: AWS::IAM::RolePolicy\nOutputs:\n",
        "Extra is an AWS::IAM::RolePolicy",
    ),
    "production has the role of a game day": Mutant(
        rules.made_where_it_should_be,
        "  GamedayRole:\n    Type: AWS::IAM::Role\n    Condition: IsStaging\n",
        "  GamedayRole:\n    Type: AWS::IAM::Role\n",
        "GamedayRole is made if None, expected IsStaging",
    ),
    "what is staging's is production's": Mutant(
        rules.made_where_it_should_be,
        "IsStaging: !Equals [!Ref Environment, staging]",
        "IsStaging: !Not [!Equals [!Ref Environment, staging]]",
        "IsStaging means",
    ),
    "the repository is open to staging's account in any case": Mutant(
        rules.made_where_it_should_be,
        "StagingIsElsewhere: !Not [!Equals [!Ref StagingAccount, !Ref RegistryAccount]]",
        "StagingIsElsewhere: !Equals [!Ref StagingAccount, !Ref StagingAccount]",
        "StagingIsElsewhere means",
        REGISTRY,
    ),
    "a deploy role may do anything to functions": Mutant(
        rules.no_action_has_a_wildcard,
        "                  - lambda:DeleteProvisionedConcurrencyConfig\n                  - lambda:InvokeFunction",
        "                  - lambda:*",
        "DeployRole allows lambda:*",
    ),
    "a grant by exclusion": Mutant(
        rules.no_action_has_a_wildcard,
        "                Action: cloudwatch:GetMetricData",
        "                NotAction: iam:CreateUser",
        "DeployRole allows by NotAction",
    ),
    "every function of the account": Mutant(
        rules.resources_are_scoped,
        "function:${FunctionName}-${Environment}:*\n              # The rollout's gate",
        "function:*\n              # The rollout's gate",
        "DeployRole allows lambda:DeleteProvisionedConcurrencyConfig, lambda:GetAlias",
    ),
    "functions whose name merely starts alike": Mutant(
        rules.resources_are_scoped,
        ":${FunctionName}-${Environment}-failures",
        ":${FunctionName}-${Environment}failures",
        "StackRole allows sqs:CreateQueue",
    ),
    "the smoke tests deploy": Mutant(
        rules.smoke_role_touches_data_only,
        "smoke:\n",
        "smoke:\n  - {Action: lambda:UpdateAlias, Resource: '${FunctionName}'}\n",
        "SmokeRole allows lambda:UpdateAlias",
        PERMISSIONS,
    ),
    "the smoke tests touch another's bucket": Mutant(
        rules.resources_are_scoped,
        "${FunctionName}-resized-${AWS::AccountId}/smoke/*",
        "other-resized-${AWS::AccountId}/smoke/*",
        "SmokeRole allows s3:DeleteObject",
        PERMISSIONS,
    ),
    "the function may do everything with objects": Mutant(
        rules.no_action_has_a_wildcard,
        "Action: s3:PutObject",
        "Action: s3:Put*",
        "Boundary allows s3:Put*",
        PERMISSIONS,
    ),
    "the stack reads what is in the buckets": Mutant(
        rules.stack_role_gives_no_more,
        "      - s3:GetBucketLocation",
        "      - s3:GetObject",
        "StackRole allows s3:GetObject",
        PERMISSIONS,
    ),
    "the stack opens an address to everybody": Mutant(
        rules.stack_role_gives_no_more,
        "      - s3:GetBucketLocation",
        "      - lambda:CreateFunctionUrlConfig",
        "StackRole allows lambda:CreateFunctionUrlConfig",
        PERMISSIONS,
    ),
    "the stack reads failed events": Mutant(
        rules.stack_role_gives_no_more,
        "                  - sqs:GetQueueUrl",
        "                  - sqs:ReceiveMessage",
        "StackRole allows sqs:ReceiveMessage",
    ),
    "the stack lets anybody invoke": Mutant(
        rules.stack_role_gives_no_more,
        "        lambda:Principal: s3.amazonaws.com",
        '        lambda:Principal: "*"',
        "StackRole lets * invoke",
        PERMISSIONS,
    ),
    "the stack lets an account invoke": Mutant(
        rules.stack_role_gives_no_more,
        "    Condition:\n      StringEquals:\n        lambda:Principal: s3.amazonaws.com\n",
        "",
        "StackRole lets anybody invoke",
        PERMISSIONS,
    ),
    "a ceiling reaches other accounts": Mutant(
        rules.ceilings_end_at_the_account,
        "StringEqualsIfExists:\n                aws:ResourceAccount: !Ref AWS::AccountId\n          # The alias",
        "StringEqualsIfExists:\n                aws:PrincipalAccount: !Ref AWS::AccountId\n          # The alias",
        "GuardBoundary allows logs:CreateLogStream, logs:PutLogEvents in any account",
    ),
    "more rights than IAM takes": Mutant(
        rules.policies_fit,
        "function:\n",
        "function:\n"
        + "".join(
            f"  - {{Action: 's3:GetObject', Resource: '${{FunctionName}}/{n:0>200}'}}\n" for n in range(25)
        ),
        "Boundary has ",
        PERMISSIONS,
    ),
    "tags move": Mutant(
        registry.images_stay_what_they_are,
        "ImageTagMutability: IMMUTABLE",
        "ImageTagMutability: MUTABLE",
        "lets tags move",
        REGISTRY,
    ),
    "images go with the stack": Mutant(
        registry.images_stay_what_they_are,
        "    # A version whose image is gone answers every invocation with an error.\n"
        "    DeletionPolicy: RetainExceptOnCreate",
        "    DeletionPolicy: Delete",
        "Repository has DeletionPolicy Delete",
        REGISTRY,
    ),
    "nobody looks at what is pushed": Mutant(
        registry.images_are_scanned, "ScanOnPush: true", "ScanOnPush: false", "does not scan", REGISTRY
    ),
    "the provider goes with the stack": Mutant(
        registry.other_repositories_keep_their_provider,
        "    # Other repositories' roles may rely on it by then.\n    DeletionPolicy: RetainExceptOnCreate\n",
        "",
        "OidcProvider has DeletionPolicy Delete",
    ),
    "Lambda pulls for every account": Mutant(
        registry.our_functions_pull,
        "            Condition:\n              ArnLike:",
        "            X:\n              ArnLike:",
        "Repository is open to {'Sid': 'LambdaPullsImages'",
        REGISTRY,
    ),
    "anybody pulls": Mutant(
        registry.our_functions_pull,
        "              Service: lambda.amazonaws.com\n            Action:\n              - ecr",
        '              AWS: "*"\n            Action:\n              - ecr',
        "Repository is open to",
        REGISTRY,
    ),
    "every role of staging's account reads": Mutant(
        registry.our_functions_pull,
        "role/${FunctionName}-staging-plan-${AWS::Region}",
        "role/*",
        "Repository is open to {'Fn::If': ['StagingIsElsewhere'",
        REGISTRY,
    ),
    "the policy is left to Lambda": Mutant(
        registry.our_functions_pull,
        "      RepositoryPolicyText:",
        "      X:",
        "Repository has 0 policy statements",
        REGISTRY,
    ),
    "released images expire": Mutant(
        registry.only_untagged_images_expire, '"untagged"', '"any"', "Repository expires any images", REGISTRY
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_rule_refuses_the_mutant(mutant: Mutant) -> None:
    """A rule finds the template that breaks it, and says where."""
    original = text(mutant.file)
    assert mutant.old in original
    changed = {mutant.file.removesuffix(".yaml"): original.replace(mutant.old, mutant.new)}
    findings = mutant.rule(merged(REGISTRY if mutant.file == REGISTRY else BOOTSTRAP, **changed))
    assert any(finding.startswith(mutant.finding) or mutant.finding in finding for finding in findings), (
        findings
    )


def test_every_rule_has_a_mutant() -> None:
    """No rule passes unproven."""
    assert {mutant.rule for mutant in MUTANTS.values()} == set(RULES)


def test_a_right_may_say_where_else_it_reaches() -> None:
    """A right of the owner that names another account keeps its own condition below the ceiling."""
    mine = "{Action: s3:GetObject, Resource: 'arn:aws:s3:::${FunctionName}-x/*', Condition: {StringEquals: {aws:ResourceAccount: '111111111111'}}}"
    changed = text(PERMISSIONS).replace("function:\n", f"function:\n  - {mine}\n", 1)
    template = merged(BOOTSTRAP, permissions=changed)
    statements = template["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    [found] = [s["Condition"] for s in statements if "-x/*" in str(s["Resource"])]
    assert found == {"StringEquals": {"aws:ResourceAccount": "111111111111"}}


def test_the_registry_lets_in_whoever_reads_images() -> None:
    """The roles that another account's environment reads images with are those the repository lets in."""
    reading = {
        holder.removesuffix("Role").lower()
        for holder, (action, _, _) in roles.granted(parse(text(BOOTSTRAP)))
        if action.startswith("ecr:")
    }
    statements = parse(text(REGISTRY))["Resources"]["Repository"]["Properties"]["RepositoryPolicyText"][
        "Statement"
    ]
    for statement in statements[1:]:
        named = statement["Fn::If"][1]["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        assert {one["Fn::Sub"].split("-")[-2] for one in named} == reading
