"""Provisioned concurrency on versions, and weights nobody set, on a virtual clock."""

from __future__ import annotations

import pytest

from deployer.aws import provisioned
from deployer.errors import DeployerError, Exit
from engine.around import FakeWarmth
from engine.fakes import FakeAws, VirtualClock

RUN = "[lc1 id=7.1 from=41 to=42 step=1/2 at=1763712000 plan=9c1e st=run]"


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that passes when somebody waits."""
    return VirtualClock()


@pytest.fixture
def warmth(clock: VirtualClock) -> FakeWarmth:
    """Return a function none of whose versions has any."""
    return FakeWarmth(clock)


def test_version_is_ready_before_anything_goes_on(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """It is put, waited for, and said to be there."""
    said: list[str] = []
    provisioned.make_ready(warmth.port(), "42", 5, clock, said.append)
    assert warmth.calls == ["put 42 5"]
    assert clock.slept == 60
    assert said == ["provision  5 on version 42", "provision  5 of 5 are ready on version 42"]


def test_putting_again_changes_nothing(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """A repeated start finds it ready and waits for nothing; another number is put anew."""
    for count in (5, 5, 6):
        provisioned.make_ready(warmth.port(), "42", count, clock, lambda _: None)
    assert warmth.calls == ["put 42 5", "put 42 6"]


def test_waiting_ends_after_26_minutes(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """What is not ready by then is taken away again, and the release is not begun."""
    warmth.ready_s = 27 * 60
    with pytest.raises(DeployerError, match="version 42 did not become ready") as caught:
        provisioned.make_ready(warmth.port(), "42", 5, clock, lambda _: None)
    assert caught.value.found == "found 0 of 5 ready, IN_PROGRESS, expected 5 within 26 minutes"
    assert clock.slept == 26 * 60
    assert warmth.configs == {}


def test_failure_is_told_in_lambdas_words(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """When Lambda gives up, its reason is shown."""
    warmth.fails = "FUNCTION_ERROR_INIT_FAILURE"
    with pytest.raises(DeployerError) as caught:
        provisioned.make_ready(warmth.port(), "42", 5, clock, lambda _: None)
    assert "FAILED: FUNCTION_ERROR_INIT_FAILURE" in (caught.value.found or "")
    assert warmth.configs == {}


def test_one_that_failed_before_is_tried_again(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """A failure of an earlier attempt does not count for this one."""
    warmth.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="42", ProvisionedConcurrentExecutions=5
    )
    warmth.fails = "once"
    clock.sleep(60)
    clock.at(30, lambda: setattr(warmth, "fails", ""))
    provisioned.make_ready(warmth.port(), "42", 5, clock, lambda _: None)
    assert warmth.calls == ["put 42 5", "put 42 5"]


def test_interrupted_waiting_leaves_nothing(warmth: FakeWarmth, clock: VirtualClock) -> None:
    """Ctrl-C while it becomes ready takes it away: it would be paid for by the hour."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.at(20, interrupt)
    with pytest.raises(KeyboardInterrupt):
        provisioned.make_ready(warmth.port(), "42", 5, clock, lambda _: None)
    assert warmth.configs == {}


def test_removing_what_is_not_there(warmth: FakeWarmth) -> None:
    """Nothing happens to a version without any."""
    warmth.port().remove("41")
    assert warmth.calls == []


def test_lambdas_own_weights_are_waited_for(clock: VirtualClock) -> None:
    """Weights that nobody set go away by themselves, and the start goes on from there."""
    aws = FakeAws(clock).given_alias("mine", canary="42", weight_pct=100)
    clock.at(200, lambda: aws.given_alias("mine"))
    said: list[str] = []
    alias = provisioned.settled(aws.alias, clock, said.append)
    assert alias.routing.canary is None
    assert clock.slept == 200
    assert said == ["waiting    100 % on version 42, not by a rollout"]


def test_weights_that_stay_are_refused(clock: VirtualClock) -> None:
    """After five minutes they are somebody's, and the message names the command that clears them."""
    aws = FakeAws(clock).given_alias("mine", canary="42", weight_pct=10)
    with pytest.raises(DeployerError) as caught:
        provisioned.settled(aws.alias, clock, lambda _: None)
    assert clock.slept == 300
    assert caught.value.exit_code == Exit.REFUSED
    assert caught.value.hint == "deployer rollback --to 41"


@pytest.mark.parametrize(("text", "weight_pct"), [("mine", 0), (RUN, 10)], ids=["no weights", "a rollout's"])
def test_other_aliases_are_not_waited_for(clock: VirtualClock, text: str, weight_pct: int) -> None:
    """An alias at rest, or in a rollout of ours, is taken as it is with one call."""
    aws = FakeAws(clock).given_alias(text, canary="42" if weight_pct else None, weight_pct=weight_pct)
    provisioned.settled(aws.alias, clock, lambda _: None)
    assert (clock.slept, aws.calls) == (0, ["GetAlias"])
