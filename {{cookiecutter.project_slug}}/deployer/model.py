"""The nouns of a release. Pure data: no I/O, no clock, no AWS.

One word per thing: stable and canary version, weight (`weight_pct`), step, bake (`bake_s`), alias, digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

MAX_STEPS = 8  # of a rollout, so that the marker fits into the alias's Description
ARMED_S = 3600  # for how long the alarm of a release that is done stays armed
_UNKNOWN_BAKE_S = 600
GAMEDAY = "deployer-gameday"  # how what a game day makes is called


class AlarmState(Enum):
    """An alarm's state, as CloudWatch names it, and the one CloudWatch has no name for."""

    OK = "OK"  # the metric has data and is within its threshold
    ALARM = "ALARM"  # the metric has data and is beyond its threshold
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"  # nothing is known; never read as healthy
    MISSING = "MISSING"  # there is no alarm of that name; DescribeAlarms just leaves it out


class RolloutState(Enum):
    """Where a rollout is; written into the alias marker as `st=`."""

    RUN = "run"  # the canary has a step's share of the traffic
    PAUSE = "pause"  # as in run, but time alone moves nothing on
    DONE = "done"  # the canary became the stable version; its alarm stays armed for a while
    ROLLED_BACK = "rolled-back"  # all traffic is on the version that was stable before


class Ends(Enum):
    """What ends a place of a rollout, besides its own length."""

    TIME = "time"  # over after bake_s judged seconds
    SHOWN = "shown"  # over as soon as a canary that fails every call would have been found
    SIMILAR = "similar"  # over as soon as the canary is at most goal_pct points worse


class Cause(Enum):
    """Why the engine pauses by itself; written into the alias marker."""

    SLOW = "slow"  # the canary is slower than the stable version, and only slower
    THROTTLES = "throttles"  # Lambda turns more calls away than in any such time of last week
    BLIND = "blind"  # nobody can see what the versions do


class OnSlow(Enum):
    """What follows when the canary is slower than the stable version, and only slower."""

    PAUSE = "pause"  # a person decides
    ROLLBACK = "rollback"  # back to the stable version
    OFF = "off"  # durations are not compared


@dataclass(frozen=True)
class Step:
    """One place of a rollout: the canary's share of traffic (0.1-99.9), and how long it is judged there.

    `bake_s` are judged seconds, whole minutes; where something else ends the place they are its longest.
    `goal_pct` is the difference, in percentage points, that ends a place which ends on SIMILAR.
    """

    weight_pct: float
    bake_s: int
    ends: Ends = Ends.TIME
    goal_pct: float = 0.0


@dataclass(frozen=True)
class RolloutPlan:
    """What `canary.decide` follows: which version, called what, in which steps.

    `steps` are all its places, the last one, in which the stable version keeps a little traffic as a control,
    included; behind it one write gives the canary all traffic, and is done. No steps means all at once.
    `only_observes` lets time alone move the rollout: what would have
    ended it is reported. `is_forced` lets it start although an alarm is red and nothing can be compared.
    `is_begun` is True once this rollout has written to the alias: what it then no longer finds there was
    ended by somebody else, and is not begun again. `known` is what the alias showed of it last.
    `skip_reason` is why a person lets it begin behind its last step, a hotfix; empty when it takes its steps.
    `armed_s` is for how long the canary's alarm stays armed once it is done. `proves` is False where the
    function's traffic can prove nothing, which is said before and after.
    """

    id: str
    target: str
    steps: tuple[Step, ...]
    max_pause_s: int = 3600
    on_slow: OnSlow = OnSlow.PAUSE
    only_observes: bool = False
    is_forced: bool = False
    is_begun: bool = False
    known: Known | None = None
    skip_reason: str = ""
    armed_s: int = ARMED_S
    proves: bool = True

    @property
    def exposure_min(self) -> float:
        """Return how many minutes of the whole traffic the canary serves, if each place takes its longest."""
        return sum(step.weight_pct / 100 * step.bake_s for step in self.steps) / 60

    @property
    def weights(self) -> tuple[float, ...]:
        """Return the canary's share of traffic in each place, in percent."""
        return tuple(step.weight_pct for step in self.steps)

    def following(self, weights: tuple[float, ...]) -> RolloutPlan:
        """Return the plan with those weights, which a rollout began with: they outlast the settings.

        A place keeps its length where the settings still have it; else it has the length of the longest.
        """
        if weights == self.weights:
            return self
        by_weight = {step.weight_pct: step for step in self.steps}
        longest = max((step.bake_s for step in self.steps), default=_UNKNOWN_BAKE_S)
        return replace(self, steps=tuple(by_weight.get(weight, Step(weight, longest)) for weight in weights))


