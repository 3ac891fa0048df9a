"""What cannot be used in a file of the owner, in one line each. Pure: pydantic's errors in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

from deployer.errors import DeployerError, Exit


def refused(name: str, problems: Sequence[str]) -> DeployerError:
    """Return the error (exit 2) about a file that holds values which cannot be used, one line each."""
    return DeployerError(
        f"`{name}` has {len(problems)} value{'s' if len(problems) > 1 else ''} that cannot be used",
        found="\n".join(problems),
        hint=f"correct {name}, then run `deployer doctor --offline`",
        exit_code=Exit.USAGE,
    )


def located(detail: ErrorDetails) -> str:
    """Return the key as people write it, e.g. `environments.production.steps[0].bake_s`."""
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(str(part) for part in detail["loc"]))


def describe(detail: ErrorDetails) -> str:
    """Say in one line which key holds what, and what it may hold."""
    key = located(detail)
    found = detail["input"]
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"{key}: missing, expected a value"
        case "extra_forbidden" if len(detail["loc"]) == 1 and isinstance(found, dict):
            return f"{key}: unknown table; {_replacement(found)}"
        case "extra_forbidden":
            return f"{key}: unknown key, expected one of the documented keys of that table"
        case "literal_error":
            return f"{key}: found `{found}`, expected {context['expected']}"
        case "value_error":
            return f"{key}: expected {context['error']}".removeprefix(": ")
        case "string_pattern_mismatch":
            return f"{key}: found `{found}`, expected text like {context['pattern']}"
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
    return f"{key}: found `{found}`, expected {message}"


def _replacement(table: dict[str, Any]) -> str:
    """Say where the values of an unknown table belong, such as one that an earlier deployer read itself."""
    own = [f"{key.upper()} = {json.dumps(value, default=str)}" for key, value in table.items()]
    return f"what the function reads is in [function.variables], here {', '.join(own) or 'nothing'}"
