"""What a rollout's steps can prove with last week's traffic, before any traffic moves. Pure.

For a stable error rate p0 and a canary's p1 at weight w and N calls per minute, one minute has on average

    lambda = N (w p1 + (1 - w) p0)        errors, of which the canary has the share
    s      = N w p1 / lambda              where w would be fair, so it is worth
    lambda * KL(s || w)                   nats, KL(s||w) = s ln(s/w) + (1-s) ln((1-s)/(1-w))

and the e-process of `deployer.eprocess` has to reach ln(K / alpha): K = 7 alternatives x 2, as the
rollout's own start has half of the weight. The canary must also have failed three times, in two minutes.
Where errors come in runs, phi of them count as one (`judge.dispersion`): all that is needed is phi times as
much.
The numbers are averages, not promises; `benchmarks/rollout_power.py` simulates the whole rule.

Reference: the expected growth of a likelihood ratio is the Kullback-Leibler divergence (Wald 1945).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from deployer.judge.absolute import GUARD_SHARE, MIN_BAD_MINUTES
from deployer.judge.comparison import MIN_HITS
from deployer.judge.counts import Dispersion
from deployer.judge.eprocess import OMEGAS, start_weight
from deployer.model import GateSettings, RolloutPlan, Step

LAG_MIN = 3.0
REGRESSIONS_PCT = (100.0, 20.0, 5.0, 1.0)
POWER = 0.95
_Z = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class StepTraffic:
    """What one step will probably see: the canary's calls in all, and whether that is enough to judge.

    Calls of its last minutes, unsettled when it ends, do not count towards that.
    """

    weight_pct: float
    bake_s: int
    canary_calls: float
    is_enough: bool


@dataclass(frozen=True)
class Detection:
    """How fast one regression is found.

    `canary_pct` is the canary's error rate in percent. `minutes` from the first traffic to the rollback,
    metric lag included, None when the steps end before. `failed_requests` are those until then, or in
    all steps together.
    """

    canary_pct: float
    minutes: float | None
    failed_requests: float


@dataclass(frozen=True)
class Estimate:
    """What `plan` prints about a rollout.

    `calls_per_minute` is last week's median minute, `stable_pct` the stable version's error rate in percent,
    `smallest_pct` the smallest error rate that at least 95 % of the rollouts find, None when not even 100 %.
    """

    calls_per_minute: float
    stable_pct: float
    steps: tuple[StepTraffic, ...]
    detections: tuple[Detection, ...]
    smallest_pct: float | None
    dispersion: Dispersion
    shortest_s: int
    longest_s: int


def estimate(
    plan: RolloutPlan,
    settings: GateSettings,
    invocations: Sequence[float],
    stable_error_rate: float = 0.001,
    dispersion: Dispersion | None = None,
) -> Estimate:
    """Return what the plan can prove.

    `invocations` are last week's calls, minute by minute, quiet minutes as zeros; `stable_error_rate` is
    last week's (0-1), `dispersion` how its errors came. The mean is used where the median is zero, so that
    rare calls are not read as none.
    """
    rpm = _usual(invocations)
    steps = tuple(
        StepTraffic(
            step.weight_pct,
            step.bake_s,
            calls := rpm * step.weight_pct / 100 * step.bake_s / 60,
            calls >= 1,
        )
        for step in plan.steps
    )
    p0 = min(max(stable_error_rate, 0.0), 0.99)
    dispersion = dispersion or Dispersion()
    needs = _Needs.of(settings, dispersion)
    shortest_s = sum(step.bake_s for step in plan.steps)
    return Estimate(
        calls_per_minute=rpm,
        stable_pct=100 * p0,
        steps=steps,
        detections=tuple(
            _detection(plan.steps, needs, rpm, p0, pct / 100) for pct in REGRESSIONS_PCT if pct / 100 > p0
        ),
        smallest_pct=_smallest(plan.steps, needs, rpm, p0),
        dispersion=dispersion,
        shortest_s=shortest_s,
        longest_s=shortest_s + round(len(plan.steps) * LAG_MIN * 60),
    )


def describe_estimate(found: Estimate) -> str:
    """Return the estimate as two small tables and what they mean, for a terminal."""
    if not found.steps:
        return "all traffic at once: no step compares the new version with the stable one"
    lines = [
        f"last week: {_calls(found.calls_per_minute)} calls per minute, "
        f"{found.stable_pct:.2g} % of them failed",
        "",
        "step   weight     bake   canary calls",
    ]
    for number, step in enumerate(found.steps, 1):
        note = "" if step.is_enough else "   too few to judge"
        lines.append(
            f"{number:>4}   {step.weight_pct:>4} %   {_minutes(step.bake_s):>6}   "
            f"{_calls(step.canary_calls):>12}{note}"
        )
    lines += ["", "canary fails   found after   failed requests"]
    for case in found.detections:
        after = "not found" if case.minutes is None else f"{case.minutes:.0f} min"
        lines.append(f"{case.canary_pct:>10g} %   {after:>11}   {_calls(case.failed_requests):>15}")
    lines += [
        "",
        *_runs(found.dispersion),
        _meaning(found),
        f"takes {_minutes(found.shortest_s)} to {_minutes(found.longest_s)}",
    ]
    return "\n".join(lines)


def _runs(found: Dispersion) -> list[str]:
    """Say how many errors count as one, where it is not each by itself."""
    if not found.is_measured:
        return [f"less than six hours of history: {found.phi:.0f} errors count as one"]
    return [f"errors came in runs last week: {found.phi:.1f} count as one"] if found.phi > 1 else []


def _meaning(found: Estimate) -> str:
    """Say in one sentence what these steps protect from."""
    if found.smallest_pct is None:
        return (
            "THIS TRAFFIC PROVES NOTHING: a version that fails every call may not be noticed in these steps; "
            "make them longer or heavier, or add probes"
        )
    few = [str(n) for n, step in enumerate(found.steps, 1) if not step.is_enough]
    steps = "step" if len(few) == 1 else "steps"
    waits = f"; {steps} {', '.join(few)} may show nothing for want of calls" if few else ""
    return f"19 of 20 releases that fail {found.smallest_pct:.2g} % of their calls or more are found{waits}"


def _usual(invocations: Sequence[float]) -> float:
    if not invocations:
        return 0.0
    return statistics.median(invocations) or statistics.fmean(invocations)


@dataclass(frozen=True)
class _Needs:
    """What it takes to roll back: evidence in nats whatever alternative is true, errors, excess (0-1)."""

    evidence: float
    phi: float
    floor: float

    @classmethod
    def of(cls, settings: GateSettings, dispersion: Dispersion) -> _Needs:
        alternatives = len(OMEGAS) / start_weight(1)
        evidence = math.log(alternatives / (settings.alpha_per_metric * (1 - GUARD_SHARE)))
        return cls(dispersion.phi * evidence, dispersion.phi, settings.floor_pct / 100)


def _detection(steps: Sequence[Step], needs: _Needs, rpm: float, p0: float, p1: float) -> Detection:
    """Walk through the steps minute by minute until the expected evidence suffices."""
    weights = [step.weight_pct / 100 for step in steps for _ in range(step.bake_s // 60)]
    evidence = errors = 0.0
    for minute, weight in enumerate(weights, 1):
        evidence += _growth(rpm, weight, p0, p1)
        errors += rpm * weight * p1
        enough = evidence >= needs.evidence and errors >= MIN_HITS * needs.phi
        if enough and minute >= MIN_BAD_MINUTES and p1 - p0 >= needs.floor:
            until = minute + int(LAG_MIN)
            if until > len(weights):
                break
            return Detection(100 * p1, minute + LAG_MIN, rpm * (p1 - p0) * sum(weights[:until]))
    return Detection(100 * p1, None, rpm * (p1 - p0) * sum(weights))


def _growth(rpm: float, weight: float, p0: float, p1: float) -> float:
    """Return lambda * KL(s || w): the nats one minute is worth on average."""
    rate = weight * p1 + (1 - weight) * p0  # per call
    if not rate:
        return 0.0
    share = min(1.0, weight * p1 / rate)
    rest = (1 - share) * math.log((1 - share) / (1 - weight)) if share < 1 else 0.0
    return rpm * rate * (share * math.log(share / weight) + rest)


def _smallest(steps: Sequence[Step], needs: _Needs, rpm: float, p0: float) -> float | None:
    """Return the smallest canary error rate, in percent, that 95 % of the rollouts find; None if none is."""
    low, high = min(1.0, p0 + needs.floor), 1.0
    if not _is_found(steps, needs, rpm, (p0, high)):
        return None
    if _is_found(steps, needs, rpm, (p0, low)):
        return 100 * low
    for _ in range(30):
        middle = (low + high) / 2
        if _is_found(steps, needs, rpm, (p0, middle)):
            high = middle
        else:
            low = middle
    return 100 * high


def _is_found(steps: Sequence[Step], needs: _Needs, rpm: float, rates: tuple[float, float]) -> bool:
    """Return whether the evidence at the end of the steps, less 1.645 standard deviations, suffices.

    Errors are Poisson. The last minutes, still unsettled when the last step ends, do not count.
    """
    p0, p1 = rates
    minutes = [step.weight_pct / 100 for step in steps for _ in range(step.bake_s // 60)]
    minutes = minutes[: max(0, len(minutes) - int(LAG_MIN))]
    errors = sum(rpm * weight * p1 for weight in minutes)
    if errors < _ERRORS_NEEDED * needs.phi or len(minutes) < MIN_BAD_MINUTES:
        return False
    # Errors that come in runs of phi scatter by sqrt(phi) more.
    scattered = math.sqrt(needs.phi)
    found = (_low_evidence(minutes, (omega, scattered), rpm, rates) for omega in OMEGAS)
    return p1 > p0 and any(evidence >= needs.evidence for evidence in found)


def _low_evidence(
    weights: Sequence[float], alternative: tuple[float, float], rpm: float, rates: tuple[float, float]
) -> float:
    """Return the evidence for one alternative, of such a scatter, that 95 % of the rollouts exceed."""
    p0, p1 = rates
    omega, scattered = alternative
    mean = variance = 0.0
    for weight in weights:
        cost = math.log1p(weight * (omega - 1))
        gain = math.log(omega) - cost
        canary, stable = rpm * weight * p1, rpm * (1 - weight) * p0
        mean += canary * gain - stable * cost
        variance += canary * gain**2 + stable * cost**2
    return mean - _Z * scattered * math.sqrt(variance)


def _calls(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 10 else f"{value:.2g}"


def _minutes(seconds: int) -> str:
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


_ERRORS_NEEDED = 6.3  # a Poisson number with this mean is at least MIN_HITS in 95 of 100 cases
