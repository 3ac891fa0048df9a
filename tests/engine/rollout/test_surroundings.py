"""What a rollout has around it, through the command line: guard, warmth, credentials, announcements."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.errors import Unavailable
from deployer.canary import marker
from deployer.cli.main import main
from deployer.errors import Exit
from deployer.model import AlarmState, AliasWrite, RolloutState, Routing
from engine.around import (
    TOPIC,
    FakeAlarms,
    FakeScheduler,
    FakeTopic,
    FakeWarmth,
    StackWithTopic,
    given_settings,
)
from engine.fakes import FakeAws, VirtualClock
from infra.guard_source import load

ALARM = "image-resizer-production-canary-42"
SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
provisioned_concurrency = {warm}
[environments.production]
steps = [{{ weight_pct = 10, bake_s = 300 }}, {{ weight_pct = 50, bake_s = 300 }}]
final_bake_s = 300
alarms = ["errors"]
max_pause_s = 600
{more}
"""


class World:
    """One environment against fakes, and the command line in front of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.aws: Any = FakeAws(self.clock)
        self.alarms, self.topic, self.warmth = FakeAlarms(), FakeTopic(), FakeWarmth(self.clock)
        self.aws.cloudformation = StackWithTopic()
        self.aws.cloudwatch, self.aws.sns = self.alarms, self.topic
        self.aws.provisioned = self.warmth.port
        self.scheduler = FakeScheduler()
        self.aws.client = lambda service: {"scheduler": self.scheduler}[service]
        self._folder = folder
        self.given_settings()

    def given_settings(self, *, warm: int = 0, more: str = "") -> None:
        """Write deploy.toml and the probe."""
        given_settings(self._folder, SETTINGS.format(warm=warm, more=more))

    def run(self, *argv: str) -> int:
        """Run one command."""
        return main(list(argv), clock=self.clock, aws=lambda _config, _environment: self.aws)

    def before_first_weight(self, look: Callable[[], object]) -> list[object]:
        """Keep what `look` sees at each UpdateAlias."""
        seen: list[object] = []
        update = self.aws.update_alias

        def watched(write: Any, *, revision: str) -> None:
            seen.append(look())
            update(write, revision=revision)

        self.aws.update_alias = watched
        return seen


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an environment with a stack that has a topic, and a version 42 to roll out."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "ACTIONS_", "ROLLOUT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("COLUMNS", "200")
    return World(tmp_path)


def test_alarm_is_there_from_before_the_first_weight(world: World) -> None:
    """It is put before the canary has traffic, and put once more for the time after the release."""
    seen = world.before_first_weight(lambda: sorted(world.alarms.put))
    assert world.run("rollout", "start") == Exit.DONE
    assert seen == [[ALARM]] * 4
    assert world.alarms.calls == [f"put {ALARM}", f"put {ALARM}"]


def test_alarm_goes_after_a_rollback_too(world: World) -> None:
    """A rolled back rollout leaves no alarm behind."""
    world.aws.given_alarm_later(400, "errors", AlarmState.ALARM)
    assert world.run("rollout", "start") == Exit.ROLLED_BACK
    assert world.alarms.put == {}


def test_alarm_goes_after_a_signal_too(world: World) -> None:
    """A cancelled job rolls back, and takes the alarm away."""
    world.clock.at(100, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert world.run("rollout", "start") == Exit.INTERRUPTED
    assert world.alarms.put == {}
    assert world.topic.kinds == ["start", "rolled-back"]


def test_alarm_stays_where_the_traffic_stays(world: World) -> None:
    """With on_cancel = hold nobody watches any more but the guard."""
    world.given_settings(more='on_cancel = "hold"')
    world.clock.at(100, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert world.run("rollout", "start") == Exit.INTERRUPTED
    assert list(world.alarms.put) == [ALARM]


def test_alarm_of_a_lost_rollout_is_swept_up(world: World) -> None:
    """What a killed process left is put away by the next start."""
    world.alarms.put["image-resizer-production-canary-40"] = {}
    assert world.run("rollout", "start") == Exit.DONE
    assert list(world.alarms.put) == [ALARM]


def test_resume_puts_the_alarm_again(world: World) -> None:
    """A resumed rollout has its alarm, and at its end the one that stays for a while."""
    assert world.run("rollout", "start", "--detach") == Exit.DONE
    assert list(world.alarms.put) == [ALARM]
    world.alarms.put.clear()
    assert world.run("rollout", "resume") == Exit.DONE
    assert world.alarms.calls[-2:] == [f"put {ALARM}", f"put {ALARM}"]
    assert world.run("rollout", "resume") == Exit.DONE
    assert list(world.alarms.put) == [ALARM]


def test_resume_without_steps_in_the_settings_is_judged(world: World, tmp_path: Path) -> None:
    """Where somebody took the steps out of deploy.toml meanwhile, the places of the marker are played to the end."""
    assert world.run("rollout", "start", "--detach") == Exit.DONE
    settings = tmp_path / "deploy.toml"
    text = settings.read_text(encoding="utf-8")
    steps = next(line for line in text.splitlines() if line.startswith("steps"))
    settings.write_text(text.replace(steps, "steps = []"), encoding="utf-8")
    world.clock.at(7200, lambda: os.kill(os.getpid(), signal.SIGINT))
    world.alarms.put.clear()
    assert world.run("rollout", "resume") == Exit.DONE
    assert world.aws.routing == Routing("42")
    assert list(world.alarms.put) == [ALARM]


def test_alarm_stays_armed_after_the_release(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """When it is done the alarm goes by last week's calls of the alias, and says until when it is armed."""
    assert world.run("rollout", "start") == Exit.DONE
    alarm = world.alarms.put[ALARM]
    done_at = marker.parse(world.aws.description)[1].at
    assert f", armed until {done_at + 3600}: the guard" in alarm["AlarmDescription"]
    assert alarm["AlarmDescription"].endswith(" to version 41")
    assert alarm["Metrics"][0]["Expression"] == "100 * errors / calls"
    dimensions = [
        dimension["Name"] for dimension in alarm["Metrics"][1]["MetricStat"]["Metric"]["Dimensions"]
    ]
    assert dimensions == ["FunctionName", "Resource"]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (5, 5, "ignore")
    assert (
        "the traffic goes back to version 41 when 5 % of the calls failed for 5 min"
        in capsys.readouterr().out
    )


