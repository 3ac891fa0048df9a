"""The one-shot schedule that ends a rollout which nobody drives to its end. Shell.

EventBridge Scheduler invokes the stack's guard function at one moment and then deletes the schedule. A
function has one, `FUNCTION-rollout`: whoever begins a rollout, resumes or finishes it sets the moment anew.
Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deployer.aws.errors import NotFound, translated


@dataclass(frozen=True)
class Schedule:
    """The schedule of one function; `guard_arn` is what it invokes, with the role `role_arn`."""

    client: Any
    function_name: str
    guard_arn: str
    role_arn: str

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"{self.function_name}-rollout"

    def put(self, at: float, event: Mapping[str, object]) -> None:
        """Invoke the guard with that event at `at` (seconds since the epoch); one or two calls.

        Raises Unavailable, DeployerError.
        """
        moment = datetime.fromtimestamp(int(at), tz=UTC).replace(tzinfo=None)
        wanted = {
            "Name": self.name,
            "Description": f"Ends a rollout of {self.function_name} that nobody drives",
            "ScheduleExpression": f"at({moment.isoformat()})",
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {"Arn": self.guard_arn, "RoleArn": self.role_arn, "Input": json.dumps(event)},
        }
        try:
            with translated(f"moving schedule `{self.name}`"):
                self.client.update_schedule(**wanted)
        except NotFound:
            with translated(f"making schedule `{self.name}`"):
                self.client.create_schedule(**wanted)
