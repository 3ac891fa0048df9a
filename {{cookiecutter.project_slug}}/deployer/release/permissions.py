"""`infra/permissions.yaml` text -> what the function may do, and what its stack and smoke test may. Pure.

The owner writes each right once. `merge` puts it into every role and boundary that needs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from deployer.release import template as templates
from deployer.validation import describe, refused

NAME = "infra/permissions.yaml"
# Both stacks know these; a reference to anything else would mean something in one of them only.
REFERENCES = ("FunctionName", "AWS::Partition", "AWS::Region", "AWS::AccountId", "AWS::URLSuffix")
_REFERENCE = re.compile(r"\$\{([^!}][^}]*)\}")
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")


def _as_list(value: Any) -> Any:
    """Return what IAM allows to be one thing or a list of them, as a list."""
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


def _refers_to_what_is_known(text: str) -> str:
    """Refuse a reference that the two stacks do not both have."""
    unknown = [name for name in _REFERENCE.findall(text) if name not in REFERENCES]
    if unknown:
        known = ", ".join(f"${{{name}}}" for name in REFERENCES)
        raise ValueError(f"one of {known}, found `${{{unknown[0]}}}`")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_refers_to_what_is_known)]
Texts = Annotated[list[Text], Field(min_length=1), BeforeValidator(_as_list)]
Action = Annotated[str, AfterValidator(_is_action)]
# Operator -> key -> values, e.g. {"StringLike": {"s3:prefix": ["smoke/*"]}}.
Condition = dict[str, dict[str, Text | bool | int | list[Text | bool | int]]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Statement(_Part):
    """One statement of IAM. NotAction and NotResource are unknown here: a right is named."""

    sid: str | None = Field(default=None, alias="Sid", pattern=r"^[A-Za-z0-9]+$")
    effect: Literal["Allow", "Deny"] = Field(default="Allow", alias="Effect")
    action: Annotated[list[Action], Field(min_length=1), BeforeValidator(_as_list)] = Field(alias="Action")
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
    smoke: list[Statement] = []  # the role of the smoke tests, staging only


def parse(text: str, *, name: str = NAME) -> Permissions:
    """Turn the text into Permissions; all wrong values are reported at once, one line each.

    Raises DeployerError (exit 2).
    """
    values = templates.parse(text, name=name)
    try:
        permissions = Permissions.model_validate(values)
    except ValidationError as error:
        raise refused(name, list(dict.fromkeys(describe(detail) for detail in error.errors()))) from error
    problems = [
        f"{section}: found Sid `{sid}` {count} times, expected it once"
        for section, statements in _sections(permissions).items()
        for sid, count in Counter(s.sid for s in statements if s.sid).items()
        if count > 1
    ]
    if problems:
        raise refused(name, problems)
    return permissions


def _sections(permissions: Permissions) -> Mapping[str, list[Statement]]:
    return {"function": permissions.function, "stack": permissions.stack, "smoke": permissions.smoke}


def _shortened(values: list[Any]) -> Any:
    """Return a list of one as that one, which is how people write it and policies are kept short."""
    return values[0] if len(values) == 1 else values
