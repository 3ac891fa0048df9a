"""How errors come: runs are measured, independent errors are left alone, and an outage costs no power."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.judge.counts import Block, Dispersion
from deployer.judge.dispersion import SHORTEST_HISTORY_S, UNMEASURED, dispersion

WEEK = 7 * 24 * 4
EXPOSURE_MIN = 8.0  # of deploy.toml's steps


def week(
    rng: random.Random, run: int, calls: int = 1500, rate: float = 0.01, blocks: int = WEEK
) -> list[Block]:
    """Return blocks whose errors come in runs of that length, at that rate of calls (0-1)."""
    starts = [sum(rng.random() < rate / run for _ in range(calls)) for _ in range(blocks)]
    return [Block(calls, run * count) for count in starts]


def measured(blocks: list[Block]) -> Dispersion:
    """Return how their errors come, for the steps that ship."""
    return dispersion(blocks, exposure_min=EXPOSURE_MIN)


@pytest.mark.parametrize("run", [3, 5, 15, 50])
def test_runs_are_measured(run):
    """What is found is the length of a run, here always the same, within a sixth."""
    found = measured(week(random.Random(run), run))
    assert found.is_measured
    assert found.phi == pytest.approx(run, rel=1 / 6)


def test_independent_errors_cost_nothing():
    """In sixty weeks of errors that come by themselves phi is 1, exactly."""
    rng = random.Random(7)
    assert {measured(week(rng, 1, calls=300)).phi for _ in range(60)} == {1.0}


def test_a_slow_drift_is_no_run():
    """A rate that doubles within a day and falls again leaves phi at 1: differences of neighbours cancel it."""
    rng = random.Random(3)
    blocks = []
    for at in range(WEEK):
        rate = 0.01 * (1 + abs(at % 96 - 48) / 48)
        blocks.append(Block(1500, sum(rng.random() < rate for _ in range(1500))))
    assert measured(blocks).phi == 1.0


def test_an_outage_last_week_costs_no_power():
    """A quarter of an hour in which every call failed is left out, and so are five more, but not twelve."""
    for outages, expected in ((1, True), (6, True), (12, False)):
        blocks = [
            Block(1500, 1500) if n in {50 * o + 7 for o in range(outages)} else Block(1500, 1)
            for n in range(WEEK)
        ]
        assert (measured(blocks).phi == 1.0) is expected, outages


def test_how_much_is_left_out_follows_what_is_at_risk():
    """A rollout that puts ten hours at risk may not ignore an outage that one of minutes may."""
    blocks = [Block(1500, 300) if n == 300 else Block(1500, 1) for n in range(WEEK)]
    assert dispersion(blocks, exposure_min=8).phi == 1.0
    assert dispersion(blocks, exposure_min=600).phi > 10


@pytest.mark.parametrize("hours", [0, 1, 5])
def test_a_short_history_measures_nothing(hours):
    """Below six hours five errors count as one, more where a source tries oftener, and it says so."""
    blocks = [Block()] * 100 + [Block(100, 0)] * (4 * hours)
    assert dispersion(blocks, exposure_min=8) == Dispersion(5.0, is_measured=False)
    assert dispersion(blocks, exposure_min=8, attempts=9) == Dispersion(9.0, is_measured=False)
    assert dispersion([*blocks, *[Block(100, 0)] * 24], exposure_min=8) == Dispersion(1.0)


def by_the_formula(blocks: list[Block | None]) -> float:
    """Return phi as the module's docstring defines it, step by step; None is a block that is left out."""
    pairs = [(a, b) for a, b in pairwise(blocks) if a and b and a.calls and b.calls]
    total = sum(a.errors + b.errors for a, b in pairs)
    if not total:
        return 1.0
    parts = []
    for a, b in pairs:
        h = a.calls * b.calls / (a.calls + b.calls)
        parts.append((a.calls + b.calls) * h * (a.errors / a.calls - b.errors / b.calls) ** 2)
    found, mu = math.fsum(parts) / total, total / (2 * len(pairs))
    return found if found > 1 + 3 * math.sqrt((3 + 1 / mu) / len(pairs)) else 1.0


