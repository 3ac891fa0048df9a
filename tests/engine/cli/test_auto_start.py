"""`steps = "auto"` from the command line: the week decides, and who resumes or asks decides the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from deployer.judge.counts import Block
from engine.around import given_settings
from engine.fakes import FakeAws, Traffic, VirtualClock
from generating import GENERATED

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
steps = "auto"
alarms = ["errors"]
"""


class NoStack:
    """A CloudFormation whose stack has no topic, and so no guard."""

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        """Answer that the stack exists."""
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE"}]}

    def get_template(self, **_: Any) -> dict[str, Any]:
        """Answer with an empty template."""
        return {"TemplateBody": ""}


BUSY = Traffic()  # 600 calls a minute
QUIET = Traffic(per_minute=0.5, week=(Block(7, 0),) * (7 * 24 * 4))
SAMPLE = """event = "sample.json"
[expect]
answer = { resized = [] }
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, FakeAws]]:
    """Return a function that runs a command against a function with that traffic."""
    monkeypatch.chdir(tmp_path)
    given_settings(tmp_path, SETTINGS)

    def run(*argv: str, traffic: Traffic = BUSY, aws: FakeAws | None = None) -> tuple[int, FakeAws]:
        clock = aws.clock if aws is not None else VirtualClock()
        fake = aws or FakeAws(clock, traffic=traffic)
        fake.cloudformation = NoStack()
        made: Any = lambda _config, _environment: fake  # noqa: E731
        return main(list(argv), clock=clock, aws=made), fake

    return run


def weights(aws: FakeAws) -> list[float]:
    """Return the shares of traffic that were written."""
    return [write.weight_pct for write in aws.writes]


def test_the_week_decides_the_steps(start):
    """With 600 calls a minute a release takes 1, 10 and 95 %, and is done by itself within 45 minutes."""
    code, aws = start("rollout", "start")
    assert code == Exit.DONE
    assert weights(aws) == [1, 10, 95, 0]
    assert aws.clock.slept <= 45 * 60


def test_whoever_resumes_goes_on_with_the_same_steps(start):
    """A rollout that was left is resumed by another process from the same week."""
    _, aws = start("rollout", "start", "--detach")
    assert weights(aws) == [1]
    code, _ = start("rollout", "resume", aws=aws)
    assert code == Exit.DONE
    assert weights(aws) == [1, 10, 95, 0]


def test_a_wish_needs_no_week(start):
    """Who pauses, promotes or ends a rollout asks for no metrics: they may be away."""
    _, aws = start("rollout", "start", "--detach")
    aws.calls.clear()
    assert start("rollout", "pause", "--reason", "lunch", aws=aws)[0] == Exit.DONE
    assert "GetMetricData" not in aws.calls
    assert start("rollout", "abort", "--reason", "no", aws=aws)[0] == Exit.DONE
    assert "GetMetricData" not in aws.calls


def test_a_function_that_is_hardly_called_is_released_by_its_sample(start, tmp_path, capsys):
    """With a call every two minutes: the sample three of three, half of the traffic, done, and both times said."""
    (tmp_path / "smoke" / "sample.toml").write_text(SAMPLE)
    (tmp_path / "smoke" / "sample.json").write_text(json.dumps({"a": "photo"}))
    code, aws = start("rollout", "start", traffic=QUIET)
    assert code == Exit.DONE
    assert weights(aws) == [50, 0]
    assert aws.events.count({"a": "photo"}) == 3
    out = capsys.readouterr().out
    assert "proof      none: too few calls to prove anything about version 42." in out
    assert "its alarm stays armed for 24 h" in out
    assert "sample     version 42 handled smoke/sample.toml 3 of 3 times" in out
    assert "proof      no traffic proved version 42." in out
    assert aws.clock.slept <= 20 * 60


def test_a_version_that_fails_its_sample_gets_no_traffic(start, tmp_path, capsys):
    """One wrong answer of three, and the release is refused before anything has moved."""
    (tmp_path / "smoke" / "sample.toml").write_text(SAMPLE.replace("[] }", '["one"] }'))
    (tmp_path / "smoke" / "sample.json").write_text("{}")
    code, aws = start("rollout", "start", traffic=QUIET)
    assert code == Exit.REFUSED
    assert aws.writes == []
    assert "version 42 failed the sample at try 1 of 3" in capsys.readouterr().err


def test_samples_are_sent_where_the_owner_asks_for_them(start, tmp_path):
    """With `sample_every_s` both versions get the sample through the whole release."""
    given_settings(tmp_path, SETTINGS + "sample_every_s = 60\n")
    assert start("rollout", "start")[0] == Exit.USAGE
    (tmp_path / "smoke" / "sample.toml").write_text(SAMPLE)
    (tmp_path / "smoke" / "sample.json").write_text(json.dumps({"a": "photo"}))
    code, aws = start("rollout", "start")
    assert code == Exit.DONE
    assert aws.events.count({"a": "photo"}) >= 20


def test_the_plan_says_what_will_happen(start, tmp_path, capsys):
    """`plan` prints the places, what they find, how long they take, and the frontier."""
    (tmp_path / "infra").mkdir()
    for name in ("service.yaml", "permissions.yaml"):
        (tmp_path / "infra" / name).write_bytes((GENERATED / "infra" / name).read_bytes())
    code, _ = start("plan", traffic=BUSY)
    assert code == Exit.DONE
    out = capsys.readouterr().out
    assert "last week, at this time of day: 600 calls per minute or more" in out
    assert "19 of 20 releases that fail" in out
    assert "find_pct   within_s   done after" in out
    assert "cost *     runner" in out
