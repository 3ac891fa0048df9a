"""The gate's verdicts as sentences, for the log, the alias and the report. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from deployer.judge.counts import RolloutSoFar

ERRORS = "errors"
MOST_ROLLOUTS = 1_000_000  # beyond that, one more digit convinces nobody


@dataclass(frozen=True)
class Totals:
    """What both versions did over several minutes; `hits` are errors or slow calls."""

    canary_calls: int = 0
    canary_hits: float = 0
    stable_calls: int = 0
    stable_hits: float = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.canary_calls + other.canary_calls,
            self.canary_hits + other.canary_hits,
            self.stable_calls + other.stable_calls,
            self.stable_hits + other.stable_hits,
        )

    def __sub__(self, other: Totals) -> Totals:
        return self + Totals(-other.canary_calls, -other.canary_hits, -other.stable_calls, -other.stable_hits)

    @property
    def excess(self) -> float:
        """Return by how much the canary's rate (0-1) is above the stable version's."""
        return self.canary_hits / self.canary_calls - self.stable_hits / self.stable_calls


def worse(rollout: RolloutSoFar, total: Totals, log_e: float) -> str:
    """Say how far the canary's share of the errors is from its share of the calls, and how sure that is."""
    return (
        f"{_shares(rollout, total, ERRORS)} If it were no worse than v{rollout.stable}, {_chance(log_e)}"
        f"{_runs(rollout)} Rolling back."
    )


def slower(rollout: RolloutSoFar, total: Totals, log_e: float, tolerated: float) -> str:
    """Say how far the canary's share of the slow calls is from its share of all, and how sure that is."""
    return (
        f"{_shares(rollout, total, 'slow calls')} If its odds of one were at most {tolerated:g} times "
        f"those of v{rollout.stable}, {_chance(log_e)}"
    )


def undecided(rollout: RolloutSoFar, total: Totals, needed: float) -> str:
    """Say that the evidence is there, and that a failure needs more errors, or errors of another minute."""
    return (
        f"{_shares(rollout, total, ERRORS)} That is more than chance explains, and a rollback needs "
        f"{number(needed)} errors of two minutes."
    )


def _shares(rollout: RolloutSoFar, total: Totals, metric: str) -> str:
    calls = total.canary_calls + total.stable_calls
    marks = total.canary_hits + total.stable_hits
    return (
        f"v{rollout.canary} served {100 * total.canary_calls / calls:.1f} % of {number(calls)} requests "
        f"but produced {number(total.canary_hits)} of the {number(marks)} {metric}."
    )


def _chance(log_e: float) -> str:
    rare = number(rollouts(log_e))
    return f"evidence this strong would turn up in fewer than 1 of {rare} rollouts."


def _runs(rollout: RolloutSoFar) -> str:
    """Say how many errors counted as one, where it was not each by itself."""
    found = rollout.dispersion
    if not found.is_measured:
        return f" With less than six hours of history, {number(found.phi)} errors count as one."
    return f" Errors come in runs here: {number(found.phi)} count as one." if found.phi > 1 else ""


def no_worse(rollout: RolloutSoFar, total: Totals, floor: float | None) -> str:
    """Say what the canary was seen to do; `floor` (0-1) is given when it is worse, but not by that much."""
    calls = total.canary_calls + total.stable_calls
    if not total.stable_calls:
        return f"no minute so far has calls of both v{rollout.stable} and v{rollout.canary} to compare."
    marks = total.canary_hits + total.stable_hits
    found = f"no evidence that it is worse than v{rollout.stable}"
    if floor is not None:
        found = f"too few more than v{rollout.stable}, or under {100 * floor:g} percentage points more"
    return (
        f"v{rollout.canary} served {100 * total.canary_calls / calls:.1f} % of {number(calls)} requests "
        f"and produced {number(total.canary_hits)} of the {number(marks)} errors: {found}."
    )


def throttled(rollout: RolloutSoFar, found: tuple[int, int], highest: float) -> str:
    """Say that Lambda turned more calls away than ever last week; `found` are throttles and all calls."""
    throttles, calls = found
    return (
        f"{number(throttles)} of {number(calls)} calls in {rollout.windows.minutes} minutes were throttled, "
        f"{100 * throttles / calls:.1f} %, where last week it never was more than {100 * highest:.1f} %."
    )


def above_limit(rollout: RolloutSoFar, failed: tuple[float, int], minutes: int, limit: float) -> str:
    """Say that the canary fails more often than it may; `failed` is how many of how many calls."""
    bad, calls = failed
    return (
        f"v{rollout.canary} failed {number(bad)} of {number(calls)} requests in {minutes} minutes at "
        f"{rollout.current.weight_pct} % of traffic, {100 * bad / calls:.1f} % where at most "
        f"{100 * limit:.1f} % is allowed. Rolling back."
    )


def not_begun(rollout: RolloutSoFar) -> str:
    """Say that there is nothing to judge yet."""
    return f"v{rollout.canary} has had no traffic yet."


def not_read(rollout: RolloutSoFar, now: float) -> str:
    """Say since when nothing is known."""
    if rollout.read_at is None:
        return f"the metrics of v{rollout.canary} could not be read: what it does cannot be seen."
    return (
        f"the metrics of v{rollout.canary} were last read {number(now - rollout.read_at)} s ago: "
        "what it does cannot be seen."
    )


def missing(rollout: RolloutSoFar, version: str, expected: float) -> str:
    """Say that one version's numbers are missing where the other's are there."""
    canary_pct = rollout.current.weight_pct
    weight_pct = canary_pct if version == rollout.canary else 100 - canary_pct
    return (
        f"v{version} should have had about {number(expected)} requests at "
        f"{weight_pct:g} % of traffic, and none is in the metrics."
    )


def stale(rollout: RolloutSoFar, silent_s: float) -> str:
    """Say that both versions' numbers stopped."""
    return (
        f"the metrics of v{rollout.stable} and v{rollout.canary} stopped {number(silent_s)} s ago, "
        "though traffic was steady: what they do cannot be seen."
    )


def number(value: float) -> str:
    """Return a count as people read it: groups of three digits, and at most one digit after the point."""
    rounded = round(value, 1)
    return f"{rounded:,.{0 if rounded == int(rounded) else 1}f}".replace(",", " ")


def rollouts(log_e: float) -> int:
    """Return E, the number of rollouts of which fewer than one shows this, rounded down to two digits."""
    if log_e >= math.log(MOST_ROLLOUTS):
        return MOST_ROLLOUTS
    value = math.exp(log_e)
    unit = 10 ** max(0, int(math.log10(value)) - 1)
    return max(1, int(value // unit * unit))
