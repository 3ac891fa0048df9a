"""What `plan` says about a rollout before traffic moves, held against traffic of every size."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.config import Environment
from deployer.judge.estimate import Estimate, describe_estimate, estimate
from deployer.model import GateSettings, RolloutPlan, Step
from generating import GENERATED

PLAN = RolloutPlan("7f3a", "42", (Step(5, 600), Step(10, 600), Step(25, 1800)))
SETTINGS = GateSettings()


def at(rpm: float, p0: float = 0.001, plan: RolloutPlan = PLAN) -> Estimate:
    """Return the estimate for a week of steady traffic."""
    return estimate(plan, SETTINGS, [rpm] * 10080, p0)


def minutes(found: Estimate) -> dict[float, float | None]:
    """Return after how many minutes each regression is found."""
    return {case.canary_pct: case.minutes for case in found.detections}


def test_the_whole_text_with_traffic():
    """Traffic that is enough gets two tables, the smallest regression, and how long it takes."""
    assert describe_estimate(at(100)) == "\n".join(
        [
            "last week: 100 calls per minute, 0.1 % of them failed",
            "",
            "step   weight     bake   canary calls",
            "   1      5 %   10 min             50",
            "   2     10 %   10 min            100",
            "   3     25 %   30 min            750",
            "",
            "canary fails   found after   failed requests",
            "       100 %         5 min                25",
            "        20 %         6 min                 6",
            "         5 %        16 min               5.4",
            "         1 %     not found               8.1",
            "",
            "19 of 20 releases that fail 1.9 % of their calls or more are found",
            "takes 50 min to 59 min",
        ]
    )


def test_the_whole_text_without_traffic():
    """Traffic that proves nothing is said to, in capitals."""
    assert describe_estimate(at(0.2)) == "\n".join(
        [
            "last week: 0.2 calls per minute, 0.1 % of them failed",
            "",
            "step   weight     bake   canary calls",
            "   1      5 %   10 min            0.1   too few to judge",
            "   2     10 %   10 min            0.2   too few to judge",
            "   3     25 %   30 min            1.5",
            "",
            "canary fails   found after   failed requests",
            "       100 %     not found               1.8",
            "        20 %     not found              0.36",
            "         5 %     not found             0.088",
            "         1 %     not found             0.016",
            "",
            "THIS TRAFFIC PROVES NOTHING: a version that fails every call may not be noticed in these steps; "
            "make them longer or heavier, or add probes",
            "takes 50 min to 59 min",
        ]
    )


def test_without_steps_there_is_nothing_to_compare():
    """A plan without steps says that nothing is compared."""
    text = describe_estimate(at(100, plan=replace(PLAN, steps=())))
    assert text == "all traffic at once: no step compares the new version with the stable one"


@pytest.mark.parametrize(
    ("invocations", "usual"), [([], 0.0), ([0, 0, 0], 0.0), ([0, 0, 6], 2.0), ([10, 20, 9000], 20.0)]
)
def test_the_usual_minute(invocations, usual):
    """A median minute, so that a peak promises nothing; rare calls are not read as none."""
    assert estimate(PLAN, SETTINGS, invocations).calls_per_minute == usual


def test_the_formula_by_hand():
    """One step: lag plus ln(K / alpha) over the rate of evidence, rounded up to a minute."""
    found = at(1000, 0.01, RolloutPlan("7f3a", "42", (Step(10, 3600),)))
    rate = 1000 * (0.1 * 0.05 + 0.9 * 0.01)
    share = 1000 * 0.1 * 0.05 / rate
    growth = rate * (share * math.log(share / 0.1) + (1 - share) * math.log((1 - share) / 0.9))
    assert minutes(found)[5.0] == math.ceil(math.log(14 / 0.009) / growth) + 3


def test_detection_is_close_to_the_simulated_one():
    """The formula agrees with the benchmark's medians (3 minutes of lag added) to a fifth, or 2 minutes."""
    simulated = {
        (10, 20.0): 24,
        (30, 20.0): 11,
        (100, 20.0): 3,
        (100, 5.0): 12,
        (1000, 1.0): 11,
        (30, 5.0): 26,
    }
    for (rpm, pct), median in simulated.items():
        found = minutes(at(rpm))[pct]
        assert found is not None
        assert found - 3 == pytest.approx(median, rel=0.2, abs=2)


def test_the_table_of_the_docs_is_what_the_estimate_says():
    """Where docs/rollout.md promises when a regression is found, it says what `plan` prints by default."""
    text = (GENERATED / "docs/rollout.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| \d+ % \|", line)]
    usual = estimate(PLAN, Environment().gate_settings(), [100.0] * 10080, 0.001)
    for (pct, after, failed), case in zip(rows, usual.detections, strict=True):
        assert pct == f"{case.canary_pct:g} %"
        assert after == ("not surely" if case.minutes is None else f"{case.minutes:.0f} min")
        assert failed.split()[0] == f"{case.failed_requests:.0f}"


def test_only_regressions_are_listed():
    """A rate the stable version already has is not a regression."""
    assert list(minutes(at(100, 0.07))) == [100.0, 20.0]


@given(rpm=st.floats(0.1, 5000), more=st.floats(1.0, 50), p0=st.floats(0, 0.3))
def test_more_traffic_finds_smaller_regressions_sooner(rpm, more, p0):
    """With more traffic nothing is found later, and the smallest regression found is no larger."""
    few, many = at(rpm, p0), at(rpm * more, p0)
    assert (many.smallest_pct or 200) <= (few.smallest_pct or 200) + 1e-6
    for pct, found in minutes(few).items():
        assert (minutes(many)[pct] or math.inf) <= (found or math.inf)


@given(rpm=st.floats(0, 5000), p0=st.floats(0, 1))
def test_larger_regressions_are_found_no_later(rpm, p0):
    """The more of its calls a canary fails, the sooner it is found; and there is a text for everything."""
    found = [m or math.inf for m in minutes(at(rpm, p0)).values()]
    assert found == sorted(found)
    assert describe_estimate(at(rpm, p0))


def test_duration_counts_every_extension():
    """The shortest duration is the sum of the bakes; the last minutes of each place are judged a little later."""
    found = at(100)
    assert (found.shortest_s, found.longest_s) == (3000, 3000 + 3 * 180)
