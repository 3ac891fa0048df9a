"""Who may assume the roles of infra/bootstrap.yaml.

Pure: a parsed template in, one sentence per finding out. The linters pass a role without `sub`,
or with `repo:*`; these rules do not. `test_bootstrap.py` has a mutant for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rules.templates import Rule, Template, resources

ENVIRONMENTS = ("staging", "production")
CLAIM = "token.actions.githubusercontent.com:"
MAIN = "refs/heads/main"
HOSTILE_SUBJECTS = (
    "",
    "*",
    "repo:*",
    "repo:org@1/*",
    "repo:org@1/repo@2*",
    "repo:org@1/rep?@2",
    "repo:org@1/repo@2:environment:production",
)


def expected_claims() -> dict[str, dict[str, Any]]:
    """Return, by logical id, the whole condition of every role GitHub may assume."""

    def claims(subject: str, **more: str) -> dict[str, Any]:
        return {
            CLAIM + "aud": "sts.amazonaws.com",
            CLAIM + "sub": {"Fn::Sub": "${GitHubSubject}:" + subject},
            CLAIM + "repository_id": {"Ref": "GitHubRepositoryId"},
            CLAIM + "ref": MAIN,
        } | {CLAIM + name: value for name, value in more.items()}

    return {
        "PushRole": claims(f"ref:{MAIN}"),
        "StagingDeployRole": claims("environment:staging", environment="staging"),
        "StagingSmokeRole": claims("environment:staging", environment="staging"),
        "ProductionDeployRole": claims("environment:production", environment="production"),
    }


def _trusts(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in resources(template, "AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            yield name, statement


def github_trust_is_exact(template: Template) -> list[str]:
    """Require that GitHub assumes four roles, each by StringEquals on its exact claims and nothing else."""
    expected, found, problems = expected_claims(), set(), []
    for name, statement in _trusts(template):
        if "Federated" not in statement.get("Principal", {}):
            continue
        found.add(name)
        if name not in expected:
            problems.append(f"{name} trusts GitHub, which only {', '.join(sorted(expected))} may")
            continue
        if statement["Action"] != "sts:AssumeRoleWithWebIdentity":
            problems.append(f"{name} allows GitHub {statement['Action']}")
        operators = set(statement.get("Condition", {}))
        if operators != {"StringEquals"}:
            problems.append(f"{name} compares claims with {sorted(operators)}, expected StringEquals alone")
        claims = statement.get("Condition", {}).get("StringEquals", {})
        problems += [
            f"{name} has {key} = {claims.get(key)}, expected {expected[name].get(key)}"
            for key in sorted(claims.keys() | expected[name].keys())
            if claims.get(key) != expected[name].get(key)
        ]
    return problems + [f"{name} does not trust GitHub" for name in sorted(expected.keys() - found)]


def subject_takes_no_wildcard(template: Template) -> list[str]:
    """Require that the subject, which comes from outside, is a repository and not a pattern."""
    pattern = template["Parameters"]["GitHubSubject"].get("AllowedPattern", "")
    refused = [f"GitHubSubject accepts {s}" for s in HOSTILE_SUBJECTS if re.search(pattern, s)]
    accepted = re.search(pattern, "repo:org-1@123/my_repo.x@456") is not None
    return refused + ([] if accepted else ["GitHubSubject refuses repo:org-1@123/my_repo.x@456"])


def other_roles_trust_one_service(template: Template) -> list[str]:
    """Require that the stack roles are assumed by CloudFormation and by nobody else."""
    return [
        f"{name} trusts {statement.get('Principal')}, expected cloudformation.amazonaws.com alone"
        for name, statement in _trusts(template)
        if "Federated" not in statement.get("Principal", {})
        and statement.get("Principal") != {"Service": "cloudformation.amazonaws.com"}
    ]


RULES: tuple[Rule, ...] = (
    github_trust_is_exact,
    subject_takes_no_wildcard,
    other_roles_trust_one_service,
)
