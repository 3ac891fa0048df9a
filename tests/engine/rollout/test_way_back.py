"""The way back while AWS is unwell: for how long it is tried, what a signal changes, and who takes over."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from deployer.errors import DeployerError, Exit
from deployer.model import GateSettings, RolloutPlan, Routing, Step
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate
from deployer.rollout.signals import Interrupted, Stop, signals_to
from deployer.rollout.way_back import COMMAND_S, JOB_S, SIGNAL_S, Patience, roll_back
from engine.aws.unwell import Answer, running
from engine.fakes import FakeAws, VirtualClock

MARKER = "[lc1 id=99.1 from=41 to=42 step=1/2 at=1763712000 plan=aaaa st=run]"
PLAN = RolloutPlan(id="7f3a", target="42", steps=(Step(10, 300), Step(50, 300), Step(95, 300)))


def shared(clock: VirtualClock) -> FakeAws:
    """Return an alias in the middle of a rollout."""
    return FakeAws(clock).given_alias(MARKER, canary="42", weight_pct=10)


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("limit_s", [COMMAND_S, JOB_S])
def test_it_is_tried_until_aws_answers(call: int, limit_s: float) -> None:
    """An outage shorter than the limit, beginning at whichever call, ends with the traffic back."""
    clock = VirtualClock()
    aws = shared(clock).given_outage(call, limit_s - 20)
    done = roll_back(aws, reason="by hand", patience=Patience(clock, limit_s))  # type: ignore[arg-type]
    assert done.version == "41"
    assert (aws.routing, len(aws.writes)) == (Routing("41"), 1)


@pytest.mark.parametrize("limit_s", [COMMAND_S, JOB_S])
def test_it_ends_at_its_deadline_and_names_who_takes_over(limit_s: float) -> None:
    """When the job's time is over, the error names the guard's alarm and the command."""
    clock = VirtualClock()
    aws = shared(clock).given_outage(1, 86_400)
    with pytest.raises(Unavailable) as caught:
        roll_back(aws, reason="by hand", patience=Patience(clock, limit_s))  # type: ignore[arg-type]
    assert limit_s <= clock.slept <= limit_s + 1
    assert caught.value.exit_code == Exit.FAILED
    assert "`deployer rollback` once AWS answers" in caught.value.hint
    assert "image-resizer-production-canary-VERSION" in caught.value.hint


def test_it_does_not_ask_and_ask() -> None:
    """While AWS is away the pauses grow: a quarter of an hour is about seventy calls, not thousands."""
    clock = VirtualClock()
    aws = shared(clock).given_outage(1, 86_400)
    with pytest.raises(Unavailable):
        roll_back(aws, reason="by hand", patience=Patience(clock, JOB_S))  # type: ignore[arg-type]
    assert 50 <= len(aws.calls) <= 80


@pytest.mark.parametrize(("outage_s", "is_back"), [(1, True), (5, True), (60, False), (1200, False)])
def test_a_signal_leaves_seven_and_a_half_seconds(outage_s: float, is_back: bool) -> None:
    """After a signal it is tried for 7.5 s; then the job ends with exit 130 and names the guard's alarm."""
    clock, stop = VirtualClock(), Stop()
    aws = FakeAws(clock)
    clock.at(100, lambda: (stop("SIGINT"), aws.goes_away(outage_s)))
    asked = rollout.Rollout(PLAN, Gate(GateSettings(), ("errors",)), lambda _: None, stop)
    with pytest.raises(DeployerError) as caught:
        rollout.run(aws, asked, clock)  # type: ignore[arg-type]
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert (aws.routing == Routing("41")) is is_back
    assert clock.slept <= 100 + SIGNAL_S + 0.5
    if not is_back:
        assert "the traffic could not be given back" in caught.value.what
        assert "alarm `image-resizer-production-canary-42` fires" in caught.value.hint


def test_a_signal_on_the_way_back_brings_its_end_nearer() -> None:
    """Whoever is on the way back when the job is cancelled has 7.5 s left, however long it was to be."""
    clock = VirtualClock()
    stop = Stop(now=clock.now)
    aws = shared(clock).given_outage(1, 86_400)
    clock.at(100, lambda: stop("SIGTERM"))
    with pytest.raises(Unavailable):
        roll_back(aws, reason="by hand", patience=Patience(clock, JOB_S, stop))  # type: ignore[arg-type]
    assert clock.slept <= 100 + SIGNAL_S + 0.5


def test_a_second_signal_changes_nothing() -> None:
    """GitHub's SIGTERM after its SIGINT neither moves the deadline nor renames the reason."""
    clock = VirtualClock()
    stop = Stop(now=clock.now)
    stop("SIGINT")
    clock.sleep(7.5)
    stop("SIGTERM")
    assert (stop.signal, stop.at) == ("SIGINT", clock.now() - 7.5)


def test_a_signal_ends_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal is not kept waiting by an AWS that takes its time: the real client lets go at once."""
    with running() as server, signals_to(stop := Stop()):
        server.given(Answer(after_s=10))
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": server.url,
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        aws = Aws("image-resizer-production", "eu-west-1")
        began: list[float] = []
        signalled = threading.Thread(
            target=_signal_once, args=(lambda: server.requests > 0, began), daemon=True
        )
        signalled.start()
        with pytest.raises(Interrupted), stop.reading():
            aws.alias()
        signalled.join()
        assert time.monotonic() - began[0] < 5
        assert stop.signal == "SIGINT"


def _signal_once(is_so: Callable[[], bool], at: list[float]) -> None:
    """Send this process SIGINT as soon as something is so, at most ten seconds from now, and note when."""
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.01)
    at.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_before_a_read_is_not_forgotten() -> None:
    """What came while something was written is seen before anything else is read."""
    stop = Stop()
    stop("SIGINT")
    with pytest.raises(Interrupted), stop.reading():
        raise AssertionError("nothing may be read any more")
