"""The benchmark: its sampler is exact, its rules do what they say, and it writes what it shows."""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.power_report import NAMES
from benchmarks.rules import RULES, excess_failures
from benchmarks.shipped import Calls, independent, play, steps_for
from benchmarks.traffic import HORIZON, RAMP, Case, Poisson, Row, Run, simulate
from deployer.judge.counts import Counts

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mean", [0.0, 0.01, 0.5, 7.0, 250.0, 10_000.0])
def test_the_sampler_has_mean_and_variance_of_a_poisson_number(mean):
    """Drawn numbers have the right mean and variance, within five standard errors."""
    poisson, count = Poisson(3), 20_000
    drawn = [poisson.draw(mean) for _ in range(count)]
    assert statistics.fmean(drawn) == pytest.approx(mean, abs=5 * math.sqrt(mean / count) + 1e-12)
    if mean >= 0.5:
        assert statistics.variance(drawn) == pytest.approx(mean, rel=5 * math.sqrt((2 + 1 / mean) / count))


def test_the_sampler_is_exact_where_it_is_easy_to_compute():
    """Of a hundred thousand numbers with mean 2, each value turns up as often as it should."""
    poisson, count = Poisson(5), 100_000
    drawn = [poisson.draw(2.0) for _ in range(count)]
    for k in range(8):
        chance = math.exp(-2) * 2**k / math.factorial(k)
        assert drawn.count(k) / count == pytest.approx(chance, abs=5 * math.sqrt(chance / count))


def test_all_schedules_see_the_same_calls():
    """In the first minutes, the calls of both versions together are the same under every schedule."""
    run = simulate(Case(100, 0.01, 0.2), Poisson(1))
    for ramp, canary, linear in zip(run.ramp, run.canary, run.linear, strict=False):
        totals = {row.canary_calls + row.stable_calls for row in (ramp, canary, linear)}
        assert len(totals) == 1
        assert ramp.canary_errors <= canary.canary_errors <= linear.canary_errors


def run_of(row: Row) -> Run:
    """Return an hour in which every minute is the same."""
    return Run((row,) * HORIZON, (row,) * 10, (row,) * 10)


@pytest.mark.parametrize(
    ("name", "dead", "one_error"),
    [
        ("any-error", 1, 1),
        ("threshold", 2, 2),
        ("codedeploy-canary", 2, 2),
        ("codedeploy-linear", 2, 2),
        ("z-test", 1, None),
        ("mann-whitney", 5, 5),
        ("kayenta", 60, 60),
        ("at-once", None, None),
    ],
)
def test_rules_on_traffic_that_is_easy_to_judge(name, dead, one_error):
    """A dead canary is found by every rule that looks; none objects to a canary without errors."""
    rule = RULES[name]
    assert rule.judge(run_of(Row(10, 10, 90, 0))) == dead
    assert rule.judge(run_of(Row(10, 0, 90, 0))) is None
    assert rule.judge(run_of(Row(20, 1, 180, 8))) == one_error


def test_failures_count_until_the_rollback_has_happened():
    """What fails counts up to the rollback, the lag included, or with all traffic once the schedule is over."""
    assert excess_failures(RULES["any-error"], 2, rpm=100, excess=1.0) == pytest.approx(3 * 5)
    assert excess_failures(RULES["codedeploy-canary"], None, rpm=100, excess=0.5) == pytest.approx(
        25 + 55 * 50
    )
    assert len(RAMP) == 50


def steady(canary_rate: float) -> Calls:
    """Return a hundred calls a minute of which the stable version fails none."""

    def calls(_minute: int, weight: float) -> tuple[Counts, Counts]:
        mine = round(100 * weight)
        return Counts(mine, canary_rate * mine), Counts(100 - mine)

    return calls


BEFORE = Counts(6000, 6)


def test_a_rollout_with_the_places_that_ship_is_played_to_its_end():
    """A good version gets all traffic after its last place; a dead one goes back from the first."""
    steps = steps_for(100, 0.001)
    good = play(steps, steady(0.0), BEFORE)
    assert good.rolled_back is None
    assert good.done == len(good.weights)
    assert {5, 50, 95} <= set(good.weights)
    dead = play(steps, steady(1.0), BEFORE)
    assert dead.done is None
    assert dead.rolled_back == len(dead.weights) == 6
    assert set(dead.weights) == {2.5, 5}


def test_a_place_waits_for_what_decides():
    """A version that begins to fail in a place's last minute does not move on from there."""
    steps = steps_for(100, 0.001)
    first = play(steps, steady(0.0), BEFORE).weights.index(50)

    def calls(minute: int, weight: float) -> tuple[Counts, Counts]:
        return steady(1.0 if minute >= first - 4 else 0.0)(minute, weight)

    late = play(steps, calls, BEFORE)
    assert late.rolled_back is not None
    assert max(late.weights) == 5


def test_sampled_calls_are_half_beyond_the_median():
    """Without a difference half of each version's calls are slow, and nothing pauses."""
    played = play(steps_for(1000, 0.001), independent(Case(1000, 0.001, 0.001), Poisson(2)), BEFORE)
    assert played.done is not None
    assert played.slow_at is None


def test_the_page_and_the_chart_are_written(tmp_path: Path):
    """The command of the page runs, and writes a page with both tables and a chart that is valid SVG."""
    command = [sys.executable, "-m", "benchmarks.rollout_power", "--runs", "2", "--processes", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "100 % simulated" in done.stderr
    page = (tmp_path / "rollout-power.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.rollout_power --runs 2 --seed 1" in page
    chart = ET.fromstring((tmp_path / "rollout-power.svg").read_text(encoding="utf-8"))  # noqa: S314 - made by the line above
    shown = " ".join(text.text or "" for text in chart.iter("{http://www.w3.org/2000/svg}text"))
    assert all(name in page and name in shown for name in NAMES.values())
    assert "| 30 | 15, 50, 90 |" in page


def test_the_page_of_runs_is_written(tmp_path: Path):
    """Without phi the table shows what runs of errors do; with it the worst cell is lower."""
    command = [sys.executable, "-m", "benchmarks.clusters", "--runs", "20", "--processes", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "rollout-runs.md").read_text(encoding="utf-8")
    above = [int(count) for count in re.findall(r"(\d+) of 60 cells are above", page)]
    assert above[0] * 4 < above[1]


def test_the_page_of_healthy_releases_is_written(tmp_path: Path):
    """The command of the page runs, and uploads throttle every rollout where the gate pauses hardly any."""
    command = [sys.executable, "-m", "benchmarks.healthy", "--runs", "4", "--processes", "1"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "rollout-healthy.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.healthy --runs 4 --seed 1" in page
    assert "| the same code | 0 | 0 | 0 | 0 | 0 |" in page
    assert page.count("0 / 100 |") >= 4
