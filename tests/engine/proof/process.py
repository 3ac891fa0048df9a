"""One process that drives a rollout on the strict fake, from a moment of rest to the next, with faults.

A process is at rest when its tick is over and it has waited: all it knows then is in the alias and in its gate's
cache, so a copy of both goes on exactly as it would have. That is what makes it possible to look at every fault
at every call without playing the same rollout from its beginning each time.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from types import ModuleType
from typing import Any

from deployer.aws.errors import Unavailable
from deployer.canary import marker, moves
from deployer.canary.decision import Done, Promote, Refuse, Rollback, Tick
from deployer.errors import DeployerError
from deployer.model import AlarmState, AliasWrite, GateSettings, Outcome, RolloutPlan, RolloutState, Routing
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate
from engine.fakes import Death, FakeAws, Traffic, VirtualClock, Written, _throttle

TEXT = "the people's own words"
STABLE, CANARY = "41", "42"
MOST_CALLS = 400
LATE_S = 600.0
PAUSES = ("slow calls", "throttles")  # what is answered by a pause
LAG_S = 900.0  # of a place, until its last minute is judged


class Kind(Enum):
    """What can go wrong at a call, or in a second."""

    THROTTLE = "throttle"  # the call is refused for now, in Lambda's words
    CONFLICT = "conflict"  # somebody else writes the alias just before the call
    LOST = "lost answer"  # the call is carried out, and its answer never arrives
    DIES_BEFORE = "crash before"  # the process is gone, the call was not made
    DIES_AFTER = "crash after"  # the process is gone, the call was carried out
    DIES_LATE = "crash, resumed late"  # as above, and ten minutes pass before another process goes on
    CANCEL = "cancel"  # the job is cancelled: a signal arrives
    AWAY_1 = "outage of 1 min"  # from the call on AWS answers nothing, for a minute
    AWAY_5 = "outage of 5 min"
    AWAY_20 = "outage of 20 min"  # longer than a rollout waits before it turns back


AT_A_CALL = tuple(Kind)
OUTAGES_S = {Kind.AWAY_1: 60.0, Kind.AWAY_5: 300.0, Kind.AWAY_20: 1200.0}


@dataclass(frozen=True)
class Fault:
    """What goes wrong at which call (from 1), or, for a cancel, after how many seconds."""

    kind: Kind
    call: int | None = None
    second: int | None = None


@dataclass(frozen=True)
class Engine:
    """The modules under proof; a mutant is an engine with one line changed."""

    rollout: ModuleType = rollout
    moves: ModuleType = moves


@dataclass(frozen=True)
class Scenario:
    """A plan, what the versions do, and what else happens: alarms as (seconds, state)."""

    name: str
    plan: RolloutPlan
    traffic: Traffic = field(default_factory=Traffic)
    alarms: tuple[tuple[float, AlarmState], ...] = ()
    holds_on_cancel: bool = False
    transient_s: float = 0.0
    grace_s: float = 0.0
    judging: GateSettings = GateSettings(compare_slow=True)

    def world(self) -> FakeAws:
        """Return the world before the rollout."""
        aws = FakeAws(
            VirtualClock(),
            traffic=self.traffic,
            description=TEXT,
            stable=STABLE,
            transient_s=self.transient_s,
        )
        for seconds, state in self.alarms:
            aws.given_alarm_later(seconds, "errors", state)
        return aws

    @property
    def longest_s(self) -> float:
        """Return how long a rollout of this plan can take: each place and pause, and three faults."""
        plan = self.plan
        bakes = sum(step.bake_s for step in plan.steps)
        more_s = LAG_S + plan.max_pause_s + 60
        return bakes + (len(plan.steps) + 3) * more_s + 3 * (1200 + more_s) + self.grace_s


@dataclass(frozen=True)
class Shot:
    """The alias at one moment; `has_failed` once a gate has said so, or an alarm that was read was red."""

    at: float
    routing: Routing
    description: str
    has_failed: bool

    @property
    def state(self) -> RolloutState | None:
        """Return the marker's state."""
        found = marker.parse(self.description)[1]
        return found.state if found else None


