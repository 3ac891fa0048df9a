"""One AWS call as data: read from TOML, its names filled in, made by boto3's names. Shell.

What the repository owns (smoke/local.toml, smoke/sample.toml) speaks of AWS in these calls, so that the
deployer can make them without knowing the services behind them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployer.aws.errors import translated
from deployer.errors import DeployerError, Exit

Client = Callable[[str], Any]  # service -> boto3 client

_CALL = re.compile(r"^([a-z][a-z0-9-]*)\.([a-z][a-z0-9_]*)$")
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")


@dataclass(frozen=True)
class Call:
    """One call: `s3` and `put_object`, with the arguments boto3 takes. `where` names its place in a file."""

    service: str
    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}"


def tables(value: Any, *, where: str) -> list[dict[str, Any]]:
    """Return a list of tables as it is. Raises DeployerError (exit 2) for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _wrong(where, f"found `{value}`, expected tables like [[{where.rpartition(' ')[2]}]]")
    return value


def table(value: Any, *, where: str) -> dict[str, Any]:
    """Return a table as it is. Raises DeployerError (exit 2) for anything else."""
    if not isinstance(value, dict):
        raise _wrong(where, f"found `{value}`, expected a table like [{where.rpartition(' ')[2]}]")
    return value


def parse(table: Mapping[str, Any], folder: Path, *, where: str) -> Call:
    """Return the call of one TOML table; `files` are read now, from the folder of the TOML file.

    `where` names the table in errors. Raises DeployerError (exit 2) for a name that is no call, for
    arguments that are no table, and for a file that is missing or outside of the folder.
    """
    name, arguments, files = table.get("call"), table.get("arguments", {}), table.get("files", {})
    matched = _CALL.match(name) if isinstance(name, str) else None
    if matched is None:
        raise _wrong(where, f"found call = `{name}`, expected a name like `s3.put_object`")
    for key, value in (("arguments", arguments), ("files", files)):
        if not isinstance(value, dict):
            raise _wrong(where, f'found {key} = `{value}`, expected a table like {{ Key = "a" }}')
    bodies = {key: _content(folder, file, where) for key, file in files.items()}
    return Call(matched[1], matched[2], {**arguments, **bodies}, where)


def fill(value: Any, names: Mapping[str, str], *, where: str) -> Any:
    """Return the value with each `${Key}` in its texts replaced by the resource's name.

    Raises DeployerError (exit 2) for a key that no resource has.
    """

    def name_of(match: re.Match[str]) -> str:
        if match[1] not in names:
            known = ", ".join(f"`{name}`" for name in sorted(names)) or "none"
            raise _wrong(where, f"found no resource `{match[1]}`, expected one of: {known}")
        return names[match[1]]

    match value:
        case str():
            return _PLACEHOLDER.sub(name_of, value)
        case dict():
            return {key: fill(inner, names, where=where) for key, inner in value.items()}
        case list():
            return [fill(inner, names, where=where) for inner in value]
    return value


def filled(call: Call, names: Mapping[str, str]) -> Call:
    """Return the call with the names of the resources in its arguments. Raises DeployerError (exit 2)."""
    return replace(call, arguments=fill(dict(call.arguments), names, where=call.where))


def make(call: Call, client: Client) -> dict[str, Any]:
    """Make the call and return AWS's answer.

    Raises DeployerError (exit 2) for a service or operation that boto3 does not know, and what AWS's own
    errors become in `deployer.aws.errors`.
    """
    with translated(f"calling `{call}` ({call.where})" if call.where else f"calling `{call}`"):
        found = client(call.service)
        operations = found.meta.method_to_api_mapping
        if call.operation not in operations:
            first = call.operation.partition("_")[0]
            alike = [name for name in sorted(operations) if name.startswith(f"{first}_")][:5]
            raise _wrong(
                call.where or f"`{call}`",
                f"found no operation `{call.operation}` of `{call.service}`"
                + (f", expected one like {', '.join(alike)}" if alike else ", expected one that boto3 has"),
            )
        answer: dict[str, Any] = getattr(found, call.operation)(**call.arguments)
    return answer


def mismatch(expected: Any, found: Any, at: str = "answer") -> str | None:
    """Return in one line what `found` lacks of `expected`, or None; tables may hold more, lists may not."""
    match expected, found:
        case dict(), dict():
            for key, value in expected.items():
                if key not in found:
                    return f"{at}.{key}: found none, expected `{value}`"
                if problem := mismatch(value, found[key], f"{at}.{key}"):
                    return problem
            return None
        case list(), list() if len(expected) == len(found):
            problems = (
                mismatch(value, other, f"{at}[{number}]")
                for number, (value, other) in enumerate(zip(expected, found, strict=True))
            )
            return next(filter(None, problems), None)
    return None if expected == found else f"{at}: found `{str(found)[:300]}`, expected `{expected}`"


def inside(folder: Path, file: object) -> Path | None:
    """Return the path of a file that lies in the folder, None for a name that leads elsewhere or nowhere."""
    if not isinstance(file, str) or "\0" in file:
        return None
    path = (folder / file).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _content(folder: Path, file: object, where: str) -> bytes:
    """Return a file's bytes; nothing outside of the folder is read."""
    path = inside(folder, file)
    if path is None:
        raise _wrong(where, f"found the file `{file}`, expected one inside `{folder.name}/`")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(where, f"found no file `{folder.name}/{file}`, expected its content") from error


def _wrong(where: str, found: str) -> DeployerError:
    return DeployerError(
        f"{where} cannot be used",
        found=found,
        hint="docs/your-own-function.md, section What it must do",
        exit_code=Exit.USAGE,
    )
