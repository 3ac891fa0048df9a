"""What of a place is judged, by how much the canary can be worse, and whether a dead one would have shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.judge.counts import Counts, Dispersion, Minute, RolloutSoFar, StepStart
from deployer.judge.evidence import judge
from deployer.judge.places import closed, judged_minutes, place_counts
from deployer.judge.shown import has_shown
from deployer.judge.similar import gap
from deployer.model import GateSettings, Outcome

SETTINGS = GateSettings()
LAG_S = 60 + SETTINGS.settle_s


def so_far(*starts: StepStart, now: float, **changes: object) -> RolloutSoFar:
    """Return a rollout of 41 -> 42 with these places, its metrics read just now."""
    return replace(RolloutSoFar("41", "42", starts, read_at=now), **changes)  # type: ignore[arg-type]


def steady(numbers: range, canary: tuple[int, float], stable: tuple[int, float]) -> list[Minute]:
    """Return those minutes, all the same, each version with calls and errors."""
    return [Minute(60 * n, Counts(*canary), Counts(*stable)) for n in numbers]


def judged(minutes: Sequence[Minute], *starts: StepStart, now: float, **changes: object) -> int:
    """Return how many minutes of the last place are judged."""
    return judged_minutes(minutes, SETTINGS, so_far(*starts, now=now, **changes), now)


FIRST, SECOND = StepStart(0, 10), StepStart(630, 50)


def test_a_minute_is_judged_once_it_is_closed():
    """The first minute counts when its end and the settling time are past, to the second."""
    minutes = steady(range(30), (10, 0), (90, 0))
    assert judged(minutes, FIRST, now=LAG_S - 1) == 0
    assert judged(minutes, FIRST, now=LAG_S) == 1
    assert judged(minutes, FIRST, now=600 + LAG_S) == 11
    assert judged(minutes, FIRST, now=600 + LAG_S, p99_duration_s=7.0) == 10


def test_the_minute_of_the_change_is_not_judged():
    """A place that begins in the middle of a minute has its first judged minute a minute later."""
    minutes = steady(range(30), (50, 0), (50, 0))
    assert judged(minutes, FIRST, SECOND, now=660 + LAG_S - 1) == 0
    assert judged(minutes, FIRST, SECOND, now=660 + LAG_S) == 1
    assert judged(minutes, FIRST, replace(SECOND, at=600), now=600 + LAG_S) == 1


def test_minutes_without_calls_are_judged_where_calls_are_rare():
    """Few calls and then none: the quiet minutes count as they close, since nothing says numbers are late."""
    assert judged([], FIRST, now=540 + LAG_S) == 10
    rare = steady(range(0, 10, 5), (0, 0), (1, 0))
    assert judged(rare, FIRST, now=1140 + LAG_S) == 20


def test_numbers_that_are_late_are_waited_for():
    """Where calls were due and none is in the metrics, a minute counts only when it is ten minutes older."""
    minutes = steady(range(10), (10, 0), (90, 0))
    for now in (540 + LAG_S, 600 + LAG_S, 1020 + LAG_S):
        assert judged(minutes, FIRST, now=now) == 10
    assert judged(minutes, FIRST, now=1200 + LAG_S) == 11
    before = Counts(calls=6000)
    assert judged([], FIRST, now=540 + LAG_S, before=before) == 0
    assert judged([], FIRST, now=600 + LAG_S, before=before) == 1


def test_seven_calls_that_were_due_are_missed():
    """A function of one call a minute is quiet for six minutes, and late from the seventh on."""
    once = [Minute(60 * n, Counts(), Counts(1)) for n in range(100, 110)]
    begun = StepStart(6000, 10)
    assert judged(once, begun, now=6540 + 360 + LAG_S) == 16
    assert judged(once, begun, now=6540 + 420 + LAG_S) == 10
    hour = Counts(calls=60)
    assert judged([], begun, now=6000 - 60 + 360 + LAG_S, before=hour) == 6
    assert judged([], begun, now=6000 - 60 + 420 + LAG_S, before=hour) == 0
    sample = [Minute(6300, Counts(9), Counts(9), source="sample"), Minute(6360, Counts(), Counts())]
    assert judged(sample, begun, now=6000 - 60 + 420 + LAG_S, before=hour) == 0


def test_our_own_calls_need_not_settle():
    """The answers are read as they come: only the minute must be over, to the second."""
    own = [Minute(600, Counts(1), Counts(1), source="sample")]
    rollout = so_far(FIRST, now=700)
    assert closed(own, SETTINGS, rollout, 659) == ()
    assert closed(own, SETTINGS, rollout, 660) == tuple(own)


def test_minutes_before_the_first_place_are_left_out():
    """A minute counts from the one in which the first place began."""
    minutes = steady(range(9, 13), (1, 0), (1, 0))
    for at, first in ((600, 600), (601, 600), (659, 600), (660, 660)):
        found = closed(minutes, SETTINGS, so_far(StepStart(at, 10), now=2000), 2000)
        assert found[0].at == first


def test_nothing_is_judged_that_was_not_read():
    """Minutes that closed after the metrics were last read are not judged."""
    minutes = steady(range(30), (10, 0), (90, 0))
    assert judged(minutes, FIRST, now=600 + LAG_S, read_at=None) == 0
    assert judged(minutes, FIRST, now=600 + LAG_S, read_at=300 + LAG_S) == 6
    assert judged_minutes(minutes, SETTINGS, RolloutSoFar("41", "42", (), read_at=900), 900) == 0


def test_a_place_counts_its_own_calls_only():
    """Neither earlier places, nor the minute of the change, nor our own calls are in a place's counts."""
    minutes = [*steady(range(11), (10, 5), (90, 0)), *steady(range(11, 14), (50, 1), (50, 2))]
    minutes.append(Minute(720, Counts(7, 7), Counts(7, 7), source="sample"))
    now = 780 + LAG_S
    found = place_counts(minutes, SETTINGS, so_far(FIRST, SECOND, now=now), now)
    assert found == (Counts(150, 3), Counts(150, 6))
    nothing = place_counts(minutes, SETTINGS, RolloutSoFar("41", "42", (), read_at=now), now)
    assert nothing == (Counts(), Counts())