@dataclass(frozen=True)
class Story:
    """What one process did from one moment of rest to the next, or to its end.

    `was_away`, `is_away`: AWS answers nothing when it begins, or when it is over. `was_driving`
    once the pre-flight was over. `end` is `rest`, `over` (nothing is left to do), `gone` (another process has to go on), `endless`.
    `calls` are those of `rollout.run`, without those with which a resume begins.
    """

    scenario: Scenario
    began_at: float
    faults: tuple[Fault, ...]
    before: Shot
    after: Shot
    told: tuple[Tick, ...]
    told_back: tuple[AliasWrite, ...]
    written: tuple[Written, ...]
    calls: tuple[str, ...]
    end: str
    stopped_at: float | None
    has_died: bool
    raised: str
    was_away: bool
    is_away: bool
    was_driving: bool


@dataclass
class Node:
    """A world, and the process in it that is at rest; `gate` None: there is none, another has to go on."""

    aws: FakeAws
    gate: Gate | None = None
    has_failed: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """Return all that the rest of the run depends on."""
        aws, gate = self.aws, self.gate
        cache = (gate.read_at, gate._baseline) if gate else None
        return (
            aws.clock.time,
            aws.description,
            aws.routing,
            tuple(aws.history),
            tuple(aws.states.items()),
            aws._moved if aws.transient_s else None,
            aws.away_until if aws.away_until > aws.clock.time else None,
            self.has_failed,
            cache,
        )

    def copied(self) -> Node:
        """Return the same again; what happens to one does not happen to the other."""
        return Node(self.aws.copied(), copy.copy(self.gate), self.has_failed)

    def shot(self) -> Shot:
        """Return the alias as it is now."""
        return Shot(self.aws.clock.now(), self.aws.routing, self.aws.description, self.has_failed)


@dataclass
class Played:
    """How it went on: the next moment of rest (None: it is over), and where faults can be put."""

    story: Story
    following: Node | None
    call_times: list[float]
    calls_at_stop: int | None
    seconds: int


class _Rest(BaseException):
    """The process is about to begin its next tick."""


class _Endless(BaseException):
    """The process asks and asks."""


def play(  # noqa: C901, PLR0915 - one process, from its beginning to its end
    engine: Engine, scenario: Scenario, node: Node, faults: tuple[Fault, ...], *, rests: bool = True
) -> Played:
    """Go on from `node`, which is used up, until the next rest, or with `rests` False to the process's end."""
    aws, before, start = node.aws, node.shot(), node.aws.clock.now()
    gate = node.gate or Gate(scenario.judging, ("errors",))
    is_new, was_away = node.gate is None, start < aws.away_until
    told: list[Tick] = []
    told_back: list[AliasWrite] = []
    call_times: list[float] = []
    stop = engine.rollout.Stop()
    stopped_at: list[tuple[int, float]] = []
    aws.calls, aws.written, aws.faults = [], [], {}

    def cancel() -> None:
        stop("SIGTERM")
        stopped_at.append((len(aws.calls), aws.clock.now()))

    for fault in faults:
        if fault.second is not None:
            aws.clock.at(fault.second, cancel)
        elif fault.call is not None:
            aws.faults[fault.call] = _what_happens(fault.kind, aws, cancel)

    def before_call(name: str) -> None:
        if (
            rests
            and told
            and name == "GetAlias"
            and not stop.signal
            and not _is_over(told[-1], scenario.plan)
        ):
            raise _Rest
        if len(call_times) > (MOST_CALLS if rests else 50 * MOST_CALLS):
            raise _Endless
        call_times.append(aws.clock.now() - start)

    aws.before_call = before_call
    end, raised, preparing, has_died, was_driving = "over", "", 0, False, False
    try:
        plan = scenario.plan if not is_new else _resume(engine, scenario, aws)
        preparing = len(call_times)
        if plan is not None:
            begun = replace(plan, is_begun=True) if not is_new else plan
            driven = engine.rollout.Rollout(
                begun,
                gate,
                told.append,
                stop,
                scenario.holds_on_cancel,
                lambda write, _reason: told_back.append(write),
            )
            was_driving = True
            engine.rollout.run(aws, driven, aws.clock)
    except _Rest:
        end = "rest"
    except _Endless:
        end = "endless"
    except Death as death:
        end, raised, has_died = "gone", death.call, True
    except DeployerError as error:
        end, raised = "gone", error.what
    aws.before_call = None
    aws.faults = {}
    node.has_failed = node.has_failed or any(has_failed(tick) for tick in told)
    if end == "gone":
        now = marker.parse(aws.description)[1]
        is_begun = now is not None
        if (is_begun and not now.is_active) or (not is_begun and stop.signal):  # type: ignore[union-attr]
            end = "over"
    story = Story(
        scenario=scenario,
        began_at=aws.history[1].at if len(aws.history) > 1 else aws.clock.now(),
        faults=faults,
        before=before,
        after=node.shot(),
        told=tuple(told),
        told_back=tuple(told_back),
        written=tuple(aws.written),
        calls=tuple(aws.calls[preparing:]),
        end=end,
        stopped_at=stopped_at[0][1] if stopped_at else None,
        has_died=has_died,
        raised=raised,
        was_away=was_away,
        is_away=aws.clock.now() < aws.away_until,
        was_driving=was_driving,
    )
    node.gate = gate if end == "rest" else None
    if end == "gone" and aws.clock.now() < aws.away_until:
        aws.clock.sleep(aws.away_until - aws.clock.now())  # whoever goes on can do so once AWS answers
    if raised.endswith(Kind.DIES_LATE.value):
        aws.clock.sleep(LATE_S)
    return Played(
        story,
        node if end in ("rest", "gone") else None,
        call_times,
        stopped_at[0][0] if stopped_at else None,
        math.ceil(story.after.at - start),
    )


