"""Enough, and no more: every grant was needed by a request that was recorded, or has a reason to be there all the same."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testbed.local_aws import find_python
from testbed.roles import Decision

from enforced import recording
from enforced.conftest import Deployed
from enforced.unused import UNUSED

PROGRAM = Path(__file__).with_name("grants.py")


def judged(roles: dict[str, Any], requests: list[recording.Request]) -> dict[str, Any]:
    """Return what `enforced/grants.py` finds."""
    entries = [{**vars(request), "context": list(request.context)} for request in requests]
    done = subprocess.run(
        [find_python(), str(PROGRAM)],
        input=json.dumps({"roles": roles, "requests": entries}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def roles(deployed: Deployed) -> dict[str, Any]:
    """Return every role as it is deployed, with a service stack that has every function of its own."""
    whole = {"Driver": "durable", "ReservedConcurrency": "5", "LiveVersion": ""}
    assert deployed.stack("CREATE", **whole) == "CREATE_COMPLETE"
    return deployed.policies()


@pytest.fixture(scope="module")
def found(roles: dict[str, Any]) -> dict[str, Any]:
    """Return what is denied, and which grants nobody used."""
    return judged(roles, recording.load())


def test_every_recorded_request_is_allowed(found: dict[str, Any]) -> None:
    """The deployed roles allow all that the acts and the stories ever asked for."""
    assert found["denied"] == []


def test_every_grant_is_used_or_has_a_reason(found: dict[str, Any]) -> None:
    """Without any single action some recorded request is denied; the others stand in a list, and no more of them.

    A new right is recorded by whatever needs it: CONTRIBUTING.md, section A new right.
    """
    assert found["grants"] > 200
    listed = [grant for grants in UNUSED.values() for grant in grants]
    assert {short(grant) for grant in found["unused"]} - set(listed) == set(), "nobody needs them"
    assert set(listed) - {short(grant) for grant in found["unused"]} == set(), "they are needed, or are gone"
    assert len(listed) == len(set(listed))


def short(grant: str) -> str:
    """Return a grant's name without what all of them have: `deploy: lambda:GetAlias on function`."""
    role, _, rest = grant.partition(": ")
    role = re.sub(rf"^{recording.NAME}-(staging-)?|-{recording.REGION}", "", role)
    return f"{role}: {rest.replace(f'{recording.NAME}-staging', 'NAME').replace(recording.NAME, 'NAME')}"


def test_every_condition_is_recorded(roles: dict[str, Any]) -> None:
    """A condition on what no recording keeps would be judged on nothing."""
    keys = {
        key
        for holds in roles.values()
        for document in [*holds["policies"], *holds["boundary"]]
        for statement in document["Statement"]
        for block in statement.get("Condition", {}).values()
        for key in block
    }
    assert {key for key in keys if not key.startswith("aws:")} <= set(recording.KEPT_CONTEXT)


def test_names_that_differ_are_made_equal() -> None:
    """Two runs of the same act give the same requests, and production's are staging's."""
    who = "arn:aws:sts::000000000000:assumed-role/image-resizer-production-deploy-eu-central-1/GitHubActions"
    first, second = (
        Decision(
            "api",
            who,
            "lambda:GetFunction",
            f"arn:aws:lambda:r:1:function:image-resizer-production:{n}",
            {},
            allowed=True,
        )
        for n in (3, 17)
    )
    assert recording.request_of(first) == recording.request_of(second)
    assert recording.request_of(first) == recording.Request(
        "image-resizer-staging-deploy-eu-central-1",
        "lambda:GetFunction",
        "arn:aws:lambda:r:1:function:image-resizer-staging:1",
    )


def test_a_grant_is_unused_when_nothing_is_denied_without_it() -> None:
    """Both layers are judged: what the role's policy grants, and what its boundary lets through."""
    role = "image-resizer-staging-function-eu-central-1"
    both = {
        "Statement": [{"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:PurgeQueue"], "Resource": "*"}]
    }
    one = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}
    sends, purges = (recording.Request(role, f"sqs:{name}", "*") for name in ("SendMessage", "PurgeQueue"))
    found = judged({role: {"policies": [both], "boundary": [both]}}, [sends])
    assert [short(grant) for grant in found["unused"]] == [
        "function: sqs:PurgeQueue on *",
        "function's boundary: sqs:PurgeQueue on *",
    ]
    assert not found["denied"]
    assert judged({role: {"policies": [both], "boundary": [one]}}, [purges])["denied"]
