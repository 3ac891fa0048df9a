"""Compare the canary's errors with the stable version's, on the same minutes. Pure.

The e-process of `judge.eprocess` on each closed whole minute's errors. It fails when at some minute
E >= 1/alpha and, since the start with the strongest evidence, the canary failed at least 3 phi times, in at
least two minutes, and its error rate exceeds the stable version's by the floor. phi is how many errors count
as one, since errors come in runs (`judge.dispersion`). Every closed minute is looked at, so a rollout nobody
polled for a while is judged as if it had been.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import add

from deployer.judge import eprocess, places, strata
from deployer.judge.absolute import GUARD_SHARE, MIN_BAD_MINUTES
from deployer.judge.counts import TRAFFIC, Minute, RolloutSoFar
from deployer.judge.eprocess import Point, Share
from deployer.judge.sentences import ERRORS, Totals
from deployer.judge.strata import Stratum
from deployer.model import GateSettings

MIN_HITS = 3
EPISODE_MIN = 10
EPISODE_S = 3600


@dataclass(frozen=True)
class Comparison:
    """One metric of both versions: on which minutes, at which level, with which floor (a share, 0-1).

    `shares` are the same minutes as the e-process takes them; `phi` is how many marks count as one.
    """

    metric: str
    rows: tuple[Stratum, ...]
    shares: tuple[Share, ...]
    alpha: float
    floor: float
    phi: float = 1.0
    omegas: tuple[float, ...] = eprocess.OMEGAS

    @property
    def limit(self) -> float:
        """Return the evidence at which it can fail, ln(1/alpha), in nats."""
        return math.log(1 / self.alpha)


def of_errors(settings: GateSettings, minutes: Sequence[Minute], rollout: RolloutSoFar) -> Comparison:
    """Return the comparison of errors, on closed minutes; each source of calls has strata of its own."""
    compared = comparable(minutes, rollout)
    rows = {
        source: tuple(
            Stratum(m.at, m.canary.calls, m.canary.errors, m.stable.calls, m.stable.errors)
            for m in compared
            if m.source == source
        )
        for source in sorted({m.source for m in compared})
    }
    phi = rollout.dispersion.phi
    starts = [start.at for start in rollout.starts]
    # A call of our own making fails by itself.
    shares = tuple(
        _exact(row, phi if source == TRAFFIC else 1.0)
        for source, found in rows.items()
        for row in strata.pooled(found, starts)
    )
    every = tuple(sorted((row for found in rows.values() for row in found), key=lambda row: row.at))
    alpha = settings.alpha_per_metric * (1 - GUARD_SHARE)
    return Comparison(ERRORS, every, shares, alpha, settings.floor_pct / 100, phi)


def comparable(minutes: Sequence[Minute], rollout: RolloutSoFar) -> list[Minute]:
    """Return the whole minutes in which both versions had calls."""
    changed = places.changed(rollout)
    return [m for m in minutes if m.at not in changed and m.canary.calls and m.stable.calls]


def _exact(row: Stratum, phi: float) -> Share:
    """Return a stratum's errors with what chance alone would do to them."""
    bound = bounded(row)
    # Lambda counts whole errors; an app's own metric need not, and the bound holds for fractions too.
    if not float(bound.trials).is_integer() or bound.trials > row.canary_calls + row.stable_calls:
        return replace(bound, phi=phi)
    calls = (row.canary_calls, row.stable_calls)
    means = strata.log_means(*calls, round(bound.trials), eprocess.OMEGAS)
    return replace(bound, log_means=means, phi=phi)


def bounded(row: Stratum) -> Share:
    """Return a stratum's marks with the binomial bound."""
    calls = row.canary_calls + row.stable_calls
    return Share(row.at, row.canary_marks, row.canary_marks + row.stable_marks, row.canary_calls / calls)


def first_failure(test: Comparison, points: Sequence[Point]) -> tuple[Totals, Point] | None:
    """Return the first minute at which every condition for a failure holds, and the totals until then."""
    if all(point.log_e < test.limit for point in points):
        return None
    times = [row.at for row in test.rows]
    totals = list(accumulate(map(totals_of, test.rows), add, initial=Totals()))
    for point in points:
        if point.log_e >= test.limit:
            since, until = bisect_left(times, point.since), bisect_right(times, point.at)
            window = totals[until] - totals[since]
            if window.canary_hits >= MIN_HITS * test.phi and window.excess >= test.floor:
                bad_minutes = {row.at for row in test.rows[since:until] if row.canary_marks > 0}
                if len(bad_minutes) >= MIN_BAD_MINUTES:
                    return window, point
    return None


def is_open(test: Comparison, points: Sequence[Point], now: float) -> bool:
    """Tell whether the evidence is above its limit and more errors, or a second minute, will decide.

    A difference below the floor is closed. An episode is over, and decides nothing any more, once ten later
    minutes in which both versions had calls brought the canary no other error, or an hour is past.
    """
    if not points or points[-1].log_e < test.limit:
        return False
    window = test.rows[bisect_left([row.at for row in test.rows], points[-1].since) :]
    if sum(map(totals_of, window), Totals()).excess < test.floor:
        return False
    last_bad = max(row.at for row in window if row.canary_marks > 0)
    later = {row.at for row in window if row.at > last_bad}
    return len(later) < EPISODE_MIN and now - last_bad < EPISODE_S


def totals_of(row: Stratum) -> Totals:
    """Return one row as totals of itself."""
    return Totals(row.canary_calls, row.canary_marks, row.stable_calls, row.stable_marks)
