"""The alias marker: the rollout's state as text of at most 256 characters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.canary import marker
from deployer.model import MAX_STEPS, Cause, Marker, RolloutState

RUNNING = Marker("7f3a", "41", "42", (0.1, 50, 95), (1_763_712_000, 1_763_712_312), RolloutState.RUN)


def test_it_reads_as_specified():
    """The text is the documented one, behind the people's own words."""
    assert marker.render("my function", RUNNING) == (
        "my function [lc1 id=7f3a from=41 to=42 step=2/3 at=1763712000+312 w=.1+50+95 st=run]"
    )


@given(
    text=st.text(max_size=marker.MAX_TEXT).filter(lambda text: "[lc1" not in text),
    why=st.text(max_size=400),
    state=st.sampled_from(RolloutState),
    since_s=st.integers(0, 86_400),
    paused=st.tuples(st.integers(1, 99), st.one_of(st.none(), st.sampled_from(Cause))),
)
def test_round_trip(text, why, state, since_s, paused):
    """Whatever text and reason it carries, state and text come back, within Lambda's 256 characters."""
    running = replace(RUNNING, state=state, since_s=since_s, pauses=paused[0], cause=paused[1])
    written = marker.render(text, replace(running, why=why))
    assert len(written) <= 256
    found_text, found = marker.parse(written)
    assert found_text == text
    assert replace(found, why="") == running


@pytest.mark.parametrize(
    "description",
    ["", "my own words", "[lc1 ]", "[lc1 id=7f3a from=41]", "x [lc1 id=1 from=1 to=2 step=a/b at=1 plan=1 st=run]",
     "[lc1 id=1 from=1 to=2 step=1/2 at=1 plan=1 st=unheard-of]",
     "[lc1 id=1 from=1 to=2 step=2/2 at=1 plan=1 st=run]", "[lc2 id=1]",
     "[lc1 id=1 from=1 to=2 step=1/2 at=1 w=a+b st=run]",
     "[lc1 id=1 from=1 to=2 step=1/2 at=1 w=5+95 p=1x st=pause]"],
)  # fmt: skip
def test_what_is_not_a_marker_is_none(description):
    """Text that is no marker of ours, or a damaged one, is read as no rollout, never as a running one."""
    assert marker.parse(description)[1] is None


def test_text_that_leaves_no_room_is_refused():
    """The people's own words are never cut to make room."""
    room = 256 - len(marker.render("", RUNNING)) - 1
    assert marker.parse(marker.render("x" * room, RUNNING))[1] == RUNNING
    with pytest.raises(ValueError, match=f"{room + 1} characters"):
        marker.render("x" * (room + 1), RUNNING)


def test_room_is_left_up_to_the_end():
    """What leaves room for a rollout's first marker may leave none for its last: that is asked beforehand."""
    assert marker.leaves_room("x" * marker.MAX_TEXT, RUNNING)
    assert marker.render("x" * 150, RUNNING)
    assert not marker.leaves_room("x" * 150, RUNNING)


@pytest.mark.parametrize(
    ("before", "behind", "text"),
    [
        ("", "", ""),
        ("mine ", "", "mine"),
        ("", " ask Ann", "ask Ann"),
        ("mine ", " ask Ann\n", "mine ask Ann"),
        ("mine ", "ask [Ann]", "mine ask [Ann]"),
        ("[lc1 ] ", " x", "[lc1 ] x"),
    ],
)
def test_a_marker_is_found_anywhere(before, behind, text):
    """Whatever was typed before and behind it in the console, the marker is found, and both texts stay."""
    found_text, found = marker.parse(before + marker.render("", RUNNING) + behind)
    assert (found_text, found) == (text, RUNNING)
    again, same = marker.parse(marker.render(found_text, found))
    assert (again, same) == (text, RUNNING)


def test_the_longest_rollout_has_room():
    """As many places as there may be, a day each, a long id and 80 characters of the people's own fit."""
    day = 86_400
    longest = Marker(
        "123456789012.12",
        "99998",
        "99999",
        (0.1, 0.2, 0.5, 1, 12.5, 25, 50, 99.9)[:MAX_STEPS],
        tuple(1_763_712_000 + day * number for number in range(MAX_STEPS)),
        RolloutState.ROLLED_BACK,
        since_s=day,
        accepted_s=day,
        pauses=3,
        cause=Cause.THROTTLES,
    )
    assert len(longest.weights) == MAX_STEPS
    written = marker.render("x" * marker.MAX_TEXT, replace(longest, why="y" * 300))
    assert len(written) <= 256
    assert replace(marker.parse(written)[1], why="") == longest
    assert marker.leaves_room("x" * marker.MAX_TEXT, longest)


@pytest.mark.parametrize(("named", "state"), [("bake", RolloutState.RUN), ("done", RolloutState.DONE)])
def test_a_marker_of_an_earlier_form_is_read(named, state):
    """A marker without the shares of its places still says which version was there before."""
    _, found = marker.parse(f"mine [lc1 id=1 from=41 to=42 step=1/2 at=1 plan=9c1e st={named}]")
    assert (found.from_version, found.to_version, found.weights, found.state) == ("41", "42", (), state)


def test_a_state_began_after_its_step():
    """A pause is counted from when it began, not from when its step did."""
    assert replace(RUNNING, since_s=90).at == 1_763_712_312 + 90


@pytest.mark.parametrize("room", [-1, 0, 1, 2])
def test_the_reason_takes_what_room_is_left(room):
    """Of a reason that does not fit the beginning is kept, down to one letter; without room it is left out whole."""
    text = "x" * (256 - len(marker.render("", RUNNING)) - len("  why=") - room)
    written = marker.render(text, replace(RUNNING, why="yyyy"))
    if room > 0:
        assert len(written) == 256
        assert written.endswith(f" why={'y' * room}]")
    else:
        assert written == marker.render(text, RUNNING)
