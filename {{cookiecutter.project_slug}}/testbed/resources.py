"""Make what smoke/local.toml asks for on the local AWS, and say what each thing is called. Shell.

The keys are the outputs of infra/service.yaml, so that a test finds a resource under the same key in AWS.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError
from pydantic import ConfigDict, TypeAdapter, ValidationError

from deployer.aws import calls
from deployer.errors import DeployerError, Exit
from deployer.validation import Variables, describe

LOCAL = "smoke/local.toml"
_TEMPLATE = "infra/service.yaml"
_VARIABLES: TypeAdapter[Variables] = TypeAdapter(Variables, config=ConfigDict(strict=True))
_EXISTS = ("AlreadyExists", "AlreadyOwnedByYou", "ResourceInUse", "ResourceConflict", "NameExists")


@dataclass(frozen=True)
class Resource:
    """One thing to make; its name is given, or stands in the answer under a path such as `QueueUrl`."""

    key: str
    call: calls.Call
    name: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Local:
    """What smoke/local.toml says."""

    resources: tuple[Resource, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    variables_from_resources: Mapping[str, str] = field(default_factory=dict)


def load(root: Path) -> Local:
    """Read smoke/local.toml; without one nothing is made. Raises DeployerError (exit 2)."""
    path = root / LOCAL
    if not path.is_file():
        return Local()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong("cannot be read", str(error)) from error
    unknown = sorted(set(table) - {"resources", "variables", "variables_from_resources"})
    if unknown:
        raise _wrong("has unknown keys", f"found `{'`, `'.join(unknown)}`")
    listed = calls.tables(table.get("resources", []), where=f"`{LOCAL}`, resources")
    made = tuple(_resource(each, number, path.parent) for number, each in enumerate(listed, 1))
    from_resources = _texts(table, "variables_from_resources")
    outputs = outputs_of(root)
    strange = [resource.key for resource in made if resource.key not in outputs]
    if strange:
        known = ", ".join(f"`{name}`" for name in outputs) or "none"
        raise _wrong(
            f"has a key that is no output of {_TEMPLATE}", f"found `{strange[0]}`, expected one of: {known}"
        )
    keys = {resource.key for resource in made}
    if len(keys) < len(made):
        listed_keys = ", ".join(f"`{resource.key}`" for resource in made)
        raise _wrong("has a key twice", f"found {listed_keys}, expected each once")
    for variable, key in from_resources.items():
        if key not in keys:
            known = ", ".join(f"`{name}`" for name in sorted(keys)) or "none"
            raise _wrong(
                f"gives `{variable}` the name of nothing", f"found `{key}`, expected one of: {known}"
            )
    return Local(made, _texts(table, "variables"), from_resources)


def make(root: Path, client: Callable[[str], Any]) -> dict[str, str]:
    """Make the resources in their order and return key -> name; what is there already is fine.

    `client` makes boto3's client of a service. Raises DeployerError.
    """
    names: dict[str, str] = {}
    for resource in load(root).resources:
        if resource.name:
            names[resource.key] = resource.name
        answer: Any = {}
        try:
            answer = calls.make(calls.filled(resource.call, names), client)
        except DeployerError as error:
            if not (resource.name and _is_there(error)):
                raise
        if resource.answer:
            names[resource.key] = _field(answer, resource)
    return names


def container_variables(root: Path, names: Mapping[str, str], literals: Mapping[str, str]) -> dict[str, str]:
    """Return the container's variables: the literals of deploy.toml, smoke/local.toml's, and the resources'.

    Raises DeployerError (exit 2) for a variable that is a literal and a resource's name at once.
    """
    local = load(root)
    twice = sorted({**literals, **local.variables}.keys() & local.variables_from_resources.keys())
    if twice:
        raise _wrong(
            f"gives `{twice[0]}` a second value",
            "found it as a literal and in [variables_from_resources], expected one of them",
        )
    named = {variable: names[key] for variable, key in local.variables_from_resources.items()}
    return {**literals, **local.variables, **named}


def outputs_of(root: Path) -> tuple[str, ...]:
    """Return the logical keys of the outputs of infra/service.yaml. Raises DeployerError (exit 2)."""
    try:
        template = yaml.load((root / _TEMPLATE).read_text(encoding="utf-8"), _Template)  # noqa: S506  # a SafeLoader
        return tuple(template.get("Outputs") or {})
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise DeployerError(
            f"`{_TEMPLATE}` cannot be read",
            found=str(error),
            hint="cfn-lint infra/*.yaml",
            exit_code=Exit.USAGE,
        ) from error


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref X`) as nothing: only names are wanted."""


_Template.add_multi_constructor("!", lambda *_: None)


def _resource(table: Mapping[str, Any], number: int, folder: Path) -> Resource:
    where = f"`{LOCAL}`, resource {number},"
    key, name, answer = table.get("key", ""), table.get("name", ""), table.get("answer", "")
    are_texts = all(isinstance(text, str) for text in (key, name, answer))
    if not are_texts or not key or bool(name) == bool(answer):
        raise _wrong(
            f"has a resource {number} without a key or a name",
            f"found key = `{key}`, name = `{name}`, answer = `{answer}`, "
            "expected a key, and either a name or an answer",
        )
    return Resource(key, calls.parse(table, folder, where=where), name, answer)


def _texts(content: Mapping[str, Any], section: str) -> dict[str, str]:
    """Return a table of the container's variables as texts: names and values that a function may have."""
    table = calls.table(content.get(section, {}), where=f"`{LOCAL}`, {section}")
    try:
        checked = _VARIABLES.validate_python(table)
    except ValidationError as error:
        lines = "\n".join(describe(detail) for detail in error.errors())
        raise _wrong(f"has a variable in [{section}] that cannot be used", lines) from error
    return {name: str(value) for name, value in checked.items()}


def _is_there(error: DeployerError) -> bool:
    """Tell whether AWS refused to make something because it is there."""
    cause = error.__cause__
    code = cause.response.get("Error", {}).get("Code", "") if isinstance(cause, ClientError) else ""
    return any(word in code for word in _EXISTS)


def _field(answer: Any, resource: Resource) -> str:
    """Return the name that AWS gave, from the answer."""
    for part in resource.answer.split("."):
        if not isinstance(answer, dict) or part not in answer:
            fields = ", ".join(sorted(set(answer) - {"ResponseMetadata"})) if isinstance(answer, dict) else ""
            raise _wrong(
                f"finds no name for `{resource.key}`",
                f"found no `{part}` in the answer of `{resource.call}`, which has: {fields or 'nothing'}",
            )
        answer = answer[part]
    return str(answer)


def _wrong(what: str, found: str) -> DeployerError:
    return DeployerError(
        f"`{LOCAL}` {what}",
        found=found,
        hint="docs/your-own-function.md, section What it must do",
        exit_code=Exit.USAGE,
    )
