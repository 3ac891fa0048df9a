"""What happened during releases, as data: who served, what failed, what was decided and why. Pure.

Times are seconds since the epoch on the clock the release ran on, which may be a compressed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 3


@dataclass(frozen=True)
class Sample:
    """One look at the alias and at the alarms; it holds until the next sample."""

    at: float
    stable: str
    canary: str | None
    weight_pct: float
    alarms: Mapping[str, str] = field(default_factory=dict)

    def share_pct(self, version: str | None) -> float:
        """Return which share of the traffic goes to `version`."""
        if version is None:
            return 0
        if version == self.canary:
            return self.weight_pct
        return 100 - self.weight_pct if version == self.stable else 0


@dataclass(frozen=True)
class Served:
    """The requests one version answered in the bucket that starts at `at`; `errors` of them failed."""

    at: float
    version: str
    requests: int
    errors: int


@dataclass(frozen=True)
class Strength:
    """What was known of one metric at one moment: the evidence that the canary is worse, and its limit.

    Both in nats: `log_e` is ln E, and at `limit` = ln(1/alpha) a canary that is no worse is blamed in at most
    alpha of all rollouts.
    """

    at: float
    metric: str
    log_e: float
    limit: float


@dataclass(frozen=True)
class Event:
    """Something decided or done: `what` in two or three words, `reason` in one sentence."""

    at: float
    kind: str
    what: str
    reason: str


@dataclass(frozen=True)
class Stage:
    """One stage of a release before traffic moves: `status` is `done`, `left out` or `failed`."""

    name: str
    status: str
    seconds: float
    detail: str


@dataclass(frozen=True)
class Act:
    """One release, or one attempt at it: what should happen, and what did."""

    title: str
    story: str
    expected: str
    outcome: str
    started_at: float
    ended_at: float
    bucket_s: float = 60.0
    samples: tuple[Sample, ...] = ()
    served: tuple[Served, ...] = ()
    events: tuple[Event, ...] = ()
    evidence: tuple[Strength, ...] = ()
    stages: tuple[Stage, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_as_expected(self) -> bool:
        """True when the act ended the way it should."""
        return self.outcome == self.expected

    @property
    def requests(self) -> int:
        """All requests, answered and failed."""
        return sum(bucket.requests for bucket in self.served)

    @property
    def errors(self) -> int:
        """The requests that failed."""
        return sum(bucket.errors for bucket in self.served)

    def versions(self) -> tuple[str, ...]:
        """Return every version that was routed to or served, the oldest first."""
        seen = {bucket.version for bucket in self.served}
        seen |= {sample.stable for sample in self.samples}
        seen |= {sample.canary for sample in self.samples if sample.canary}
        return tuple(sorted(seen, key=lambda version: (len(version), version)))

    def new_version(self) -> str | None:
        """Return the version this act tried to release, None when no traffic was shifted."""
        return next((sample.canary for sample in self.samples if sample.canary), None)

    def totals(self, version: str) -> tuple[int, int]:
        """Return the requests and the errors of one version."""
        mine = [bucket for bucket in self.served if bucket.version == version]
        return sum(bucket.requests for bucket in mine), sum(bucket.errors for bucket in mine)


@dataclass(frozen=True)
class Timeline:
    """Several acts; `speed` is how many seconds of the acts' clock passed in one real second."""

    title: str
    speed: float
    wall_s: float
    acts: tuple[Act, ...] = ()
    left_out: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def is_as_expected(self) -> bool:
        """True when there are acts and each ended as it should."""
        return bool(self.acts) and all(act.is_as_expected for act in self.acts)

    @property
    def requests(self) -> int:
        """All requests of all acts."""
        return sum(act.requests for act in self.acts)

    @property
    def errors(self) -> int:
        """All failed requests of all acts."""
        return sum(act.errors for act in self.acts)

    def to_json(self) -> str:
        """Return JSON that `from_json` turns into an equal timeline."""
        return json.dumps({"format": FORMAT} | asdict(self), ensure_ascii=False)


def from_json(text: str) -> Timeline:
    """Read what `Timeline.to_json` wrote; raise ValueError for another format."""
    values = json.loads(text)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ValueError(f"not a timeline of format {FORMAT}")
    acts = tuple(_act(act) for act in values.pop("acts"))
    return Timeline(acts=acts, **{key: _frozen(value) for key, value in values.items()})


@dataclass(frozen=True)
class Told:
    """What the engine said of itself in its events file."""

    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    evidence: tuple[Strength, ...] = ()


def from_engine(lines: Iterable[str]) -> Told:
    """Read the lines of `--events PATH`; a line cut off by a crash is left out."""
    samples: list[Sample] = []
    events: list[Event] = []
    evidence: list[Strength] = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict) or "at" not in record:
            continue
        if record.get("stable"):
            samples.append(_sample(record))
        evidence += _strengths(record)
        if what := _what(record):
            event = Event(float(record["at"]), str(record["kind"]), what, str(record.get("reason") or ""))
            # A resumed engine says again what it found done: once is enough for a reader.
            if not events or (events[-1].what, events[-1].reason) != (event.what, event.reason):
                events.append(event)
    return Told(tuple(samples), tuple(events), tuple(evidence))


def _strengths(record: Mapping[str, Any]) -> Iterable[Strength]:
    """Yield the evidence of one line of `--events`."""
    for found in record.get("evidence") or ():
        yield Strength(
            float(record["at"]), str(found["metric"]), float(found["log_e"]), float(found["limit"])
        )


def _sample(record: Mapping[str, Any]) -> Sample:
    """Return the alias and the alarms as one line of `--events` shows them."""
    return Sample(
        at=float(record["at"]),
        stable=str(record["stable"]),
        canary=str(record["canary"]) if record.get("canary") else None,
        weight_pct=record.get("weight_pct") or 0,
        alarms={str(name): str(state) for name, state in (record.get("alarms") or {}).items()},
    )


def _what(record: Mapping[str, Any]) -> str:
    """Say in two or three words what one line of `--events` is about; empty for mere waiting."""
    match record.get("decision"):
        case "wait":
            return ""
        case None:
            return "" if record.get("kind") == "tick" else str(record.get("kind") or "")
        case "set-weight":
            return f"set weight {record.get('weight_pct')} %"
        case decision:
            return str(decision)


def _act(values: dict[str, Any]) -> Act:
    """Return one act from its JSON object."""
    parts: dict[str, tuple[object, ...]] = {
        "samples": tuple(Sample(**value) for value in values.pop("samples")),
        "served": tuple(Served(**value) for value in values.pop("served")),
        "events": tuple(Event(**value) for value in values.pop("events")),
        "evidence": tuple(Strength(**value) for value in values.pop("evidence")),
        "stages": tuple(Stage(**value) for value in values.pop("stages")),
    }
    return Act(**parts, **{key: _frozen(value) for key, value in values.items()})  # type: ignore[arg-type]  # JSON


def _frozen(value: Any) -> Any:
    """Return a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value
