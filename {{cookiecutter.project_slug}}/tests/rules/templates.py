"""Parsed CloudFormation templates as plain data. Reads files; decides nothing.

Short forms come out long (`!Ref X` is `{"Ref": "X"}`), as cfn-lint's own decoder gives them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfnlint.decode import decode_str

INFRA = Path(__file__).parents[2] / "infra"
BOOTSTRAP, SERVICE = "bootstrap.yaml", "service.yaml"
# The most CreateChangeSet takes in TemplateBody.
# Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
MAX_BODY_BYTES = 51_200

Template = dict[str, Any]
Rule = Callable[[Template], list[str]]  # finds what is wrong, one sentence each


def text(name: str) -> str:
    """Return the text of infra/NAME."""
    return (INFRA / name).read_text(encoding="utf-8")


def parse(source: str) -> Template:
    """Return a template's text as plain dicts and lists. Raises AssertionError when it is not a template."""
    tree, problems = decode_str(source)
    assert tree is not None, problems
    assert not problems, problems
    plain: Template = json.loads(json.dumps(tree))
    return plain


def resources(template: Template, type_: str) -> dict[str, Any]:
    """Return the properties of every resource of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }


@dataclass(frozen=True)
class Grant:
    """One `Allow` statement of an identity policy, and the logical id of what holds it."""

    holder: str
    actions: tuple[str, ...]
    resources: tuple[Any, ...]
    conditions: dict[str, Any]
    statement: dict[str, Any]


def as_list(value: Any) -> list[Any]:
    """Return what IAM allows to be one thing or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def grants(template: Template) -> Iterator[Grant]:
    """Yield every `Allow` of every role and managed policy."""
    for name, role in resources(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from _allowed(name, policy["PolicyDocument"])
    for name, policy in resources(template, "AWS::IAM::ManagedPolicy").items():
        yield from _allowed(name, policy["PolicyDocument"])


def _allowed(holder: str, document: Any) -> Iterator[Grant]:
    for statement in document["Statement"]:
        if statement["Effect"] == "Allow":
            yield Grant(
                holder,
                tuple(as_list(statement.get("Action", []))),
                tuple(as_list(statement.get("Resource", []))),
                statement.get("Condition", {}),
                statement,
            )
