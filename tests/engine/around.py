"""Fakes of what a rollout has around it: alarms, a topic, provisioned concurrency, and the stack that names them."""

# ruff: noqa: N803 - the arguments are AWS's own names

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployer.aws.provisioned import Provisioned
from deployer.clock import Clock

TOPIC = "arn:aws:sns:eu-west-1:123456789012:image-resizer-production-rollouts"


PROBE = {"a": "harmless event"}


def given_settings(folder: Path, text: str) -> Path:
    """Write what a rollout reads of a repository, deploy.toml and smoke/probe.json, and return the former."""
    (folder / "smoke").mkdir(exist_ok=True)
    (folder / "smoke" / "probe.json").write_text(json.dumps(PROBE), encoding="utf-8")
    path = folder / "deploy.toml"
    path.write_text(text, encoding="utf-8")
    return path


GUARD_ARN = "arn:aws:lambda:eu-west-1:1:function:image-resizer-production-guard"
SCHEDULE_ROLE = "arn:aws:iam::1:role/image-resizer-production-schedule-eu-west-1"


class StackWithTopic:
    """A CloudFormation whose stack has the rollout topic, and what a schedule needs if it `has_schedule`."""

    has_schedule = False

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        """Answer that the stack exists, with its topic."""
        outputs = [{"OutputKey": "RolloutTopicArn", "OutputValue": TOPIC}]
        if self.has_schedule:
            outputs.append({"OutputKey": "GuardFunctionArn", "OutputValue": GUARD_ARN})
            outputs.append({"OutputKey": "ScheduleRoleArn", "OutputValue": SCHEDULE_ROLE})
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    def get_template(self, **_: Any) -> dict[str, Any]:
        """Answer with an empty template."""
        return {"TemplateBody": ""}


@dataclass
class FakeAlarms:
    """CloudWatch's metric alarms by name; `calls` is what was done to them, in order."""

    put: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    def put_metric_alarm(self, **alarm: Any) -> None:
        """Put an alarm."""
        self._call("put", alarm["AlarmName"])
        self.put[alarm["AlarmName"]] = alarm

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:
        """Delete alarms."""
        for name in AlarmNames:
            self._call("delete", name)
            del self.put[name]

    def get_paginator(self, operation: str) -> FakeAlarms:
        """Return what lists the alarms."""
        assert operation == "describe_alarms"
        return self

    def paginate(self, *, AlarmNamePrefix: str, AlarmTypes: list[str]) -> Iterator[dict[str, Any]]:
        """List the alarms of a prefix, one to a page."""
        assert AlarmTypes == ["MetricAlarm"]
        for name in sorted(self.put):
            if name.startswith(AlarmNamePrefix):
                yield {"MetricAlarms": [{"AlarmName": name}]}

    def _call(self, what: str, name: str) -> None:
        if what in self.refuses:
            raise refused(what)
        self.calls.append(f"{what} {name}")


class _NoSchedule(ClientError):
    """What the scheduler answers where there is no schedule of that name."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "UpdateSchedule")


@dataclass
class FakeScheduler:
    """EventBridge Scheduler: one schedule of each name, with the moment and what is invoked then."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuses: bool = False

    def update_schedule(self, **wanted: Any) -> None:
        """Move a schedule that is there."""
        if self.refuses:
            raise refused("scheduler")
        if wanted["Name"] not in self.made:
            raise _NoSchedule
        self.made[wanted["Name"]] = wanted

    def create_schedule(self, **wanted: Any) -> None:
        """Make a schedule that is not there."""
        assert wanted["Name"] not in self.made
        self.made[wanted["Name"]] = wanted

    def due(self) -> list[tuple[float, dict[str, Any]]]:
        """Return each schedule's moment (seconds since the epoch) and event."""
        return [
            (
                datetime.strptime(wanted["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
                .replace(tzinfo=UTC)
                .timestamp(),
                json.loads(wanted["Target"]["Input"]),
            )
            for wanted in self.made.values()
        ]


@dataclass
class FakeTopic:
    """An SNS topic that keeps what was published to it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    error: Exception | None = None

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:
        """Publish a message."""
        assert TopicArn == TOPIC
        assert len(Subject) <= 100
        assert Subject.isascii()
        if self.error:
            raise self.error
        self.subjects.append(Subject)
        self.events.append(json.loads(Message))

    @property
    def kinds(self) -> list[str]:
        """Return what each event tells of."""
        return [event["kind"] for event in self.events]


@dataclass
class FakeWarmth:
    """Lambda's provisioned concurrency on a virtual clock: ready after `ready_s`, unless it fails."""

    clock: Clock
    ready_s: float = 60.0
    fails: str = ""
    configs: dict[str, tuple[int, float]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def port(self, function_name: str = "image-resizer-production") -> Provisioned:
        """Return the deployer's port to it."""
        return Provisioned(self, function_name)  # type: ignore[arg-type]

    def put_provisioned_concurrency_config(
        self,
        *,
        FunctionName: str,
        Qualifier: str,
        ProvisionedConcurrentExecutions: int,
    ) -> None:
        """Ask for it."""
        assert Qualifier.isdigit(), "it sits on versions"
        self.calls.append(f"put {Qualifier} {ProvisionedConcurrentExecutions}")
        self.configs[Qualifier] = (ProvisionedConcurrentExecutions, self.clock.now())

    def get_provisioned_concurrency_config(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:
        """Tell how far it is."""
        if Qualifier not in self.configs:
            raise not_found()
        count, since = self.configs[Qualifier]
        is_ready = self.clock.now() - since >= self.ready_s
        status = "IN_PROGRESS" if not is_ready else "FAILED" if self.fails else "READY"
        found = {
            "RequestedProvisionedConcurrentExecutions": count,
            "AvailableProvisionedConcurrentExecutions": count if status == "READY" else 0,
            "Status": status,
        }
        return found | ({"StatusReason": self.fails} if status == "FAILED" else {})

    def delete_provisioned_concurrency_config(self, *, FunctionName: str, Qualifier: str) -> None:
        """Take it away."""
        if Qualifier not in self.configs:
            raise not_found()
        self.calls.append(f"delete {Qualifier}")
        del self.configs[Qualifier]


def not_found() -> ClientError:
    """Return what Lambda answers for a version without any."""
    error = {"Code": "ProvisionedConcurrencyConfigNotFoundException", "Message": "none"}
    return ClientError({"Error": error}, "GetProvisionedConcurrencyConfig")


def refused(operation: str) -> ClientError:
    """Return what AWS answers without the right to call."""
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
