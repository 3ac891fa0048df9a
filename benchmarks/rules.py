"""What other tools do to judge a canary, to compare the gate with. Pure.

Each takes a run and returns after how many closed minutes it rolls back, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from benchmarks.traffic import HORIZON, RAMP, SPLIT_MINUTES, Row, Run
from deployer.judge.counts import Counts, Minute, StepStart

INTERVAL = 5
STARTS = tuple(
    StepStart(minute * 60, weight)
    for minute, weight in enumerate(RAMP)
    if minute == 0 or weight != RAMP[minute - 1]
)


@dataclass(frozen=True)
class Rule:
    """One way to judge.

    `lag`: minutes from the end of a minute until the rule acts on it. `weights`: the canary's share of the
    traffic (percent) in each minute as long as nothing is found; afterwards it has all of it.
    """

    name: str
    judge: Callable[[Run], int | None]
    lag: int
    weights: tuple[int, ...] = RAMP


def minutes_of(rows: Sequence[Row]) -> list[Minute]:
    """Return simulated minutes as the gate reads them."""
    return [
        Minute(
            place * 60,
            Counts(row.canary_calls, row.canary_errors),
            Counts(row.stable_calls, row.stable_errors),
        )
        for place, row in enumerate(rows)
    ]


def any_error(run: Run) -> int | None:
    """Roll back at the first error of the canary."""
    return next((at for at, row in enumerate(run.ramp[: len(RAMP)], 1) if row.canary_errors), None)


def threshold(run: Run) -> int | None:
    """Roll back when more than 1 % of the canary's calls failed in two minutes running."""
    bad = [row.canary_errors > 0.01 * row.canary_calls for row in run.ramp[: len(RAMP)]]
    return _two_running(bad)


def code_deploy_canary(run: Run) -> int | None:
    """LambdaCanary10Percent5Minutes with AWS's sample alarms, until it has given the canary everything."""
    return _error_alarms(run.canary[:5])


def code_deploy_linear(run: Run) -> int | None:
    """LambdaLinear10PercentEvery1Minute with AWS's sample alarms, until the canary has everything."""
    return _error_alarms(run.linear[:SPLIT_MINUTES])


def peeked_z_test(run: Run) -> int | None:
    """Roll back when, at any minute, a one-sided z-test on the totals so far says p < 0.05."""
    calls = errors = stable_calls = stable_errors = 0
    for at, row in enumerate(run.ramp[: len(RAMP)], 1):
        calls += row.canary_calls
        errors += row.canary_errors
        stable_calls += row.stable_calls
        stable_errors += row.stable_errors
        pooled = (errors + stable_errors) / max(calls + stable_calls, 1)
        if calls and stable_calls and 0 < pooled < 1:
            spread = math.sqrt(pooled * (1 - pooled) * (1 / calls + 1 / stable_calls))
            if (errors / calls - stable_errors / stable_calls) / spread > 1.645:
                return at
    return None


def mann_whitney(run: Run) -> int | None:
    """Every five minutes, compare both versions' error rates per minute; roll back at p < 0.05, two-sided.

    So does the analysis of PipeCD. Normal approximation with ties and correction for continuity.
    """
    for end in range(INTERVAL, len(RAMP) + 1, INTERVAL):
        canary, stable = _rates(run.ramp[end - INTERVAL : end])
        n, m = len(canary), len(stable)
        if not n or not m:
            continue
        above = sum((c > s) + (c == s) / 2 for c in canary for s in stable)
        values = canary + stable
        ties = sum(values.count(v) ** 3 - values.count(v) for v in set(values))
        total = n + m
        variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
        if variance > 0 and (above - n * m / 2 - 0.5) / math.sqrt(variance) > 1.96:
            return end
    return None


def kayenta(run: Run) -> int | None:
    """Kayenta's judge, once after an hour: fail when the confidence interval lies above the tolerance.

    98 % interval of the Hodges-Lehmann shift between the error rates per minute; tolerance 0.25 x shift.
    Source: https://github.com/spinnaker/kayenta, MannWhitneyClassifier.
    """
    canary, stable = _rates(run.ramp)
    n, m = len(canary), len(stable)
    if not n or not m:
        return None
    shifts = sorted(c - s for c in canary for s in stable)
    cut = n * m / 2 - _Z98 * math.sqrt(n * m * (n + m + 1) / 12)
    shift, lower = shifts[len(shifts) // 2], shifts[max(0, int(cut))]
    return HORIZON if lower > 0.25 * abs(shift) else None


def _rates(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return each version's error rate per minute, without the minutes it had no calls in."""
    return (
        [row.canary_errors / row.canary_calls for row in rows if row.canary_calls],
        [row.stable_errors / row.stable_calls for row in rows if row.stable_calls],
    )


def _error_alarms(rows: Sequence[Row]) -> int | None:
    """Errors above 0 in two minutes running, of the canary or of the alias.

    Source: the alarms of
    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html
    """
    found = [
        _two_running([row.canary_errors > 0 for row in rows]),
        _two_running([row.canary_errors + row.stable_errors > 0 for row in rows]),
    ]
    return min((at for at in found if at), default=None)


def _two_running(bad: Sequence[bool]) -> int | None:
    return next((at for at, (one, two) in enumerate(pairwise(bad), 2) if one and two), None)


_Z98 = NormalDist().inv_cdf(0.99)

RULES: Mapping[str, Rule] = {
    "any-error": Rule("any error", any_error, lag=1),
    "threshold": Rule("> 1 % in 2 of 2 minutes", threshold, lag=1),
    "codedeploy-canary": Rule("CodeDeploy Canary10Percent5Minutes", code_deploy_canary, 1, (10,) * 5),
    "codedeploy-linear": Rule(
        "CodeDeploy Linear10PercentEvery1Minute", code_deploy_linear, 1, tuple(range(10, 101, 10))
    ),
    "z-test": Rule("z-test every minute", peeked_z_test, lag=1),
    "mann-whitney": Rule("Mann-Whitney every 5 minutes", mann_whitney, lag=1),
    "kayenta": Rule("Kayenta once after 60 minutes", kayenta, 1, (*RAMP, *((25,) * 10))),
    "at-once": Rule("all at once", lambda _run: None, 0, ()),
}


def excess_failures(rule: Rule, found: int | None, rpm: int, excess: float) -> float:
    """Return how many more requests fail than without the canary, until the rollback or the end of the hour.

    `excess` is the canary's error rate minus the stable version's (0-1).
    """
    until = HORIZON if found is None else min(HORIZON, found + rule.lag)
    shares = [rule.weights[m] if m < len(rule.weights) else 100 for m in range(until)]
    return sum(shares) / 100 * rpm * excess
