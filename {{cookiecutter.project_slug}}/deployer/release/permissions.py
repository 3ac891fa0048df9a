"""`infra/permissions.yaml` text -> what the function may do, and what its stack and smoke test may. Pure.

The owner writes each right once. `merge` puts it into every role and boundary that needs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from deployer.release import template as templates
from deployer.validation import describe, located, refused

NAME = "infra/permissions.yaml"
# Both stacks know these; a reference to anything else would mean something in one of them only.
REFERENCES = ("FunctionName", "AWS::Partition", "AWS::Region", "AWS::AccountId", "AWS::URLSuffix")
_REFERENCE = re.compile(r"\$\{(?!!)([^}]*)\}")
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")


def _as_list(value: Any) -> Any:
    """Return what IAM allows to be one thing or a list of them, as a list; refuse an empty one."""
    if value in ("", []):
        raise ValueError("at least one, found none")
    return [value] if isinstance(value, str) else value


def _is_action(action: str) -> str:
    """Refuse what is no action, what names every service, and what changes who may do what.

    Whoever may change roles may give the function any right, whatever the boundary was meant to hold back.
    """
    if action == "*":
        raise ValueError("actions by name, found `*`, which is every action of AWS")
    if not _ACTION.fullmatch(action):
        raise ValueError(f"an action such as `sqs:SendMessage`, found `{action}`")
    if action.lower().startswith("iam:"):
        raise ValueError(
            f"no action of IAM, found `{action}`: roles are an administrator's, in infra/bootstrap.yaml"
        )
    return action


def _is_condition(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is not operator -> key -> values, e.g. {"Bool": {"aws:SecureTransport": "true"}}."""
    if not value or not all(isinstance(operator, dict) and operator for operator in value.values()):
        raise ValueError("an operator with a key and its value, as in `Bool: {aws:SecureTransport: true}`")
    for values in (values for operator in value.values() for values in operator.values()):
        for one in values if isinstance(values, list) else [values]:
            if not isinstance(one, str | bool | int):
                raise ValueError(f"a text, a number, a boolean or a list of them, found `{one}`")
            _refers_to_what_is_known(str(one))
    return value


def _refers_to_what_is_known(text: str) -> str:
    """Refuse a reference that the two stacks do not both have."""
    unknown = [name for name in _REFERENCE.findall(text) if name not in REFERENCES]
    if unknown:
        known = ", ".join(f"${{{name}}}" for name in REFERENCES)
        raise ValueError(f"one of {known}, found `${{{unknown[0]}}}`")
    return text


Texts = Annotated[list[Annotated[str, AfterValidator(_refers_to_what_is_known)]], BeforeValidator(_as_list)]
Actions = Annotated[list[Annotated[str, AfterValidator(_is_action)]], BeforeValidator(_as_list)]
Condition = Annotated[dict[str, Any], AfterValidator(_is_condition)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Statement(_Part):
    """One statement of IAM. NotAction and NotResource are unknown here: a right is named."""

    sid: str | None = Field(default=None, alias="Sid", pattern=r"^[A-Za-z0-9]+$")
    effect: Literal["Allow", "Deny"] = Field(default="Allow", alias="Effect")
    action: Actions = Field(alias="Action")
    resource: Texts = Field(alias="Resource")
    condition: Condition | None = Field(default=None, alias="Condition")

    def rendered(self, function_name: str = "${FunctionName}") -> dict[str, Any]:
        """Return the statement for a template that calls the function `function_name` (a Fn::Sub text)."""

        def substituted(text: str) -> Any:
            named = text.replace("${FunctionName}", function_name)
            return {"Fn::Sub": named} if "${" in named else named

        plain = self.model_dump(by_alias=True, exclude_none=True)
        for key in ("Resource", "Condition"):
            if key in plain:
                plain[key] = templates.replaced(plain[key], substituted)
        return {
            key: _shortened(value) if key in ("Action", "Resource") else value for key, value in plain.items()
        }


class Permissions(_Part):
    """The whole of `infra/permissions.yaml`."""

    function: list[Statement] = []  # the function's role, and its boundary
    stack: list[Statement] = []  # the role CloudFormation acts with
    smoke: list[Statement] = []  # the roles of the smoke tests, staging only, and of releases, for the sample


def parse(text: str, *, name: str = NAME) -> Permissions:
    """Turn the text into Permissions; all wrong values are reported at once, one line each.

    Raises DeployerError (exit 2).
    """
    values = templates.parse(text, name=name)
    try:
        permissions = Permissions.model_validate(values)
    except ValidationError as error:
        raise refused(name, [_line(detail) for detail in error.errors()]) from error
    problems = [
        f"{section}: found Sid `{sid}` {count} times, expected it once"
        for section, statements in _sections(permissions).items()
        for sid, count in Counter(s.sid for s in statements if s.sid).items()
        if count > 1
    ]
    if problems:
        raise refused(name, problems)
    return permissions


def _line(detail: ErrorDetails) -> str:
    """Say in one line which entry holds what, and what it may hold."""
    if detail["type"] != "extra_forbidden":
        return describe(detail)
    *above, key = detail["loc"]
    known = ("Action", "Resource", "Effect", "Condition", "Sid") if above else ("function", "stack", "smoke")
    return f"{located(detail)}: unknown key `{key}`, expected one of {', '.join(known)}"


def _sections(permissions: Permissions) -> Mapping[str, list[Statement]]:
    return {"function": permissions.function, "stack": permissions.stack, "smoke": permissions.smoke}


def _shortened(values: list[Any]) -> Any:
    """Return a list of one as that one, which is how people write it and policies are kept short."""
    return values[0] if len(values) == 1 else values
