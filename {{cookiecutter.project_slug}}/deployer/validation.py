"""What can be used in a file of the owner, and one line for each thing that cannot. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import ErrorDetails

from deployer.errors import DeployerError, Exit

# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, section Reserved
RESERVED = {
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME"),
    *("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE"),
    *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API"),
    *("AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}


def _is_not_reserved(name: str) -> str:
    """Refuse a name that Lambda sets itself: CloudFormation would, in the middle of a release."""
    if name in RESERVED:
        raise ValueError(f"a name that Lambda does not set itself, found `{name}`")
    return name


def _is_plain(value: object) -> object:
    """Refuse what is neither a text nor a whole number, in one line, and what no environment can hold."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"a text or a whole number, found `{value}`")
    if "\0" in str(value):
        raise ValueError("a text without the character NUL")
    return value


# What the deployer passes on without knowing it: the function's variables, and the owner's own parameters.
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]+$"), AfterValidator(_is_not_reserved)]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
Value = Annotated[str | int, BeforeValidator(_is_plain)]
Variables = dict[VariableName, Value]
Parameters = dict[ParameterName, Value]


# What a key of an earlier release became.
REPLACED = {
    "min_canary_invocations": 'remove it: steps = "auto" says what the calls that come can show',
    "on_low_traffic": 'remove it: want of calls never pauses; steps = "auto" goes by last week\'s traffic',
    "max_extend_s": "remove it: a step is over after its judged minutes, and each has a longest time",
    "probe_every_s": "write sample_every_s: a probe proves nothing, and smoke/sample.toml is sent instead",
}


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
    parts = [str(part) for part in detail["loc"]]
    # What is in brackets tells two kinds of a value apart, and is no key.
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(part for part in parts if not part.startswith("(")))


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
        case "extra_forbidden" if str(detail["loc"][-1]) in REPLACED:
            return f"{key}: {REPLACED[str(detail['loc'][-1])]}"
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
