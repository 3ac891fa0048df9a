"""The command line as a user meets it: whole output, exit codes, files for GitHub and for programs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from deployer.cli import app, main
from deployer.errors import Exit
from deployer.model import AlarmState
from tests.deployer.fakes import FakeAws, VirtualClock

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
steps = [{ weight_pct = 10, bake_s = 60 }, { weight_pct = 50, bake_s = 60 }]
final_bake_s = 60
alarms = ["errors"]
"""


class NoStack:
    """A CloudFormation in which no stack lists further alarms."""

    def describe_stacks(self, **_):
        """Answer that the stack exists and lists none."""
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": []}]}

    def get_template(self, **_):
        """Answer with an empty template."""
        return {"TemplateBody": ""}


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch):
    """Return a function that runs one command against a fake AWS in an empty checkout."""
    (tmp_path / "deploy.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    fake, clock = FakeAws(), VirtualClock()
    fake.cloudformation = NoStack()

    def run(*argv: str) -> int:
        return main(list(argv), clock=clock, aws=lambda _config, _environment: fake)

    run.aws, run.clock = fake, clock
    return run


def test_a_rollout_tells_its_story(deploy, capsys):
    """The output has one line per decision, a waiting line a minute, and ends with the outcome."""
    os.environ["GITHUB_RUN_ID"] = "77"
    try:
        assert deploy("rollout", "start", "--version", "42") == Exit.DONE
    finally:
        del os.environ["GITHUB_RUN_ID"]
    assert capsys.readouterr().out.splitlines() == [
        "probe      version 42 answers its trigger's test event",
        "rollout    77.1 of version 42, watching errors",
        "set weight first step, 10 % of traffic",
        "wait       step 1/2 at 10 %: 0 of 60 s",
        "set weight 60 s at 10 % were good",
        "wait       step 2/2 at 50 %: 0 of 60 s",
        "promote    60 s at 50 % were good",
        "wait       step 2/2 at all traffic: 0 of 60 s",
        "done       watched 60 s at all traffic",
        "done       version 42 serves all traffic",
    ]


def test_a_rolled_back_rollout_ends_with_exit_4(deploy, capsys, tmp_path, monkeypatch):
    """The error says why, what to read, and in Actions it is one annotation and part of the summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    deploy.clock.at(30, lambda: deploy.aws.given_alarm("errors", AlarmState.ALARM))
    assert deploy("rollout", "start") == Exit.ROLLED_BACK
    written = capsys.readouterr()
    assert written.err == (
        "error: version 42 was rolled back\n"
        "  alarm `errors` went to ALARM\n"
        "  hint: docs/runbook.md, section Rolled back\n"
    )
    assert "::error::version 42 was rolled back%0A  alarm `errors` went to ALARM%0A" in written.out
    summary = (tmp_path / "summary.md").read_text()
    assert "| 0.0 | set-weight | 41 | 42 at 10 % | first step, 10 % of traffic |" in summary
    assert "| 0.5 | rollback | 41 | none | alarm `errors` went to ALARM |" in summary


def test_events_are_one_json_object_per_line(deploy, tmp_path):
    """A program can follow the rollout: every look is a line, and the last one says how it ended."""
    deploy("rollout", "start", "--events", str(tmp_path / "build" / "events.jsonl"))
    events = [json.loads(line) for line in (tmp_path / "build" / "events.jsonl").read_text().splitlines()]
    moves = [(e["decision"], e["stable"], e["canary"], e["weight_pct"], e["state"]) for e in events]
    assert [move for move in moves if move[0] != "wait"] == [
        ("set-weight", "41", "42", 10, "run"),
        ("set-weight", "41", "42", 50, "run"),
        ("promote", "42", None, 0, "bake"),
        ("done", "42", None, 0, "done"),
    ]
    assert all(event["alarms"] == {"errors": "OK"} and event["reason"] for event in events)


def test_a_refused_start_is_exit_5_and_moves_nothing(deploy, capsys):
    """A red alarm before the start refuses it, and names the way round for the release that is the fix."""
    deploy.aws.given_alarm("errors", AlarmState.ALARM)
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "--despite-alarm errors" in capsys.readouterr().err
    assert deploy.aws.writes == []


def test_despite_an_alarm_needs_another_one_left(deploy, capsys):
    """The only alarm cannot be left out: no alarm is not the same as no problem."""
    assert deploy("rollout", "start", "--despite-alarm", "errors") == Exit.REFUSED
    assert "no alarm watches the function" in capsys.readouterr().err


def test_a_version_that_cannot_start_gets_no_traffic(deploy, capsys):
    """A version that fails its trigger's test event is refused with its own message."""
    deploy.aws.given_broken_start("Unable to import module 'app.handler'")
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "Unable to import module" in capsys.readouterr().err
    assert deploy.aws.writes == []


@pytest.mark.parametrize(
    ("version", "words"),
    [("$LATEST", "`$LATEST` cannot be rolled out"), ("99", "reading version 99: not found")],
)
def test_a_version_that_cannot_be_rolled_out_is_refused(deploy, capsys, version, words):
    """Unpublished and unknown versions are refused before traffic."""
    assert deploy("rollout", "start", "--version", version) in (Exit.REFUSED, Exit.FAILED)
    assert words in capsys.readouterr().err
    assert deploy.aws.writes == []


def test_roles_that_differ_are_refused(deploy, capsys):
    """Lambda cannot share an alias between versions with different roles; that is said before traffic."""
    deploy.aws.roles = {"41": "old", "42": "new"}
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "found `new`, expected `old`" in capsys.readouterr().err


def test_resume_without_a_rollout(deploy, capsys):
    """There is nothing to resume, which is not a success; after a finished one it is."""
    assert deploy("rollout", "resume") == Exit.REFUSED
    deploy("rollout", "start")
    assert deploy("rollout", "resume") == Exit.DONE
    assert "version 42 serves all traffic" in capsys.readouterr().out


def test_rollback_and_status(deploy, capsys):
    """After a rollback by hand, status shows traffic, rollout, reason, versions and alarms."""
    os.environ["GITHUB_RUN_ID"] = "77"
    try:
        deploy("rollout", "start")
    finally:
        del os.environ["GITHUB_RUN_ID"]
    capsys.readouterr()
    assert deploy("rollback", "--reason", "customers complain") == Exit.DONE
    assert deploy("status") == Exit.DONE
    assert capsys.readouterr().out.splitlines() == [
        "roll back  all traffic is on version 41: customers complain",
        "function   image-resizer-production in eu-west-1",
        "traffic    version 41 100 %",
        "rollout    77.1: version 41 -> 42, rolled-back",
        "why        customers complain",
        "version    41: commit of 41",
        "alarm      errors: OK",
    ]


def test_sigint_during_a_rollout_is_exit_130(deploy, capsys):
    """Ctrl-C, or a cancelled job, gives the traffic back before the process ends."""
    deploy.clock.at(20, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert deploy("rollout", "start") == Exit.INTERRUPTED
    assert "stopped by SIGINT, all traffic is on version 41" in capsys.readouterr().err
    assert deploy.aws.stable == "41"
    assert deploy.aws.canary is None


def test_apply_refuses_an_image_by_tag(deploy, capsys):
    """What is deployed must be named by the digest that was scanned."""
    assert deploy("apply", "--image", "repo:latest") == Exit.USAGE
    assert "expected REPOSITORY@sha256:" in capsys.readouterr().err


def test_settings_are_handed_to_the_workflow(deploy, tmp_path, monkeypatch):
    """Workflows learn the runner and the region from deploy.toml, through GitHub's output file."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert deploy("settings") == Exit.DONE
    assert (tmp_path / "output").read_text().splitlines() == [
        "name=image-resizer",
        "region=eu-west-1",
        "architecture=arm64",
        "runner=ubuntu-24.04-arm",
    ]


def test_a_wrong_command_line_is_exit_2(deploy):
    """Unknown options and environments are usage errors."""
    assert deploy("status", "--nonsense") == Exit.USAGE
    assert deploy("status", "--env", "qa") == Exit.USAGE


def test_a_bug_says_so(deploy, capsys):
    """An unexpected error keeps its traceback and asks for a report."""
    deploy.aws.given_failure(1, RuntimeError("boom"))
    assert deploy("status") == Exit.BUG
    assert "this is a bug in the deployer" in capsys.readouterr().err


def commands() -> list[str]:
    """Return every command's name, `rollout start` and the like included."""
    found = [command.name or command.callback.__name__ for command in app.registered_commands]
    for group in app.registered_groups:
        found += [f"{group.name} {command.name}" for command in group.typer_instance.registered_commands]
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help(deploy, capsys, command):
    """Each command explains itself and its options."""
    assert deploy(*command.split(), "--help") == Exit.DONE
    assert "--config" in capsys.readouterr().out