def percent(share: float) -> float:
    """Return a share of 0-1 as a percentage: three decimals, and an integer where it is one."""
    found = round(share * 100, 3)
    return int(found) if found == int(found) else found


@dataclass(frozen=True)
class Routing:
    """Where an alias sends traffic. `weight_pct` is the canary's share; 0 when there is no canary."""

    stable: str
    canary: str | None = None
    weight_pct: float = 0


@dataclass(frozen=True)
class Marker:
    """A rollout's whole state, kept in the alias's Description next to the traffic it explains.

    `weights` are the canary's shares of all its places, in percent. `starts` is when each place so far began,
    in whole seconds since the epoch; `since_s` is how long after the last of them the present state began,
    `accepted_s` how long after the first slowness was last accepted: what came before counts no more.
    `cause` is why the engine paused; None where nothing is paused, or a person paused it. `pauses` counts
    the pauses that the engine began.
    """

    id: str
    from_version: str
    to_version: str
    weights: tuple[float, ...]
    starts: tuple[int, ...]
    state: RolloutState
    since_s: int = 0
    accepted_s: int = 0
    pauses: int = 0
    cause: Cause | None = None
    why: str = ""

    @property
    def is_active(self) -> bool:
        """True while the rollout still has decisions to make."""
        return self.state in (RolloutState.RUN, RolloutState.PAUSE)

    @property
    def steps(self) -> int:
        """How many places the rollout has."""
        return len(self.weights)

    @property
    def step(self) -> int:
        """The present place, from 1; 0 before the first."""
        return len(self.starts)

    @property
    def at(self) -> int:
        """When the present state began, in seconds since the epoch."""
        return self.starts[-1] + self.since_s if self.starts else 0


@dataclass(frozen=True)
class AliasState:
    """The alias as Lambda reports it: traffic, the people's own text, our marker, and the lock."""

    routing: Routing
    revision: str
    text: str = ""
    marker: Marker | None = None
    description: str = ""


@dataclass(frozen=True)
class Known:
    """What the alias showed last of a rollout to whoever drives it: the marker and where traffic went."""

    marker: Marker
    routing: Routing

    def is_left_on(self, alias: AliasState) -> bool:
        """Tell whether exactly this rollout's traffic is still there, and only its marker cannot be read."""
        return alias.marker is None and alias.routing == self.routing


@dataclass(frozen=True)
class AliasWrite:
    """One UpdateAlias. Version, weights and Description always travel together.

    Source: omitting RoutingConfig keeps the weights, an empty map clears them,
    https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html
    """

    version: str
    description: str
    canary: str | None = None
    weight_pct: float = 0


@dataclass(frozen=True)
class Evidence:
    """What is known about the canary now; `blind_s` is for how long AWS has not answered.

    Of the present place: `judged_s` are its judged seconds, `has_shown` tells whether a canary that fails
    every call would have been found, `gap_pct` is by how many percentage points the canary is worse at most.
    `holds` are the causes of a pause (values of `Cause`) that are not over, each by its own rule.
    """

    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    blind_s: float = 0.0
    strengths: tuple[Strength, ...] = ()
    judged_s: int = 0
    has_shown: bool = False
    gap_pct: float | None = None
    holds: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AlarmReading:
    """An alarm's state, and since when it is in it (seconds since the epoch; None: not known)."""

    state: AlarmState
    since: float | None = None


class Outcome(Enum):
    """What a comparison concluded; only `PASS` may promote."""

    PASS = "pass"  # noqa: S105 - measured, and no worse than the stable version
    FAIL = "fail"  # measured, and worse
    INCONCLUSIVE = "inconclusive"  # measured, too little data
    UNMEASURABLE = "unmeasurable"  # could not be measured


@dataclass(frozen=True)
class GateSettings:
    """What counts as worse. `alpha` is a probability, `_pct` are percentage points, `_s` seconds.

    `attempts`: how often the source tries a failing call in all (3 for asynchronous events).
    Raises ValueError for an alpha outside (0, 0.5).
    """

    alpha: float = 0.01
    floor_pct: float = 0.5
    compare_slow: bool = False
    slow_floor_pct: float = 10.0
    settle_s: float = 120.0
    slo_error_pct: float = 1.0
    attempts: int = 1
    stale_after_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha is `{self.alpha}`, expected more than 0 and less than 0.5")

    @property
    def alpha_per_metric(self) -> float:
        """Return each metric's part of alpha."""
        return self.alpha / (2 if self.compare_slow else 1)


@dataclass(frozen=True)
class Strength:
    """One metric's evidence against the canary, and the limit ln(1/alpha) at which it can fail; in nats."""

    metric: str
    log_e: float
    limit: float


@dataclass(frozen=True)
class Verdict:
    """One comparison's conclusion with the sentence that explains it. `metric` is what was compared."""

    outcome: Outcome
    sentence: str
    metric: str = "errors"