def test_it_is_what_its_formula_says():
    """On a thousand days of few errors, many of them near the limit of three standard errors."""
    rng = random.Random(11)
    found = []
    for _ in range(1000):
        run = rng.choice([1, 2, 2, 3])
        blocks = [
            Block(n := rng.randint(0, 60), run * sum(rng.random() < 0.05 for _ in range(n // run)))
            for _ in range(24)
        ]
        blocks[0] = Block(30, 1)
        expected = by_the_formula(blocks)
        found.append(expected > 1)
        assert dispersion(blocks, exposure_min=1e9).phi == pytest.approx(expected, rel=1e-12)
    assert 200 < sum(found) < 800


QUIET, BUSY, BAD, NEAR = Block(1000, 1), Block(100_000, 400), Block(1000, 300), Block(1000, 90)


@pytest.mark.parametrize("place", [0, 1, 12, 22, 23])
def test_what_is_left_out_is_the_worst_block_and_its_neighbours(place):
    """Of 360 minutes one stretch for one minute at risk; the worst has most errors above the mean, not most errors."""
    blocks = [QUIET] * 24
    blocks[(place + 6) % 24] = BUSY
    for at in (place - 2, place - 1, place + 1, place + 2):
        if 0 <= at < 24:
            blocks[at] = NEAR
    blocks[place] = BAD
    kept = [None if abs(at - place) <= 1 else block for at, block in enumerate(blocks)]
    expected = by_the_formula(kept)
    assert expected > 1
    assert dispersion(blocks, exposure_min=1.0).phi == pytest.approx(expected, rel=1e-12)
    assert dispersion(blocks, exposure_min=0.0).phi == pytest.approx(by_the_formula(blocks), rel=1e-12)


@pytest.mark.parametrize(
    ("exposure_min", "left_out"), [(1.81, 0), (1.79, 1), (0.91, 1), (0.89, 2), (0.61, 2), (0.59, 3)]
)
def test_how_many_are_left_out_is_a_whole_number(exposure_min, left_out):
    """Half a percent of the minutes, for each minute at risk, rounded down: 1.8 of six hours."""
    blocks = [Block(1000, 300) if at in (0, 10, 16) else QUIET for at in range(24)]
    kept = [
        None if any(abs(at - bad) <= 1 for bad in (0, 10, 16)[:left_out]) else b
        for at, b in enumerate(blocks)
    ]
    assert dispersion(blocks, exposure_min=exposure_min).phi == pytest.approx(by_the_formula(kept), rel=1e-12)


@pytest.mark.parametrize(
    ("bad", "are_left_out"), [(390, False), (378, True)], ids=["at the mean", "half an error above it"]
)
def test_only_what_is_above_the_mean_is_left_out(bad, are_left_out):
    """However much may be left out, blocks at the mean stay; those half an error above it go."""
    calm, rest = Block(1000, 0), [Block(1000, 0 if at % 2 else 30) for at in range(21)]
    blocks = [calm, Block(1000, bad), calm, *rest]
    expected = 1.0 if are_left_out else by_the_formula(rest)
    assert by_the_formula(rest) > 1
    assert dispersion(blocks, exposure_min=0.01).phi == pytest.approx(expected, rel=1e-12)


def test_where_all_is_left_out_errors_count_for_themselves():
    """A day in which each block is bad, or beside one that is, leaves nothing to measure."""
    blocks = [Block(1000, 40) if at % 3 == 1 else QUIET for at in range(24)]
    assert dispersion(blocks, exposure_min=0.01) == Dispersion(1.0)


def test_six_hours_are_enough_and_a_quarter_less_is_not():
    """What six hours measured stands; what less measured counts only where it is more than five."""
    blocks = [Block(1000, 300) if at % 2 else QUIET for at in range(24)]
    assert len(blocks) * 15 * 60 == SHORTEST_HISTORY_S
    assert dispersion(blocks, exposure_min=1e9).is_measured
    assert dispersion(blocks[1:], exposure_min=1e9) == Dispersion(
        by_the_formula(blocks[1:]), is_measured=False
    )
    calm = [QUIET] * 24
    assert dispersion(calm, exposure_min=1e9) == Dispersion(1.0)
    assert dispersion(calm[1:], exposure_min=1e9) == Dispersion(UNMEASURED, is_measured=False)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60),
    st.floats(0, 1000),
)
def test_it_is_total(pairs, exposure_min):
    """Any history gives a phi of at least 1."""
    blocks = [Block(max(calls, errors), errors) for calls, errors in pairs]
    assert dispersion(blocks, exposure_min=exposure_min).phi >= 1.0
