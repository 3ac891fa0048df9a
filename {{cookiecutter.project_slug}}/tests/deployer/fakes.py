"""A strict fake of one Lambda function and its alarms on a virtual clock; it refuses what AWS refuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployer import marker
from deployer.aws_errors import Conflict, NotFound, Unavailable
from deployer.counts import Counts, Minute
from deployer.metrics import Baseline
from deployer.model import AlarmReading, AlarmState, AliasState, AliasWrite, FunctionState, Routing


class VirtualClock:
    """Time that passes only when somebody sleeps; `at` calls things when their time has come."""

    def __init__(self, start: float = 1_763_712_000.0) -> None:
        self.time = start
        self.slept = 0.0
        self._due: list[tuple[float, object]] = []

    def now(self) -> float:
        """Return the virtual time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass, and do what was due in it."""
        self.time += seconds
        self.slept += seconds
        for due, action in sorted(self._due, key=lambda item: item[0]):
            if due <= self.time:
                self._due.remove((due, action))
                action()  # type: ignore[operator]

    def at(self, seconds_from_now: float, action: object) -> None:
        """Call `action` once that much time has passed."""
        self._due.append((self.time + seconds_from_now, action))


@dataclass
class Death(BaseException):
    """The process is killed just after a call."""

    call: str


@dataclass
class Traffic:
    """What each version does with the calls it gets: calls per minute of the alias, and rates (0-1)."""

    per_minute: int = 600
    error_rate: dict[str, float] = field(default_factory=dict)
    slow_rate: dict[str, float] = field(default_factory=dict)

    def counts(self, version: str, calls: int) -> Counts:
        """Return one version's minute with that many calls: its rates to the nearest call."""
        return Counts(
            calls,
            errors=round(calls * self.error_rate.get(version, 0.0)),
            slow=round(calls * self.slow_rate.get(version, 0.0)),
        )


