"""The forecast: rollouts played by the rules that ship, before any traffic."""

from __future__ import annotations

import pytest

from deployer.judge.auto import auto
from deployer.judge.forecast import forecast
from deployer.judge.power import Traffic
from deployer.model import Ends, GateSettings, Step

SHIPPED = GateSettings(compare_slow=True)
STEPS = auto(Traffic(100, 0.001), SHIPPED, 2.0, 1800).steps


def test_a_healthy_release_is_done_in_time():
    """At 100 calls a minute it takes about half an hour, and nothing is rolled back."""
    found = forecast(STEPS, Traffic(100, 0.001), SHIPPED, 0.001, draws=40)
    assert found.found == 0
    assert 20 <= found.total_min <= 45
    assert found.search_min <= found.total_min - 13


def test_a_total_failure_is_found_in_the_first_place():
    """Each of them is rolled back within minutes, at the price of a few dozen requests."""
    found = forecast(STEPS, Traffic(100, 0.001), SHIPPED, 1.0, draws=40)
    assert found.found == 1
    assert found.found_min is not None
    assert found.found_min <= 7
    assert found.failed < 60


def test_a_small_regression_is_found_rarely():
    """What is worse by less than the gate can see is not claimed to be found."""
    assert forecast(STEPS, Traffic(100, 0.001), SHIPPED, 0.004, draws=40).found < 0.5


def test_the_same_week_gives_the_same_forecast():
    """Draws are seeded."""
    once, again = (forecast(STEPS, Traffic(30, 0.001), SHIPPED, 0.05, draws=5) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("calls", [0.0, 0.2, 20_000.0])
def test_any_traffic_is_played_to_the_end(calls):
    """A place without a call is over after its longest time, one with many after its own."""
    found = forecast((Step(50, 600),), Traffic(calls), SHIPPED, 1.0, draws=3)
    assert found.total_min == pytest.approx(13)
    assert found.found == (calls > 1000)


def test_a_place_that_shows_nothing_ends_with_its_longest_time():
    """Without calls a place that waits to have shown something takes its longest, and no longer."""
    steps = (Step(25, 300, Ends.SHOWN), Step(50, 240, Ends.SIMILAR, 5.0))
    found = forecast(steps, Traffic(0.0), SHIPPED, 0.0, draws=2)
    assert found.total_min == pytest.approx(5 + 3 + 4 + 3)


def test_errors_in_runs_delay_what_is_found():
    """Where five errors count as one, a regression of 10 % takes longer."""
    alone, runs = (forecast(STEPS, Traffic(100, 0.01, phi), SHIPPED, 0.10, draws=30) for phi in (1.0, 5.0))
    assert alone.found == 1
    assert runs.found < alone.found or (runs.found_min or 0) > (alone.found_min or 0)
