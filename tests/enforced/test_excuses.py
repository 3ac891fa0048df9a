"""Each right that CloudFormation is not asked for has a reason, a resource that would ask for it, and nobody who has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from testbed.enforcement.handler_rights import rights
from testbed.enforcement.settings import Excuse
from testbed.excuses import EXCUSES
from testbed.roles import schemas

from enforced.worlds import REGION
from rules.templates import BOOTSTRAP, INFRA, SERVICE, grants, merged

# The resource of docs/your-own-function.md.
OF_THE_PAGE: dict[str, Any] = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "items"}}
PHASES = ("create", "read", "update", "delete")


def asked() -> Iterator[tuple[str, str, set[str]]]:
    """Yield type, right and properties for each right that a resource of infra/service.yaml could be asked for."""
    for resource in [*merged(SERVICE)["Resources"].values(), OF_THE_PAGE]:
        properties = resource.get("Properties", {})
        inner = {
            f"{key}.{name}" for key, value in properties.items() if isinstance(value, dict) for name in value
        }
        for phase in PHASES:
            for right in rights(str(schemas()), REGION, resource["Type"]).get(phase, ()):
                yield resource["Type"], right, {*properties, *inner}


def granted() -> set[str]:
    """Return every action of the stack role, here and in docs/your-own-function.md."""
    found = grants(merged(BOOTSTRAP))
    page = (INFRA.parent / "docs" / "your-own-function.md").read_text(encoding="utf-8")
    own = {action for grant in found if "Stack" in grant.holder for action in grant.actions}
    return own | set(re.findall(r"(?m)^      - (dynamodb:\w+)$", page))


def is_of_another(kind: str, right: str) -> bool:
    """Tell whether a right on roles is asked for a resource that has none: the stack role's own are for others."""
    return right.startswith("iam:") and kind not in ("AWS::IAM::Role", "AWS::Lambda::Function")


def needed(excuses: tuple[Excuse, ...]) -> set[Excuse]:
    """Return the excuses without which a stack of this repository would be denied."""
    has = granted()
    lacking = [
        (kind, right, named)
        for kind, right, named in asked()
        if right not in has or is_of_another(kind, right)
    ]
    return {
        entry
        for entry in excuses
        for kind, right, named in lacking
        if re.fullmatch(entry.resource_type, kind)
        and re.fullmatch(entry.action, right)
        and not named & set(entry.unless)
    }


def test_every_excuse_is_needed() -> None:
    """An excuse for what nothing asks, or for a right that the stack role has, is taken out of the list."""
    assert set(EXCUSES) - needed(EXCUSES) == set()


@pytest.mark.parametrize(
    "excuse",
    [
        Excuse(r"AWS::Lambda::Function", r"lambda:CreateFunction", "the stack role has it"),
        Excuse(r"AWS::Lambda::Function", r"lambda:NoSuch", "nothing asks for it"),
        Excuse(r"AWS::RDS::DBInstance", r".*", "no such resource"),
        Excuse(r"AWS::Lambda::Function", r"kms:.*", "it sets the property", ("Code",)),
    ],
    ids=lambda excuse: excuse.reason,
)
def test_a_needless_excuse_is_found(excuse: Excuse) -> None:
    """Four kinds of excuses that excuse nothing."""
    assert needed((excuse,)) == set()


def test_every_excuse_has_a_reason() -> None:
    """The reason is a few words at least."""
    assert all(len(entry.reason.split()) >= 2 for entry in EXCUSES)
