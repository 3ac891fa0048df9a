"""How errors come: runs are measured, independent errors are left alone, and an outage costs no power."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.judge.counts import Block, Dispersion
from deployer.judge.dispersion import dispersion

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


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60),
    st.floats(0, 1000),
)
def test_it_is_total(pairs, exposure_min):
    """Any history gives a phi of at least 1."""
    blocks = [Block(max(calls, errors), errors) for calls, errors in pairs]
    assert dispersion(blocks, exposure_min=exposure_min).phi >= 1.0
