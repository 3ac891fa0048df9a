"""A staging environment on a virtual clock: Lambda, metrics, alarms, topic and the guard as it is deployed.

What the numbers say follows from the calls that were made, what the alarms do from the numbers, and what the
guard does from its own source in infra/service.yaml. Every part can be broken as people break it.
"""

# ruff: noqa: N803 - the arguments are AWS's own names

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployer import config
from deployer.aws.errors import translated
from deployer.aws.metrics import Baseline
from deployer.aws.versions import Versions
from deployer.clock import Clock
from deployer.context import Context
from deployer.gameday.background import Step
from deployer.judge.counts import Counts, Minute, Week
from deployer.model import AlarmReading, AlarmState, AliasWrite
from deployer.report.console import Output
from engine.around import PROBE, TOPIC, FakeTopic, given_settings
from engine.fakes import Death, FakeAws, VirtualClock
from infra.guard_source import load
from rehearsal.alarms import Alarm, evaluate

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
"""
FUNCTION = "image-resizer-staging"
GUARD = f"{FUNCTION}-guard"
GUARD_ARN = f"arn:aws:lambda:eu-west-1:123456789012:function:{GUARD}"
DESCRIPTION = "mine [lc1 id=9.1 from=40 to=41 step=1/0 at=1763700000 plan=9c1e st=done]"
LIVE = {"Command": ["app.handler.handler"]}
LAG_S = 90.0


# The stack's own alarm on the errors of all versions, as in infra/service.yaml.
ERRORS = Alarm(
    name=f"{FUNCTION}-errors",
    metric="Errors",
    dimensions={"FunctionName": FUNCTION, "Resource": f"{FUNCTION}:live"},
    period_s=60,
    evaluation_periods=3,
    datapoints_to_alarm=2,
    threshold=1.0,
    comparison="GreaterThanOrEqualToThreshold",
)


def refused(code: str, message: str = "no") -> ClientError:
    """Return what botocore raises for an AWS error."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "call")


@dataclass(frozen=True)
class Served:
    """One call through the alias: when, by which version, and whether it failed."""

    at: float
    version: str
    failed: bool


@contextlib.contextmanager
def on_clock(step: Step, clock: Clock) -> Iterator[None]:
    """Repeat a step whenever its time has come on a virtual clock, as a thread does on a real one."""
    assert isinstance(clock, VirtualClock)
    is_on = [True]

    def again() -> None:
        wait_s = step() if is_on[0] else None
        if wait_s is not None:
            clock.at(wait_s, again)

    clock.at(0.0, again)
    yield
    is_on[0] = False


