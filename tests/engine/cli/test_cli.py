"""The command line as a user meets it: whole output, exit codes, files for GitHub and for programs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from deployer.cli.main import app, main
from deployer.errors import Exit
from deployer.model import AlarmState
from engine.around import PROBE, given_settings
from engine.fakes import FakeAws, VirtualClock

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
steps = [{ weight_pct = 10, bake_s = 300 }, { weight_pct = 50, bake_s = 300 }]
final_bake_s = 300
alarms = ["errors"]
max_pause_s = 600
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
    given_settings(tmp_path, SETTINGS)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    clock = VirtualClock()
    fake = FakeAws(clock)
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
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if not line.startswith("wait")] == [
        "probe      version 42 answers smoke/probe.json",
        "rollout    77.1 of version 42, watching errors",
        "set weight first step, 10 % of traffic",
        "set weight 300 s at 10 % were good",
        "set weight 300 s at 50 % were good",
        "promote    300 s at 95 % were good",
        "done       version 42 serves all traffic",
    ]
    waits = [line for line in out if line.startswith("wait")]
    assert waits[0] == "wait       step 1/3 at 10 %: 0 of 300 s judged"
    assert "wait       step 1/3 at 10 %: 120 of 300 s judged" in waits


def test_a_job_that_is_run_again_goes_on_where_it_was_lost(deploy, capsys, monkeypatch):
    """A second attempt of the same GitHub run resumes the rollout of its first; another run is refused."""
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    assert deploy("rollout", "start", "--version", "42", "--detach") == Exit.DONE
    monkeypatch.setenv("GITHUB_RUN_ID", "78")
    assert deploy("rollout", "start", "--version", "42") == Exit.REFUSED
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    capsys.readouterr()
    assert deploy("rollout", "start", "--version", "42") == Exit.DONE
    out = capsys.readouterr().out
    assert "rollout    of version 42 was left half-way by this run: going on with it" in out
    assert [write.weight_pct for write in deploy.aws.writes] == [10, 50, 95, 0]


def test_a_held_rollout_is_not_taken_back_by_its_job(deploy, capsys, tmp_path):
    """With on_cancel = hold the job's own last step leaves the traffic alone; a person's rollback does not."""
    settings = tmp_path / "deploy.toml"
    settings.write_text(settings.read_text() + 'on_cancel = "hold"\n')
    assert deploy("rollout", "start", "--version", "42", "--detach") == Exit.DONE
    owner = deploy.aws.description.partition("id=")[2].partition(" ")[0]
    assert deploy("rollback", "--only-if-owner", owner) == Exit.DONE
    assert "on_cancel = hold" in capsys.readouterr().out
    assert deploy.aws.canary == "42"
    assert deploy("rollback") == Exit.DONE
    assert deploy.aws.canary is None


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
        ("set-weight", "41", "42", 95, "run"),
        ("promote", "42", None, 0, "done"),
    ]
    assert all(event["alarms"] == {"errors": "OK"} and event["reason"] for event in events)


def test_a_refused_start_is_exit_5_and_moves_nothing(deploy, capsys):
    """An alarm that does not exist refuses the start before any traffic, and nothing forces it."""
    deploy.aws.given_alarm("errors", AlarmState.MISSING)
    assert deploy("rollout", "start", "--force", "urgent") == Exit.REFUSED
    assert "alarm `errors` does not exist" in capsys.readouterr().err
    assert deploy.aws.writes == []


def test_an_alarm_whose_metric_never_had_data_is_refused(deploy, capsys):
    """A misspelt dimension makes an alarm that is never red: that is said before traffic."""
    deploy.aws.silent_metrics = ("errors",)
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "watches a metric that never had data" in capsys.readouterr().err


def test_a_forced_start_leaves_its_reason(deploy, capsys, tmp_path):
    """Forcing needs a reason, which is printed and kept as an event."""
    events = tmp_path / "events.jsonl"
    assert deploy("rollout", "start", "--force", "it is the cure", "--events", str(events)) == Exit.DONE
    assert "forced     it is the cure" in capsys.readouterr().out
    first = json.loads(events.read_text().splitlines()[0])
    assert (first["kind"], first["reason"]) == ("forced", "it is the cure")


@pytest.mark.parametrize(
    ("argv", "traffic"),
    [
        (("pause", "--reason", "lunch"), "pause      version 41 90 %, version 42 10 %: lunch"),
        (("skip", "--reason", "sure"), "skip       version 41 50 %, version 42 50 %: sure"),
        (("promote", "--reason", "sure"), "promote    version 42 100 %: sure"),
        (("abort", "--reason", "no"), "abort      version 41 100 %: no"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_wish_works_from_any_machine(deploy, capsys, argv, traffic):
    """A rollout that was begun and left is paused, skipped, promoted or aborted through the alias alone."""
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    capsys.readouterr()
    assert deploy("rollout", *argv) == Exit.DONE
    assert capsys.readouterr().out.splitlines() == [traffic]


def test_a_wish_without_a_rollout_is_refused(deploy, capsys):
    """Without a running rollout there is nothing to pause, and the error names what was found."""
    assert deploy("rollout", "pause") == Exit.REFUSED
    assert "found no marker" in capsys.readouterr().err


def test_a_detached_rollout_is_resumed(deploy, capsys):
    """`start --detach` takes the first step and ends; `resume` goes on to the end, also from a pause."""
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    deploy.clock.sleep(5)
    assert deploy("rollout", "pause") == Exit.DONE
    assert deploy("rollout", "resume") == Exit.DONE
    out = capsys.readouterr().out.splitlines()
    assert "resume     the step's bake starts again: asked for by hand" in out
    assert out[-1] == "done       version 42 serves all traffic"


def test_a_second_rollout_is_refused_or_supersedes(deploy, capsys, tmp_path):
    """A rollout in the way is named; with `supersede` it is rolled back first and the new one starts."""
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    deploy.aws.versions = {*deploy.aws.versions, "43"}
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "commit of 42" in capsys.readouterr().err
    settings = tmp_path / "deploy.toml"
    settings.write_text(settings.read_text() + 'second_rollout = "supersede"\n')
    assert deploy("rollout", "start", "--detach") == Exit.DONE
    assert [(w.version, w.canary) for w in deploy.aws.writes] == [("41", "42"), ("41", None), ("41", "43")]


def test_a_held_cancel_leaves_the_traffic(deploy, capsys, tmp_path):
    """With on_cancel = hold a cancelled job ends with 130 and the canary keeps its share."""
    settings = tmp_path / "deploy.toml"
    settings.write_text(settings.read_text() + 'on_cancel = "hold"\n')
    deploy.clock.at(20, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert deploy("rollout", "start") == Exit.INTERRUPTED
    assert "the traffic stays as it is" in capsys.readouterr().err
    assert deploy.aws.weight_pct == 10


def test_a_version_that_cannot_start_gets_no_traffic(deploy, capsys):
    """A version that fails on the probe is refused with its own message."""
    deploy.aws.given_broken_start("Unable to import module 'app.handler'")
    assert deploy("rollout", "start") == Exit.REFUSED
    assert "Unable to import module" in capsys.readouterr().err
    assert deploy.aws.events == [PROBE]
    assert deploy.aws.writes == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "there is no `smoke/probe.json`", id="missing"),
        pytest.param("{", "`smoke/probe.json` is no JSON", id="no JSON"),
    ],
)
def test_a_rollout_without_a_probe_is_refused(deploy, capsys, content, words):
    """Without a harmless event no version can be asked whether it starts: that is said before any call."""
    path = Path("smoke/probe.json")
    path.unlink() if content is None else path.write_text(content)
    assert deploy("rollout", "start") == Exit.USAGE
    assert words in capsys.readouterr().err
    assert deploy.aws.calls == []


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


def test_roles_may_differ_when_no_traffic_is_shared(deploy):
    """All at once, as the refusal suggests, no two versions have traffic, so their roles may differ."""
    Path("deploy.toml").write_text(SETTINGS + "[environments.staging]\nalarms = ['errors']\n")
    deploy.aws.roles = {"41": "old", "42": "new"}
    assert deploy("rollout", "start", "--env", "staging") == Exit.DONE
    assert [(write.version, write.canary) for write in deploy.aws.writes] == [("42", None)]


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
        "awake      version 41 serves",
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
    what, found, hint = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", "  "))
    ]
    assert what.startswith("error: stopped by SIGINT, all traffic is on version 41")
    assert found == "  found SIGINT in the middle of the rollout, expected it to end by itself"
    assert hint == "  hint: run the release again; it starts from the first step"
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
