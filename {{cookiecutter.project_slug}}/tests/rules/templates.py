"""The CloudFormation templates as plain data, merged as the deployer merges them. Reads files; decides nothing.

Short forms come out long (`!Ref X` is `{"Ref": "X"}`). Rules are held against what CloudFormation gets: with the
rights of infra/permissions.yaml in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.release import merge, permissions
from deployer.release import template as templates

INFRA = Path(__file__).parents[2] / "infra"
BOOTSTRAP, REGISTRY, SERVICE = "bootstrap.yaml", "registry.yaml", "service.yaml"
PERMISSIONS = "permissions.yaml"

Template = dict[str, Any]
Rule = Callable[[Template], list[str]]  # finds what is wrong, one sentence each


def text(name: str) -> str:
    """Return the text of infra/NAME."""
    return (INFRA / name).read_text(encoding="utf-8")


def parse(source: str) -> Template:
    """Return a template's text as plain dicts and lists. Raises DeployerError when it is not a template."""
    return templates.parse(source, name="the template")


def merged(name: str, **changed: str) -> Template:
    """Return a template with what the deployer adds; `changed` are other texts, by a file's name without `.yaml`."""
    rights = permissions.parse(changed.get("permissions", text(PERMISSIONS)))
    source = parse(changed.get(name.removesuffix(".yaml"), text(name)))
    match name:
        case "bootstrap.yaml":
            return merge.bootstrap(source, rights)
        case "service.yaml":
            return merge.service(source, rights, {})
    return source


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
