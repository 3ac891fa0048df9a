"""Whether the calls that were counted would have shown a canary that fails every one of them. Pure.

The present place's minutes are judged once more by the comparison that ships, with each call of the canary
for an error. With its calls given, such a canary's errors are given too, so nothing is left to chance: either
it would have been rolled back by now or it would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployer.judge import comparison, eprocess, places
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.model import GateSettings


def has_shown(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar, now: float) -> bool:
    """Tell whether a canary that fails every call of the present place would have been rolled back by now."""
    if not rollout.starts:
        return False
    failing = [
        replace(m, canary=replace(m.canary, errors=float(m.canary.calls)))
        if m.source == TRAFFIC and m.at >= rollout.current.at
        else m
        for m in places.closed(minutes, settings, rollout, now)
    ]
    test = comparison.of_errors(settings, failing, rollout)
    starts = eprocess.restarts([start.at for start in rollout.starts], now)
    return comparison.first_failure(test, eprocess.accumulate(test.shares, starts)) is not None
