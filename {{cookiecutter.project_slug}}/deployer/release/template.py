"""CloudFormation templates as data: YAML text in, plain dicts out, compact JSON back. Pure.

Short forms come out long (`!Ref X` is `{"Ref": "X"}`). What YAML would silently turn into something else (a
date, an octal number, `yes`, a key given twice) is an error that names file and key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from deployer.errors import DeployerError, Exit
from deployer.validation import refused

Template = dict[str, Any]

# The most CreateChangeSet takes in TemplateBody.
# Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
MAX_BODY_BYTES = 51_200

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_BOOLEANS = {"true": True, "false": False}
_BARE_FUNCTIONS = ("Ref", "Condition")  # all others are written `Fn::NAME` in their long form
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it is there: ten times faster
_YAML_TAG = "tag:yaml.org,2002:"


def parse(text: str, *, name: str) -> Template:
    """Return a template's text, YAML or JSON, as plain dicts and lists; `name` is the file in errors.

    Raises DeployerError (exit 2) when it is not YAML, is not a mapping, or holds a value that is ambiguous.
    """
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise DeployerError(
            f"`{name}` is not valid YAML", found=str(error), hint=f"open {name} there", exit_code=Exit.USAGE
        ) from error
    if not isinstance(node, yaml.MappingNode):
        raise DeployerError(
            f"`{name}` is not a mapping",
            found="expected keys at its top level",
            hint=f"open {name}",
            exit_code=Exit.USAGE,
        )
    tree: Template = _Reader(name).read(node, ())
    return tree


def render(template: Mapping[str, Any], *, name: str) -> str:
    """Return a template as compact JSON, the text that CloudFormation gets; `name` is the file in errors.

    Raises DeployerError when it is larger than one call takes.
    """
    # ASCII: CloudFormation gives back `?` for every other character, which would look like a change for ever.
    # Source: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814
    body = json.dumps(template, separators=(",", ":"))
    size = len(body.encode())
    if size > MAX_BODY_BYTES:
        raise DeployerError(
            f"`{name}` is too large for CloudFormation",
            found=f"found {size} bytes as JSON with all that is merged, expected at most {MAX_BODY_BYTES}",
            hint="move resources to a stack of their own",
            exit_code=Exit.USAGE,
        )
    return body


class _Reader:
    """Turns the nodes of one file into data, and says where a value is that it refuses."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._read: set[int] = set()

    def read(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        """Return a node as data; `path` is the keys that lead to it."""
        if id(node) in self._read:  # CloudFormation knows no aliases, and one may even contain itself
            raise self._refused(node, path, "an alias (`*NAME`)", "the value itself")
        self._read.add(id(node))
        tag = node.tag
        if tag.startswith("!") and tag != "!":
            function = tag[1:]
            long = function if function in _BARE_FUNCTIONS else f"Fn::{function}"
            return {long: self._argument(node, long, path)}
        return self._plain(node, path)

    def _argument(self, node: yaml.Node, function: str, path: tuple[str, ...]) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._plain(node, (*path, function))
        value = str(node.value)
        return value.split(".", 1) if function == "Fn::GetAtt" and "." in value else value

    def _plain(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self.read(item, (*path, str(n))) for n, item in enumerate(node.value)]
            case yaml.ScalarNode(style=None | "") if node.tag != f"{_YAML_TAG}str":
                return self._scalar(node, path)
        return str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != f"{_YAML_TAG}str":
                raise self._refused(key_node, (*path, key), "a key that YAML reads as something else", "text")
            if key in found:
                raise self._refused(key_node, (*path, key), "the key twice", "it once")
            found[key] = self.read(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: tuple[str, ...]) -> bool | int | float:
        """Return a boolean or a number that looks like one to everybody."""
        value = str(node.value)
        kind = node.tag.removeprefix(_YAML_TAG)
        if kind == "bool" and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        if kind in ("int", "float") and _NUMBER.fullmatch(value):
            return float(value) if "." in value else int(value)
        if kind == "null":
            raise self._refused(node, path, "no value", "one")
        kinds = {"timestamp": "a date", "bool": "a boolean", "int": "a number", "float": "a number"}
        read_as = kinds.get(kind, f"`{kind}`")
        raise self._refused(
            node, path, f"`{value}`, which YAML reads as {read_as}", f'"{value}" in quotes, or another value'
        )

    def _refused(self, node: yaml.Node, path: tuple[str, ...], found: str, expected: str) -> DeployerError:
        key = ".".join(path)
        line = node.start_mark.line + 1
        return refused(self._name, [f"{key} (line {line}): found {found}, expected {expected}"])


def replaced(value: Any, change: Callable[[str], Any]) -> Any:
    """Return data with every text in it changed; keys stay as they are."""
    match value:
        case str():
            return change(value)
        case dict():
            return {key: replaced(inner, change) for key, inner in value.items()}
        case list():
            return [replaced(inner, change) for inner in value]
    return value
