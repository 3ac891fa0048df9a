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
    ("calls", "quiet_s"),
    [((), 0), ((1.0, 2.0), 0), ((0.0, 0.0, 1.0, 0.0), 120), ((1.0, 0.0, 0.0, 0.0), 180)],
)
def test_the_longest_silence_of_a_week(calls: tuple[float, ...], quiet_s: float) -> None:
    """The most minutes in a row without a call, at the week's beginning and end as well."""
    assert Week(0, calls).quiet_s == quiet_s
