"""What is known about the canary now: alarms and both versions' metrics, judged. Shell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from deployer.aws.metrics import Baseline
from deployer.config import Environment
from deployer.judge import evidence, places, shown, similar, throttles
from deployer.judge.counts import Dispersion, Minute, RolloutSoFar, StepStart, Week, Windows
from deployer.judge.dispersion import dispersion
from deployer.judge.eprocess import Trace
from deployer.model import (
    AliasState,
    Cause,
    Ends,
    Evidence,
    GateSettings,
    Marker,
    Outcome,
    RolloutPlan,
    RolloutState,
    Strength,
    Verdict,
)
from deployer.rollout.sampling import Sampler


@dataclass
class Gate:
    """Asks AWS and `evidence.judge`. What it remembers is a cache: a new process finds it again.

    `slow_ms` is the duration beyond which a call counts as slow; 0 takes the stable version's median of the
    hour before the rollout. `read_at` is when the metrics were last read; a driver that keeps it knows across
    processes for how long nothing could be seen.
    """

    settings: GateSettings
    alarms: tuple[str, ...]
    slow_ms: int = 0
    sampler: Sampler | None = None
    read_at: float | None = None
    _baseline: tuple[str, Baseline] | None = None
    _dispersion: tuple[int, Dispersion] | None = None
    _windows: Windows = field(default_factory=Windows)
    _week: Week = field(default_factory=lambda: Week(0))
    _judged: evidence.Judgement = field(default_factory=lambda: evidence.Judgement(()))

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Return the evidence over time behind the latest verdicts."""
        return self._judged.traces

    def look(self, aws: Aws, plan: RolloutPlan, alias: AliasState, now: float) -> Evidence:
        """Read alarms and metrics and judge them. Raises Unavailable when the alarms cannot be read.

        Metrics that cannot be read are a verdict of their own, since the alarms can still end the rollout.
        """
        alarms = aws.alarms(self.alarms)
        marker = alias.marker
        if not plan.steps or marker is None or not marker.is_active or marker.id != plan.id:
            return Evidence(alarms)
        plan = plan.following(marker.weights)
        starts = tuple(map(StepStart, marker.starts, marker.weights))
        if not starts:
            return Evidence(alarms)
        so_far = RolloutSoFar(marker.from_version, marker.to_version, starts, self.read_at)
        try:
            # Until hour and week before are read they are: a tick has six calls at most, besides a sample's.
            if self.sampler is not None and self._dispersion is not None:
                self.sampler.ask(aws, marker.from_version, marker.to_version, now)
            baseline = self._baseline_of(aws, marker.from_version, marker.starts[0])
            runs = self._dispersion_of(aws, plan, marker.starts[0])
            slow_ms = (self.slow_ms or baseline.p50_ms or None) if self.settings.compare_slow else None
            versions = (marker.from_version, marker.to_version)
            minutes = aws.metrics().minutes(versions, marker.starts[0], now, slow_ms)
        except Unavailable as error:
            self.read_at = self.read_at or now
            blind = Verdict(Outcome.UNMEASURABLE, f"the versions' metrics cannot be read: {error.what}")
            return Evidence(alarms, (blind,), now - self.read_at, holds=frozenset({Cause.BLIND.value}))
        self.read_at = now
        so_far = replace(
            so_far,
            read_at=now,
            p99_duration_s=baseline.p99_ms / 1000,
            before=baseline.counts,
            dispersion=runs,
            windows=self._windows,
            quiet_s=self._week.quiet_s(max([marker.starts[0], *(minute.at for minute in minutes)])),
            accepted_at=marker.starts[0] + marker.accepted_s if marker.accepted_s else 0.0,
        )
        settings = replace(self.settings, compare_slow=slow_ms is not None)
        sampled = self.sampler.minutes if self.sampler is not None else ()
        self._judged = evidence.judge(settings, (*minutes, *sampled), so_far, now)
        found = self._found((*minutes, *sampled), marker, so_far, settings)
        # Judged once more, and only where it can end the place.
        shows = plan.steps[len(starts) - 1].ends is Ends.SHOWN
        has_shown = shows and shown.has_shown(settings, (*minutes, *sampled), so_far, now)
        return replace(found, alarms=alarms, has_shown=has_shown)

    def _found(
        self,
        minutes: tuple[Minute, ...],
        marker: Marker,
        so_far: RolloutSoFar,
        settings: GateSettings,
    ) -> Evidence:
        """Return what the judged minutes say, and how far the present place has come."""
        now = so_far.read_at or 0.0
        place = so_far
        if marker.state is RolloutState.RUN:  # what was paused is judged for its whole time again
            place = replace(so_far, starts=(*so_far.starts[:-1], replace(so_far.current, at=marker.at)))
        canary, stable = places.place_counts(minutes, settings, so_far, now)
        gap = similar.gap(canary, stable, so_far.dispersion.phi)
        verdicts = self._judged.verdicts
        is_blind = any(verdict.outcome is Outcome.UNMEASURABLE for verdict in verdicts)
        return Evidence(
            verdicts=verdicts,
            blind_s=now - _last_seen(minutes, so_far) if is_blind else 0.0,
            strengths=tuple(
                Strength(trace.metric, trace.points[-1].log_e, trace.limit)
                for trace in self._judged.traces
                if trace.points
            ),
            judged_s=60 * places.judged_minutes(minutes, settings, place, now),
            gap_pct=None if gap is None else 100 * gap,
            holds=self._judged.holds | ({Cause.BLIND.value} if is_blind else set()),
        )

    def _baseline_of(self, aws: Aws, stable: str, until: int) -> Baseline:
        if self._baseline is None or self._baseline[0] != stable:
            self._baseline = (stable, aws.metrics().baseline(stable, until))
        return self._baseline[1]

    def _dispersion_of(self, aws: Aws, plan: RolloutPlan, until: int) -> Dispersion:
        if self._dispersion is None or self._dispersion[0] != until:
            week = aws.metrics().history(until)
            found = dispersion(week.blocks, exposure_min=plan.exposure_min, attempts=self.settings.attempts)
            self._dispersion = (until, found)
            self._windows, self._week = throttles.usual(week, plan.steps[-1].bake_s), week
        return self._dispersion[1]


def _last_seen(minutes: tuple[Minute, ...], so_far: RolloutSoFar) -> float:
    """Return until when both versions were seen in the present place, in seconds since the epoch."""
    canary = (minute.at + 60.0 for minute in minutes if minute.canary.calls)
    stable = (minute.at + 60.0 for minute in minutes if minute.stable.calls)
    return min(max([so_far.current.at, *seen]) for seen in (canary, stable))


def gate_for(settings: Environment, alarms: tuple[str, ...], sampler: Sampler | None = None) -> Gate:
    """Return the gate of an environment, which watches those alarms; without a sampler nothing is sent."""
    return Gate(settings.gate_settings(), alarms, settings.slow_ms, sampler)
