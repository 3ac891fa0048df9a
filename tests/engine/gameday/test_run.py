"""Whole game days on a virtual clock: what a sound net shows, and what each fault of it turns red."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.canary import marker as markers
from deployer.cli.main import main
from deployer.errors import DeployerError, Exit
from deployer.gameday import plan as plans
from deployer.gameday.run import How, run
from deployer.model import AlarmState, AliasWrite
from deployer.report.console import Output
from deployer.rollout import preflight
from deployer.rollout.guard import BAD_MINUTES, EVALUATED_MINUTES
from engine.gameday.staging import (
    DESCRIPTION,
    FUNCTION,
    GUARD_ARN,
    LIVE,
    SETTINGS,
    Port,
    Staging,
    context_of,
    on_clock,
)


def play(folder: Path, aws: Staging, how: How | None = None, environment: str = "staging") -> Exit:
    """Play one game day."""
    return run(context_of(folder, aws, environment), how or How(), background=on_clock)


def assert_as_before(aws: Staging) -> None:
    """Check that nothing shows that there was a game day."""
    assert (aws.stable, aws.canary, aws.weight_pct, aws.description) == ("41", None, 0, DESCRIPTION)
    assert (aws.image_config, aws.latest["sha"]) == (LIVE, "sha-live")
    assert set(aws.versions_) == {"40", "41"}
    assert aws.cloudwatch.put == {}


def test_a_sound_net_is_green(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gate and guard each give the traffic back, in minutes, and everything is as it was."""
    aws = Staging()
    assert play(tmp_path, aws) == Exit.DONE
    assert_as_before(aws)
    out = capsys.readouterr().out
    assert out.count("refused    by the pre-flight, as it should be") == 2
    assert re.search(r"gate: traffic back after [56]\.\d min, \d+ of \d+ requests lost", out)
    assert re.search(r"guard: traffic back after [6789]\.\d min, \d+ of \d+ requests lost", out)
    assert re.search(r"^badge=gate [56] min, guard alone [6789] min, 21 Nov$", out, re.M)
    kept = json.loads((tmp_path / "build" / "gameday.json").read_text())
    assert (kept["color"], kept["label"]) == ("green", "game day")
    assert kept["message"] in out


def test_each_line_acts_by_itself(tmp_path: Path) -> None:
    """The gate's rollback is written by the process that drives, the guard's by the guard alone."""
    aws = Staging()
    play(tmp_path, aws)
    back = [w for w in aws.written if (m := markers.parse(w.write.description)[1]) and m.why]
    assert [(written.actor, markers.parse(written.write.description)[1].why[:6]) for written in back] == [
        ("driver", "v42 se"),
        ("somebody else", "guard:"),
    ]


