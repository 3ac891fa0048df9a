"""A person's reason: announced, in the marker, in the events and in the summary, whatever the verb."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from deployer.model import AlarmState
from engine.around import FakeAlarms, FakeTopic, StackWithTopic, given_settings
from engine.cli.test_cli import SETTINGS
from engine.fakes import FakeAws, VirtualClock

WHY = "ticket 7: pictures are grey"


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs one command with events and summary in files, and a topic that listens."""
    given_settings(tmp_path, SETTINGS)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "SKIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    clock = VirtualClock()
    fake = FakeAws(clock)
    fake.cloudformation, fake.sns, fake.cloudwatch = StackWithTopic(), FakeTopic(), FakeAlarms()

    def run(*argv: str) -> int:
        return main(list(argv), clock=clock, aws=lambda _config, _environment: fake)

    run.aws, run.clock = fake, clock
    return run


def events() -> list[dict[str, object]]:
    """Return what was kept in the file of events."""
    return [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]


def marker_why(aws: FakeAws) -> str:
    """Return the reason on the alias."""
    return aws.alias().marker.why


@pytest.mark.parametrize("verb", ["pause", "resume", "skip", "promote", "abort", "rollback"])
def test_every_verb_keeps_its_reason_everywhere(deploy, verb):
    """The reason is told to the topic, kept in the marker, in the events, and in the summary."""
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    deploy.clock.sleep(5)
    more = ("--detach",) if verb == "resume" else ()
    if verb == "resume":
        assert deploy("rollout", "pause") == Exit.DONE
    Path("summary.md").unlink(missing_ok=True)
    command = (verb,) if verb == "rollback" else ("rollout", verb)
    assert deploy(*command, "--reason", WHY, "--events", "events.jsonl", *more) == Exit.DONE
    assert marker_why(deploy.aws) == WHY
    assert deploy.aws.sns.events[-1]["reason"] == WHY
    assert events()[-1]["reason"] == WHY
    assert f"Reason: {WHY}" in Path("summary.md").read_text()


def test_status_says_why(deploy, capsys):
    """What a person gave as reason is what the next person reads."""
    deploy("rollout", "start", "--detach")
    deploy("rollout", "skip", "--reason", WHY)
    capsys.readouterr()
    assert deploy("status") == Exit.DONE
    assert f"why        {WHY}" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_hotfix_goes_out_at_once(deploy, capsys, monkeypatch, by):
    """All traffic goes to the version in one write, and the reason is kept to the end."""
    if by == "variable":
        monkeypatch.setenv("SKIP_STEPS_REASON", WHY)
    option = ("--skip-steps", WHY) if by == "option" else ()
    deploy.aws.given_alarm("errors", AlarmState.ALARM, since=0.0)
    assert deploy("rollout", "start", *option, "--events", "events.jsonl") == Exit.DONE
    assert [(write.version, write.canary) for write in deploy.aws.writes] == [("42", None)]
    assert marker_why(deploy.aws) == WHY
    assert f"skipped    {WHY}" in capsys.readouterr().out
    assert {"kind": "skipped", "reason": WHY}.items() <= events()[0].items()
    assert f"All steps skipped: {WHY}" in Path("summary.md").read_text()
    assert WHY in str(deploy.aws.sns.events[0]["reason"])


def test_an_empty_variable_skips_nothing(deploy, monkeypatch):
    """A job without a reason releases by steps: its empty variable is no reason."""
    monkeypatch.setenv("SKIP_STEPS_REASON", "")
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    assert deploy.aws.weight_pct == 10


def test_roles_may_differ_where_no_traffic_is_shared(deploy):
    """A hotfix shares no traffic, so what Lambda refuses of versions that share it does not count."""
    deploy.aws.roles = {"41": "old", "42": "new"}
    assert deploy("rollout", "start", "--skip-steps", WHY, "--detach") == Exit.DONE
    assert deploy.aws.stable == "42"