@dataclass
class Staging(FakeAws):
    """The function of staging with its versions, its callers' luck, and the net around it."""

    function_name: str = FUNCTION
    stable: str = "41"
    versions_: dict[str, dict[str, Any]] = field(default_factory=dict)
    description: str = DESCRIPTION
    served: list[Served] = field(default_factory=list)
    is_dead: bool = False
    denied: set[str] = field(default_factory=set)  # what this role may not do
    guard_denied: set[str] = field(default_factory=set)
    answers_anything: bool = False  # an image whose entrypoint ignores its command
    silent_metrics_of: str = ""  # a metric CloudWatch has no points of

    def __post_init__(self) -> None:
        super().__post_init__()
        self.versions_ = {
            number: {"config": dict(LIVE), "sha": "sha-live", "description": f"commit of {number}"}
            for number in ("40", "41")
        }
        self.versions = set(self.versions_)
        self.latest: dict[str, Any] = {"config": dict(LIVE), "sha": "sha-live", "revision": 1}
        self.states = {name: AlarmReading(AlarmState.OK) for name in (f"{FUNCTION}-throttles", ERRORS.name)}
        self.lambda_ = FakeLambda(self)
        self.cloudwatch = FakeCloudWatch(self)
        self.sns = FakeStagingTopic(self)
        self.cloudformation = FakeStack(self)
        self.clock.at(60 - self.clock.now() % 60, self._each_minute)

    @property
    def image_config(self) -> dict[str, Any]:
        """Return what `$LATEST` is started with."""
        return self.latest["config"]  # type: ignore[no-any-return]

    def call(self, name: str) -> Any:
        """Count a call; a process that was killed makes none."""
        if self.is_dead:
            raise Death("dead")
        if name in self.denied:
            self.calls.append(name)
            raise refused("AccessDeniedException", f"User is not authorized to perform: {name}")
        return _Mortal(self, super().call(name))

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        return {"lambda": self.lambda_, "sns": self.sns}[service]

    def given_running_as_new(self) -> None:
        """Go on as another process: whoever was killed stays so, and its faults with it."""
        self.is_dead, self.faults, self.calls = False, {}, []

    def rightly(self) -> contextlib.AbstractContextManager[None]:
        """Do what somebody else does, whatever this process may do."""
        return _elsewhere(self)

    def update_alias(self, write: AliasWrite, *, revision: str) -> None:
        """Write the alias; AWS's answers are translated as the port does."""
        with translated("updating alias `live`"):
            super().update_alias(write, revision=revision)

    def versions_port(self) -> Versions:
        """Return the deployer's port to the versions, on this Lambda."""
        return Versions(self.lambda_, self.function_name)  # type: ignore[arg-type]

    def invoke(self, version: str, event: object) -> tuple[str | None, object]:
        """Invoke a version, or the alias, which draws one by its weights."""
        with translated(f"invoking version {version}"), self.call("Invoke"):
            assert event == PROBE
            if version != "live":
                return self._answer(version)
            drawn = self._draw()
            answer = self._answer(drawn)
            self.served.append(Served(self.clock.now(), drawn, answer[0] is not None))
            return answer

    def _draw(self) -> str:
        number = sum(one.version in (self.stable, self.canary) for one in self.served)
        if self.canary is not None and number * 37 % 100 < self.weight_pct:
            return self.canary
        return self.stable

    def _answer(self, version: str) -> tuple[str | None, object]:
        assert version in self.versions_, f"version {version} is gone"
        if self.versions_[version]["config"] != LIVE and not self.answers_anything:
            return "Unhandled", {"errorMessage": "Unable to import module", "errorType": "Runtime"}
        return None, {"resized": [], "skipped": []}

    def metrics(self) -> Any:
        """Return the numbers of the versions, counted from the calls that were made."""
        return StagingMetrics(self)

    def points(self, metric: str, dimensions: dict[str, str]) -> dict[int, float]:
        """Return a metric's sums by minute; one with other dimensions than Lambda's has none."""
        names = set(dimensions)
        of_alias, of_version = {"FunctionName", "Resource"}, {"FunctionName", "Resource", "ExecutedVersion"}
        if names not in (of_alias, of_version) or metric == self.silent_metrics_of:
            return {}
        sums: dict[int, float] = {}
        for one in self.served:
            if dimensions.get("ExecutedVersion", one.version) == one.version:
                at = int(one.at) // 60 * 60
                sums[at] = sums.get(at, 0.0) + (one.failed if metric == "Errors" else metric == "Invocations")
        return sums

    def _each_minute(self) -> None:
        self.clock.at(60, self._each_minute)
        with self.rightly():
            self.cloudwatch.evaluate()
        now = self.clock.now()
        points = self.points(ERRORS.metric, dict(ERRORS.dimensions))
        closed = {at: value for at, value in points.items() if at + 60 <= now}
        state = AlarmState(evaluate(ERRORS, closed, now, "OK"))
        if self.states[ERRORS.name].state is not state:
            self.given_alarm(ERRORS.name, state)


@contextlib.contextmanager
def _elsewhere(aws: Staging) -> Iterator[None]:
    mine = aws.calls, aws.faults, aws.before_call, aws.actor, aws.is_dead, aws.denied
    aws.calls, aws.faults, aws.before_call, aws.actor = [], {}, None, "somebody else"
    aws.is_dead, aws.denied = False, set()
    try:
        yield
    finally:
        aws.calls, aws.faults, aws.before_call, aws.actor, aws.is_dead, aws.denied = mine


@dataclass
class _Mortal:
    """A call after which the process may be dead."""

    aws: Staging
    inner: Any

    def __enter__(self) -> None:
        self.inner.__enter__()

    def __exit__(self, *error: Any) -> None:
        try:
            self.inner.__exit__(*error)
        except Death:
            self.aws.is_dead = True
            raise


