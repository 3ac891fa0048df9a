"""Exact strata: against counting by hand, never weaker than the bound, and pooled by calls alone."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.judge.eprocess import OMEGAS
from deployer.judge.strata import MOST_TERMS, Stratum, log_means, pooled

CALLS = st.integers(0, 400)


@pytest.mark.parametrize(
    ("canary", "stable", "marks"), [(2, 5, 3), (4, 4, 4), (1, 6, 1), (3, 2, 5), (0, 7, 2)]
)
def test_every_way_to_mark_calls_counted(canary, stable, marks):
    """The mean is over all sets of so many calls, listed."""
    sets = list(combinations(range(canary + stable), marks))
    for omega, found in zip(OMEGAS, log_means(canary, stable, marks, OMEGAS), strict=True):
        listed = sum(omega ** sum(call < canary for call in chosen) for chosen in sets) / len(sets)
        assert found == pytest.approx(math.log(listed), abs=1e-12)


@given(CALLS, CALLS, st.data())
def test_it_is_never_above_the_bound(canary, stable, data):
    """So the evidence is never weaker than the bound's, whether or not the sum is short enough."""
    marks = data.draw(st.integers(0, canary + stable))
    found = log_means(canary, stable, marks, OMEGAS)
    for omega, value in zip(OMEGAS, found, strict=True):
        rho = canary / max(1, canary + stable)
        assert value <= marks * math.log1p(rho * (omega - 1)) + 1e-9
        assert value >= -1e-9


def test_a_long_sum_is_replaced_by_the_bound():
    """Hundreds of marks among thousands of calls of each version take no long sum."""
    marks = MOST_TERMS + 1
    assert log_means(1000, 9000, marks, (2.0,)) == (marks * math.log1p(0.1),)
    assert log_means(1000, 9000, MOST_TERMS, (2.0,))[0] < MOST_TERMS * math.log1p(0.1)


def test_minutes_are_pooled_to_ten_calls_within_a_step():
    """Six calls wait for the next minute; what waits when the step ends is dropped."""
    minutes = [Stratum(60 * n, 1, n % 2, 5, 0) for n in range(5)]
    assert pooled(minutes, ()) == (Stratum(60, 2, 1, 10, 0), Stratum(180, 2, 1, 10, 0))
    assert pooled(minutes, (60.0,)) == (Stratum(120, 2, 1, 10, 0), Stratum(240, 2, 1, 10, 0))
    full = [Stratum(60 * n, 1, 1, 9, 0) for n in range(3)]
    assert pooled(full, (60.0,)) == tuple(full)
