"""What is known about the canary now: alarms and both versions' metrics, judged. Shell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deployer import evidence
from deployer.aws import Aws
from deployer.aws_errors import Unavailable
from deployer.config import Environment
from deployer.counts import GateSettings, RolloutSoFar, StepStart
from deployer.metrics import Baseline
from deployer.model import AliasState, Evidence, Outcome, RolloutPlan, Verdict


@dataclass
class Gate:
    """Asks AWS and `evidence.judge`. What it remembers is a cache: a new process finds it again.

    `slow_ms` is the duration beyond which a call counts as slow; 0 takes the stable version's p90 of the hour
    before the rollout.
    """

    settings: GateSettings
    alarms: tuple[str, ...]
    slow_ms: int = 0
    _baseline: tuple[str, Baseline] | None = None
    _read_at: float | None = None
    _judged: evidence.Judgement = field(default_factory=lambda: evidence.Judgement(()))

    @property
    def traces(self) -> tuple[evidence.Trace, ...]:
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
        starts = tuple(
            StepStart(at, 100 if plan.is_bake(number) else plan.steps[number - 1].weight_pct)
            for number, at in enumerate(marker.starts, start=1)
            if number <= len(plan.steps) + 1
        )
        so_far = RolloutSoFar(marker.from_version, marker.to_version, starts, self._read_at)
        try:
            baseline = self._baseline_of(aws, marker.from_version, marker.starts[0])
            slow_ms = (self.slow_ms or baseline.p90_ms or None) if self.settings.compare_slow else None
            versions = (marker.from_version, marker.to_version)
            minutes = aws.metrics().minutes(versions, marker.starts[0], now, slow_ms)
        except Unavailable as error:
            self._read_at = self._read_at or now
            blind = Verdict(Outcome.UNMEASURABLE, f"the versions' metrics cannot be read: {error.what}")
            return Evidence(alarms, (blind,), blind_s=now - self._read_at)
        self._read_at = now
        so_far = replace(so_far, read_at=now, p99_duration_s=baseline.p99_ms / 1000, before=baseline.counts)
        settings = replace(self.settings, compare_slow=slow_ms is not None)
        self._judged = evidence.judge(settings, minutes, so_far, now)
        return Evidence(alarms, self._judged.verdicts)

    def _baseline_of(self, aws: Aws, stable: str, until: int) -> Baseline:
        if self._baseline is None or self._baseline[0] != stable:
            self._baseline = (stable, aws.metrics().baseline(stable, until))
        return self._baseline[1]


def gate_for(settings: Environment, alarms: tuple[str, ...]) -> Gate:
    """Return the gate of an environment, which watches those alarms."""
    judging = GateSettings(
        alpha=settings.alpha,
        floor_pct=settings.error_floor_pct,
        compare_slow=settings.on_slow != "off",
        slow_outcome=Outcome.FAIL,
        min_canary_invocations=settings.min_canary_invocations,
        settle_s=settings.settle_s,
        slo_error_pct=settings.max_error_pct,
    )
    return Gate(judging, alarms, settings.slow_ms)
