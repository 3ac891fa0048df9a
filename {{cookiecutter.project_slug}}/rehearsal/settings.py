"""What a rehearsal changes in its copy of deploy.toml, and why. Pure.

Minutes last about a second here, so that a step has few requests and a slow start of a container seems to
last for minutes. The steps, the last place and every limit stay the user's.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping

from deployer.errors import DeployerError

Value = str | int | list[str] | list[dict[str, int]] | list[dict[str, float]]

# Every act begins from these; an act about one of them sets it to what it shows.
COMMON: Mapping[str, Value] = {
    "settle_s": 60,  # metrics are published half a minute after each minute here
    "on_slow": "off",  # a container's start takes as long as a minute
    "mode": "act",
    "driver": "runner",
    "second_rollout": "refuse",
    "alarms": [],  # those of your account do not exist here
}


# What is played where the steps are last week's traffic's to decide, and would take half an hour of its time.
PLAYED: list[dict[str, float]] = [{"weight_pct": 10, "bake_s": 300}, {"weight_pct": 50, "bake_s": 300}]


def adapted(text: str, environment: str, values: Mapping[str, Value]) -> str:
    """Return the text of a deploy.toml with these values in `[environments.ENVIRONMENT]`.

    Comments and all other values stay. Raises DeployerError when that table is not written as one.
    """
    head, table, rest = _split(text, environment)
    for key, value in values.items():
        line = f"{key} = {_toml(value)}"
        # A list may go over several lines.
        before = rf"(?m)^[ \t]*{key}[ \t]*=[ \t]*(?:\[[^\]]*\]|.*$)"
        table, replaced = re.subn(before, line.replace("\\", r"\\"), table, count=1)
        if not replaced:
            table = f"{line}\n{table}"
    changed = f"{head}{table}{rest}"
    try:
        found = tomllib.loads(changed)["environments"][environment]
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(environment) from error
    if any(found.get(key) != value for key, value in values.items()):
        raise _unreadable(environment)
    return changed


def described(values: Mapping[str, Value]) -> str:
    """Return the values in one line, as they are written in deploy.toml."""
    return ", ".join(f"{key} = {_toml(value)}" for key, value in values.items())


def _toml(value: Value) -> str:
    """Return a value as TOML writes it; a table goes on one line."""
    if isinstance(value, list):
        parts = (_table(each) if isinstance(each, dict) else json.dumps(each) for each in value)
        return f"[{', '.join(parts)}]"
    return json.dumps(value)


def _table(values: Mapping[str, float]) -> str:
    return f"{{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in values.items())} }}"


def _split(text: str, environment: str) -> tuple[str, str, str]:
    """Return what is before the table's body, the body, and what follows it."""
    found = re.search(rf"(?m)^\[environments\.{environment}\].*\n", text)
    if found is None:
        raise _unreadable(environment)
    following = re.search(r"(?m)^\[", text[found.end() :])
    end = found.end() + following.start() if following else len(text)
    return text[: found.end()], text[found.end() : end], text[end:]


def _unreadable(environment: str) -> DeployerError:
    return DeployerError(
        f"the rehearsal cannot adapt deploy.toml's environment `{environment}`",
        found=f"expected a table `[environments.{environment}]` with one setting on each line",
        hint="write it as the template does",
    )
