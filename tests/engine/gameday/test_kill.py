"""A game day that is killed, throttled or stopped at any of its calls, and the next start, which repairs."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.aws.errors import Unavailable
from deployer.errors import DeployerError, Exit
from deployer.gameday.run import How, run
from engine.fakes import Death
from engine.gameday.staging import LIVE, Staging, context_of, on_clock
from engine.gameday.test_run import assert_as_before, play

REPAIR = How(only_repairs=True)
LOOKS = {"GetMetricData", "DescribeAlarms", "Invoke"}


def calls_of_a_game_day(folder: Path) -> list[int]:
    """Return the numbers of the calls of a sound game day; of looks that repeat themselves only some."""
    aws = Staging()
    play(folder, aws)
    seen: Counter[tuple[str, int]] = Counter()
    chosen = []
    for number, name in enumerate(aws.calls, start=1):
        part = sum(1 for call in aws.calls[:number] if call in ("UpdateAlias", "UpdateFunctionConfiguration"))
        seen[(name, part)] += 1
        if seen[(name, part)] <= 3 or number == len(aws.calls):
            chosen.append(number)
    return chosen


def each_call(folder: Path, harm: Callable[[Staging, int], object]) -> list[tuple[int, Staging, str]]:
    """Play a game day once for each call, harmed there; returns the worlds and how each game day ended."""
    ended = []
    for number in calls_of_a_game_day(folder):
        aws = Staging()
        harm(aws, number)
        try:
            play(folder, aws)
            how = "green"
        except (DeployerError, Death) as error:
            how = "killed" if isinstance(error, Death) else f"exit {error.exit_code}"
        ended.append((number, aws, how))
    return ended


def test_the_next_start_repairs_what_a_kill_left(tmp_path: Path) -> None:
    """Killed just after any call, it leaves nothing that the next start does not put back."""
    worlds = each_call(tmp_path, lambda aws, number: aws.given_death_after(number))
    assert {how for _, _, how in worlds} == {"killed"}
    left = 0
    for number, aws, _ in worlds:
        aws.given_running_as_new()
        left += len(aws.versions_) > 2 or aws.image_config != LIVE
        assert run(context_of(tmp_path, aws), REPAIR, background=on_clock) == Exit.DONE, number
        assert_as_before(aws)
    assert left > len(worlds) / 2, "most kills leave something: otherwise this shows nothing"


@pytest.mark.parametrize("later_s", [0, 86_400], ids=["at once", "a day later"])
def test_a_whole_game_day_after_a_kill_is_green(tmp_path: Path, later_s: int) -> None:
    """The next game day says that it repaired something, and is as sound as the first would have been."""
    for number in calls_of_a_game_day(tmp_path)[::9]:
        aws = Staging().given_death_after(number)
        assert isinstance(aws, Staging)
        with pytest.raises(Death):
            play(tmp_path, aws)
        aws.given_running_as_new()
        aws.clock.sleep(later_s)
        assert play(tmp_path, aws) == Exit.DONE, number
        assert_as_before(aws)


def test_a_repair_that_is_killed_is_repaired(tmp_path: Path) -> None:
    """The repair itself may be killed at any of its calls; the one after it goes on."""
    aws = Staging()
    play(tmp_path, aws)
    weighted = next(n for n, name in enumerate(aws.calls, start=1) if name == "UpdateAlias")
    for number in range(1, 15):
        aws = Staging()
        aws.given_death_after(weighted)
        with pytest.raises(Death):
            play(tmp_path, aws)
        aws.given_running_as_new()
        aws.given_death_after(number)
        try:
            run(context_of(tmp_path, aws), REPAIR, background=on_clock)
        except Death:
            aws.given_running_as_new()
            run(context_of(tmp_path, aws), REPAIR, background=on_clock)
        assert_as_before(aws)


@pytest.mark.parametrize("kind", ["throttled", "no answer", "lost answer"])
def test_trouble_at_any_call_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """A call that is throttled, or whose answer is lost, may turn a game day red; what is left is repaired."""

    def harm(aws: Staging, number: int) -> None:
        match kind:
            case "throttled":
                aws.given_throttling(number)
            case "no answer":
                aws.given_failure(number, Unavailable("the call: AWS did not answer"))
            case _:
                aws.given_lost_answer(number)

    worlds = each_call(tmp_path, harm)
    assert "killed" not in {how for _, _, how in worlds}
    for _, aws, how in worlds:
        if how != "green":
            aws.given_running_as_new()
            run(context_of(tmp_path, aws), REPAIR, background=on_clock)
        assert_as_before(aws)


@pytest.mark.parametrize("after_s", [1.0, 30.0, 200.0, 400.0, 600.0])
def test_a_signal_ends_it_in_order(tmp_path: Path, after_s: float) -> None:
    """A cancelled job takes its traffic back, puts everything back, and ends with exit 130."""
    aws = Staging()
    aws.clock.at(after_s, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert_as_before(aws)


def test_nothing_left_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A repair without anything to repair writes nothing and says so."""
    aws = Staging()
    assert run(context_of(tmp_path, aws), REPAIR, background=on_clock) == Exit.DONE
    assert "nothing to repair" in capsys.readouterr().out
    assert aws.written == []
    assert not {"UpdateFunctionConfiguration", "DeleteFunction"} & set(aws.calls)


def test_a_repair_never_touches_a_release(tmp_path: Path) -> None:
    """While somebody's rollout runs, a repair deletes what a game day left and leaves the alias alone."""
    aws = Staging()
    aws.given_alias(
        "[lc1 id=7.1 from=41 to=40 step=1/2 at=1763711900 plan=9c1e st=run]", canary="40", weight_pct=10
    )
    aws.versions_["42"] = {"config": {"Command": ["deployer-gameday.x"]}, "sha": "sha-live"}
    aws.versions_["42"]["description"] = "deployer-gameday 5.1-gate | old words"
    before = aws.routing, aws.description
    run(context_of(tmp_path, aws), REPAIR, background=on_clock)
    assert (aws.routing, aws.description) == before
    assert set(aws.versions_) == {"40", "41"}