@dataclass
class StagingMetrics:
    """Both versions' numbers as CloudWatch knows them by now."""

    aws: Staging

    def baseline(self, stable: str, until: int) -> Baseline:
        """Return the hour before."""
        with self.aws.call("GetMetricData"):
            found = [
                one for one in self.aws.served if until - 3600 <= one.at < until and one.version == stable
            ]
            return Baseline(Counts(len(found), sum(one.failed for one in found)), 200.0, 900.0)

    def history(self, until: float) -> Week:
        """Return each minute of the week before: in staging hardly anybody called."""
        with self.aws.call("GetMetricData"):
            end = int(until - 600) // 3600 * 3600
            calls, errors = Counter[int](), Counter[int]()
            for one in self.aws.served:
                calls[int(one.at) // 60] += 1
                errors[int(one.at) // 60] += one.failed
            minutes = range(end // 60 - 7 * 24 * 60, end // 60)
            return Week(
                end,
                tuple(calls[minute] for minute in minutes),
                tuple(errors[minute] for minute in minutes),
                (0,) * len(minutes),
            )

    def minutes(
        self, versions: tuple[str, str], since: int, until: float, slow_ms: float | None
    ) -> tuple[Minute, ...]:
        """Return the minutes so far; the newest calls are not in them yet."""
        with self.aws.call("GetMetricData"):
            known_until = min(until, self.aws.clock.now()) - LAG_S
            counts: dict[int, dict[str, Counts]] = {}
            for one in self.aws.served:
                if since // 60 * 60 <= one.at < known_until and self.aws.silent_metrics_of != "Invocations":
                    minute = counts.setdefault(int(one.at) // 60 * 60, {})
                    before = minute.get(one.version, Counts())
                    failed = one.failed and self.aws.silent_metrics_of != "Errors"
                    minute[one.version] = Counts(before.calls + 1, before.errors + failed)
            stable, canary = versions
            return tuple(
                Minute(at, canary=found.get(canary, Counts()), stable=found.get(stable, Counts()))
                for at, found in sorted(counts.items())
            )


@dataclass
class FakeLambda:
    """Lambda's calls on versions and configuration, as strict as Lambda; each takes a while to settle."""

    aws: Staging
    busy_until: float = 0.0
    policy: str = json.dumps(
        {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "lambda:InvokeFunction",
                }
            ]
        }
    )
    state: str = "Active"
    published: int = 41

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str = "$LATEST") -> dict[str, Any]:
        """Read a version, or the guard function."""
        with self.aws.call("GetFunctionConfiguration"):
            if FunctionName == GUARD:
                if not self.state:
                    raise refused("ResourceNotFoundException")
                return {"State": self.state}
            latest = Qualifier == "$LATEST"
            if not latest and Qualifier not in self.aws.versions_:
                raise refused("ResourceNotFoundException", f"Function not found: {FunctionName}:{Qualifier}")
            found = self.aws.latest if latest else self.aws.versions_[Qualifier]
            # Lambda says what is not overridden as empty.
            shown = {"EntryPoint": [], "WorkingDirectory": "", **found["config"]}
            return {
                "Version": Qualifier,
                "Role": "role",
                "Description": found.get("description", ""),
                "CodeSha256": found["sha"],
                "RevisionId": f"f{self.aws.latest['revision']}" if latest else f"v{Qualifier}",
                "ImageConfigResponse": {"ImageConfig": shown},
                "State": "Active",
            }

    def update_function_configuration(
        self, *, FunctionName: str, RevisionId: str, ImageConfig: dict[str, Any]
    ) -> None:
        """Change what `$LATEST` is started with; nothing else of it."""
        with self.aws.call("UpdateFunctionConfiguration"):
            assert FunctionName == FUNCTION
            self._refuse_while_busy()
            if RevisionId != f"f{self.aws.latest['revision']}":
                raise refused("PreconditionFailedException", "The Revision Id provided does not match")
            self.aws.latest["config"] = {k: v for k, v in ImageConfig.items() if v}
            self._changed()

    def publish_version(
        self, *, FunctionName: str, CodeSha256: str, RevisionId: str, Description: str
    ) -> dict[str, Any]:
        """Publish `$LATEST`; unchanged since the newest version it is that one."""
        with self.aws.call("PublishVersion"):
            assert len(Description) <= 256
            self._refuse_while_busy()
            if RevisionId != f"f{self.aws.latest['revision']}" or CodeSha256 != self.aws.latest["sha"]:
                raise refused("PreconditionFailedException", "The Revision Id provided does not match")
            newest = max(self.aws.versions_, key=int)
            made = {"config": dict(self.aws.latest["config"]), "sha": CodeSha256}
            if made.items() <= self.aws.versions_[newest].items():
                return {"Version": newest}
            self.published += 1  # a number is never given again
            number = str(self.published)
            self.aws.versions_[number] = {**made, "description": Description}
            self.aws.versions = {*self.aws.versions, number}
            self.aws.latest["revision"] += 1  # as Lambda does
            return {"Version": number}

    def get_paginator(self, operation: str) -> Any:
        """Return what lists the versions, one to a page."""
        assert operation == "list_versions_by_function"
        return self

    def paginate(self, *, FunctionName: str) -> Iterator[dict[str, Any]]:
        """List `$LATEST` and the versions."""
        with self.aws.call("ListVersionsByFunction"):
            yield {"Versions": [{"Version": "$LATEST", "Description": ""}]}
            for number, found in self.aws.versions_.items():
                yield {"Versions": [{"Version": number, "Description": found["description"]}]}

    def delete_function(self, *, FunctionName: str, Qualifier: str) -> None:
        """Delete one version; one an alias names is kept."""
        with self.aws.call("DeleteFunction"):
            if Qualifier not in self.aws.versions_:
                raise refused("ResourceNotFoundException", "Function not found")
            if Qualifier in (self.aws.stable, self.aws.canary):
                raise refused("ResourceConflictException", "cannot be deleted because an alias names it")
            del self.aws.versions_[Qualifier]
            self.aws.versions = self.aws.versions - {Qualifier}

    def get_waiter(self, name: str) -> Any:
        """Return what waits for an update's end, or for a version."""
        assert name in ("function_updated_v2", "published_version_active")
        return self

    def wait(self, **_: Any) -> None:
        """Wait."""
        with self.aws.call("GetFunction"):
            pass
        self.aws.clock.sleep(max(0.0, self.busy_until - self.aws.clock.now()))

    def get_policy(self, *, FunctionName: str) -> dict[str, Any]:
        """Read who may invoke the guard."""
        with self.aws.call("GetPolicy"):
            assert FunctionName == GUARD
            return {"Policy": self.policy}

    def _changed(self) -> None:
        self.aws.latest["revision"] += 1
        self.busy_until = self.aws.clock.now() + 3.0
        self.aws.clock.at(3.0, self._settled)

    def _settled(self) -> None:
        self.aws.latest["revision"] += 1  # the end of an update is one more change

    def _refuse_while_busy(self) -> None:
        if self.aws.clock.now() < self.busy_until:
            raise refused("ResourceConflictException", "An update is in progress for resource")


@dataclass
class FakeCloudWatch:
    """Metric alarms that are evaluated each minute and tell their topic."""

    aws: Staging
    put: dict[str, dict[str, Any]] = field(default_factory=dict)
    break_alarm: Any = None  # what somebody does to each alarm that is put

    def put_metric_alarm(self, **alarm: Any) -> None:
        """Put an alarm; it keeps its state when it is put again."""
        with self.aws.call("PutMetricAlarm"):
            before = self.put.get(alarm["AlarmName"], {}).get("StateValue", "INSUFFICIENT_DATA")
            self.put[alarm["AlarmName"]] = {"ActionsEnabled": True, **alarm, "StateValue": before}
            if self.break_alarm is not None:
                self.break_alarm(self.put, alarm["AlarmName"])

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:
        """Delete alarms."""
        with self.aws.call("DeleteAlarms"):
            for name in AlarmNames:
                del self.put[name]

    def get_paginator(self, operation: str) -> Any:
        """Return what lists the alarms."""
        assert operation == "describe_alarms"
        return self

    def paginate(self, *, AlarmNamePrefix: str, AlarmTypes: list[str]) -> Iterator[dict[str, Any]]:
        """List the alarms of a prefix."""
        with self.aws.call("DescribeAlarms"):
            yield {"MetricAlarms": [dict(a) for n, a in self.put.items() if n.startswith(AlarmNamePrefix)]}

    def describe_alarms(self, *, AlarmNames: list[str]) -> dict[str, Any]:
        """Read alarms by name; one that is not there is left out."""
        with self.aws.call("DescribeAlarms"):
            return {"MetricAlarms": [dict(self.put[name]) for name in AlarmNames if name in self.put]}

    def evaluate(self) -> None:
        """Give every alarm the state its metric says, and tell its topic of one that fires."""
        for alarm in list(self.put.values()):
            definition = Alarm.from_description(alarm)
            points = self.aws.points(definition.metric, dict(definition.dimensions))
            if alarm["Namespace"] != "AWS/Lambda":
                points = {}
            known = {at: value for at, value in points.items() if at + 60 <= self.aws.clock.now()}
            state = evaluate(definition, known, self.aws.clock.now(), alarm["StateValue"])
            if state != alarm["StateValue"]:
                alarm["StateValue"] = state
                if state == "ALARM" and alarm["ActionsEnabled"]:
                    for topic in alarm["AlarmActions"]:
                        self.aws.sns.hear_alarm(topic, alarm["AlarmName"])


@dataclass
class FakeStagingTopic(FakeTopic):
    """The rollout topic: who may publish, who listens, and the guard that does."""

    aws: Any = None
    listeners: list[str] = field(default_factory=lambda: [GUARD_ARN])
    service: str = "cloudwatch.amazonaws.com"

    def __init__(self, aws: Staging) -> None:
        super().__init__()
        self.aws, self.listeners, self.service = aws, [GUARD_ARN], "cloudwatch.amazonaws.com"

    def get_topic_attributes(self, *, TopicArn: str) -> dict[str, Any]:
        """Read the topic's policy."""
        with self.aws.call("GetTopicAttributes"):
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": self.service},
                "Action": "sns:Publish",
            }
            return {"Attributes": {"Policy": json.dumps({"Statement": [statement]})}}

    def list_subscriptions_by_topic(self, *, TopicArn: str) -> dict[str, Any]:
        """Read who listens."""
        with self.aws.call("ListSubscriptionsByTopic"):
            return {"Subscriptions": [{"Endpoint": end} for end in self.listeners]}

    def hear_alarm(self, topic: str, name: str) -> None:
        """Take an alarm's message and hand it on, as far as the policies let it through."""
        allowed = json.loads(self.aws.lambda_.policy)["Statement"]
        if topic != TOPIC or self.service != "cloudwatch.amazonaws.com":
            return
        if GUARD_ARN in self.listeners and allowed and self.aws.lambda_.state == "Active":
            message = json.dumps({"AlarmName": name, "NewStateValue": "ALARM"})
            guard: Any = load(GuardsLambda(self.aws), function=FUNCTION)  # type: ignore[arg-type]
            with contextlib.suppress(ClientError):  # it ends in the guard's log
                guard.answer(message)


