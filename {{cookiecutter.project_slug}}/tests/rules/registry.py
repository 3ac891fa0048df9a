"""What infra/registry.yaml must keep: images that serve, and who may read them.

Pure: a parsed template in, one sentence per finding out. `test_bootstrap.py` has a mutant for each rule.
"""

from __future__ import annotations

import json
from typing import Any

from rules.templates import Rule, Template, resources

ENVIRONMENTS = ("staging", "production")
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
READ = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]


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


def images_are_scanned(template: Template) -> list[str]:
    """Require a second opinion on what the release's own scanner let pass."""
    return [
        f"{name} does not scan what is pushed"
        for name, properties in resources(template, "AWS::ECR::Repository").items()
        if properties.get("ImageScanningConfiguration") != {"ScanOnPush": True}
    ]


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


def our_functions_pull(template: Template) -> list[str]:
    """Require that the repository's policy is written out: Lambda for our functions, and our roles elsewhere."""
    problems = []
    for name, properties in resources(template, "AWS::ECR::Repository").items():
        found = properties.get("RepositoryPolicyText", {}).get("Statement", [])
        expected = [_lambda(), *(_elsewhere(environment) for environment in ENVIRONMENTS)]
        problems += [f"{name} has {len(found)} policy statements, expected 3"] if len(found) != 3 else []
        problems += [
            f"{name} is open to {one}, expected {other}"
            for one, other in zip(found, expected, strict=False)
            if one != other
        ]
    return problems


def _lambda() -> dict[str, Any]:
    """Return how Lambda pulls: for the functions of both environments, in their accounts."""
    sources = [
        {
            "Fn::Sub": f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{{environment.capitalize()}Account}}"
            f":function:${{FunctionName}}-{environment}{qualifier}"
        }
        for environment in ENVIRONMENTS
        for qualifier in ("", ":*")
    ]
    return {
        "Sid": "LambdaPullsImages",
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": PULL,
        "Condition": {"ArnLike": {"aws:sourceArn": sources}},
    }


def _elsewhere(environment: str) -> dict[str, Any]:
    """Return how the roles of an environment read images, where it has an account of its own."""
    account = f"arn:${{AWS::Partition}}:iam::${{{environment.capitalize()}Account}}"
    roles = [
        {"Fn::Sub": f"{account}:role/${{FunctionName}}-{environment}-{role}-${{AWS::Region}}"}
        for role in ("deploy", "plan", "rollback", "stack")
    ]
    statement = {
        "Sid": f"{environment.capitalize()}ReadsImages",
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": f"{account}:root"}},
        "Action": READ,
        "Condition": {"ArnEquals": {"aws:PrincipalArn": roles}},
    }
    return {"Fn::If": [f"{environment.capitalize()}IsElsewhere", statement, {"Ref": "AWS::NoValue"}]}


def only_untagged_images_expire(template: Template) -> list[str]:
    """Require that no lifecycle rule can remove an image that was released."""
    return [
        f"{name} expires {rule['selection']['tagStatus']} images"
        for name, properties in resources(template, "AWS::ECR::Repository").items()
        for rule in json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        if rule["selection"]["tagStatus"] != "untagged"
    ]


RULES: tuple[Rule, ...] = (
    images_stay_what_they_are,
    images_are_scanned,
    other_repositories_keep_their_provider,
    our_functions_pull,
    only_untagged_images_expire,
)
