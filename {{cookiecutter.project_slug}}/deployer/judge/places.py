"""What of a rollout's present place can be judged: its closed whole minutes, and their counts. Pure.

A minute is *closed* once its end, the settling time and the p99 duration are past, since Lambda stamps
metrics with the start of the invocation and completes them later. The minute in which the weight changed is
no *whole* minute of a place: what happened only in its first half hit another split than the minute's own.
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html

CloudWatch has no data point for a minute without calls, so the newest minutes may be quiet or late. Where
fewer than SURE_CALLS were to be expected they are quiet; else they count LATE_S later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from deployer.judge.counts import TRAFFIC, Counts, Minute, RolloutSoFar
from deployer.model import GateSettings

MINUTE_S = 60
LATE_S = 600.0  # CloudWatch's own late minutes are fewer
SURE_CALLS = 7.0  # calls missing by chance with a probability of e^-7, one in a thousand


def closed(
    minutes: Sequence[Minute], settings: GateSettings, rollout: RolloutSoFar, now: float
) -> tuple[Minute, ...]:
    """Return the minutes since the first place whose numbers no longer change, oldest first."""
    first = rollout.starts[0].at
    # The answers to calls of our own are read as they come; only the minute must be over.
    ends = {TRAFFIC: _horizon(settings, rollout, now)}
    over = now - MINUTE_S
    found = [m for m in minutes if first - MINUTE_S < m.at <= ends.get(m.source, over)]
    return tuple(sorted(found, key=lambda m: (m.at, m.source)))


def changed(rollout: RolloutSoFar) -> frozenset[int]:
    """Return the minutes (seconds since the epoch) in which the weight changed."""
    return frozenset(int(start.at // MINUTE_S * MINUTE_S) for start in rollout.starts if start.at % MINUTE_S)


def judged_minutes(
    minutes: Sequence[Minute], settings: GateSettings, rollout: RolloutSoFar, now: float
) -> int:
    """Return how many minutes of the present place are judged: closed, whole and read; 0 before the first."""
    if not rollout.starts or rollout.read_at is None:
        return 0
    horizon = _horizon(settings, rollout, min(now, rollout.read_at))
    traffic = [m for m in closed(minutes, settings, rollout, now) if m.source == TRAFFIC and _calls(m)]
    newest = traffic[-1].at if traffic else rollout.starts[0].at - MINUTE_S
    if _usual(traffic, rollout) * (horizon - newest) / MINUTE_S >= SURE_CALLS:
        horizon = max(min(horizon, newest), horizon - LATE_S)
    return max(0, math.floor((horizon - rollout.current.first_whole) / MINUTE_S) + 1)


def place_counts(
    minutes: Sequence[Minute], settings: GateSettings, rollout: RolloutSoFar, now: float
) -> tuple[Counts, Counts]:
    """Return (canary, stable) of the users' own calls in the judged minutes of the present place."""
    if not rollout.starts:
        return Counts(), Counts()
    place = [
        m
        for m in closed(minutes, settings, rollout, now)
        if m.source == TRAFFIC and m.at >= rollout.current.first_whole
    ]
    return _sum([m.canary for m in place]), _sum([m.stable for m in place])


def _horizon(settings: GateSettings, rollout: RolloutSoFar, now: float) -> float:
    """Return the latest start of a minute whose numbers are complete, in seconds since the epoch."""
    return now - MINUTE_S - settings.settle_s - rollout.p99_duration_s


def _usual(traffic: Sequence[Minute], rollout: RolloutSoFar) -> float:
    """Return the calls per minute: this rollout's, or the hour before's while it has none."""
    if not traffic:
        return rollout.before.calls / 60
    return sum(map(_calls, traffic)) / ((traffic[-1].at - traffic[0].at) / MINUTE_S + 1)


def _calls(minute: Minute) -> int:
    return minute.canary.calls + minute.stable.calls


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(
        sum(c.calls for c in counts),
        sum(c.errors for c in counts),
        sum(c.slow for c in counts),
        sum(c.throttles for c in counts),
    )
