"""Whole releases with the steps that ship: by themselves, in time, and as the forecast says."""

from __future__ import annotations

import statistics

import pytest

from benchmarks import releases
from benchmarks.releases import BEGIN, SETTINGS, STABLE_RATE, Case, Played, part, week_of
from deployer.judge.forecast import forecast
from deployer.judge.planned import Outlook, places


@pytest.mark.parametrize("rpm", [0.2, 2, 10, 100, 1000, 10_000])
def test_a_healthy_release_ends_promoted_in_time(rpm):
    """From one call in five minutes to 10 000 a minute: without a person, within 45 minutes."""
    _, played = part((Case(rpm), 3, 4))
    assert {each.outcome for each in played} == {"promoted"}
    assert max(each.minutes for each in played) <= 45


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_traffic_unlike_last_week_takes_an_hour_at_most(factor):
    """With a third or three times the calls a release takes longer or less long, and ends by itself."""
    for rpm in (2, 10, 100):
        _, played = part((Case(rpm, factor), 5, 3))
        assert {each.outcome for each in played} == {"promoted"}
        assert max(each.minutes for each in played) <= 60


@pytest.mark.parametrize("rpm", [10, 100])
def test_the_forecast_is_what_happens(rpm):
    """What `plan` says beforehand agrees with whole rollouts: duration to a tenth, what is found and at what price."""
    outlook = Outlook.of(week_of(rpm, 7), BEGIN)
    steps = places(SETTINGS, outlook.traffic).steps
    gate = SETTINGS.gate_settings()
    healthy = forecast(steps, outlook.traffic, gate, STABLE_RATE, draws=40)
    _, played = part((Case(rpm), 7, 20))
    assert statistics.fmean(each.minutes for each in played) == pytest.approx(healthy.total_min, rel=0.1)
    broken = forecast(steps, outlook.traffic, gate, 1.0, draws=40)
    _, played = part((Case(rpm, 1.0, 1.0), 9, 10))
    assert {each.outcome for each in played} == {"rolled back"}
    assert broken.found == 1
    assert statistics.fmean(each.failed for each in played) == pytest.approx(broken.failed, rel=0.35)


def test_the_page_has_a_row_for_each_traffic():
    """The page names its command, and has both tables."""
    found = {case: [Played("promoted", 30.0, 1.0)] for case in releases.cases()}
    text = releases.page(found, "python -m benchmarks.releases")
    assert "    python -m benchmarks.releases\n" in text
    assert text.count("\n| 10 000 |") == 2
