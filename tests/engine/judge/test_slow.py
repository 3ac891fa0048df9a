"""Slow and throttled calls: what pauses a rollout, what does not, and when the reason is over."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from deployer.judge.comparison import Comparison
from deployer.judge.counts import Counts, Minute, RolloutSoFar, StepStart, Week, Windows
from deployer.judge.eprocess import Share, accumulate
from deployer.judge.evidence import Judgement, judge
from deployer.judge.slow import OMEGAS, TOLERATED, is_over, of_slow
from deployer.judge.strata import log_means
from deployer.judge.throttles import above, share_of, usual
from deployer.model import GateSettings, Outcome

SETTINGS = GateSettings(compare_slow=True)
LAG_S = 60 + SETTINGS.settle_s
FIRST, SECOND, LAST = StepStart(0, 10), StepStart(600, 50), StepStart(0, 95)


def judged(minutes: Sequence[Minute], *starts: StepStart, **changes: object) -> Judgement:
    """Judge minutes as soon as all of them are closed."""
    now = minutes[-1].at + LAG_S
    rollout = replace(RolloutSoFar("41", "42", starts, read_at=now), **changes)  # type: ignore[arg-type]
    return judge(SETTINGS, minutes, rollout, now)


def metrics(found: Judgement) -> list[str]:
    """Return what failed."""
    return [verdict.metric for verdict in found.verdicts if verdict.outcome is Outcome.FAIL]


def slow(numbers: range, canary: tuple[int, int], other: tuple[int, int]) -> list[Minute]:
    """Return those minutes, each version with calls and slow calls."""
    return [
        Minute(60 * n, Counts(canary[0], slow=canary[1]), Counts(other[0], slow=other[1])) for n in numbers
    ]


# --- slow calls


def test_a_slow_canary_fails_by_its_own_metric_and_holds():
    """Four of five calls beyond the median, where it is every second elsewhere, is a verdict and its cause."""
    found = judged(slow(range(10), (50, 40), (450, 225)), FIRST)
    assert metrics(found) == ["slow calls"]
    assert found.holds == {"slow"}
    assert found.verdicts[0].sentence == (
        "v42 served 10.0 % of 1 000 requests but produced 80 of the 530 slow calls. If its odds of one were at "
        "most 1.5 times those of v41, evidence this strong would turn up in fewer than 1 of 800 rollouts."
    )


def test_a_little_slower_is_tolerated():
    """Odds up to one and a half times as high pass, however many calls say so."""
    assert metrics(judged(slow(range(200), (500, 290), (4500, 2250)), FIRST)) == []
    assert metrics(judged(slow(range(200), (500, 330), (4500, 2250)), FIRST)) == ["slow calls"]


def test_without_the_comparison_slowness_is_not_looked_at():
    """Where durations are not compared, there is neither verdict nor trace."""
    minutes = slow(range(10), (50, 50), (450, 45))
    now = minutes[-1].at + LAG_S
    found = judge(replace(SETTINGS, compare_slow=False), minutes, RolloutSoFar("1", "2", (FIRST,), now), now)
    assert [trace.metric for trace in found.traces] == ["errors"]
    assert metrics(found) == []


def test_warming_up_is_forgiven():
    """The minute of a change and three whole minutes after it are not compared, after each increase."""
    warm = (50, 25), (450, 225)
    for start in (StepStart(600, 50), StepStart(630, 50)):
        until = 13 if start.at == 600 else 14
        minutes = [*slow(range(3), (50, 50), (450, 225)), *slow(range(3, 10), *warm)]
        minutes += [*slow(range(10, until), (250, 250), (250, 125)), *slow(range(until, 20), *warm)]
        assert metrics(judged(minutes, FIRST, start)) == []
        assert judged(minutes, FIRST, start).traces[1].points[0].at == 180
    longer = [*slow(range(10), *warm), *slow(range(10, 16), (250, 250), (250, 125))]
    assert metrics(judged(longer, FIRST, SECOND)) == ["slow calls"]


def test_the_reason_is_over_when_the_last_ten_minutes_speak_for_the_canary():
    """Slowness that ended holds nothing any more; slowness that goes on does, for as long as it does."""
    bad = slow(range(13), (50, 45), (450, 225))
    for good, expected in ((3, ["slow calls"]), (10, [])):
        found = judged([*bad, *slow(range(13, 13 + good), (50, 25), (450, 225))], FIRST)
        assert metrics(found) == expected
        assert found.holds == ({"slow"} if expected else set())
    assert metrics(judged(slow(range(60), (50, 45), (450, 225)), FIRST)) == ["slow calls"]


def test_slowness_a_person_accepted_does_not_count_again():
    """After somebody resumed a paused rollout, only slow calls from then on are compared."""
    minutes = slow(range(10), (50, 45), (450, 225))
    assert metrics(judged(minutes, FIRST)) == ["slow calls"]
    assert metrics(judged(minutes, FIRST, accepted_at=540.0)) == []


@pytest.mark.parametrize(("rate", "least", "most"), [(0.5, 0, 0), (0.6, 0, 1), (0.85, 38, 40)])
def test_how_often_it_fails(rate, least, most):
    """Of forty rollouts of an hour none is slow at the same rate, one at most at 1.5 times the odds, and x2 is found."""
    rng, found = random.Random(8), 0
    for _ in range(40):
        minutes = [
            Minute(60 * n, Counts(25, slow=drawn(rng, 25, rate)), Counts(75, slow=drawn(rng, 75, 0.5)))
            for n in range(30)
        ]
        found += judged(minutes, FIRST).traces[1].failed_at is not None
    assert least <= found <= most


def drawn(rng: random.Random, calls: int, rate: float) -> int:
    """Return how many of the calls are slow."""
    return sum(rng.random() < rate for _ in range(calls))


def test_what_is_compared_begins_where_a_person_accepted():
    """The minute of the resumption counts; the floor is ten points; each stratum has its share of the calls."""
    minutes = slow(range(10), (50, 45), (450, 225))
    rollout = RolloutSoFar("41", "42", (FIRST,), read_at=600, accepted_at=300.0)
    test = of_slow(SETTINGS, minutes, rollout)
    assert [row.at for row in test.rows] == [300, 360, 420, 480, 540]
    assert test.floor == pytest.approx(0.1, abs=1e-9)
    assert test.shares[0].rho == pytest.approx(0.1)


def recent(*, worst: int) -> Comparison:
    """Return a comparison of eleven minutes that speak a little for the canary, all but one of them."""
    shares = [Share(60 * n, 0, 5, 0.1, log_means=(0.01,) * 4) for n in range(11)]
    shares[worst] = replace(shares[worst], hits=1)
    return Comparison("slow calls", (), tuple(shares), 0.005, 0.1, omegas=OMEGAS)


def test_ten_minutes_and_no_more_say_that_it_is_over():
    """A very slow minute ten minutes before the last one is not among them; one nine minutes before is."""
    assert is_over(recent(worst=0))
    assert not is_over(recent(worst=1))


def test_nothing_says_nothing():
    """Minutes without a slow call of either version are no evidence for the canary."""
    none = Comparison(
        "slow calls", (), (Share(0, 0, 0, 0.1, log_means=(0.0,) * 4),), 0.005, 0.1, omegas=OMEGAS
    )
    assert not is_over(none)


# --- throttled calls


def throttled(count: int, canary: tuple[int, int], stable: tuple[int, int] = (5, 0)) -> list[Minute]:
    """Return that many minutes, each version with calls and throttles."""
    return [
        Minute(60 * n, Counts(canary[0], throttles=canary[1]), Counts(stable[0], throttles=stable[1]))
        for n in range(count)
    ]


QUIET = Windows(10, 0.0)


def test_more_throttles_than_ever_last_week_pause():
    """Two of a hundred calls turned away, where last week it never was more than one, is a verdict and its cause."""
    found = judged(throttled(10, (93, 2)), LAST, windows=Windows(10, 0.01))
    assert metrics(found) == ["throttles"]
    assert found.holds == {"throttles"}
    assert found.verdicts[0].sentence == (
        "20 of 1 000 calls in 10 minutes were throttled, 2.0 %, where last week it never was more than 1.0 %."
    )


@pytest.mark.parametrize(
    ("minutes", "start", "windows"),
    [
        pytest.param(throttled(10, (93, 2)), LAST, Windows(10, 0.02), id="as many last week"),
        pytest.param(throttled(10, (990, 5)), LAST, QUIET, id="below one percent"),
        pytest.param([*throttled(9, (5, 0), (4, 0)), Minute(540, Counts(5, throttles=4), Counts(4))], LAST, QUIET, id="four throttles"),
        pytest.param(throttled(9, (93, 2)), LAST, QUIET, id="no whole window yet"),
        pytest.param(throttled(10, (45, 5), (45, 5)), StepStart(0, 50), QUIET, id="not the last place"),
        pytest.param(throttled(10, (93, 2)), LAST, Windows(10), id="less than a day is known"),
    ],
)  # fmt: skip
def test_throttles_that_are_no_reason(minutes, start, windows):
    """No count of throttles is a reason by itself."""
    found = judged(minutes, start, windows=windows)
    assert metrics(found) == []
    assert not found.holds


def test_both_versions_throttles_count():
    """What is reserved is shared, so the old version's throttles are the release's too."""
    assert metrics(judged(throttled(10, (93, 0), (5, 2)), LAST, windows=QUIET)) == ["throttles"]


def test_throttles_are_over_when_the_last_minutes_are_below():
    """Ten minutes later the window holds none of them."""
    later = [replace(m, at=m.at + 600) for m in throttled(10, (95, 0))]
    assert metrics(judged([*throttled(10, (93, 2)), *later], LAST, windows=QUIET)) == []
    assert metrics(judged([*throttled(10, (93, 9)), *later[:5]], LAST, windows=QUIET)) == ["throttles"]


def windowed(minutes: Sequence[Minute], judged_min: int, weight_pct: float = 95) -> tuple[int, int] | None:
    """Return what is above last week's windows, none of which had a throttle."""
    rollout = RolloutSoFar("41", "42", (StepStart(0, weight_pct),), read_at=0, windows=QUIET)
    return above(minutes, rollout, judged_min)


