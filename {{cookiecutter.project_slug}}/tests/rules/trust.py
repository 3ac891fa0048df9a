"""Who may assume the roles of infra/registry.yaml and infra/bootstrap.yaml, and what makes a subject.

Pure: a parsed template in, one sentence per finding out. The linters pass a role without `sub`,
or with `repo:*`; these rules do not. `test_bootstrap.py` generates mutants of every trust policy.
"""

from __future__ import annotations

import re
from typing import Any

from rules.templates import Rule, Template, resources

CLAIM = "token.actions.githubusercontent.com:"
PROVIDER_URL = "https://token.actions.githubusercontent.com"
MAIN = "refs/heads/main"
ENVIRONMENT = "${Environment}"
# Which GitHub environment each role is for; None is a job that has none.
GITHUB_ENVIRONMENTS: dict[str, str | None] = {
    "PushRole": None,
    "PruneRole": "prune",
    "DeployRole": ENVIRONMENT,
    "SmokeRole": ENVIRONMENT,
    "PlanRole": f"{ENVIRONMENT}-plan",
    "RollbackRole": f"{ENVIRONMENT}-rollback",
    "GamedayRole": f"{ENVIRONMENT}-gameday",
}
SERVICES = {"StackRole": "cloudformation.amazonaws.com"}
HOSTILE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # parameter: refused, accepted
    "GitHubSubject": (
        (
            *("", "*", "repo:*", "repo:org@1/*", "repo:org@1/repo@2*", "repo:org@1/rep?@2"),
            *("repo:org@1/repo@2:environment:production", "repo:${aws:x}/repo", "x repo:org/repo"),
        ),
        ("repo:org-1@123/my_repo.x@456", "repo:org/repo", "repo:corp_users@1/repo@2"),
    ),
    "GitHubRepositoryId": (("", "*", "1*", "1?", "repo", "1 2", "${x}"), ("1", "456")),
    "ExistingOidcProviderArn": (
        (
            "*",
            "arn:aws:iam::123456789012:oidc-provider/*",
            "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com.example.org",
            "arn:aws:iam::123456789012:oidc-provider/tokenxactions.githubusercontent.com",
            "arn:aws:iam::123456789012:oidc-provider/example.org",
            "arn:aws:iam::123456789012:root",
        ),
        ("", "arn:aws-us-gov:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"),
    ),
}


def _named(text: str) -> Any:
    return {"Fn::Sub": text} if "${" in text else text


def expected_trust(role: str) -> dict[str, Any]:
    """Return the whole trust policy that a role must have."""
    if role in SERVICES:
        # IfExists: AWS does not say whether the service tells the account it acts for.
        ours = {"StringEqualsIfExists": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        trusted = {"Principal": {"Service": SERVICES[role]}, "Action": "sts:AssumeRole", "Condition": ours}
        return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **trusted}]}
    environment = GITHUB_ENVIRONMENTS[role]
    claims = {
        "aud": "sts.amazonaws.com",
        "sub": {
            "Fn::Sub": f"${{GitHubSubject}}:{f'environment:{environment}' if environment else f'ref:{MAIN}'}"
        },
        "repository_id": {"Ref": "GitHubRepositoryId"},
        **({"environment": _named(environment)} if environment else {}),
        "ref": MAIN,
    }
    provider = {
        "Fn::If": ["CreatesOidcProvider", {"Ref": "OidcProvider"}, {"Ref": "ExistingOidcProviderArn"}]
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {CLAIM + name: value for name, value in claims.items()}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust_is_exact(template: Template) -> list[str]:
    """Require that each role is assumed by whom it is for, on exactly these claims, and by nobody else."""
    problems = []
    for name, role in resources(template, "AWS::IAM::Role").items():
        if name not in GITHUB_ENVIRONMENTS and name not in SERVICES:
            problems.append(f"{name} is a role that nobody is known to assume")
            continue
        found, expected = role["AssumeRolePolicyDocument"], expected_trust(name)
        problems += [f"{name} trusts {_difference(found, expected)}"] if found != expected else []
    return problems


def _difference(found: Any, expected: Any, path: str = "") -> str:
    """Return the first place in which two policies differ."""
    match found, expected:
        case dict(), dict():
            for key in (*expected, *(key for key in found if key not in expected)):
                if found.get(key) != expected.get(key):
                    return _difference(found.get(key), expected.get(key), f"{path}.{key}".lstrip("."))
        case list(), list() if len(found) == len(expected):
            for number, (one, other) in enumerate(zip(found, expected, strict=True)):
                if one != other:
                    return _difference(one, other, f"{path}[{number}]")
    return f"{path} = {found}, expected {expected}"


def sessions_end_after_an_hour(template: Template) -> list[str]:
    """Require that credentials which leave GitHub are worth nothing an hour later."""
    return [
        f"{name} has sessions of {role.get('MaxSessionDuration')} s, expected 3600"
        for name, role in resources(template, "AWS::IAM::Role").items()
        if name in GITHUB_ENVIRONMENTS and role.get("MaxSessionDuration") != 3600
    ]


def provider_is_githubs(template: Template) -> list[str]:
    """Require that the provider is GitHub's, and lets in tokens made for AWS only."""
    expected = {"Url": PROVIDER_URL, "ClientIdList": ["sts.amazonaws.com"]}
    return [
        f"{name} has {key} = {properties.get(key)}, expected {expected.get(key)}"
        for name, properties in resources(template, "AWS::IAM::OIDCProvider").items()
        for key in sorted(properties.keys() | expected.keys())
        if properties.get(key) != expected.get(key)
    ]


def parameters_take_no_pattern(template: Template) -> list[str]:
    """Require that what comes from outside names one repository and one provider, and is no pattern."""
    problems = []
    for name, (refused, accepted) in HOSTILE.items():
        pattern = template["Parameters"][name].get("AllowedPattern", "")
        # CloudFormation anchors the pattern at both ends by itself, and these do it as well.
        problems += [f"{name} accepts {value!r}" for value in refused if re.search(pattern, value)]
        problems += [f"{name} refuses {value!r}" for value in accepted if not re.search(pattern, value)]
    return problems


RULES: tuple[Rule, ...] = (
    trust_is_exact,
    sessions_end_after_an_hour,
    provider_is_githubs,
    parameters_take_no_pattern,
)
