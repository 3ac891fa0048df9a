"""Judge the canary by itself, where little or nothing is left to compare it with. Pure.

At more than half of the traffic the canary fails when its error rate was above max(SLO, 3 x the hour before)
in two of the last three closed minutes, and an e-process with rho = that limit and every call as a trial, phi
of them as one, says so at the level alpha_errors / 10. Any throttle there fails as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from deployer.judge import eprocess
from deployer.judge import sentences as say
from deployer.judge.counts import TRAFFIC, Counts, Minute, RolloutSoFar
from deployer.judge.eprocess import Share, Trace
from deployer.model import GateSettings, Outcome, Verdict

GUARD = "error rate"
MIN_BAD_MINUTES = 2
GUARD_SHARE = 0.1  # of the errors' alpha; at more than half of the traffic, data is what there is enough of


def guarded(minutes: Sequence[Minute], rollout: RolloutSoFar) -> dict[int, Counts]:
    """Return the canary's traffic where the stable version has less than it, or none, by minute."""
    since = min((start.at for start in rollout.starts if start.weight_pct > 50), default=math.inf)
    return {m.at: m.canary for m in minutes if m.at >= since and m.source == TRAFFIC}


def throttled(guarded: Mapping[int, Counts], rollout: RolloutSoFar) -> list[Verdict]:
    """Fail for any call that Lambda turned away."""
    throttles = sum(counts.throttles for counts in guarded.values())
    return [Verdict(Outcome.FAIL, say.throttled(rollout, throttles))] if throttles else []


def error_limit(settings: GateSettings, before: Counts, phi: float = 1.0) -> float:
    """Return the error rate (0-1) a canary may have by itself: max(SLO, 3 x the hour before).

    One run of errors is added to that hour, so that few calls without any do not make the limit too low.
    """
    usual = (before.errors + phi) / (before.calls + phi) if before.calls else 0.0
    return min(0.5, max(settings.slo_error_pct / 100, 3 * usual))


def above_limit(
    settings: GateSettings, guarded: Mapping[int, Counts], rollout: RolloutSoFar
) -> tuple[list[Verdict], Trace]:
    """Judge the canary's error rate by itself."""
    phi = rollout.dispersion.phi
    limit = error_limit(settings, rollout.before, phi)
    alpha = settings.alpha_per_metric * GUARD_SHARE
    hits = {at: counts.errors for at, counts in guarded.items()}
    shares = [
        Share(at, hits[at], counts.calls, limit, phi=phi) for at, counts in guarded.items() if counts.calls
    ]
    points = eprocess.accumulate(shares, eprocess.restarts([min(guarded)], max(guarded)))
    for point in points:
        last = [at for at in (point.at - 120, point.at - 60, point.at) if at in guarded]
        above = [at for at in last if hits[at] > limit * guarded[at].calls]
        if point.log_e >= math.log(1 / alpha) and len(above) >= MIN_BAD_MINUTES:
            calls, bad = sum(guarded[at].calls for at in last), sum(hits[at] for at in last)
            failed = Verdict(Outcome.FAIL, say.above_limit(rollout, (bad, calls), len(last), limit))
            return [failed], Trace(GUARD, points, math.log(1 / alpha), point.at)
    return [], Trace(GUARD, points, math.log(1 / alpha))
