"""Every fault at every call and a cancel in every second of the standard plan, for good and bad versions.

`python3 dev.py proof` looks at all of them, with `--pairs` at two faults in one rollout.
"""

from __future__ import annotations

import pytest

from engine.proof import __main__ as proof
from engine.proof.explore import Explorer
from engine.proof.process import Scenario
from engine.proof.scenarios import LONG, STANDARD, of
from generating import ROOT

TAKES_LONG = ("outage of both",)  # the command looks at them as well


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in of(STANDARD, "standard") if scenario.name.partition(", ")[2] not in TAKES_LONG],
    ids=lambda scenario: scenario.name,
)
def test_a_fault_at_any_moment_of_the_standard_plan(scenario: Scenario):
    """Crash, conflict, throttle, lost answer at every call, cancel at every call and second: every run ends well."""
    found = Explorer(scenario).explore(1)
    assert found.runs > 300
    assert found.done + found.rolled_back == found.runs


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in of(LONG, "5/10/25 %") if scenario.name.partition(", ")[2] in proof.OF_LONG],
    ids=lambda scenario: scenario.name,
)
def test_a_fault_at_any_moment_of_the_long_plan(scenario: Scenario):
    """The recommended ramp, for versions that have to go back."""
    assert Explorer(scenario).explore(1).runs > 300


@pytest.mark.long
def test_two_faults_at_any_two_moments():
    """Every pair of faults at every pair of moments, for a version that has to go back."""
    scenario = next(s for s in of(STANDARD, "standard") if s.name == "standard, broken")
    found = Explorer(scenario).explore(2)
    assert found.runs > 50_000
    assert found.done == 0


def test_the_published_table_is_of_these_scenarios():
    """docs/rollout-proof.md has a row for every scenario, and the command that made it."""
    text = (ROOT / "docs" / "rollout-proof.md").read_text(encoding="utf-8")
    assert proof.COMMAND in text
    for scenario in proof.SCENARIOS:
        assert f"| {scenario.name} |" in text