def test_next_release_takes_over_what_is_armed(world: World) -> None:
    """A release within the armed time of the one before deletes its alarm before any traffic, and has its own."""
    assert world.run("rollout", "start") == Exit.DONE
    world.aws.versions.add("43")
    assert world.run("rollout", "start", "--version", "43", "--detach") == Exit.DONE
    assert list(world.alarms.put) == ["image-resizer-production-canary-43"]
    assert world.alarms.put["image-resizer-production-canary-43"]["AlarmDescription"].endswith("version 42")


def test_release_of_the_version_that_is_armed_leaves_it_armed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release of the version that serves already moves no traffic, and takes nothing away."""
    assert world.run("rollout", "start") == Exit.DONE
    monkeypatch.setenv("GITHUB_RUN_ID", "78")
    assert world.run("rollout", "start") == Exit.DONE
    assert list(world.alarms.put) == [ALARM]


def test_rollback_disarms(world: World) -> None:
    """Who gives the traffic back by hand within the armed time leaves no alarm behind."""
    assert world.run("rollout", "start") == Exit.DONE
    assert world.run("rollback") == Exit.DONE
    assert (world.aws.stable, world.alarms.put) == ("41", {})


def test_alarm_that_nobody_deleted_goes_after_a_day(world: World) -> None:
    """Whoever comes by after the longest armed time puts the alarm away."""
    assert world.run("rollout", "start") == Exit.DONE
    world.clock.sleep(86_400)
    assert world.run("rollout", "resume") == Exit.DONE
    assert world.alarms.put == {}


class AsLambda:
    """The fake's alias and alarms as boto3 shows them to the guard function."""

    def __init__(self, world: World) -> None:
        self.world, self.deleted = world, list[str]()

    def get_alias(self, **_: str) -> dict[str, Any]:
        """Read the alias."""
        aws = self.world.aws
        weights = {aws.canary: aws.weight_pct / 100} if aws.canary else {}
        return {
            "FunctionVersion": aws.stable,
            "Description": aws.description,
            "RevisionId": aws.alias().revision,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        }

    def update_alias(self, *, RevisionId: str, FunctionVersion: str, Description: str, **_: Any) -> None:  # noqa: N803
        """Give all traffic to one version."""
        self.world.aws.update_alias(AliasWrite(FunctionVersion, Description), revision=RevisionId)

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:  # noqa: N803
        """Delete alarms."""
        for name in AlarmNames:
            self.world.alarms.put.pop(name, None)


