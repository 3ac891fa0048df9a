"""What a rollout costs on each driver, before it starts. Pure.

Estimates in US dollars at list prices of us-east-1, without free tiers, taxes or discounts; the prices are
constants with where and when they were read. What the function itself costs is the same on every driver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from deployer.drivers.handover import POLL_S as DURABLE_POLL_S

# Linux, 2 cores, since 1 January 2026; free for public repositories and within a plan's included minutes.
# Source: https://docs.github.com/en/billing/reference/actions-runner-pricing
RUNNER_USD_PER_MINUTE = 0.006
# List prices of 2026 without discounts or free tiers; compare them with your own bill.
# Source: https://aws.amazon.com/lambda/pricing/
LAMBDA_USD_PER_REQUEST = 0.20 / 1e6
LAMBDA_USD_PER_GB_S = 0.0000166667  # x86_64, the dearer one
DURABLE_USD_PER_OPERATION = 8.00 / 1e6
# GetMetricData, for each metric asked for. Source: https://aws.amazon.com/cloudwatch/pricing/
METRIC_USD = 0.01 / 1000

RUNNER_POLL_S = 15  # `rollout.POLL_S`, which is not pure to import; a test compares them
# What one look asks for: calls, errors, throttles and slow calls of two versions.
# The hour before is read once by a runner, and by every look of the durable function.
METRICS_PER_LOOK = 8
METRICS_OF_BASELINE = 4
# Assumed, on the safe side: two seconds at 512 MB, cold starts included.
LOOK_GB_S = 0.5 * 2.0


@dataclass(frozen=True)
class Cost:
    """What a driver costs for one rollout; `usd` is what is paid for, `sentence` says for what."""

    driver: str
    usd: float
    sentence: str


def estimate(driver: str, duration_s: float) -> Cost:
    """Return what a rollout of that many seconds costs on `runner`, `durable` or `codedeploy`."""
    match driver:
        case "runner":
            return _runner(duration_s)
        case "durable":
            return _durable(duration_s)
        case "codedeploy":
            return _codedeploy(duration_s)
    raise ValueError(f"unknown driver `{driver}`")


def describe(chosen: str, duration_s: float) -> str:
    """Return one line per driver, the chosen one marked."""
    lines = []
    for driver in ("runner", "durable", "codedeploy"):
        cost = estimate(driver, duration_s)
        head = "cost *" if driver == chosen else "cost"
        lines.append(f"{head:<10} {driver:<10} ${cost.usd:.3f}: {cost.sentence}")
    return "\n".join(lines)


def _runner(duration_s: float) -> Cost:
    """GitHub bills each job by the started minute."""
    minutes = math.ceil(duration_s / 60)
    looks = math.ceil(duration_s / RUNNER_POLL_S) + 1
    metrics = looks * METRICS_PER_LOOK + METRICS_OF_BASELINE
    usd = minutes * RUNNER_USD_PER_MINUTE + metrics * METRIC_USD
    return Cost("runner", usd, f"{minutes} runner minutes, {metrics} metrics read")


def _durable(duration_s: float) -> Cost:
    """Each look is one invocation and one durable operation; between looks nothing runs."""
    looks = math.ceil(duration_s / DURABLE_POLL_S) + 1
    metrics = looks * (METRICS_PER_LOOK + METRICS_OF_BASELINE)
    per_look = LAMBDA_USD_PER_REQUEST + LOOK_GB_S * LAMBDA_USD_PER_GB_S + DURABLE_USD_PER_OPERATION
    usd = looks * per_look + DURABLE_USD_PER_OPERATION + metrics * METRIC_USD
    return Cost("durable", usd, f"{looks} invocations, {metrics} metrics read")


def _codedeploy(duration_s: float) -> Cost:
    """CodeDeploy is free for Lambda; what is paid for is the job that watches it.

    Source: https://aws.amazon.com/codedeploy/pricing/
    """
    minutes = math.ceil(duration_s / 60)
    usd = minutes * RUNNER_USD_PER_MINUTE
    return Cost("codedeploy", usd, f"{minutes} runner minutes that watch; CodeDeploy is free for Lambda")
