"""What the workflow Control asks for: each wish once, with who asked and why, and nothing by free text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from engine.around import FakeAlarms, FakeTopic, StackWithTopic, given_settings
from engine.cli.test_cli import SETTINGS
from engine.fakes import FakeAws, VirtualClock

WHY = "ticket 7"


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs one command as a person's job in GitHub Actions does."""
    given_settings(tmp_path, SETTINGS)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "SKIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    clock = VirtualClock()
    fake = FakeAws(clock)
    fake.cloudformation, fake.sns, fake.cloudwatch = StackWithTopic(), FakeTopic(), FakeAlarms()

    def run(*argv: str) -> int:
        return main(list(argv), clock=clock, aws=lambda _config, _environment: fake)

    run.aws = fake
    return run


@pytest.mark.parametrize(
    ("wish", "weights"),
    [
        pytest.param("status", {"42": 10}, id="status moves nothing"),
        pytest.param("pause", {"42": 10}, id="pause keeps the weight"),
        pytest.param("skip", {"42": 50}, id="skip takes the next step"),
        pytest.param("promote", {}, id="promote gives all traffic"),
        pytest.param("abort", {}, id="abort gives it back"),
        pytest.param("rollback", {}, id="so does rollback"),
    ],
)
def test_each_wish_is_carried_out(wish: str, weights: dict[str, int], deploy) -> None:
    """The alias is where the wish wants it, and says who asked and why."""
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    assert deploy("rollout", "control", wish, "--reason", WHY) == Exit.DONE
    alias = deploy.aws.alias()
    routing = alias.routing
    assert ({routing.canary: routing.weight_pct} if routing.canary else {}) == weights
    assert routing.stable == ("42" if wish == "promote" else "41")
    assert alias.marker.why == ("" if wish == "status" else f"{WHY} (octocat)")


def test_a_pause_is_ended_for_whoever_drives(deploy) -> None:
    """`resume` writes the alias once, arms nothing, and does not drive the rollout from the person's job."""
    deploy("rollout", "start", "--detach")
    deploy("rollout", "control", "pause", "--reason", WHY)
    armed = list(deploy.aws.cloudwatch.calls)
    assert deploy("rollout", "control", "resume", "--reason", WHY) == Exit.DONE
    assert deploy.aws.alias().marker.state.name == "RUN"
    assert deploy.aws.cloudwatch.calls == armed


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["pause", "--reason", ""], id="no reason"),
        pytest.param(["pause", "--reason", "   "], id="an empty one"),
        pytest.param(["pause", "--reason", "a\nb"], id="two lines"),
        pytest.param(["pause", "--reason", WHY, "--to", "41"], id="a version nobody asked for"),
        pytest.param(["rollback", "--reason", WHY, "--to", "$LATEST"], id="no number"),
        pytest.param(["rollback", "--reason", WHY, "--to", "41; id"], id="a command"),
        pytest.param(["rollback", "--reason", WHY, "--to", "041"], id="another way to write it"),
        pytest.param(["destroy", "--reason", WHY], id="an unknown wish"),
        pytest.param(["pause"], id="not even an empty reason"),
    ],
)
def test_bad_input_changes_nothing(words: list[str], deploy) -> None:
    """Each is a usage error before AWS is called."""
    deploy("rollout", "start", "--detach")
    before = deploy.aws.alias()
    assert deploy("rollout", "control", *words) == Exit.USAGE
    assert deploy.aws.alias() == before
