"""Judge the canary by both versions' own counts: four verdicts, one sentence each. Pure.

    judge(settings, minutes, rollout, now) -> Judgement(verdicts, traces)

*Comparison* (both versions have traffic): `judge.comparison`, on errors. Evidence above its limit, while more
errors or a second minute decide, is `inconclusive`, never `pass`.

*Slow calls*: `judge.slow`. *Throttled calls*: `judge.throttles`. Both fail for as long as their reason lasts;
what follows is a pause.

*Absolute guard* (weight above 50 %: little is left to compare with): `judge.absolute`.

*Closed minutes*: `judge.places`.

*alpha* is the chance that a rollout whose canary is no worse is ever rolled back by a comparison or the
absolute guard. It is split evenly over the metrics in use; of the errors' part a tenth is the guard's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deployer.judge import absolute, comparison, eprocess, places, slow, throttles
from deployer.judge import sentences as say
from deployer.judge.comparison import Comparison
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.judge.eprocess import Point, Trace
from deployer.judge.sentences import Totals
from deployer.model import GateSettings, Outcome, Verdict

SILENT_CALLS = 30  # calls missing by chance with a probability of e^-30


@dataclass(frozen=True)
class Judgement:
    """The verdicts for `canary.decide`, and the evidence they rest on.

    `holds` are the causes of a pause, of `slow`, `throttles` and `blind`, that there are.
    """

    verdicts: tuple[Verdict, ...]
    traces: tuple[Trace, ...] = ()
    holds: frozenset[str] = frozenset()


def judge(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float) -> Judgement:
    """Return one verdict per test in force. Total, and independent of the order of `minutes`.

    A proven failure outweighs missing data; missing data outweighs everything else.
    """
    if not rollout.starts:
        return Judgement((Verdict(Outcome.INCONCLUSIVE, say.not_begun(rollout)),))
    judged = places.judged_minutes(minutes, settings, rollout, now)
    minutes = places.closed(minutes, settings, rollout, now)
    starts = eprocess.restarts([start.at for start in rollout.starts], now)
    failed, slower = [], []
    errors = comparison.of_errors(settings, minutes, rollout)
    points, finding = _evidence_of(errors, starts)
    traces = [Trace(errors.metric, points, errors.limit, finding and finding[1].at)]
    if finding:
        failed.append(Verdict(Outcome.FAIL, say.worse(rollout, finding[0], finding[1].log_e)))
    if settings.compare_slow:
        verdict, trace = _slowness(slow.of_slow(settings, minutes, rollout), rollout, starts)
        slower += verdict
        traces.append(trace)
    throttled = _throttling(throttles.above(minutes, rollout, judged), rollout)
    guarded = absolute.guarded(minutes, rollout)
    if guarded:
        found, trace = absolute.above_limit(settings, guarded, rollout, errors.shares)
        failed += found
        traces.append(trace)
    blind = _blindness(settings, minutes, rollout, now)
    rest = Verdict(Outcome.UNMEASURABLE, blind) if blind else None
    if rest is None and comparison.is_open(errors, points, now):
        rest = _undecided(errors, points, rollout)
    verdicts = [*failed, *slower, *throttled] or [rest or _passed(errors, traces[0], rollout)]
    is_blind = rest is not None and rest.outcome is Outcome.UNMEASURABLE
    causes = {"slow": bool(slower), "throttles": bool(throttled), "blind": is_blind}
    holds = frozenset(cause for cause, there in causes.items() if there)
    return Judgement(tuple(verdicts), tuple(traces), holds)


def _evidence_of(
    test: Comparison, starts: Sequence[float]
) -> tuple[tuple[Point, ...], tuple[Totals, Point] | None]:
    """Return the evidence minute by minute, and where it first failed."""
    points = eprocess.accumulate(test.shares, starts, test.omegas)
    return points, comparison.first_failure(test, points)


def _slowness(
    test: Comparison, rollout: RolloutSoFar, starts: Sequence[float]
) -> tuple[list[Verdict], Trace]:
    """Return a verdict where the canary is slower still, and the evidence."""
    points, finding = _evidence_of(test, starts)
    trace = Trace(test.metric, points, test.limit, finding and finding[1].at)
    if finding is None or slow.is_over(test):
        return [], trace
    sentence = say.slower(rollout, finding[0], finding[1].log_e, slow.TOLERATED)
    return [Verdict(Outcome.FAIL, sentence, test.metric)], trace


def _throttling(found: tuple[int, int] | None, rollout: RolloutSoFar) -> list[Verdict]:
    """Return a verdict where more calls are throttled than in any such time of last week."""
    if found is None:
        return []
    sentence = say.throttled(rollout, found, rollout.windows.highest or 0.0)
    return [Verdict(Outcome.FAIL, sentence, throttles.THROTTLES)]


def _undecided(errors: Comparison, points: Sequence[Point], rollout: RolloutSoFar) -> Verdict:
    """Say that what is to come decides."""
    window = sum((comparison.totals_of(row) for row in errors.rows if row.at >= points[-1].since), Totals())
    needed = math.ceil(comparison.MIN_HITS * errors.phi)
    return Verdict(Outcome.INCONCLUSIVE, say.undecided(rollout, window, needed))


def _passed(errors: Comparison, trace: Trace, rollout: RolloutSoFar) -> Verdict:
    """Say that the canary may go on, and whether that is for want of a difference or of a large one."""
    total = sum(map(comparison.totals_of, errors.rows), Totals())
    is_small = any(point.log_e >= trace.limit for point in trace.points[-1:])
    return Verdict(Outcome.PASS, say.no_worse(rollout, total, errors.floor if is_small else None))


def _blindness(
    settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float
) -> str | None:
    """Return why the canary cannot be seen, or None. Missing numbers are never read as zero errors.

    CloudWatch has no data point for a minute without calls, so silence alone proves nothing. It does where at
    least 30 calls were to be expected, for longer than CloudWatch is ever late and last week was silent at
    this time of day.
    """
    if rollout.read_at is None or now - rollout.read_at > settings.stale_after_s:
        return say.not_read(rollout, now)
    traffic = [m for m in minutes if m.source == TRAFFIC and m.canary.calls + m.stable.calls]
    place = [(m.at, m.canary.calls, m.stable.calls) for m in traffic if m.at >= rollout.current.at]
    weight = rollout.current.weight_pct
    turned = [(at, stable, canary) for at, canary, stable in place]
    for version, seen, own_pct in ((rollout.canary, place, weight), (rollout.stable, turned, 100 - weight)):
        others = _since_seen(seen)
        # Each call is routed by itself: none of so many is its own with a chance of (1 - its share)^others.
        if own_pct < 100 and -others * math.log1p(-own_pct / 100) >= SILENT_CALLS:
            return say.missing(rollout, version, others * own_pct / (100 - own_pct))
    newest, per_second = rollout.starts[0].at, rollout.before.calls / 3600
    if traffic:
        newest = traffic[-1].at + 60
        per_second = sum(m.canary.calls + m.stable.calls for m in traffic) / (newest - traffic[0].at)
    silent_s = now - settings.settle_s - rollout.p99_duration_s - newest
    is_unusual = silent_s > max(places.LATE_S, rollout.quiet_s)
    return say.stale(rollout, silent_s) if is_unusual and per_second * silent_s >= SILENT_CALLS else None


def _since_seen(place: Sequence[tuple[int, int, int]]) -> int:
    """Return how many calls the other version had since a version's last one.

    `place` are minutes of the present place: when, its own calls, and the other version's.
    """
    seen = max((at for at, own, _ in place if own), default=-math.inf)
    return sum(other for at, _, other in place if at > seen)
