"""`steps = "auto"`: which places last week's traffic gives a rollout."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.judge import power
from deployer.judge.auto import Route, auto, last_weight, place_cost_min, usual_calls
from deployer.judge.power import Traffic, minutes_to_match, minutes_to_show
from deployer.model import MAX_STEPS, Ends, GateSettings

SHIPPED = GateSettings(compare_slow=True)
WEEK_MIN = 7 * 1440
MONDAY = 1_763_337_600  # midnight


def weights(calls_per_min: float, error_rate: float = 0.001) -> list[float]:
    """Return the weights of the shipped settings' places."""
    return [step.weight_pct for step in auto(Traffic(calls_per_min, error_rate), SHIPPED, 2.0, 1800).steps]


@pytest.mark.parametrize(
    ("calls_per_min", "wanted", "goal_pct"),
    [
        (0.0, [50], None),
        (0.2, [50], None),
        (1, [50], None),
        (2, [50, 80], None),
        (5, [25, 50, 80], 20),
        (10, [25, 50, 80], 10),
        (30, [15, 50, 90], 5),
        (60, [10, 50, 90], 2),
        (100, [5, 50, 95], 2),
        (300, [2, 10, 95], 2),
        (1000, [0.5, 10, 95], 2),
        (10_000, [0.1, 10, 95], 2),
    ],
)
def test_traffic_decides_the_places(calls_per_min, wanted, goal_pct):
    """From 0.2 to 10 000 calls per minute the places are those whose guarantees were simulated."""
    found = auto(Traffic(calls_per_min, 0.001), SHIPPED, 2.0, 1800)
    assert [step.weight_pct for step in found.steps] == wanted
    assert found.goal_pct == goal_pct


@pytest.mark.parametrize(("calls_per_min", "goal_pct"), [(30, 10), (60, 5), (100, 5), (300, 2), (1000, 2)])
def test_more_usual_errors_make_the_goal_coarser(calls_per_min, goal_pct):
    """Where one call of a hundred fails anyway, a small difference takes longer than the owner waits."""
    assert auto(Traffic(calls_per_min, 0.01), SHIPPED, 2.0, 1800).goal_pct == goal_pct


def test_each_place_ends_by_its_own_rule():
    """The first ends once a total failure would have shown, the second by similarity, the last by time."""
    places = auto(Traffic(100, 0.001), SHIPPED, 2.0, 1800)
    assert places.route is Route.SEARCH
    assert [step.ends for step in places.steps] == [Ends.SHOWN, Ends.SIMILAR, Ends.TIME]
    assert [step.goal_pct for step in places.steps] == [0.0, 2.0, 0.0]
    assert places.steps[-1].bake_s == 600
    half = auto(Traffic(2, 0.001), SHIPPED, 2.0, 1800)
    assert half.route is Route.TOTAL
    assert [step.ends for step in half.steps] == [Ends.SHOWN, Ends.TIME]


def test_where_traffic_proves_nothing_the_exposure_is_small():
    """Less than two calls a minute: half of the traffic for ten judged minutes, and nothing is claimed."""
    places = auto(Traffic(1, 0.0), SHIPPED, 2.0, 1800)
    assert (places.route, places.goal_pct) == (Route.NONE, None)
    assert [(step.weight_pct, step.bake_s, step.ends) for step in places.steps] == [(50, 600, Ends.TIME)]


def test_errors_in_runs_make_the_first_place_larger():
    """Where eight errors count as one, eight times as many are needed before anything shows."""
    alone, runs = (auto(Traffic(300, 0.01, phi), SHIPPED, 2.0, 1800) for phi in (1.0, 8.0))
    assert runs.steps[0].weight_pct > alone.steps[0].weight_pct
    assert minutes_to_show(Traffic(300, 0.01, 8.0), 0.02, SHIPPED) > minutes_to_show(
        Traffic(300, 0.01), 0.02, SHIPPED
    )


