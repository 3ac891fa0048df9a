"""A strict fake of one Lambda function, its metrics and alarms on a virtual clock; it refuses what AWS refuses.

Faults are given by the number of the call (from 1), as the process that is tested makes them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NoReturn

from botocore.exceptions import ClientError

from deployer.aws.errors import Unavailable, translated
from deployer.aws.metrics import Baseline
from deployer.aws.observed import FunctionState
from deployer.canary import marker
from deployer.judge.counts import Block, Counts, Minute, Week
from deployer.model import AlarmReading, AlarmState, AliasState, AliasWrite, Routing

STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


class VirtualClock:
    """Time that passes only when somebody sleeps; `at` calls things when their time has come."""

    def __init__(self, start: float = 1_763_712_000.0) -> None:
        self.time = start
        self.slept = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def now(self) -> float:
        """Return the virtual time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass, and do what was due in it."""
        self.time += seconds
        self.slept += seconds
        if self._due:
            for due, action in sorted(self._due, key=lambda item: item[0]):
                if due <= self.time:
                    self._due.remove((due, action))
                    action()

    def at(self, seconds_from_now: float, action: Callable[[], object]) -> None:
        """Call `action` once that much time has passed."""
        self._due.append((self.time + seconds_from_now, action))


@dataclass
class Death(BaseException):
    """The process is killed at a call."""

    call: str


@dataclass(frozen=True, eq=False)
class Traffic:
    """What each version does with the calls it gets: calls per minute of the alias, and rates (0-1).

    `outage` is (from, until, rate): in that time both versions fail that often. `lag_s` is how long CloudWatch
    takes to know of a call: what is newer is not in the numbers yet. `week` is the history in 15-minute blocks.
    `later` is from when on (seconds since the epoch) everything is as in another traffic.
    """

    per_minute: float = 600
    errors: Mapping[str, float] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    throttled: Mapping[str, float] = field(default_factory=dict)
    outage: tuple[float, float, float] | None = None
    lag_s: float = 90.0
    p50_ms: float = 200.0
    p99_ms: float = 900.0
    week: tuple[Block, ...] = (Block(9000, 9),) * (7 * 24 * 4)
    later: tuple[float, Traffic] | None = None

    def counts(self, version: str, share: float, since: float, until: float) -> Counts:
        """Return what that share of the traffic makes of a version in a time in which no weight changes."""
        if self.later is not None and self.later[0] < until:
            at, other = self.later
            after = other.counts(version, share, max(since, at), until)
            return (
                after
                if since >= at
                else _sum(replace(self, later=None).counts(version, share, since, at), after)
            )
        per_second = self.per_minute * share / 60
        rate = self.errors.get(version, 0.0)
        if self.outage is not None and self.outage[0] <= since < self.outage[1]:
            rate = max(rate, self.outage[2])

        def whole(per_call: float) -> int:
            # Counted from the epoch, so that no fraction of a call is ever lost between two minutes.
            return math.floor(per_second * per_call * until) - math.floor(per_second * per_call * since)

        return Counts(
            whole(1.0),
            whole(rate),
            whole(self.slow.get(version, 0.0)),
            whole(self.throttled.get(version, 0.0)),
        )


@dataclass(frozen=True)
class Served:
    """From when on the alias sent its traffic where."""

    at: float
    routing: Routing


@lru_cache(maxsize=100_000)
def minute_of(
    traffic: Traffic, history: tuple[Served, ...], versions: tuple[str, str], at: int, known_until: float
) -> Minute | None:
    """Return one minute as CloudWatch knows it, None for one without any call."""
    found = {version: Counts() for version in versions}
    for served, following in zip(history, [*history[1:], None], strict=True):
        since = max(at, served.at)
        until = min(at + 60.0, known_until, following.at if following else math.inf)
        if since >= until:
            continue
        share = served.routing.weight_pct / 100
        for version, part in ((served.routing.stable, 1 - share), (served.routing.canary, share)):
            if version in found and part:
                found[version] = _sum(found[version], traffic.counts(version, part, since, until))
    stable, canary = versions
    if not found[stable].calls + found[canary].calls:
        return None
    return Minute(at, canary=found[canary], stable=found[stable])


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(
        one.calls + other.calls,
        one.errors + other.errors,
        one.slow + other.slow,
        one.throttles + other.throttles,
    )


@lru_cache(maxsize=100)
def week_of(blocks: tuple[Block, ...], until: int) -> Week:
    """Return a week of minutes that make these quarters of an hour."""
    calls, errors = (
        tuple(getattr(block, name) / 15 for block in blocks for _ in range(15))
        for name in ("calls", "errors")
    )
    return Week(until, calls, errors, (0.0,) * len(calls))


@dataclass
class FakeMetrics:
    """Both versions' numbers, as the traffic of the alias at each moment made them."""

    aws: FakeAws

    def baseline(self, stable: str, until: int) -> Baseline:
        """Return the hour before, in which the stable version had all traffic."""
        with self.aws.call("GetMetricData"):
            traffic = self.aws.traffic
            return Baseline(traffic.counts(stable, 1.0, until - 3600, until), traffic.p50_ms, traffic.p99_ms)

    def history(self, until: float) -> Week:
        """Return the traffic's week, each quarter of an hour spread over its minutes."""
        with self.aws.call("GetMetricData"):
            return week_of(self.aws.traffic.week, int(until - 600) // 3600 * 3600)

    def minutes(
        self, versions: tuple[str, str], since: int, until: float, slow_ms: float | None
    ) -> tuple[Minute, ...]:
        """Return the minutes so far; the newest calls are not in them yet."""
        with self.aws.call("GetMetricData"):
            history, traffic = tuple(self.aws.history), self.aws.traffic
            known_until = min(until, self.aws.clock.now()) - traffic.lag_s
            found = []
            for at in range(since // 60 * 60, math.ceil(known_until), 60):
                # What lies behind a minute changes nothing about it, and would only keep it from being known.
                before = tuple(served for served in history if served.at < at + 60)
                minute = minute_of(traffic, before, versions, at, min(known_until, at + 60.0))
                if minute is not None:
                    found.append(minute)
            return tuple(found)


@dataclass(frozen=True)
class Written:
    """One UpdateAlias that was carried out: when, what, under which revision, and by whom."""

    at: float
    write: AliasWrite
    revision: str
    actor: str


@dataclass
class FakeImages:
    """The ECR: every image is there, unless given another status; `asked` are the digests asked for."""

    statuses: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    error: Exception | None = None

    @property
    def meta(self) -> FakeImages:
        """Return what knows the endpoint."""
        return self

    endpoint_url = "https://api.ecr.eu-west-1.amazonaws.com"

    def describe_images(self, *, imageIds: list[dict[str, str]], filter: object, **_: object) -> object:  # noqa: A002, N803
        """Describe one image as ECR does, the archive included."""
        assert filter == {"imageStatus": "ANY"}, "without it ECR leaves out the archive"
        if self.error:
            raise self.error
        digest = imageIds[0]["imageDigest"]
        self.asked.append(digest)
        if self.statuses.get(digest) == "gone":
            _refuse(
                "ImageNotFoundException", "The image requested does not exist in the specified repository"
            )
        return {"imageDetails": [{"imageDigest": digest, "imageStatus": self.statuses.get(digest, "ACTIVE")}]}


@dataclass
class FakeAws:
    """The part of `deployer.aws.Aws` that a release uses, with RevisionIds and Lambda's own refusals."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    function_name: str = "image-resizer-production"
    region: str = "eu-west-1"
    stable: str = "41"
    versions: set[str] = field(default_factory=lambda: {"41", "42"})
    description: str = ""
    canary: str | None = None
    weight_pct: int = 0
    states: dict[str, AlarmReading] = field(default_factory=lambda: {"errors": AlarmReading(AlarmState.OK)})
    traffic: Traffic = field(default_factory=Traffic)
    roles: dict[str, str] = field(default_factory=dict)
    silent_metrics: set[str] = field(default_factory=set)
    later: tuple[tuple[float, str, AlarmState], ...] = ()
    transient_s: float = 0.0
    update_s: float = 0.0
    away_until: float = -math.inf
    actor: str = "driver"
    ecr: FakeImages = field(default_factory=FakeImages)
    calls: list[str] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    history: list[Served] = field(default_factory=list)
    faults: dict[int, tuple[Callable[[], object] | None, BaseException | None]] = field(default_factory=dict)
    before_call: Callable[[str], None] | None = None
    version_states: dict[str, str] = field(default_factory=dict)
    woken: dict[str, float] = field(default_factory=dict)
    wakes_in_s: float = 20.0
    broken_versions: set[str] = field(default_factory=set)
    _images: dict[str, str] = field(default_factory=dict)
    _image: str = "repo@sha256:a"
    _revision: int = 1
    _updated_at: float = -math.inf
    _updates: int = 0
    _published: int = 0
    _moved: tuple[float, str] | None = None
    _probe_error: str | None = None

    def __post_init__(self) -> None:
        if not self.history:
            self.history.append(Served(-math.inf, Routing(self.stable)))

    @property
    def brisk(self) -> FakeAws:
        """Return itself: how long a call takes is shown by the real client only."""
        return self

    @property
    def writes(self) -> list[AliasWrite]:
        """Return every UpdateAlias that was carried out, oldest first."""
        return [written.write for written in self.written]

    @property
    def routing(self) -> Routing:
        """Return where the traffic goes."""
        return Routing(self.stable, self.canary, self.weight_pct)

    def copied(self) -> FakeAws:
        """Return this world again with a clock of its own; what happens in one is not seen in the other."""
        other = copy.copy(self)
        other.clock = VirtualClock(self.clock.time)
        for name in ("states", "calls", "events", "written", "history", "faults"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def given_alias(self, text: str, *, canary: str | None = None, weight_pct: int = 0) -> FakeAws:
        """Set the alias's Description and weights as somebody else left them."""
        self.description, self.canary, self.weight_pct = text, canary, weight_pct
        self.history.append(Served(self.clock.now(), self.routing))
        return self

    def given_alarm(self, name: str, state: AlarmState, since: float | None = None) -> FakeAws:
        """Put an alarm into a state, from now on unless told otherwise; MISSING removes it."""
        self.states[name] = AlarmReading(state, self.clock.now() if since is None else since)
        return self

    def given_alarm_later(self, seconds: float, name: str, state: AlarmState) -> FakeAws:
        """Put an alarm into a state once that much time has passed; the earliest is given first."""
        self.later = (*self.later, (self.clock.now() + seconds, name, state))
        return self

    def given_failure(self, call_number: int, error: BaseException) -> FakeAws:
        """Let the call with that number (from 1) fail without doing anything."""
        self.faults[call_number] = (lambda: _raise(error), None)
        return self

    def given_throttling(self, *call_numbers: int) -> FakeAws:
        """Let those calls be throttled, in Lambda's own words."""
        for number in call_numbers:
            self.faults[number] = (_throttle, None)
        return self

    def given_lost_answer(self, call_number: int) -> FakeAws:
        """Let that call do its work and its answer never arrive."""
        self.faults[call_number] = (None, Unavailable("the call: AWS did not answer"))
        return self

    def given_death_after(self, call_number: int) -> FakeAws:
        """Kill the process just after that call did its work."""
        self.faults[call_number] = (None, Death(f"call {call_number}"))
        return self

    def given_outage(self, call_number: int, seconds: float) -> FakeAws:
        """Let AWS be away from that call on, for that long: it answers nothing that is asked of it."""
        self.faults[call_number] = (lambda: self.goes_away(seconds), None)
        return self

    def turns(self, traffic: Traffic) -> None:
        """Let everything be as in another traffic from now on."""
        self.traffic = replace(self.traffic, later=(self.clock.now(), traffic))

    def goes_away(self, seconds: float) -> None:
        """Answer nothing from now on, for that long."""
        self.away_until = self.clock.now() + seconds

    def given_conflict(self, call_number: int) -> FakeAws:
        """Let somebody else write the alias, without changing anything, just before that call."""
        self.faults[call_number] = (self.someone_else_writes, None)
        return self

    def given_broken_start(self, message: str) -> FakeAws:
        """Let direct invocations of every version fail with this message."""
        self._probe_error = message
        return self

    def alias(self) -> AliasState:
        """Read the alias. While provisioned concurrency moves, Lambda shows weights nobody asked for."""
        with self.call("GetAlias"):
            routing = self.routing
            if self._moved is not None and self.clock.now() < self._moved[0] + self.transient_s:
                routing = Routing(self.stable, self._moved[1], 100)
            text, parsed = marker.parse(self.description)
            return AliasState(routing, f"r{self._revision}", text, parsed, self.description)

    def metrics(self) -> FakeMetrics:
        """Return the numbers of the versions."""
        return FakeMetrics(self)

    def alarms(self, names: tuple[str, ...]) -> dict[str, AlarmReading]:
        """Read the alarms; one that is not there is MISSING."""
        with self.call("DescribeAlarms"):
            while self.later and self.later[0][0] <= self.clock.now():
                (at, name, state), *rest = self.later
                self.later = tuple(rest)
                self.given_alarm(name, state, at)
            return {name: self.states.get(name, AlarmReading(AlarmState.MISSING)) for name in names}

    def update_alias(self, write: AliasWrite, *, revision: str) -> None:
        """Write the alias under its lock."""
        with self.call("UpdateAlias"), translated("updating alias `live`"):
            assert revision, "every write carries the RevisionId it was decided on"
            self._refuse_what_lambda_refuses(write)
            if revision != f"r{self._revision}":
                _refuse("PreconditionFailedException", STALE_REVISION)
            if write.version != self.stable:
                self._moved = (self.clock.now(), self.stable)
            self.stable, self.canary, self.weight_pct = write.version, write.canary, write.weight_pct
            self.description = write.description
            self._revision += 1
            self.written.append(Written(self.clock.now(), write, revision, self.actor))
            self.history.append(Served(self.clock.now(), self.routing))

    def _refuse_what_lambda_refuses(self, write: AliasWrite) -> None:
        """Raise the ClientError Lambda would answer with.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
        """
        wrong = "InvalidParameterValueException"
        if len(write.description) > 256:
            _refuse("ValidationException", "description must have length less than or equal to 256")
        for version in filter(None, (write.version, write.canary)):
            if version != "$LATEST" and version not in self.versions:
                _refuse("ResourceNotFoundException", f"Function not found: {self.function_name}:{version}")
        if write.canary is None:
            if write.weight_pct:
                _refuse(wrong, "a weight without a version")
            return
        self._refuse_wrong_weights(write, write.canary)

    def _refuse_wrong_weights(self, write: AliasWrite, canary: str) -> None:
        """Raise what Lambda answers about the second version; 0.0 and 1.0 are weights like any other."""
        wrong = "InvalidParameterValueException"
        if not canary.isdigit():
            _refuse("ValidationException", "Map keys must satisfy constraint: [0-9]+")
        if not 0 <= write.weight_pct <= 100:
            _refuse("ValidationException", "Map value must satisfy constraint: between 0.0 and 1.0")
        if write.version == "$LATEST":
            _refuse(wrong, "$LATEST is not supported for an alias pointing to more than 1 version")
        if canary == write.version:
            _refuse(wrong, "an additional version is the function version itself")
        if self.roles.get(write.version, "role") != self.roles.get(canary, "role"):
            _refuse(wrong, "both versions must have the same execution role")

    def someone_else_writes(self) -> None:
        """Change the alias's revision, as any UpdateAlias does, even one that changes nothing."""
        self._revision += 1

    def alarms_without_data(self, names: tuple[str, ...]) -> list[str]:
        """Return those alarms whose metric never had data."""
        with self.call("ListMetrics"):
            return [name for name in names if name in self.silent_metrics]

    def elsewhere(self, action: Callable[[], object]) -> None:
        """Do something as another machine does: its calls are not this process's, and have no faults."""
        mine = self.calls, self.faults, self.before_call, self.actor
        self.calls, self.faults, self.before_call, self.actor = [], {}, None, "person"
        try:
            action()
        finally:
            self.calls, self.faults, self.before_call, self.actor = mine

    def newest_version(self) -> str:
        """Return the highest version."""
        return max(self.versions, key=int)

    def describe_version(self, version: str) -> dict[str, str]:
        """Describe a version."""
        with self.call("GetFunctionConfiguration"), translated(f"reading version {version}"):
            self._refuse_unknown(version)
            return {
                "version": version,
                "role": self.roles.get(version, "role"),
                "dead_letter": "",
                "state": self.state_of(version),
                "description": f"commit of {version}",
            }

    def versions_before(self, number: int | None) -> list[str]:
        """Return the versions below a number, or all, newest first."""
        with self.call("ListVersionsByFunction"):
            numbers = sorted(map(int, self.versions), reverse=True)
            return [str(each) for each in numbers if number is None or each < number]

    def given_state(self, version: str, state: str) -> FakeAws:
        """Let a version be Inactive, as after weeks without a call, or Failed, as without its image."""
        self.version_states[version] = state
        return self

    def state_of(self, version: str) -> str:
        """Return a version's State; an Inactive one that was called is Pending, and then Active."""
        woken_at = self.woken.get(version)
        if woken_at is None:
            return self.version_states.get(version, "Active")
        return "Pending" if self.clock.now() < woken_at + self.wakes_in_s else "Active"

    def invoke(self, version: str, event: object) -> tuple[str | None, object]:
        """Invoke a version. One that is not Active refuses; an Inactive one wakes because of it.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
        """
        with self.call("Invoke"), translated(f"invoking version {version}"):
            self._refuse_unknown(version)
            state = self.state_of(version)
            if state == "Inactive":
                self.woken[version] = self.clock.now()
            if state != "Active":
                _refuse(
                    "ResourceConflictException",
                    f"The operation cannot be performed at this time. The function is currently in the following state: {state}",
                )
            self.events.append(event)
            if self._probe_error or version in self.broken_versions:
                return "Unhandled", {"errorMessage": self._probe_error or "broken"}
            return None, {"resized": [], "skipped": []}

    def client(self, service: str) -> object:
        """Fail: what the owner wrote down for other services is played on a local AWS, not here."""
        raise AssertionError(f"asked for {service}")

    def function(self) -> FunctionState:
        """Read `$LATEST`."""
        with self.call("GetFunction"):
            digest = self._image.partition("@")[2]
            return FunctionState(self._image, digest, digest, self.code_revision, 1024, 60, "arm64")

    @property
    def code_revision(self) -> str:
        """Return `$LATEST`'s RevisionId; an update changes it, and so do its end and a version made of it."""
        ended = self.clock.now() >= self._updated_at + self.update_s
        return f"f{2 * self._updates + ended + self._published}"

    def image_of(self, version: str) -> str:
        """Return the image a version runs."""
        with self.call("GetFunction"):
            return self._images.get(version, f"repo@sha256:of-{version}")

    def update_code(self, image_uri: str, *, revision: str) -> None:
        """Put another image into `$LATEST`; for `update_s` seconds Lambda then refuses the next change."""
        with self.call("UpdateFunctionCode"), translated("updating the function's code"):
            self._refuse_while_updating()
            if revision != self.code_revision:
                _refuse("PreconditionFailedException", STALE_REVISION)
            self._image, self._updated_at = image_uri, self.clock.now()
            self._updates += 1
        self.wait_updated()

    def wait_updated(self) -> None:
        """Wait until no update is in progress."""
        self.clock.sleep(max(0.0, self._updated_at + self.update_s - self.clock.now()))

    def publish(self, *, code_sha256: str, description: str) -> str:
        """Publish `$LATEST`; unchanged code is the version it was."""
        with self.call("PublishVersion"), translated("publishing a version"):
            self._refuse_while_updating()
            if code_sha256 != self._image.partition("@")[2]:
                _refuse("InvalidParameterValueException", "CodeSHA256 is different from current CodeSHA256")
            newest = self.newest_version()
            if self._images.get(newest) != self._image:
                newest = str(int(newest) + 1)
                self._images[newest] = self._image
                self._published += 1
                self.versions = {*self.versions, newest}
            return newest

    def _refuse_unknown(self, version: str) -> None:
        if version != "$LATEST" and version not in self.versions:
            _refuse("ResourceNotFoundException", f"Function not found: {self.function_name}:{version}")

    def _refuse_while_updating(self) -> None:
        if self.clock.now() < self._updated_at + self.update_s:
            _refuse(
                "ResourceConflictException", "An update is in progress for resource: " + self.function_name
            )

    def call(self, name: str) -> _Call:
        """Return what surrounds one call: it is counted, and what was given for its number happens."""
        return _Call(self, name)


@dataclass
class _Call:
    """One call: `with` enters it as AWS is asked and leaves it as AWS has answered."""

    aws: FakeAws
    name: str
    number: int = 0

    def __enter__(self) -> None:
        if self.aws.before_call is not None:
            self.aws.before_call(self.name)
        self.aws.calls.append(self.name)
        self.number = len(self.aws.calls)
        before, _ = self.aws.faults.get(self.number, (None, None))
        if before is not None:
            before()
        if self.aws.clock.now() < self.aws.away_until:
            raise Unavailable(f"{self.name}: AWS did not answer")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _, after = self.aws.faults.get(self.number, (None, None))
        if kind is None and after is not None:
            raise replace(after) if isinstance(after, Death) else after


def _refuse(code: str, message: str) -> NoReturn:
    raise ClientError({"Error": {"Code": code, "Message": message}}, "call")


def _throttle() -> NoReturn:
    with translated("the call"):
        _refuse("TooManyRequestsException", "Rate Exceeded.")
    raise AssertionError("translated raises")


def _raise(error: BaseException) -> NoReturn:
    raise error