def test_exactly_the_last_ten_judged_minutes_count():
    """The first and the last of them do; the one before, the one behind, and our own calls do not."""
    for n, counts in ((9, False), (10, True), (19, True), (20, False)):
        minutes = throttled(21, (95, 0))
        minutes[n] = replace(minutes[n], canary=Counts(95, throttles=40))
        assert (windowed(minutes, 20) is not None) is counts, n
        own = [replace(minute, source="sample") for minute in minutes]
        assert windowed(own, 20) is None


def test_one_percent_and_five_throttles_are_enough():
    """Both limits are reached by the number itself."""
    one = [Minute(0, Counts(495, throttles=5), Counts()), *throttled(10, (0, 0), (0, 0))[1:]]
    assert windowed(one, 10) == (5, 500)
    assert windowed(one, 10, 51) == (5, 500)
    assert windowed(one, 10, 50) is None
    assert windowed(one, 9) is None


def week(calls: list[float], throttles: list[float]) -> Week:
    """Return a week that ends with these minutes."""
    fill = [0.0] * (10_080 - len(calls))
    return Week(0, (*fill, *calls), (0.0,) * 10_080, (*fill, *throttles))


def test_last_week_is_read_in_windows_as_long_as_the_place():
    """The largest share of any ten, or five, minutes counts; a place of hours is judged by ten."""
    throttles = [0.0] * 2880
    throttles[1000], throttles[1007] = 10.0, 10.0
    found = week([10.0] * 2880, throttles)
    assert usual(found, 600) == usual(found, 7200) == Windows(10, share_of(20, 100))
    assert usual(found, 359) == usual(found, 300) == Windows(5, share_of(10, 50))
    assert usual(found, 0) == usual(found, 60) == Windows(1, share_of(10, 10))


def test_a_function_younger_than_a_day_has_no_usual_throttles():
    """Where less than a day is known, bursts may simply not have come yet."""
    assert usual(week([1.0] * 1439, [1.0] * 1439), 600) == Windows(10)
    assert usual(week([1.0] * 1440, [0.0] * 1440), 600) == Windows(10, 0.0)
    assert usual(Week(0), 600) == Windows(10)


def crossings(rate: float, tolerated: float) -> int:
    """Return in how many of forty rollouts the evidence reaches its limit at that tolerance."""
    rng, found = random.Random(8), 0
    for _ in range(40):
        shares = []
        for n in range(30):
            canary, stable = drawn(rng, 25, rate), drawn(rng, 75, 0.5)
            means = log_means(25, 75, canary + stable, OMEGAS, tolerated)
            shares.append(Share(60 * n, canary, canary + stable, 0.25, log_means=means))
        found += any(point.log_e >= math.log(200) for point in accumulate(shares, [0.0], OMEGAS))
    return found


def test_without_the_tolerance_warming_up_would_pause():
    """Where a fifth of the calls are slower the rule stays calm; the same rule without tolerance does not."""
    assert crossings(0.6, TOLERATED) <= 1
    assert crossings(0.6, 1.0) >= 10