@dataclass
class GuardsLambda:
    """Lambda as the guard's own role may call it."""

    aws: Staging

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, Any]:
        """Read the alias."""
        alias = self.aws.alias()
        weights = {self.aws.canary: self.aws.weight_pct / 100} if self.aws.canary else {}
        return {
            "FunctionVersion": self.aws.stable,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
            "Description": alias.description,
            "RevisionId": alias.revision,
        }

    def update_alias(self, *, FunctionName: str, Name: str, RevisionId: str, **write: Any) -> None:
        """Write the alias."""
        if "UpdateAlias" in self.aws.guard_denied:
            raise refused("AccessDeniedException", "not authorized to perform: lambda:UpdateAlias")
        assert write["RoutingConfig"] == {"AdditionalVersionWeights": {}}
        self.aws.update_alias(AliasWrite(write["FunctionVersion"], write["Description"]), revision=RevisionId)


@dataclass
class FakeStack:
    """CloudFormation with the stack of staging."""

    aws: Staging
    has_guard: bool = True

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        """Answer with the stack's outputs."""
        outputs = {"AlarmNames": f"{FUNCTION}-errors,{FUNCTION}-throttles"}
        outputs["ErrorsAlarmName"] = f"{FUNCTION}-errors"
        if self.has_guard:
            outputs["RolloutTopicArn"] = TOPIC
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        with self.aws.call("DescribeStacks"):
            return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": listed}]}

    def get_template(self, **_: Any) -> dict[str, Any]:
        """Answer with an empty template."""
        return {"TemplateBody": ""}


class Port:
    """What the deployer is connected to: the world under the names of `deployer.aws.client.Aws`."""

    def __init__(self, aws: Staging) -> None:
        self._aws = aws

    def versions(self) -> Versions:
        """Return the port to the versions."""
        return self._aws.versions_port()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._aws, name)


def context_of(folder: Path, aws: Staging, environment: str = "staging", settings: str = SETTINGS) -> Context:
    """Return what a command holds in a checkout of these settings."""
    given_settings(folder, settings)
    return Context(
        config=config.parse(settings),
        root=folder,
        environment=environment,
        output=Output(environ={}),
        clock=aws.clock,
        connect=lambda _config, _environment: Port(aws),
    )
