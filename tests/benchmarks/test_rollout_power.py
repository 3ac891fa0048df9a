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

from benchmarks.rules import RULES, excess_failures
from benchmarks.traffic import HORIZON, RAMP, Case, Poisson, Row, Run, simulate

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
        ("ours", 2, None),
        ("any-error", 1, 1),
        ("threshold", 2, 2),
        ("codedeploy-canary", 2, 2),
        ("codedeploy-linear", 2, 2),
        ("z-test", 1, None),
        ("mann-whitney", 5, 5),
        ("kayenta", 60, 60),
    ],
)
def test_rules_on_traffic_that_is_easy_to_judge(name, dead, one_error):
    """A dead canary is found by every rule; none objects to a canary without errors."""
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
    assert all(rule.name in page and rule.name in shown for rule in RULES.values())


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
