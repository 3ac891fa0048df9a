"""The alarm after a release: the first threshold that last week would not have fired."""

from __future__ import annotations

import pytest

from deployer.judge.armed import CANDIDATES, Threshold, threshold
from deployer.judge.counts import Week

MINUTES = 7 * 24 * 60


def week(per_minute: float = 100.0, bad: dict[int, float] | None = None) -> Week:
    """Return a week of steady calls; `bad` is the share (0-1) of errors of single minutes."""
    errors = [0.0] * MINUTES
    for minute, share in (bad or {}).items():
        errors[minute] = per_minute * share
    return Week(0, (per_minute,) * MINUTES, tuple(errors), (0.0,) * MINUTES)


def outage(minutes: int, share: float) -> dict[int, float]:
    """Return an outage of so many minutes on the second day."""
    return {1440 + minute: share for minute in range(minutes)}


WEEKS = [
    ("a calm week arms at the first threshold", week(), Threshold(5, 60, 5)),
    ("four bad minutes are no reason to wait longer", week(bad=outage(4, 1.0)), Threshold(5, 60, 5)),
    ("an outage of 7 % raises the share", week(bad=outage(5, 0.07)), Threshold(10, 60, 5)),
    ("a share that is just reached counts", week(bad=outage(5, 0.05)), Threshold(10, 60, 5)),
    ("an outage of 30 % for five minutes", week(bad=outage(5, 0.3)), Threshold(10, 60, 10)),
    ("a total outage of ten minutes", week(bad=outage(10, 1.0)), Threshold(50, 60, 15)),
    ("a total outage of half an hour", week(bad=outage(30, 1.0)), Threshold(90, 60, 60)),
    ("a total outage of an hour leaves nothing", week(bad=outage(60, 1.0)), None),
    ("one call a minute is asked for five minutes at a time", week(1.0), Threshold(5, 300, 3)),
    ("a call every ten minutes is asked for a quarter of an hour", week(0.1), Threshold(5, 900, 3)),
    ("a week without calls", week(0.0), Threshold(5, 900, 3)),
]


@pytest.mark.parametrize(("found", "expected"), [pytest.param(*row[1:], id=row[0]) for row in WEEKS])
def test_threshold(found: Week, expected: Threshold | None) -> None:
    """Each week has its one threshold."""
    assert threshold(found) == expected


def test_quiet_minutes_neither_fire_nor_calm_down() -> None:
    """Minutes without calls are left out, as the alarm leaves them out: failing calls around them are in a row."""
    bad = outage(9, 0.07)
    calls = [100.0] * MINUTES
    errors = [100.0 * bad.get(minute, 0.0) for minute in range(MINUTES)]
    for minute in (1441, 1443, 1445, 1447):
        calls[minute] = errors[minute] = 0.0
    assert threshold(Week(0, tuple(calls), tuple(errors))) == Threshold(10, 60, 5)


def test_it_says_when_it_fires() -> None:
    """The threshold in words has its share and its time."""
    assert str(Threshold(10, 300, 3)) == "10 % of the calls failed for 15 min"
    assert all(share <= 90 for share, _ in CANDIDATES)


@pytest.mark.parametrize(
    ("hour", "hours"),
    [(12, 0), (21, 0), (22, 9), (23, 9), (3, 9), (8, 9), (9, 9), (10, 0), (36, 0), (30, 9)],
)
def test_how_long_a_week_was_silent_at_a_time_of_day(hour: int, hours: int) -> None:
    """Nights without a call, 23 to 8, count from an hour before to an hour behind them, and never at noon."""
    day = (0.0,) * 480 + (5.0,) * 900 + (0.0,) * 60
    assert Week(0, day * 7).quiet_s(hour * 3600) == hours * 3600


def test_silence_before_the_first_call_is_no_silence() -> None:
    """A function that is new was not silent before; with less than a day of its life nothing is unusual."""
    assert Week(0, (0.0,) * 8640 + (5.0,) * 1440).quiet_s(0) == 0
    assert Week(0, (0.0,) * 8700 + (5.0,) * 1380).quiet_s(0) == 604_800
    assert Week(0, (0.0,) * 10_080).quiet_s(0) == 604_800
    assert Week(0).quiet_s(0) == 0
