"""The schedule that ends a rollout nobody drives: what is sent, and what is made where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deployer.aws.errors import Unavailable
from deployer.aws.schedule import Schedule

GUARD = "arn:aws:lambda:eu-west-1:1:function:resizer-production-guard"
ROLE = "arn:aws:iam::1:role/resizer-production-schedule-eu-west-1"
ARN = "arn:aws:scheduler:eu-west-1:1:schedule/default/resizer-production-rollout"
EVENT = {"rollout": "77.1", "version": "42", "until": 1_763_712_030}
WANTED = {
    "Name": "resizer-production-rollout",
    "Description": "Ends a rollout of resizer-production that nobody drives",
    "ScheduleExpression": "at(2025-11-21T08:00:30)",
    "ScheduleExpressionTimezone": "UTC",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "ActionAfterCompletion": "DELETE",
    "Target": {"Arn": GUARD, "RoleArn": ROLE, "Input": json.dumps(EVENT)},
}


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Schedule, Stubber]]:
    """Return a schedule and the stub of its client; every queued answer must have been asked for."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client: Any = boto3.client("scheduler", region_name="eu-west-1")
    with Stubber(client) as stub:
        yield Schedule(client, "resizer-production", GUARD, ROLE), stub
        stub.assert_no_pending_responses()


def test_it_is_moved(scheduler: tuple[Schedule, Stubber]) -> None:
    """One call sets the moment, in UTC and to the second, and the event that the guard gets then."""
    schedule, stub = scheduler
    stub.add_response("update_schedule", {"ScheduleArn": ARN}, WANTED)
    schedule.put(1_763_712_030.9, EVENT)


def test_it_is_made_where_there_is_none(scheduler: tuple[Schedule, Stubber]) -> None:
    """The first rollout has none to move, nor has one whose predecessor's has fired."""
    schedule, stub = scheduler
    stub.add_client_error("update_schedule", "ResourceNotFoundException", http_status_code=404)
    stub.add_response("create_schedule", {"ScheduleArn": ARN}, WANTED)
    schedule.put(1_763_712_030, EVENT)


def test_a_throttled_scheduler_is_unavailable(scheduler: tuple[Schedule, Stubber]) -> None:
    """What was not answered is no schedule."""
    schedule, stub = scheduler
    stub.add_client_error("update_schedule", "ThrottlingException", http_status_code=429)
    with pytest.raises(Unavailable):
        schedule.put(1_763_712_030, EVENT)
