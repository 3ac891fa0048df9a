"""Judge the canary by both versions' own counts: four verdicts, one sentence each. Pure.

    judge(settings, minutes, rollout, now) -> Judgement(verdicts, traces)

*Comparison* (both versions have traffic): `judge.comparison`, on errors. The same test runs on slow calls,
without the first two minutes after each increase of the weight (cold starts).

*Absolute guard* (weight above 50 %: little or nothing is left to compare with): `judge.absolute`.

*Closed minutes*: `judge.places`.

*alpha* is the chance that a rollout whose canary is no worse is ever rolled back by a comparison or the
absolute guard. It is split evenly over the metrics in use; of the errors' part a tenth is the guard's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployer.judge import absolute, comparison, eprocess, places
from deployer.judge import sentences as say
from deployer.judge.comparison import Comparison
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.judge.eprocess import Trace
from deployer.judge.sentences import Totals
from deployer.judge.strata import Stratum
from deployer.model import GateSettings, Outcome, Verdict

SLOW = "slow calls"
COLD_START_S = 120
SILENT_CALLS = 30  # calls missing by chance with a probability of e^-30


@dataclass(frozen=True)
class Judgement:
    """The verdicts for `canary.decide`, and the evidence they rest on."""

    verdicts: tuple[Verdict, ...]
    traces: tuple[Trace, ...] = ()


def judge(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float) -> Judgement:
    """Return one verdict per test in force. Total, and independent of the order of `minutes`.

    A proven failure outweighs missing data; missing data outweighs everything else.
    """
    if not rollout.starts:
        return Judgement((Verdict(Outcome.INCONCLUSIVE, say.not_begun(rollout)),))
    minutes = places.closed(minutes, settings, rollout, now)
    starts = eprocess.restarts([start.at for start in rollout.starts], now)
    tests = [comparison.of_errors(settings, minutes, rollout)]
    if settings.compare_slow:
        tests.append(_slow(settings, minutes, rollout))
    verdicts: list[Verdict] = []
    traces: list[Trace] = []
    for test in tests:
        points = eprocess.accumulate(test.shares, starts)
        finding = comparison.first_failure(test, points)
        failed_at = finding[1].at if finding else None
        traces.append(Trace(test.metric, points, test.limit, failed_at))
        if finding:
            total, point = finding
            outcome = settings.slow_outcome if test.metric == SLOW else Outcome.FAIL
            sentence = say.worse(rollout, test.metric, (total, point.log_e), outcome)
            verdicts.append(Verdict(outcome, sentence, test.metric))
    guarded = absolute.guarded(minutes, rollout)
    if guarded:
        verdicts += absolute.throttled(guarded, rollout)
        failure, trace = absolute.above_limit(settings, guarded, rollout)
        verdicts += failure
        traces.append(trace)
    if all(verdict.outcome is not Outcome.FAIL for verdict in verdicts):
        verdicts.append(_rest(settings, minutes, rollout, now) or _passed(tests[0], traces[0], rollout))
    else:
        verdicts = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
    return Judgement(tuple(verdicts), tuple(traces))


def _slow(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar) -> Comparison:
    """Return the comparison of slow calls, without the first minutes after each increase of the weight."""
    slow = tuple(
        Stratum(m.at, m.canary.calls, m.canary.slow, m.stable.calls, m.stable.slow)
        for m in comparison.comparable(minutes, rollout)
        if m.at >= rollout.accepted_at
        and not any(start.at - 60 < m.at < start.at + COLD_START_S for start in rollout.starts)
    )
    shares = tuple(map(comparison.bounded, slow))
    return Comparison(SLOW, slow, shares, settings.alpha_per_metric, settings.slow_floor_pct / 100)


def _passed(errors: Comparison, trace: Trace, rollout: RolloutSoFar) -> Verdict:
    """Say that the canary may go on, and whether that is for want of a difference or of a large one."""
    total = sum(map(comparison.totals_of, errors.rows), Totals())
    is_small = any(point.log_e >= trace.limit for point in trace.points[-1:])
    return Verdict(Outcome.PASS, say.no_worse(rollout, total, errors.floor if is_small else None))


def _rest(
    settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float
) -> Verdict | None:
    """Return why nothing can be said although nothing is proven: not seen, or too little; else None."""
    blind = _blindness(settings, minutes, rollout, now)
    if blind:
        return Verdict(Outcome.UNMEASURABLE, blind)
    step = [m for m in minutes if m.at >= rollout.current.at]
    if rollout.current.weight_pct < 100:
        step = [m for m in step if m.stable.calls]
    calls = sum(m.canary.calls for m in step)
    if calls < max(1, settings.min_canary_invocations):
        return Verdict(
            Outcome.INCONCLUSIVE, say.too_few(rollout, calls, max(1, settings.min_canary_invocations))
        )
    return None


def _blindness(
    settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float
) -> str | None:
    """Return why the canary cannot be seen, or None. Missing numbers are never read as zero errors.

    CloudWatch has no data point for a minute without calls, so silence alone proves nothing; silence where
    at least 30 calls were to be expected does.
    """
    if rollout.read_at is None or now - rollout.read_at > settings.stale_after_s:
        return say.not_read(rollout, now)
    traffic = [m for m in minutes if m.source == TRAFFIC and m.canary.calls + m.stable.calls]
    step = rollout.current
    stable = sum(m.stable.calls for m in traffic if m.at >= step.at)
    expected = stable * step.weight_pct / (100 - step.weight_pct) if step.weight_pct < 100 else 0.0
    if expected >= SILENT_CALLS and not any(m.canary.calls for m in traffic if m.at >= step.at):
        return say.canary_missing(rollout, expected)
    if traffic:
        newest = traffic[-1].at + 60
        per_second = sum(m.canary.calls + m.stable.calls for m in traffic) / (newest - traffic[0].at)
        silent_s = now - settings.settle_s - rollout.p99_duration_s - newest
        if silent_s > settings.stale_after_s and per_second * silent_s >= SILENT_CALLS:
            return say.stale(rollout, silent_s)
    return None