def test_the_guard_is_not_faster_by_chance(tmp_path: Path) -> None:
    """While the gate is tried the alarm waits as long as the trial; the guard's own is the one a release has."""
    aws = Staging()
    put: list[tuple[int, int]] = []
    aws.cloudwatch.break_alarm = lambda alarms, name: put.append(
        (alarms[name]["DatapointsToAlarm"], alarms[name]["EvaluationPeriods"])
    )
    play(tmp_path, aws)
    gate, guard = put
    assert gate == (14, 15) == (plans.TRIALS[0].within_s // 60 - 1, plans.TRIALS[0].within_s // 60)
    assert guard == (BAD_MINUTES, EVALUATED_MINUTES)


def test_it_says_what_it_lost(tmp_path: Path) -> None:
    """The requests lost are those of its own calls that failed, and all of them reached its versions."""
    aws = Staging()
    play(tmp_path, aws)
    assert {one.version for one in aws.served if one.failed} == {"42", "43"}
    assert {one.version for one in aws.served if not one.failed} == {"41"}


def dimension_missing(name: str) -> Callable[[dict[str, Any], str], None]:
    """Return what drops a dimension of each alarm that is put."""

    def drop(put: dict[str, Any], alarm: str) -> None:
        put[alarm]["Dimensions"] = [pair for pair in put[alarm]["Dimensions"] if pair["Name"] != name]

    return drop


def _set(**changes: Any) -> Callable[[dict[str, Any], str], None]:
    return lambda put, alarm: put[alarm].update(changes)


def _give(target: str, **changes: Any) -> Callable[[Staging], None]:
    def give(aws: Staging) -> None:
        for name, value in changes.items():
            setattr(getattr(aws, target) if target else aws, name, value)

    return give


FAULTS: dict[str, tuple[Callable[[Staging], None], str, str]] = {
    **{
        f"the alarm lacks {name}": (
            _give("cloudwatch", break_alarm=dimension_missing(name)),
            "the canary's alarm does not watch the canary",
            "python3 dev.py verify",
        )
        for name in ("FunctionName", "Resource", "ExecutedVersion")
    },
    "the alarm's actions are off": (
        _give("cloudwatch", break_alarm=_set(ActionsEnabled=False)),
        "actions of the canary's alarm are switched off",
        f"aws cloudwatch enable-alarm-actions --alarm-names {FUNCTION}-canary-43",
    ),
    "the alarm has no action": (
        _give("cloudwatch", break_alarm=_set(AlarmActions=[])),
        "the canary's alarm tells somebody else",
        "aws cloudwatch describe-alarms",
    ),
    "the alarm wants too much": (
        _give("cloudwatch", break_alarm=_set(Threshold=1000.0)),
        "the canary's alarm did not fire",
        "compare metric and threshold",
    ),
    "somebody deletes the alarm": (
        _give("cloudwatch", break_alarm=lambda put, name: put.pop(name)),
        "the canary's alarm does not exist",
        "aws cloudtrail lookup-events",
    ),
    "the topic's policy lacks CloudWatch": (
        _give("sns", service="events.amazonaws.com"),
        "CloudWatch may not publish to the rollout topic",
        "aws sns set-topic-attributes --topic-arn",
    ),
    "the guard is not subscribed": (
        _give("sns", listeners=["someone@example.org"]),
        "the guard does not listen to the rollout topic",
        f"--protocol lambda --notification-endpoint {GUARD_ARN}",
    ),
    "SNS may not invoke the guard": (
        _give("lambda_", policy='{"Statement": []}'),
        "SNS may not invoke the guard function",
        "aws lambda add-permission --function-name image-resizer-staging-guard",
    ),
    "the guard is gone": (
        _give("lambda_", state=""),
        "the guard function cannot run",
        "aws lambda get-function-configuration --function-name image-resizer-staging-guard",
    ),
    "the guard's role lacks UpdateAlias": (
        _give("", guard_denied={"UpdateAlias"}),
        "the alarm fired, and the guard did not give the traffic back",
        "its role needs lambda:GetAlias and lambda:UpdateAlias",
    ),
    "this role lacks UpdateAlias": (
        _give("", denied={"UpdateAlias"}),
        "gate: updating alias `live`: not allowed",
        "compare the role with infra/bootstrap.yaml",
    ),
    "this role lacks UpdateFunctionConfiguration": (
        _give("", denied={"UpdateFunctionConfiguration"}),
        "gate: updating the function's configuration: not allowed",
        "compare the role with infra/bootstrap.yaml",
    ),
    "this role lacks PutMetricAlarm": (
        _give("", denied={"PutMetricAlarm"}),
        f"gate: putting alarm `{FUNCTION}-canary-42`: not allowed",
        "compare the role with infra/bootstrap.yaml",
    ),
    "the errors have no metric": (
        _give("", silent_metrics_of="Errors"),
        "the comparison did not find a version that cannot answer",
        "aws cloudwatch list-metrics --namespace AWS/Lambda --metric-name Errors",
    ),
    "the calls have no metric": (
        _give("", silent_metrics_of="Invocations"),
        "the comparison did not find a version that cannot answer",
        "aws cloudwatch list-metrics",
    ),
    "the image ignores its command": (
        _give("", answers_anything=True),
        "the pre-flight lets a version pass that cannot answer",
        "docs/gameday.md",
    ),
}


@pytest.mark.parametrize(("harm", "what", "mends"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_net_is_red(
    tmp_path: Path, harm: Callable[[Staging], None], what: str, mends: str
) -> None:
    """Each broken right, metric, alarm, topic or subscription is named with what mends it; all is put back."""
    aws = Staging()
    harm(aws)
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert caught.value.exit_code == Exit.FAILED
    assert what in (caught.value.found or "")
    assert mends in str(caught.value) or mends in (tmp_path / "build/gameday.json").read_text()
    assert json.loads((tmp_path / "build/gameday.json").read_text())["color"] == "red"
    assert_as_before(aws)


def test_a_blind_preflight_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pre-flight that lets every version pass is found, although gate and guard still act."""
    monkeypatch.setattr(preflight, "send_probe", lambda _aws, _target, _probe: None)
    with pytest.raises(DeployerError, match="the safety net has 2 faults") as caught:
        play(tmp_path, aws := Staging())
    assert (caught.value.found or "").count("the pre-flight lets a version pass") == 2
    assert_as_before(aws)


def test_production_is_refused_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a reason nothing is even read there; with one it is tried, and the reason is said."""
    aws = Staging()
    with pytest.raises(DeployerError, match="loses requests on purpose") as caught:
        play(tmp_path, aws, environment="production")
    assert (caught.value.exit_code, aws.calls) == (Exit.REFUSED, [])
    assert play(tmp_path, aws, How(force="asked by the board"), "production") == Exit.DONE
    assert "forced     asked by the board" in capsys.readouterr().out


def test_the_alarms_it_set_off_are_quiet_when_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release to staging without steps would be refused otherwise; who was red before is not waited for."""
    aws = Staging()
    aws.given_alarm(f"{FUNCTION}-throttles", AlarmState.ALARM)
    assert play(tmp_path, aws) == Exit.DONE
    assert f"calming    {FUNCTION}-errors: calling" in capsys.readouterr().out
    assert aws.states[f"{FUNCTION}-errors"].state is AlarmState.OK
    last = [one for one in aws.served if one.at > aws.clock.now() - 120]
    assert last
    assert not any(one.failed for one in last)


def test_an_alarm_that_stays_red_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The wait has an end, and what is left is no fault of the net."""
    aws = Staging()
    aws.clock.at(400, lambda: aws.given_alarm(f"{FUNCTION}-throttles", AlarmState.ALARM))
    assert play(tmp_path, aws) == Exit.DONE
    assert f"left over  {FUNCTION}-throttles still in ALARM" in capsys.readouterr().out


def test_a_job_gets_line_and_table(tmp_path: Path) -> None:
    """In a job of GitHub the line is an output, and the summary has minutes, requests and what mends a fault."""
    aws = Staging()
    aws.sns.listeners = []
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    context = context_of(tmp_path, aws)
    with pytest.raises(DeployerError):
        run(replace(context, output=Output(environ=files)), How(), background=on_clock)
    (line,) = (tmp_path / "GITHUB_OUTPUT").read_text().splitlines()
    assert re.fullmatch(r"badge=gate \d min, guard alone red, 21 Nov", line)
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert f"### Game day of `{FUNCTION}`: {line.removeprefix('badge=')}" in summary
    assert "| guard | not back |" in summary
    assert "mend it: `aws sns subscribe" in summary


def test_another_driver_has_no_such_net(tmp_path: Path) -> None:
    """With CodeDeploy there is neither gate nor guard, and nothing is tried."""
    context = context_of(
        tmp_path, aws := Staging(), settings=SETTINGS + '[environments.staging]\ndriver = "codedeploy"\n'
    )
    with pytest.raises(DeployerError, match="neither gate nor guard") as caught:
        run(context, How(), background=on_clock)
    assert caught.value.exit_code == Exit.REFUSED
    assert not {"UpdateAlias", "UpdateFunctionConfiguration"} & set(aws.calls)


def test_the_command_is_for_staging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--env` it is staging's, and where the job says production it is refused on the command line."""
    aws = Staging()
    context_of(tmp_path, aws)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEPLOY_ENV", raising=False)
    environments: list[str] = []

    def connect(_config: object, environment: str) -> Any:
        environments.append(environment)
        return Port(aws)

    assert main(["gameday", "--repair"], clock=aws.clock, aws=connect) == Exit.DONE
    assert environments == ["staging"]
    monkeypatch.setenv("DEPLOY_ENV", "production")
    assert main(["gameday"], clock=aws.clock, aws=connect) == Exit.REFUSED
    assert "hint: deployer gameday --env staging" in capsys.readouterr().err


RUNNING = "[lc1 id=7.1 from=40 to=41 step=1/2 at=1763711900 plan=9c1e st=run]"


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda aws: aws.given_alias(RUNNING, canary="40", weight_pct=10), "version 41 is being rolled out"),
        (lambda aws: aws.given_alias(RUNNING.replace("run", "pause")), "version 41 is being rolled out"),
        (lambda aws: aws.given_alias("", canary="40", weight_pct=5), "the alias shares its traffic already"),
        (lambda aws: aws.latest.update(sha="sha-other"), "`$LATEST` is not what version 41 was made from"),
        (lambda aws: aws.latest.update(config={"Command": ["a.b"]}), "`$LATEST` is not what version 41"),
        (lambda aws: setattr(aws.cloudformation, "has_guard", False), "there is no guard to try"),
        (
            lambda aws: aws.versions_["41"].update(config={}) or aws.latest.update(config={}),
            "version 41 does not answer",
        ),
        (lambda aws: aws.given_alias("x" * 81), "the alias's description is too long"),
    ],
    ids=[
        *("a rollout runs", "a rollout is paused", "weights", "other code", "other command", "no guard"),
        *("the live version is broken", "no room for a marker"),
    ],
)
def test_what_must_not_be_tried_is_refused(tmp_path: Path, harm: Callable[[Staging], Any], what: str) -> None:
    """In each state in which a game day would mean something else, nothing is written (exit 5)."""
    aws = Staging()
    harm(aws)
    before = (aws.routing, aws.description, dict(aws.latest), dict(aws.versions_))
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert what in str(caught.value)
    assert caught.value.exit_code == Exit.REFUSED
    assert (aws.routing, aws.description, aws.latest, aws.versions_) == before
    assert aws.written == []


def test_an_alias_moved_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Somebody's own release during a game day turns it red, is not undone, and loses no traffic to it."""
    aws = Staging()
    theirs = DESCRIPTION.replace("id=9.1 from=40 to=41", "id=10.1 from=41 to=40")

    def release() -> None:
        with aws.rightly():
            aws.update_alias(AliasWrite("40", theirs), revision=aws.alias().revision)

    aws.clock.at(150, release)
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert "the alias was moved while the game day ran" in (caught.value.found or "")
    assert (aws.stable, aws.canary, aws.description) == ("40", None, theirs)
    assert set(aws.versions_) == {"40", "41"}
    assert aws.image_config == LIVE


def test_an_alias_moved_while_the_guard_is_tried_is_not_the_guards(tmp_path: Path) -> None:
    """Whoever takes the traffic back by hand while nobody drives the rollout is not taken for the guard."""
    aws, pressed = Staging(), list[str]()

    def press() -> None:
        alias = aws.alias()
        if not pressed and alias.marker is not None and alias.marker.is_active and aws.canary == "43":
            pressed.append(alias.marker.id)
            with aws.rightly():
                aws.update_alias(AliasWrite("41", "by hand"), revision=alias.revision)

    for second in range(300, 1500, 20):
        aws.clock.at(second, press)
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert len(pressed) == 1
    assert pressed[0].endswith("-guard")
    assert "guard: the rollout was ended by somebody else" in (caught.value.found or "")
    assert (aws.stable, aws.canary, aws.description) == ("41", None, "by hand")
    assert set(aws.versions_) == {"40", "41"}


def test_a_deploy_meanwhile_keeps_its_image(tmp_path: Path) -> None:
    """Another image that somebody puts into `$LATEST` stays there, and is started as it should be."""
    aws = Staging()
    aws.clock.at(1.5, lambda: aws.latest.update(sha="sha-new", revision=aws.latest["revision"] + 1))
    with pytest.raises(DeployerError):
        play(tmp_path, aws)
    assert (aws.latest["sha"], aws.image_config) == ("sha-new", LIVE)
    assert set(aws.versions_) == {"40", "41"}


def test_the_rate_and_number_of_calls_are_bounded(tmp_path: Path) -> None:
    """In no minute are there more calls than PER_MINUTE, and a net that never acts ends within the bound."""
    aws = Staging()
    aws.silent_metrics_of = "Errors"  # neither gate nor guard ever sees anything
    began = aws.clock.now()
    with pytest.raises(DeployerError):
        play(tmp_path, aws)
    times = [one.at for one in aws.served]
    assert all(sum(at <= other < at + 60 for other in times) <= plans.PER_MINUTE for at in times[::7])
    assert len(times) <= sum(trial.most_calls for trial in plans.TRIALS) + plans.CALM_CALLS
    assert aws.clock.now() - began <= plans.LONGEST_S


def test_a_refused_call_ends_the_trial(tmp_path: Path) -> None:
    """Calls that AWS refuses do not go on for minutes: the first one ends the trial, and the error names it."""
    aws = Staging()
    inner = aws.invoke

    def invoke(version: str, event: object) -> Any:
        if version == "live":
            raise DeployerError(
                "invoking version live: not allowed", found="AccessDenied", hint="see the role"
            )
        return inner(version, event)

    aws.invoke = invoke  # type: ignore[method-assign]
    began = aws.clock.now()
    with pytest.raises(DeployerError, match="the safety net has 2 faults") as caught:
        play(tmp_path, aws)
    assert (caught.value.found or "").count("invoking version live: not allowed") == 2
    assert aws.clock.now() - began < 120
    assert_as_before(aws)


def test_an_alarm_of_the_owner_counts_as_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An alarm the gate watches may be faster than the comparison; the reason says that it was."""
    aws = Staging()
    aws.clock.at(150, lambda: aws.given_alarm(f"{FUNCTION}-throttles", AlarmState.ALARM))
    aws.clock.at(600, lambda: aws.given_alarm(f"{FUNCTION}-throttles", AlarmState.OK))
    play(tmp_path, aws)
    assert f"roll back  alarm `{FUNCTION}-throttles` went to ALARM" in capsys.readouterr().out
    assert_as_before(aws)