def has_failed(tick: Tick) -> bool:
    """Tell whether a tick was shown what speaks against the canary: an alarm, its absence, more errors."""
    found = tick.alias.marker
    if found is None or not found.is_active or not found.starts:
        return False
    red = any(
        reading.state is AlarmState.MISSING
        or (reading.state is AlarmState.ALARM and (reading.since is None or reading.since >= found.starts[0]))
        for reading in tick.evidence.alarms.values()
    )
    worse = any(v.outcome is Outcome.FAIL and v.metric not in PAUSES for v in tick.evidence.verdicts)
    return red or worse


def _resume(engine: Engine, scenario: Scenario, aws: FakeAws) -> RolloutPlan | None:
    """Do what `rollout resume`, or `start` when nothing was begun, does before it drives: see rollout_commands."""
    found = aws.alias().marker
    if found is None:
        return scenario.plan
    if not found.is_active:
        return None
    plan = replace(scenario.plan, id=found.id, target=found.to_version, is_begun=True)
    if found.state is RolloutState.PAUSE:
        aws.actor = "person"
        try:
            engine.rollout.wish(aws, plan, engine.moves.Wish.RESUME, aws.clock, "resumed")
        finally:
            aws.actor = "driver"
    return plan


def _is_over(tick: Tick, plan: RolloutPlan) -> bool:
    """Tell whether nothing follows a tick; after a last transition the process must end by itself."""
    match tick.decision:
        case Done() | Refuse() | Rollback() | Promote():
            return True
    return False


def _what_happens(
    kind: Kind, aws: FakeAws, cancel: Callable[[], None]
) -> tuple[Callable[[], object] | None, BaseException | None]:
    """Return what is done before the call, and what is raised after it."""
    match kind:
        case Kind.THROTTLE:
            return _throttle, None
        case Kind.CONFLICT:
            return aws.someone_else_writes, None
        case Kind.LOST:
            return None, Unavailable("the call: AWS did not answer")
        case Kind.DIES_BEFORE:
            return _die, None
        case Kind.AWAY_1 | Kind.AWAY_5 | Kind.AWAY_20:
            return lambda: aws.goes_away(OUTAGES_S[kind]), None
        case Kind.CANCEL:
            return cancel, None
    return None, Death(kind.value)


def _die() -> None:
    raise Death(Kind.DIES_BEFORE.value)
