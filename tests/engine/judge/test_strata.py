"""Exact strata: against counting by hand, never weaker than the bound, and pooled by calls alone."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.judge import slow
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


@pytest.mark.parametrize("odds", [1.0, 1.5, 3.0])
@pytest.mark.parametrize(
    ("canary", "stable", "marks"), [(6, 9, 7), (90, 10, 50), (300, 700, 480), (3, 900, 450)]
)
def test_the_sum_from_its_highest_term_is_the_whole_sum(canary, stable, marks, odds):
    """What is left out is below what a float holds, with odds and without."""

    def polynomial(weight: Fraction) -> Fraction:
        ks = range(max(0, marks - stable), min(canary, marks) + 1)
        return sum((math.comb(canary, k) * math.comb(stable, marks - k) * weight**k for k in ks), Fraction(0))

    found = log_means(canary, stable, marks, (1.5, 5.0), odds)
    if odds == 1.0 and min(canary, marks) - max(0, marks - stable) > MOST_TERMS:
        return
    for omega, value in zip((1.5, 5.0), found, strict=True):
        exact = polynomial(Fraction(odds) * Fraction(omega)) / polynomial(Fraction(odds))
        assert value == pytest.approx(math.log(exact), abs=1e-9)


@pytest.mark.parametrize(
    ("canary", "stable", "marks"),
    [(20_000, 20_000, 10_000), (38_000, 2_000, 30_000), (2_000, 38_000, 30_000)],
)
def test_a_busy_stratum_is_summed_from_where_its_terms_are_high(canary, stable, marks):
    """From anywhere else the sum would leave the range of a float; here it agrees with one of logarithms."""

    def log_polynomial(weight: float) -> float:
        ks = range(max(0, marks - stable), min(canary, marks) + 1)
        terms = [
            math.log(weight) * k
            - sum(math.lgamma(n + 1) for n in (k, canary - k, marks - k, stable - marks + k))
            for k in ks
        ]
        highest = max(terms)
        return highest + math.log(math.fsum(math.exp(term - highest) for term in terms))

    found = log_means(canary, stable, marks, (1.5, 5.0), 1.5)
    for omega, value in zip((1.5, 5.0), found, strict=True):
        assert value == pytest.approx(log_polynomial(1.5 * omega) - log_polynomial(1.5), abs=1e-6)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 1.5), st.data())
def test_odds_up_to_the_tolerated_ones_are_a_fair_bet(canary, stable, odds, data):
    """Computed exactly: a canary whose odds are at most 1.5 times higher gains nothing on average."""
    marks = data.draw(st.integers(1, canary + stable))
    ks = range(max(0, marks - stable), min(canary, marks) + 1)
    chances = [math.comb(canary, k) * math.comb(stable, marks - k) * odds**k for k in ks]
    for omega, mean in zip(slow.OMEGAS, log_means(canary, stable, marks, slow.OMEGAS, 1.5), strict=True):
        gains = [chance * math.exp(k * math.log(omega) - mean) for k, chance in zip(ks, chances, strict=True)]
        assert math.fsum(gains) / math.fsum(chances) <= 1 + 1e-9


def test_minutes_are_pooled_to_ten_calls_within_a_step():
    """Six calls wait for the next minute; what waits when the step ends is dropped."""
    minutes = [Stratum(60 * n, 1, n % 2, 5, 0) for n in range(5)]
    assert pooled(minutes, ()) == (Stratum(60, 2, 1, 10, 0), Stratum(180, 2, 1, 10, 0))
    assert pooled(minutes, (60.0,)) == (Stratum(120, 2, 1, 10, 0), Stratum(240, 2, 1, 10, 0))
    full = [Stratum(60 * n, 1, 1, 9, 0) for n in range(3)]
    assert pooled(full, (60.0,)) == tuple(full)
    assert pooled([Stratum(0, 1, 1, 4, 2), Stratum(60, 2, 1, 3, 1)], ()) == (Stratum(60, 3, 2, 7, 3),)
    assert pooled([Stratum(0, 1, 0, 8, 0)], ()) == ()
