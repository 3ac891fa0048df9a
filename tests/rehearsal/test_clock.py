"""The compressed clock."""

import time

import pytest

from rehearsal.clock import CompressedClock


def test_time_passes_faster() -> None:
    """A thousand times compressed, ten seconds are over in a hundredth of one."""
    clock = CompressedClock.starting_now(1000)
    before, real = clock.now(), time.monotonic()
    clock.sleep(10)
    assert clock.now() - before >= 10
    assert time.monotonic() - real < 5


def test_two_processes_share_one_clock() -> None:
    """The clock that travels as text to another process shows the same time."""
    clock = CompressedClock(1000.25, 2000.125, 45.0)
    assert CompressedClock.from_text(clock.to_text()) == clock


def test_another_speed_continues_from_the_same_time() -> None:
    """Slowing the clock down does not make it jump."""
    clock = CompressedClock.starting_now(60)
    before = clock.now()
    clock.run_at(10)
    assert 0 <= clock.now() - before < 30
    assert clock.speed == 10


def test_skipping_shows_a_later_time_at_once() -> None:
    """A week is skipped without waiting, and the clock runs on as before."""
    clock = CompressedClock.starting_now(60)
    before = clock.now()
    clock.skip(604_800)
    assert 604_800 <= clock.now() - before < 604_900
    assert clock.speed == 60


@pytest.mark.parametrize("text", ["", "1/2", "1/2/0", "1/2/-3", "a/b/c"])
def test_what_is_no_clock_is_refused(text: str) -> None:
    """Text that is not a clock, or one that does not run forwards, raises ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  # Python's own words differ between versions
        CompressedClock.from_text(text)