@settings(max_examples=150, deadline=None)
@given(
    traffic=st.builds(Traffic, st.floats(0, 50_000), st.floats(0, 1), st.floats(1, 200)),
    find_pct=st.floats(0.5, 50),
    within_s=st.integers(480, 21_600),
    settle_s=st.integers(0, 900),
)
def test_any_traffic_gives_places_that_can_be_played(traffic, find_pct, within_s, settle_s):
    """Whatever the traffic, weights rise, places are whole judged minutes, and the search keeps its time."""
    gate = GateSettings(compare_slow=True, settle_s=settle_s)
    found = auto(traffic, gate, find_pct, within_s)
    assert found == auto(traffic, gate, find_pct, within_s)
    assert 1 <= len(found.steps) <= MAX_STEPS
    assert all(before.weight_pct < after.weight_pct for before, after in pairwise(found.steps))
    assert all(0.1 <= step.weight_pct <= 95 for step in found.steps)
    assert all(step.bake_s % 60 == 0 and step.bake_s >= 120 for step in found.steps)
    cost = place_cost_min(gate)
    if found.route is Route.SEARCH:
        expected = found.show_min + cost + found.steps[1].bake_s // 60 + cost
        assert expected <= within_s // 60
        assert found.goal_pct is not None
        assert found.goal_pct >= find_pct
    if found.route is Route.TOTAL:
        assert found.steps[0].bake_s // 60 + cost <= within_s // 60
    if found.route is not Route.NONE:
        assert found.steps[-1].weight_pct == last_weight(traffic.calls_per_min)


def test_less_time_makes_the_goal_coarser():
    """A release that must be over sooner can only find larger regressions, and says which."""
    goals = [auto(Traffic(100, 0.001), SHIPPED, 2.0, within_s).goal_pct for within_s in (3600, 1800, 900)]
    assert goals == [2.0, 2.0, 5.0]


def test_a_similar_canary_passes_later_at_a_smaller_goal():
    """What takes longer than there is time is None, and a smaller goal never takes less."""
    times = [minutes_to_match(Traffic(100, 0.001), 0.25, goal, 200) for goal in (0.05, 0.02, 0.01)]
    assert times == sorted(times)
    assert minutes_to_match(Traffic(100, 0.001), 0.25, 0.01, 20) is None


def test_no_calls_show_nothing():
    """Without traffic no number of minutes is enough."""
    assert minutes_to_show(Traffic(0.0), 0.5, SHIPPED) == math.inf
    assert minutes_to_match(Traffic(0.0), 0.5, 0.5, 60) is None


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 99.0, 5000.0])
def test_quantiles_of_a_poisson_number_keep_its_mean(mean):
    """Twenty equally likely values stand for the law."""
    found = power.poisson_quantiles(mean, 20)
    assert found == tuple(sorted(found))
    assert sum(found) / 20 == pytest.approx(mean, rel=0.05, abs=0.06)


def days(pattern) -> list[float]:
    """Return a week of minutes by a function of the minute of the day."""
    return [float(pattern(minute % 1440)) for minute in range(WEEK_MIN)]


class TestUsualCalls:
    """How many calls a minute are to be expected when the rollout begins."""

    def test_the_time_of_day_counts(self):
        """A function that works by day has its traffic of noon at noon, and none at midnight."""
        calls = days(lambda minute: 100 if 480 <= minute < 1200 else 0)
        assert usual_calls(calls, MONDAY, MONDAY + 12 * 3600) == 100
        assert usual_calls(calls, MONDAY, MONDAY + 2 * 3600) == 0

    def test_quiet_days_count_more_than_busy_ones(self):
        """Of seven days of which two are quiet the quiet ones decide: rather too few than too many."""
        calls = [100.0 if at // 1440 < 5 else 10.0 for at in range(WEEK_MIN)]
        assert usual_calls(calls, MONDAY, MONDAY + 600) == 10

    def test_a_new_function_is_known_by_what_there_is(self):
        """With less than three days of history all of it counts, and what was before its first call does not."""
        calls = [0.0] * (WEEK_MIN - 600) + [20.0] * 600
        assert usual_calls(calls, MONDAY, MONDAY + 600) == 20

    def test_rare_calls_are_a_rate(self):
        """A call every ten minutes is 0.1 calls a minute, not none."""
        assert usual_calls(days(lambda minute: minute % 10 == 0), MONDAY, MONDAY) == pytest.approx(0.1)

    @pytest.mark.parametrize("calls", [[], [0.0] * WEEK_MIN, [1.0] * 10])
    def test_a_week_without_metrics_is_no_traffic(self, calls):
        """Nothing, or less than half an hour, promises nothing."""
        assert usual_calls(calls, MONDAY, MONDAY) == 0
