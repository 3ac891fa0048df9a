"""How errors come: each by itself, or in runs. Measured on the week before a rollout. Pure.

A sick environment, one customer or an event with three tries fails many calls on one version. A comparison
that takes each error for a witness of its own is then wrong far more often than it says. phi is how many
errors count as one: the index of dispersion of the errors of 15-minute blocks, by successive differences, so
that what changes slowly over a day cancels.

    blocks: calls n_b, errors x_b;  r = x / n;  h = n_b n_b+1 / (n_b + n_b+1)
    D   = sum (n_b + n_b+1) h (r_b - r_b+1)^2 / sum (x_b + x_b+1)     over neighbours that both have calls
    se  = sqrt((3 + 1 / mu) / pairs), mu = mean errors of a block
    phi = D if D > 1 + 3 se else 1

*Why it is enough.* Where runs of errors fall on one version as a whole and on which at random, D estimates
E[S^2] / E[S] of the size S of a run, the scale of quasi-likelihood. Dividing ln e by phi > 1 keeps each
factor's mean at most 1 for errors that come by themselves (Jensen); for runs it is asymptotic, and simulated
(`benchmarks/clusters.py`).

*What is left out.* The worst K = floor(0.005 T / X) stretches of a block and its two neighbours, with T
minutes of history and X minutes of the whole traffic that the canary will serve. At most K such episodes in
T minutes fall into the canary's share in at most K X / T <= 0.5 % of rollouts. So one outage last week costs
no power.

Reference: von Neumann, Distribution of the Ratio of the Mean Square Successive Difference to the Variance,
Annals of Mathematical Statistics 12, 1941. McCullagh & Nelder, Generalized Linear Models, 1989, chapter 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from deployer.judge.counts import BLOCK_S, Block, Dispersion

SHORTEST_HISTORY_S = 6 * 3600  # an hour holds none or one run: too few to measure how long they are
UNMEASURED = 5.0
LEFT_OUT_SHARE = 0.005
STANDARD_ERRORS = 3.0


def dispersion(blocks: Sequence[Block], *, exposure_min: float, attempts: int = 1) -> Dispersion:
    """Return phi of the blocks, oldest first, those without calls included.

    `exposure_min` is the weight (0-1) times the minutes of a rollout, summed over its steps; `attempts` is
    how often the source tries a failing call, which counts where the history is shorter than six hours.
    """
    begun = next((place for place, block in enumerate(blocks) if block.calls), len(blocks))
    history = blocks[begun:]
    measured = len(history) * BLOCK_S >= SHORTEST_HISTORY_S
    kept = _without_worst(history, _left_out(len(history), exposure_min)) if measured else list(history)
    phi = _phi(kept)
    return Dispersion(phi) if measured else Dispersion(max(phi, UNMEASURED, attempts), is_measured=False)


def _left_out(blocks: int, exposure_min: float) -> int:
    """Return how many stretches may be left out for a rollout that puts so much traffic at risk."""
    return math.floor(LEFT_OUT_SHARE * blocks * BLOCK_S / 60 / exposure_min) if exposure_min > 0 else 0


def _without_worst(blocks: Sequence[Block], stretches: int) -> list[Block | None]:
    """Return the blocks with None for those furthest above the mean, each with both neighbours."""
    kept: list[Block | None] = list(blocks)
    calls, errors = sum(b.calls for b in blocks), sum(b.errors for b in blocks)
    rate = errors / calls if calls else 0.0
    for _ in range(stretches):
        excess, place = max((b.errors - rate * b.calls, -at) for at, b in enumerate(kept) if b is not None)
        if excess <= 0:
            break
        for at in range(max(0, -place - 1), min(len(kept), -place + 2)):
            kept[at] = None
        if not any(kept):
            break
    return kept


def _phi(blocks: Sequence[Block | None]) -> float:
    """Return the dispersion by successive differences; 1 where it cannot be told from chance."""
    pairs = [(a, b) for a, b in pairwise(blocks) if a and b and a.calls and b.calls]
    errors = sum(a.errors + b.errors for a, b in pairs)
    if not errors:
        return 1.0
    # (n_b + n_b+1) h is the product of the calls.
    spread = math.fsum(a.calls * b.calls * (a.errors / a.calls - b.errors / b.calls) ** 2 for a, b in pairs)
    found = spread / errors
    standard_error = math.sqrt((3 + 2 * len(pairs) / errors) / len(pairs))
    return found if found > 1 + STANDARD_ERRORS * standard_error else 1.0
