"""Compare how many calls of each version were slow, with a tolerance. Pure.

A call is slow beyond the stable version's median of the hour before, or the owner's limit. The e-process of
`judge.eprocess` asks whether the canary's odds of a slow call are more than TOLERATED times the stable
version's; one minute is worth the likelihood ratio of Fisher's noncentral hypergeometric law

    ln e_i = x ln(omega / 1.5) - ln P(omega) + ln P(1.5)      omega in 1.5 * OMEGAS; P: `judge.strata`

whose mean is at most 1 for every odds ratio up to 1.5, since the law's likelihood ratio rises with x.

*Why the median.* New environments serve cold calls first and are slower for minutes. Where a share c of the
calls is, odds of 0.5 : 0.5 become (1 + c) : (1 - c), at most 1.5 for c = 20 %; odds of 0.1 : 0.9 nearly
triple. For the same reason the first three whole minutes after each increase are left out.

It fails like the comparison of errors, with a floor of ten percentage points. Its reason is over, and it
fails no more, once the last ten minutes speak for the canary: their own evidence, the mean over the
alternatives, is below 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from deployer.judge import comparison, eprocess, strata
from deployer.judge.comparison import Comparison
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.judge.eprocess import Share
from deployer.judge.strata import Stratum
from deployer.model import GateSettings

SLOW = "slow calls"
TOLERATED = 1.5
OMEGAS = (1.5, 2.0, 3.0, 5.0)
WARMING_S = 180
RECENT_S = 600


def of_slow(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar) -> Comparison:
    """Return the comparison of slow calls, on closed minutes, without what a person accepted."""
    rows = tuple(
        Stratum(m.at, m.canary.calls, m.canary.slow, m.stable.calls, m.stable.slow)
        for m in comparison.comparable(minutes, rollout)
        if m.source == TRAFFIC
        and m.at >= rollout.accepted_at
        and not any(start.at <= m.at < start.first_whole + WARMING_S for start in rollout.starts)
    )
    shares = tuple(map(_exact, strata.pooled(rows, [start.at for start in rollout.starts])))
    floor = settings.slow_floor_pct / 100
    return Comparison(SLOW, rows, shares, settings.alpha_per_metric, floor, omegas=OMEGAS)


def is_over(test: Comparison) -> bool:
    """Tell whether the last ten minutes alone speak for the canary."""
    last = [share for share in test.shares if share.at > test.shares[-1].at - RECENT_S]
    return eprocess.log_sum_exp(eprocess.growths(last, OMEGAS)) < math.log(len(OMEGAS))


def _exact(row: Stratum) -> Share:
    calls, marks = (row.canary_calls, row.stable_calls), round(row.canary_marks + row.stable_marks)
    means = strata.log_means(*calls, marks, OMEGAS, TOLERATED)
    return Share(row.at, row.canary_marks, marks, row.canary_calls / sum(calls), log_means=means)