@dataclass
class FakeMetrics:
    """Both versions' numbers, as the routing of the alias at each minute would have made them."""

    aws: FakeAws

    def baseline(self, stable: str, until: int) -> Baseline:
        """Return the hour before."""
        self.aws._begin("GetMetricData")
        found = Baseline(self.aws.traffic.counts(stable, 60 * self.aws.traffic.per_minute), 200.0, 900.0)
        self.aws._end("GetMetricData")
        return found

    def minutes(self, versions, since, until, slow_ms):
        """Return the minutes so far."""
        self.aws._begin("GetMetricData")
        stable, canary = versions
        found = []
        for at in range(since // 60 * 60, int(until) + 1, 60):
            share = self.aws.weight_at(at) / 100
            to_canary = round(self.aws.traffic.per_minute * share)
            to_stable = self.aws.traffic.per_minute - to_canary
            found.append(
                Minute(
                    at,
                    canary=self.aws.traffic.counts(canary, to_canary),
                    stable=self.aws.traffic.counts(stable, to_stable),
                )
            )
        self.aws._end("GetMetricData")
        return tuple(found)


@dataclass
class FakeAws:
    """The part of `deployer.aws.Aws` that a rollout uses, with RevisionIds and Lambda's own refusals."""

    function_name: str = "image-resizer-production"
    region: str = "eu-west-1"
    stable: str = "41"
    versions: set[str] = field(default_factory=lambda: {"41", "42"})
    description: str = ""
    canary: str | None = None
    weight_pct: int = 0
    states: dict[str, AlarmReading] = field(default_factory=lambda: {"errors": AlarmReading(AlarmState.OK)})
    traffic: Traffic = field(default_factory=lambda: Traffic())
    roles: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    writes: list[AliasWrite] = field(default_factory=list)
    _revision: int = 1
    _fail: dict[int, BaseException] = field(default_factory=dict)
    _die_after: int | None = None
    _probe_error: str | None = None

    def given_alias(self, text: str, *, canary: str | None = None, weight_pct: int = 0) -> FakeAws:
        """Set the alias's Description and weights as somebody else left them."""
        self.description, self.canary, self.weight_pct = text, canary, weight_pct
        return self

    def given_alarm(self, name: str, state: AlarmState, since: float | None = None) -> FakeAws:
        """Put an alarm into a state; MISSING removes it."""
        self.states[name] = AlarmReading(state, since)
        return self

    def given_failure(self, call_number: int, error: BaseException) -> FakeAws:
        """Let the call with that number (from 1) fail without doing anything."""
        self._fail[call_number] = error
        return self

    def given_throttling(self, *call_numbers: int) -> FakeAws:
        """Let those calls be throttled."""
        for number in call_numbers:
            self._fail[number] = Unavailable("throttled")
        return self

    def given_death_after(self, call_number: int) -> FakeAws:
        """Kill the process just after that call did its work."""
        self._die_after = call_number
        return self

    def given_broken_start(self, message: str) -> FakeAws:
        """Let direct invocations of every version fail with this message."""
        self._probe_error = message
        return self

    def alias(self) -> AliasState:
        """Read the alias."""
        self._begin("GetAlias")
        text, parsed = marker.parse(self.description)
        state = AliasState(
            Routing(self.stable, self.canary, self.weight_pct),
            f"r{self._revision}",
            text,
            parsed,
            self.description,
        )
        self._end("GetAlias")
        return state

    def metrics(self) -> FakeMetrics:
        """Return the numbers of the versions."""
        return FakeMetrics(self)

    def alarms(self, names: tuple[str, ...]) -> dict[str, AlarmReading]:
        """Read the alarms; one that is not there is MISSING."""
        self._begin("DescribeAlarms")
        found = {name: self.states.get(name, AlarmReading(AlarmState.MISSING)) for name in names}
        self._end("DescribeAlarms")
        return found

    def update_alias(self, write: AliasWrite, *, revision: str) -> None:
        """Write the alias under its lock."""
        self._begin("UpdateAlias")
        if revision != f"r{self._revision}":
            raise Conflict("updating alias `live`: somebody else changed it meanwhile")
        named = {write.version} | ({write.canary} if write.canary else set())
        assert named <= self.versions, f"Lambda refuses versions that do not exist: {named}"
        assert "$LATEST" not in named, "Lambda refuses $LATEST in a weighted alias"
        assert len(write.description) <= 256, "Lambda refuses longer descriptions"
        assert (write.canary is None) == (write.weight_pct == 0), "a canary has a share, and only a canary"
        self.stable, self.canary, self.weight_pct = write.version, write.canary, write.weight_pct
        self.description = write.description
        self._revision += 1
        self.writes.append(write)
        self._end("UpdateAlias")

    def weight_at(self, at: float) -> int:
        """Return the canary's share at that time by the marker's own record of its steps."""
        _, found = marker.parse(self.description)
        if found is None:
            return 0
        weights = [write.weight_pct if write.canary else 100 for write in self.writes]
        begun = [weight for start, weight in zip(found.starts, weights, strict=False) if start <= at]
        return begun[-1] if begun else 0

    def someone_else_writes(self) -> None:
        """Change the alias's revision, as any UpdateAlias does, even one that changes nothing."""
        self._revision += 1

    def newest_version(self) -> str:
        """Return the highest version."""
        return max(self.versions, key=int)

    def describe_version(self, version: str) -> dict[str, str]:
        """Describe a version."""
        self._begin("GetFunctionConfiguration")
        if version not in self.versions:
            raise NotFound(f"reading version {version}: not found")
        self._end("GetFunctionConfiguration")
        return {
            "version": version,
            "role": self.roles.get(version, "role"),
            "dead_letter": "",
            "state": "Active",
            "description": f"commit of {version}",
        }

    def invoke(self, version: str, event: object) -> tuple[str | None, object]:
        """Invoke a version."""
        self._begin("Invoke")
        self._end("Invoke")
        if self._probe_error:
            return "Unhandled", {"errorMessage": self._probe_error}
        return None, {"resized": [], "skipped": []}

    def function(self) -> FunctionState:
        """Read `$LATEST`."""
        return FunctionState("repo@sha256:a", "sha256:a", "a", "f1", 1024, 60, "arm64")

    def _begin(self, call: str) -> None:
        self.calls.append(call)
        error = self._fail.pop(len(self.calls), None)
        if error is not None:
            raise replace(error) if isinstance(error, Death) else error

    def _end(self, call: str) -> None:
        if self._die_after == len(self.calls):
            raise Death(call)