def scheduler_fires(world: World) -> None:
    """Let the time of the one schedule come, and the real guard function be invoked with its event."""
    ((at, event),) = world.scheduler.due()
    world.clock.time = max(world.clock.time, at)
    guard = load(AsLambda(world))  # type: ignore[arg-type]
    guard.time.time = world.clock.now
    guard.handler(event, None)


@pytest.fixture
def scheduled(world: World) -> World:
    """Return an environment whose stack lets its rollouts make a schedule."""
    world.aws.cloudformation.has_schedule = True
    return world


def test_a_rollout_that_nobody_drives_ends(scheduled: World) -> None:
    """Every driver is gone in the first place: at the latest end the guard gives the traffic back, and disarms."""
    assert scheduled.run("rollout", "start", "--detach") == Exit.DONE
    assert scheduled.aws.routing == Routing("41", "42", 10)
    scheduler_fires(scheduled)
    assert scheduled.aws.routing == Routing("41")
    found = marker.parse(scheduled.aws.description)[1]
    assert (found.state, found.why) == (RolloutState.ROLLED_BACK, "guard: nobody drove it to its end")
    assert scheduled.alarms.put == {}


def test_the_latest_end_is_behind_every_place_and_pause(scheduled: World) -> None:
    """Whoever drives a rollout to its very end, with a full pause in each place, is never overtaken."""
    began = scheduled.clock.now()
    assert scheduled.run("rollout", "start", "--detach") == Exit.DONE
    ((at, event),) = scheduled.scheduler.due()
    assert at - began >= 3 * (300 + 600 + 600)
    assert (event["rollout"], event["version"], event["until"]) == ("77.1", "42", int(at))


def test_a_paused_rollout_that_nobody_drives_ends(scheduled: World) -> None:
    """A pause is no excuse: when nobody decides and nobody is left to act on that, the guard does."""
    scheduled.run("rollout", "start", "--detach")
    scheduled.run("rollout", "pause")
    scheduler_fires(scheduled)
    assert scheduled.aws.routing == Routing("41")


def test_resume_moves_the_latest_end(scheduled: World) -> None:
    """Whoever goes on with a rollout has its whole time before him again."""
    scheduled.run("rollout", "start", "--detach")
    ((first, _),) = scheduled.scheduler.due()
    scheduled.clock.sleep(500)
    scheduled.run("rollout", "pause")
    assert scheduled.run("rollout", "resume", "--detach") == Exit.DONE
    ((second, _),) = scheduled.scheduler.due()
    assert second - first == 500


def test_who_is_done_without_moving_the_schedule_stays_armed(scheduled: World) -> None:
    """A person gives all traffic shortly before the latest end, and nobody drives: the alarm stays its hour."""
    scheduled.run("rollout", "start", "--detach")
    ((at, _),) = scheduled.scheduler.due()
    scheduled.clock.time = at - 600
    scheduled.run("rollout", "promote")
    scheduler_fires(scheduled)
    assert (scheduled.aws.routing, list(scheduled.alarms.put)) == (Routing("42"), [ALARM])


def test_after_the_release_the_schedule_disarms(scheduled: World) -> None:
    """When it is done the schedule moves to the end of the armed time; then the alarm goes, and the release stays."""
    assert scheduled.run("rollout", "start") == Exit.DONE
    ((at, _),) = scheduled.scheduler.due()
    assert at == marker.parse(scheduled.aws.description)[1].at + 3600
    assert list(scheduled.alarms.put) == [ALARM]
    scheduler_fires(scheduled)
    assert (scheduled.aws.routing, scheduled.alarms.put) == (Routing("42"), {})


