"""Judge the canary by both versions' own counts: four verdicts, one sentence each. Pure.

    judge(settings, minutes, rollout, now) -> Judgement(verdicts, traces)

*Comparison* (both versions have traffic): the e-process of `deployer.eprocess` on each closed minute's
errors, rho = canary calls / all calls. It fails when at some minute E >= 1/alpha and, since the start with
the strongest evidence, the canary failed at least 3 phi times, in at least two minutes, and its error rate
exceeds the stable version's by the floor. phi is how many errors count as one, since errors come in runs
(`judge.dispersion`). Every closed minute is looked at, so a rollout nobody polled
for a while is judged as if it had been. The same test runs on slow calls, without the first two minutes
after each increase of the weight (cold starts).

*Absolute guard* (weight above 50 %: little or nothing is left to compare with): `judge.absolute`.

*Closed minutes*: a minute counts once its end, the settling time and the p99 duration are past, since
Lambda stamps metrics with the start of the invocation and completes them later.
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html

*alpha* is the chance that a rollout whose canary is no worse is ever rolled back by a comparison or the
absolute guard. It is split evenly over the metrics in use; of the errors' part a tenth is the guard's.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import add

from deployer.judge import absolute, eprocess, strata
from deployer.judge import sentences as say
from deployer.judge.absolute import GUARD_SHARE, MIN_BAD_MINUTES
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.judge.eprocess import Point, Share, Trace
from deployer.judge.sentences import Totals
from deployer.judge.strata import Stratum
from deployer.model import GateSettings, Outcome, Verdict

ERRORS, SLOW = say.ERRORS, "slow calls"
COLD_START_S = 120
MIN_HITS = 3
SILENT_CALLS = 30  # calls missing by chance with a probability of e^-30


@dataclass(frozen=True)
class Judgement:
    """The verdicts for `canary.decide`, and the evidence they rest on."""

    verdicts: tuple[Verdict, ...]
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True)
class _Test:
    """One comparison: on which minutes, at which level, with which floor (a share, 0-1).

    `shares` are the same minutes as the e-process takes them; `phi` is how many marks count as one.
    """

    metric: str
    rows: tuple[Stratum, ...]
    shares: tuple[Share, ...]
    alpha: float
    floor: float
    phi: float = 1.0


def judge(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float) -> Judgement:
    """Return one verdict per test in force. Total, and independent of the order of `minutes`.

    A proven failure outweighs missing data; missing data outweighs everything else.
    """
    if not rollout.starts:
        return Judgement((Verdict(Outcome.INCONCLUSIVE, say.not_begun(rollout)),))
    minutes = closed(minutes, settings, rollout, now)
    starts = eprocess.restarts([start.at for start in rollout.starts], now)
    tests = _tests(settings, minutes, rollout)
    verdicts: list[Verdict] = []
    traces: list[Trace] = []
    for test in tests:
        points = eprocess.accumulate(test.shares, starts)
        finding = _first_failure(test, points)
        failed_at = finding[1].at if finding else None
        traces.append(Trace(test.metric, points, math.log(1 / test.alpha), failed_at))
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


def closed(
    minutes: Sequence[Minute], settings: GateSettings, rollout: RolloutSoFar, now: float
) -> tuple[Minute, ...]:
    """Return the minutes since the first step whose numbers no longer change, oldest first."""
    horizon = now - 60 - settings.settle_s - rollout.p99_duration_s
    first = rollout.starts[0].at
    # The answers to probes are read as they come; only the minute must be over.
    ends = {TRAFFIC: horizon}
    over = now - 60
    found = [m for m in minutes if first - 60 < m.at <= ends.get(m.source, over)]
    return tuple(sorted(found, key=lambda m: (m.at, m.source)))


def _tests(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar) -> tuple[_Test, ...]:
    """Return the comparisons in use, each with the minutes it may look at.

    A minute in which the weight changed is no stratum: what happened only in its first half hit another
    split than the minute's own.
    """
    starts = [start.at for start in rollout.starts]
    changed = {start // 60 * 60 for start in starts if start % 60}
    whole = [m for m in minutes if m.at not in changed]
    compared = [m for m in whole if m.canary.calls and m.stable.calls]
    errors = tuple(
        Stratum(m.at, m.canary.calls, m.canary.errors, m.stable.calls, m.stable.errors) for m in compared
    )
    phi = rollout.dispersion.phi
    # Each probe is a call of its own making: its errors come by themselves.
    by_source = {
        source: [row for m, row in zip(compared, errors, strict=True) if m.source == source]
        for source in sorted({m.source for m in compared})
    }
    shares = tuple(
        _exact(row, phi if source == TRAFFIC else 1.0)
        for source, rows in by_source.items()
        for row in strata.pooled(rows, starts)
    )
    alpha, floor = settings.alpha_per_metric, settings.floor_pct / 100
    tests = [_Test(ERRORS, errors, shares, alpha * (1 - GUARD_SHARE), floor, phi)]
    if settings.compare_slow:
        slow = tuple(
            Stratum(m.at, m.canary.calls, m.canary.slow, m.stable.calls, m.stable.slow)
            for m in compared
            if m.at >= rollout.accepted_at
            and not any(start - 60 < m.at < start + COLD_START_S for start in starts)
        )
        tests.append(_Test(SLOW, slow, tuple(map(_bounded, slow)), alpha, settings.slow_floor_pct / 100))
    return tuple(tests)


def _exact(row: Stratum, phi: float) -> Share:
    """Return a stratum's errors with what chance alone would do to them."""
    bound = _bounded(row)
    # Lambda counts whole errors; an app's own metric need not, and the bound holds for fractions too.
    if not float(bound.trials).is_integer() or bound.trials > row.canary_calls + row.stable_calls:
        return replace(bound, phi=phi)
    means = strata.log_means(row.canary_calls, row.stable_calls, round(bound.trials), eprocess.OMEGAS)
    return replace(bound, log_means=means, phi=phi)


def _bounded(row: Stratum) -> Share:
    """Return a stratum's marks with the binomial bound."""
    calls = row.canary_calls + row.stable_calls
    return Share(row.at, row.canary_marks, row.canary_marks + row.stable_marks, row.canary_calls / calls)


def _first_failure(test: _Test, points: Sequence[Point]) -> tuple[Totals, Point] | None:
    """Return the first minute at which every condition for a failure holds, and the totals until then."""
    limit = math.log(1 / test.alpha)
    if all(point.log_e < limit for point in points):
        return None
    times = [row.at for row in test.rows]
    totals = list(accumulate(map(_totals, test.rows), add, initial=Totals()))
    for point in points:
        if point.log_e >= limit:
            since, until = bisect_left(times, point.since), bisect_right(times, point.at)
            window = totals[until] - totals[since]
            if window.canary_hits >= MIN_HITS * test.phi and window.excess >= test.floor:
                bad_minutes = {row.at for row in test.rows[since:until] if row.canary_marks > 0}
                if len(bad_minutes) >= MIN_BAD_MINUTES:
                    return window, point
    return None


def _totals(row: Stratum) -> Totals:
    """Return one row as totals of itself."""
    return Totals(row.canary_calls, row.canary_marks, row.stable_calls, row.stable_marks)


def _passed(errors: _Test, trace: Trace, rollout: RolloutSoFar) -> Verdict:
    """Say that the canary may go on, and whether that is for want of a difference or of a large one."""
    total = sum(map(_totals, errors.rows), Totals())
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