# --- by how much it can be worse


@pytest.mark.parametrize(
    ("canary", "stable", "expected"),
    [((100, 0), (900, 0), 0.063542), ((1000, 1), (9000, 9), 0.010563), ((100, 20), (900, 9), 0.359792)],
)
def test_the_gap_is_what_the_formula_says(canary, stable, expected):
    """Three gaps, computed apart: the mean by summing, the bounds by a search in steps of a millionth."""
    assert gap(Counts(*canary), Counts(*stable)) == pytest.approx(expected, abs=2e-6)


def test_without_calls_there_is_no_gap():
    """A version that served nothing can be anything."""
    assert gap(Counts(), Counts(100)) is None
    assert gap(Counts(100), Counts()) is None


@given(st.integers(1, 2000), st.integers(0, 2000), st.integers(1, 2000), st.integers(0, 2000))
def test_the_gap_holds_what_was_seen(calls, errors, others, their_errors):
    """It is above the difference of the rates, at most 1, and wider where errors come in runs."""
    canary, stable = Counts(calls, min(errors, calls)), Counts(others, min(their_errors, others))
    found, wider = gap(canary, stable), gap(canary, stable, 5.0)
    assert found is not None
    assert wider is not None
    assert canary.errors / calls - stable.errors / others <= found <= wider <= 1.0


def test_looking_every_minute_does_not_end_a_place_too_soon():
    """A canary that is worse by just the goal is called similar in fewer than 1 of 20 places of an hour."""
    rng, wrong, runs = random.Random(4), 0, 200
    for _ in range(runs):
        canary, stable = [0, 0], [0, 0]
        for _ in range(60):
            for version, calls, rate in ((canary, 25, 0.05), (stable, 75, 0.001)):
                version[0] += calls
                version[1] += sum(rng.random() < rate for _ in range(calls))
            found = gap(Counts(*canary), Counts(*stable))
            if found is not None and found < 0.049:
                wrong += 1
                break
    assert wrong < runs / 20


# --- what would have shown


def shown(minutes: Sequence[Minute], *starts: StepStart, **changes: object) -> bool:
    """Tell whether a dead canary would have shown once these minutes are closed."""
    now = minutes[-1].at + LAG_S
    return has_shown(SETTINGS, minutes, so_far(*starts, now=now, **changes), now)


def test_a_dead_canary_shows_after_enough_of_its_calls():
    """Two calls of the canary prove nothing, two minutes with ten each do, and one minute never does."""
    assert not shown(steady(range(2), (1, 0), (99, 0)), FIRST)
    assert shown(steady(range(2), (10, 0), (90, 0)), FIRST)
    assert not shown(steady(range(1), (100, 0), (900, 0)), FIRST)


def test_runs_of_errors_need_more_calls():
    """Where fifteen errors count as one, two minutes of ten calls would not have shown it."""
    assert not shown(steady(range(2), (10, 0), (90, 0)), FIRST, dispersion=Dispersion(15.0))
    assert shown(steady(range(9), (10, 0), (90, 0)), FIRST, dispersion=Dispersion(15.0))


def test_only_the_present_place_shows():
    """What an earlier place would have shown is no excuse to end the next one."""
    minutes = steady(range(10), (10, 0), (90, 0))
    assert shown(minutes, FIRST)
    later = [*minutes, *steady(range(11, 12), (50, 0), (50, 0))]
    assert not shown(later, FIRST, SECOND)
    assert shown([*later, *steady(range(12, 13), (50, 0), (50, 0))], FIRST, SECOND)
    now = later[-1].at + LAG_S
    assert not has_shown(SETTINGS, later, RolloutSoFar("41", "42", (), read_at=now), now)


@given(st.integers(1, 30), st.integers(1, 300), st.integers(1, 12), st.floats(1, 20))
def test_it_says_what_the_gate_does(canary, stable, count, phi):
    """A canary that did fail all its calls is rolled back exactly where it would have shown."""
    minutes = steady(range(count), (canary, 0), (stable, stable // 10))
    failing = steady(range(count), (canary, canary), (stable, stable // 10))
    now = minutes[-1].at + LAG_S
    rollout = so_far(FIRST, now=now, dispersion=Dispersion(phi))
    found = judge(SETTINGS, failing, rollout, now).verdicts[0].outcome is Outcome.FAIL
    assert has_shown(SETTINGS, minutes, rollout, now) == found