def test_a_schedule_that_cannot_be_made_stops_before_traffic(
    scheduled: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without what ends a lost rollout nothing is begun."""
    scheduled.scheduler.refuses = True
    assert scheduled.run("rollout", "start") != Exit.DONE
    assert scheduled.aws.writes == []
    assert "image-resizer-production-rollout" in capsys.readouterr().err


def test_an_observer_stays_unarmed(world: World) -> None:
    """Who only observes gives nothing back afterwards either."""
    world.given_settings(more='mode = "observe"')
    assert world.run("rollout", "start") == Exit.DONE
    assert world.alarms.put == {}


def test_alarm_that_cannot_be_put_stops_before_traffic(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the third line of defence nothing is begun."""
    world.alarms.refuses = {"put"}
    assert world.run("rollout", "start") == Exit.FAILED
    assert "infra/bootstrap.yaml" in capsys.readouterr().err
    assert world.aws.writes == []


def test_alarm_that_cannot_be_put_again_does_not_stop_a_resume(world: World) -> None:
    """A rollout that has traffic is watched rather than left alone."""
    world.run("rollout", "start", "--detach")
    world.alarms.refuses = {"put"}
    assert world.run("rollout", "resume") == Exit.DONE


def test_alarm_that_cannot_be_deleted_does_not_fail_a_release(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The release is done; what is left over is said."""
    world.alarms.refuses = {"delete"}
    world.alarms.put["image-resizer-production-canary-40"] = {}
    assert world.run("rollout", "start") == Exit.DONE
    assert "left over  deleting canary alarms: not allowed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "more", ['mode = "observe"', "[environments.staging]"], ids=["nothing may act", "all at once"]
)
def test_no_alarm_without_something_to_guard(world: World, more: str) -> None:
    """A rollout that only observes must not be ended by the guard; one without steps has no canary."""
    world.given_settings(more=more)
    where = ("--env", "staging") if "staging" in more else ()
    world.run("rollout", "start", *where)
    assert not [call for call in world.alarms.calls if call.startswith("put")]


def test_stack_without_a_topic_has_no_guard(world: World) -> None:
    """A stack older than the guard is rolled out as before."""

    class OldStack(StackWithTopic):
        def describe_stacks(self, **_: Any) -> dict[str, Any]:
            return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": []}]}

    world.aws.cloudformation = OldStack()
    assert world.run("rollout", "start") == Exit.DONE
    assert world.alarms.calls == []


def test_guards_rollback_is_the_rollouts_end(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """When the guard acted, the runner reads why in the marker, ends with exit 4, and announces nothing twice."""

    def guard_acts() -> None:
        text = world.aws.description.replace("st=run", f"st=rolled-back why=guard: {ALARM}")
        world.aws.given_alias(text)

    world.clock.at(100, guard_acts)
    assert world.run("rollout", "start") == Exit.ROLLED_BACK
    assert f"guard: {ALARM}" in capsys.readouterr().err
    assert world.topic.kinds == ["start"]
    assert world.alarms.put == {}


def test_each_transition_is_announced_once(world: World) -> None:
    """A release tells of its start, its steps and its end, each with what the alias shows."""
    assert world.run("rollout", "start") == Exit.DONE
    assert world.topic.kinds == ["start", "step", "step", "done"]
    assert [(e["stable"], e["canary"], e["weight_pct"]) for e in world.topic.events] == [
        ("41", "42", 10),
        ("41", "42", 50),
        ("41", "42", 95),
        ("42", None, 0),
    ]
    assert len({event["id"] for event in world.topic.events}) == 4
    assert world.topic.subjects[0] == "image-resizer-production: start"


def test_wishes_are_announced_by_who_had_them(world: World) -> None:
    """Pause, resume, skip and abort are told of from the machine that asked."""
    world.run("rollout", "start", "--detach")
    for wish in ("pause", "resume", "skip", "abort"):
        world.clock.sleep(30)
        assert world.run("rollout", wish, *(["--detach"] if wish == "resume" else [])) == Exit.DONE
    assert world.topic.kinds == ["start", "pause", "resume", "step", "rolled-back"]
    assert world.alarms.put == {}


def test_rollback_by_hand_is_announced(world: World) -> None:
    """The last resort tells of itself too, and clears away after the rollout it ended."""
    world.run("rollout", "start", "--detach")
    assert world.run("rollback") == Exit.DONE
    assert world.topic.kinds == ["start", "rolled-back"]
    assert world.topic.events[-1]["reason"] == "asked for by hand"
    assert world.alarms.put == {}


def test_rollback_does_not_need_the_stack(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """When CloudFormation cannot be asked, the traffic is given back all the same."""
    world.run("rollout", "start", "--detach")

    class Silent(StackWithTopic):
        def describe_stacks(self, **_: Any) -> dict[str, Any]:
            raise Unavailable("reading stack: AWS did not answer")

    world.aws.cloudformation = Silent()
    assert world.run("rollback") == Exit.DONE
    assert world.aws.stable == "41"
    assert "left over" in capsys.readouterr().out


def test_topic_that_refuses_is_mentioned(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody told is no reason to stop a release."""
    world.topic.error = RuntimeError(TOPIC)
    assert world.run("rollout", "start") == Exit.DONE
    out = capsys.readouterr().out
    assert out.count("notify     the rollout topic was not told of") == 4
    assert TOPIC not in out


def test_webhook_comes_from_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its address is read from one variable, and shown nowhere, not even when nobody answers there."""
    monkeypatch.setenv("ROLLOUT_WEBHOOK_URL", "http://127.0.0.1:1/hook-4f1a9c")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert world.run("rollout", "start", "--events", "events.jsonl") == Exit.DONE
    shown = "".join(capsys.readouterr()) + Path("events.jsonl").read_text()
    assert shown.count("notify     the webhook was not told of") == 4
    assert "hook-4f1a9c" not in shown


def test_superseded_rollout_is_announced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollback that makes room for another rollout is a transition like any other."""
    world.run("rollout", "start", "--detach")
    world.given_settings(more='second_rollout = "supersede"')
    monkeypatch.setenv("GITHUB_RUN_ID", "78")
    assert world.run("rollout", "start") == Exit.DONE
    assert world.topic.kinds == ["start", "rolled-back", "start", "step", "step", "done"]
    assert [event["rollout"] for event in world.topic.events[:3]] == ["77.1", "77.1", "78.1"]


def test_warm_before_traffic_and_cold_after(world: World) -> None:
    """The canary's provisioned concurrency is ready before its first call; the old version loses its own."""
    world.given_settings(warm=5)
    world.warmth.configs["41"] = (5, 0.0)
    seen = world.before_first_weight(
        lambda: world.warmth.port().read("42").status  # type: ignore[union-attr]
    )
    assert world.run("rollout", "start") == Exit.DONE
    assert set(seen) == {"READY"}
    assert set(world.warmth.configs) == {"42"}


def test_rolled_back_version_turns_cold(world: World) -> None:
    """After a rollback the stable version keeps its own, the canary loses it."""
    world.given_settings(warm=5)
    world.warmth.configs["41"] = (5, 0.0)
    world.aws.given_alarm_later(400, "errors", AlarmState.ALARM)
    assert world.run("rollout", "start") == Exit.ROLLED_BACK
    assert set(world.warmth.configs) == {"41"}


def test_version_that_does_not_get_warm_gets_no_traffic(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda's failure stops the release before any weight."""
    world.given_settings(warm=5)
    world.warmth.fails = "out of capacity"
    assert world.run("rollout", "start") == Exit.FAILED
    assert "out of capacity" in capsys.readouterr().err
    assert world.aws.writes == []
    assert world.alarms.calls == []


def test_refused_release_turns_cold_again(world: World) -> None:
    """What was put in place for a rollout that is then refused is taken away."""
    world.given_settings(warm=5)
    world.warmth.configs["41"] = (5, 0.0)
    world.aws.given_alias("x" * 90)
    assert world.run("rollout", "start") == Exit.REFUSED
    assert set(world.warmth.configs) == {"41"}
    assert world.alarms.put == {}


def test_warmth_is_nobodys_business_by_default(world: World) -> None:
    """With 0, Lambda is not even asked."""
    world.aws.provisioned = None
    assert world.run("rollout", "start") == Exit.DONE


def test_warmth_must_fit_twice_into_what_is_reserved(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """During a rollout both versions have theirs, out of one reservation."""
    world.given_settings(warm=6)
    assert world.run("rollout", "start") == Exit.USAGE
    assert "at least twice `provisioned_concurrency`, found 10 and 6" in capsys.readouterr().err


def test_transient_weights_are_waited_for(world: World) -> None:
    """Weights Lambda itself shows do not stop a release, if they go."""
    world.aws.given_alias("", canary="42", weight_pct=100)
    world.clock.at(200, lambda: world.aws.given_alias(""))
    assert world.run("rollout", "start") == Exit.DONE


def test_foreign_weights_are_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that stay are somebody's; nothing is put in place for a rollout that will not be."""
    world.given_settings(warm=5)
    world.aws.given_alias("", canary="42", weight_pct=30)
    assert world.run("rollout", "start") == Exit.REFUSED
    assert "deployer rollback --to 41" in capsys.readouterr().err
    assert (world.alarms.calls, world.warmth.calls, world.aws.writes) == ([], [], [])


def test_plan_that_may_outlive_the_credentials_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials that cannot renew themselves must last; a rollout that is handed over need not."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2025-11-21T08:30:00Z")
    assert world.run("rollout", "start") == Exit.REFUSED
    assert "credentials for 30 min, and a plan of up to 75 min" in capsys.readouterr().err
    assert (world.alarms.calls, world.aws.writes) == ([], [])
    assert world.run("rollout", "start", "--detach") == Exit.DONE
