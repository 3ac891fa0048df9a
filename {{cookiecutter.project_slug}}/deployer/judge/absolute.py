"""Judge the canary by itself, where little is left to compare it with. Pure.

At more than half of the traffic the canary fails when its error rate was above max(SLO, 3 x the hour before)
in two of the last three closed minutes, and an e-process with rho = that limit and every call as a trial, phi
of them as one, says so at the level alpha_errors / 10, and the *control* does not object.

The control is the stable version's share of the same minutes. In an outage it fails as well, and an error
rate alone cannot tell that from a bad canary. So the comparison must point to the canary: for omega = 5 or
omega = 30 the product of e_i(omega) over the present place is at least 40. In an outage of both versions
each reaches 40 with a probability of at most 1 in 40 (Ville 1939), so at most 5 % of outages roll back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deployer.judge import eprocess
from deployer.judge import sentences as say
from deployer.judge.counts import TRAFFIC, Counts, Minute, RolloutSoFar
from deployer.judge.eprocess import Share, Trace
from deployer.model import GateSettings, Outcome, Verdict

GUARD = "error rate"
MIN_BAD_MINUTES = 2
VETO = (eprocess.OMEGAS.index(5.0), eprocess.OMEGAS.index(30.0))
VETO_E = 40.0
GUARD_SHARE = 0.1  # of the errors' alpha; at more than half of the traffic, data is what there is enough of


def guarded(minutes: Sequence[Minute], rollout: RolloutSoFar) -> dict[int, Counts]:
    """Return the canary's traffic where the stable version has less than it, or none, by minute."""
    since = min((start.at for start in rollout.starts if start.weight_pct > 50), default=math.inf)
    return {m.at: m.canary for m in minutes if m.at >= since and m.source == TRAFFIC}


def error_limit(settings: GateSettings, before: Counts, phi: float = 1.0) -> float:
    """Return the error rate (0-1) a canary may have by itself: max(SLO, 3 x the hour before).

    One run of errors is added to that hour, so that few calls without any do not make the limit too low.
    """
    usual = (before.errors + phi) / (before.calls + phi) if before.calls else 0.0
    return min(0.5, max(settings.slo_error_pct / 100, 3 * usual))


def above_limit(
    settings: GateSettings, guarded: Mapping[int, Counts], rollout: RolloutSoFar, compared: Sequence[Share]
) -> tuple[list[Verdict], Trace]:
    """Judge the canary's error rate by itself; `compared` are both versions' errors, as strata."""
    phi = rollout.dispersion.phi
    limit = error_limit(settings, rollout.before, phi)
    alpha = settings.alpha_per_metric * GUARD_SHARE
    hits = {at: counts.errors for at, counts in guarded.items()}
    shares = [
        Share(at, hits[at], counts.calls, limit, phi=phi) for at, counts in guarded.items() if counts.calls
    ]
    points = eprocess.accumulate(shares, eprocess.restarts([min(guarded)], max(guarded)))
    trace = Trace(GUARD, points, math.log(1 / alpha))
    agreed = agreeing(compared, rollout, guarded)
    for point in points:
        last = [at for at in (point.at - 120, point.at - 60, point.at) if at in guarded]
        above = [at for at in last if hits[at] > limit * guarded[at].calls]
        if point.log_e >= trace.limit and len(above) >= MIN_BAD_MINUTES and point.at in agreed:
            calls, bad = sum(guarded[at].calls for at in last), sum(hits[at] for at in last)
            failed = Verdict(Outcome.FAIL, say.above_limit(rollout, (bad, calls), len(last), limit))
            return [failed], replace(trace, failed_at=point.at)
    return [], trace


def agreeing(
    compared: Sequence[Share], rollout: RolloutSoFar, guarded: Mapping[int, Counts]
) -> frozenset[int]:
    """Return the minutes at which the control does not object: the comparison points to the canary enough."""
    strata: dict[int, list[Share]] = {}
    for share in compared:
        strata.setdefault(share.at, []).append(share)
    found, place, grown = set(), -math.inf, [0.0, 0.0]
    for at in sorted({*guarded, *strata}):
        begun = max((start.at for start in rollout.starts if start.at <= at), default=place)
        if begun > place:
            place, grown = begun, [0.0, 0.0]
        more = eprocess.growths(strata.get(at, []))
        grown = [grown[0] + more[VETO[0]], grown[1] + more[VETO[1]]]
        if max(grown) >= math.log(VETO_E):
            found.add(at)
    return frozenset(found)
