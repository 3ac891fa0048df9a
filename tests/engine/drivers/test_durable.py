"""The durable driver: its looks on the strict fake, and its handler under AWS's own durable-execution runner."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aws_durable_execution_sdk_python.execution import InvocationStatus
from aws_durable_execution_sdk_python_testing.runner import (
    DurableFunctionTestResult,
    DurableFunctionTestRunner,
)
from botocore.stub import Stubber

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import marker
from deployer.cli.main import main
from deployer.clock import Clock
from deployer.config import Config, parse
from deployer.drivers import durable, handover, package
from deployer.drivers.handover import Handover
from deployer.errors import DeployerError, Exit
from deployer.model import AlarmState, RolloutState, Step
from deployer.rollout import run as rollout
from deployer.rollout.gate import gate_for
from engine.around import given_settings
from engine.fakes import FakeAws, Traffic, VirtualClock
from generating import GENERATED

SETTINGS = """
[project]
name = "Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
driver = "durable"
steps = [{ weight_pct = 10, bake_s = 300 }, { weight_pct = 50, bake_s = 3600 }]
final_bake_s = 300
"""


class RunnerClock:
    """The test runner's own time, in which waits are skipped: what it skips has passed for the handler too."""

    def __init__(self) -> None:
        self.runner: DurableFunctionTestRunner | None = None
        self.due: list[tuple[float, object]] = []
        self.started_at = 0.0

    def now(self) -> float:
        """Return the runner's time, and do what was due by then."""
        assert self.runner is not None
        now = self.runner._clock.now().timestamp()
        self.started_at = self.started_at or now
        for due, action in list(self.due):
            if now - self.started_at >= due:
                self.due.remove((due, action))
                action()  # type: ignore[operator]
        return now

    def sleep(self, seconds: float) -> None:
        """Fail: a durable function that sleeps is paid for."""
        raise AssertionError(f"slept {seconds} s")


PLACES = (Step(10, 300), Step(50, 3600), Step(95, 300))  # of SETTINGS, with the traffic of a FakeAws


def begun(aws: FakeAws, clock: Clock) -> FakeAws:
    """Return the fake with the first step taken, as `rollout start` leaves it."""
    settings = parse(SETTINGS).environment("production")
    gate = gate_for(settings, ("errors",))
    rollout.begin(
        aws, rollout.Rollout(settings.rollout_plan("77.1", "42", PLACES), gate, lambda _: None), clock
    )
    return aws


def handed(**changes: object) -> Handover:
    """Return what `rollout start` hands over."""
    values = {
        "settings": parse(SETTINGS).model_dump_json(), "environment": "production", "rollout_id": "77.1", "version": "42", "alarms": ("errors",), "places": PLACES,
    }  # fmt: skip
    return Handover(**{**values, **changes})  # type: ignore[arg-type]


def run(
    aws: FakeAws, event: object, *, later: dict[float, object] | None = None
) -> DurableFunctionTestResult:
    """Run the handler to its end under the official test runner; `later` maps seconds to what happens then."""
    clock = RunnerClock()
    aws.clock = clock  # type: ignore[assignment]
    handler = durable.make_handler(lambda _config, _environment: aws, clock)  # type: ignore[arg-type,return-value]
    with DurableFunctionTestRunner(
        handler=handler, poll_interval=0.05, execution_timeout=60 * 60 * 24
    ) as runner:
        clock.runner = runner
        clock.due = list((later or {}).items())
        if isinstance(event, Handover):
            begun(aws, clock)
            event = event.event()
        arn = runner.run_async(input=json.dumps(event))
        result = runner.wait_for_result(arn, timeout=60)
    runner._scheduler._loop.close()  # the runner leaves its event loop open, which is a warning, which is an error
    return result


def ended(aws: FakeAws) -> RolloutState:
    """Return the state in the alias's marker."""
    found = marker.parse(aws.description)[1]
    assert found is not None
    return found.state


class TestUnderTheOfficialRunner:
    """The whole handler, replays and waits included, under aws-durable-execution-sdk-python-testing."""

    def test_healthy(self):
        """A healthy version is carried through every step to done without one sleeping second."""
        aws = FakeAws()
        result = run(aws, handed(poll_s=600))
        assert result.status is InvocationStatus.SUCCEEDED
        assert json.loads(result.result or "") == {
            "outcome": "done", "version": "42", "reason": "420 s at 95 % were good",
        }  # fmt: skip
        assert [write.weight_pct for write in aws.writes] == [10, 50, 95, 0]
        assert ended(aws) is RolloutState.DONE

    def test_one_operation(self):
        """However long the bakes, the execution has one operation besides itself: the limit on operations is far."""
        result = run(FakeAws(), handed(poll_s=600))
        assert [
            operation.name for operation in result.get_all_operations() if operation.name == "rollout"
        ] == ["rollout"]
        assert len(result.get_all_operations()) <= 2

    def test_alarm(self):
        """An alarm during an hour-long bake takes the traffic back, and the execution fails with the reason."""
        aws = FakeAws()

        def alarm() -> None:
            aws.given_alarm("errors", AlarmState.ALARM)

        result = run(aws, handed(), later={900.0: alarm})
        assert result.status is InvocationStatus.FAILED
        assert result.error is not None
        assert "version 42 was not promoted: rolled-back" in str(result.error.message)
        assert "expected all traffic on version 42" in str(result.error.message)
        assert "hint: deployer status --env" in str(result.error.message)
        assert (aws.stable, aws.canary) == ("41", None)
        assert ended(aws) is RolloutState.ROLLED_BACK

    def test_worse_version(self):
        """A canary with more than its share of the errors is rolled back by the comparison."""
        aws = FakeAws(traffic=Traffic(errors={"42": 0.2}))
        result = run(aws, handed())
        assert result.status is InvocationStatus.FAILED
        assert ended(aws) is RolloutState.ROLLED_BACK

    def test_abort_from_elsewhere(self):
        """A rollout that a person aborted through the alias ends, and is not begun again."""
        aws = FakeAws()

        def abort() -> None:
            rollout.roll_back(aws, reason="asked for by hand")  # type: ignore[arg-type]

        result = run(aws, handed(), later={400.0: abort})
        assert result.status is InvocationStatus.FAILED
        assert aws.stable == "41"
        assert [write.weight_pct for write in aws.writes][-1] == 0

    def test_two_drivers(self):
        """A second execution of the same rollout does no harm: the alias's revision lets one of them write."""
        aws = FakeAws()

        def other() -> None:
            aws.someone_else_writes()

        result = run(aws, handed(poll_s=600), later={301.0: other, 4000.0: other})
        assert result.status is InvocationStatus.SUCCEEDED
        assert [write.weight_pct for write in aws.writes] == [10, 50, 95, 0]

    def test_not_a_rollout(self):
        """An event that is no hand-over fails the execution before any call."""
        aws = FakeAws()
        result = run(aws, {"Records": []})
        assert result.status is InvocationStatus.FAILED
        assert aws.calls == []


class TestLook:
    """One look at the rollout, without the SDK around it."""

    def drive(self, aws: FakeAws, clock: VirtualClock, poll_s: int = 60) -> durable.Drive:
        """Return what a look needs, one second into the first step."""
        settings = parse(SETTINGS).environment("production")
        gate = gate_for(settings, ("errors",))
        aws.clock = clock
        begun(aws, clock)
        plan = replace(settings.rollout_plan("77.1", "42", PLACES), is_begun=True)
        clock.time += 1
        return durable.Drive(
            aws, plan, gate, clock, lambda _: None, lambda *_: None, lambda: None, poll_s  # type: ignore[arg-type]
        )  # fmt: skip

    def test_wakes_up_for_the_next_minute(self):
        """During a bake the next look is a minute away, not at the end of the bake."""
        aws, clock = FakeAws(), VirtualClock()
        assert durable.look(durable.START, self.drive(aws, clock))["next_s"] == 60

    def test_looks_on_until_a_place_is_judged(self):
        """When a place has lasted its time its last minutes are not judged yet: the next look is soon."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        clock.time += 361
        after = durable.look(durable.START, drive)
        assert (after["outcome"], after["next_s"]) == (None, 60)
        assert "judged" in after["reason"]

    def test_conflict(self):
        """A conflict is read and decided again at once; after ten in a row the rollout goes back."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        clock.time += 300
        state = durable.START
        for _ in range(rollout.CONFLICT_LIMIT):
            aws.given_failure(len(aws.calls) + 1, Conflict("moved"))
            state = durable.look(state, drive)
            assert (state["outcome"], state["next_s"]) == (None, 1)
        aws.given_failure(len(aws.calls) + 1, Conflict("moved"))
        assert durable.look(state, drive)["outcome"] == "failed"
        assert ended(aws) is RolloutState.ROLLED_BACK

    def test_blind(self):
        """An AWS that does not answer is asked again for ten minutes, across looks, then the rollout goes back."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        state = durable.START
        for _ in range(40):
            aws.given_failure(len(aws.calls) + 1, Unavailable("throttled"))
            state = json.loads(json.dumps(durable.look(state, drive)))
            assert state["outcome"] is None
            clock.time += state["next_s"]
        aws.given_failure(len(aws.calls) + 1, Unavailable("throttled"))
        assert durable.look(state, drive)["outcome"] == "failed"
        assert ended(aws) is RolloutState.ROLLED_BACK

    def test_away_on_the_way_back(self):
        """The way back is tried in look after look, for a day; then the reason names what failed."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        state = durable.look(durable.START, drive)
        aws.goes_away(7 * 3600)
        while state["outcome"] is None and clock.time < aws.away_until + 7200:
            clock.time += state["next_s"]
            state = json.loads(json.dumps(durable.look(state, drive)))
        assert state["outcome"] == "failed"
        assert "all traffic is on version 41" in state["reason"]
        assert ended(aws) is RolloutState.ROLLED_BACK

    def test_no_end_of_it(self):
        """After a day without an answer nobody waits any longer, and the guard is what is left."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        state = durable.look(durable.START, drive)
        aws.goes_away(3 * 86_400)
        while state["outcome"] is None:
            clock.time += state["next_s"]
            state = json.loads(json.dumps(durable.look(state, drive)))
        assert "could not be given back" in state["reason"]
        assert 86_400 <= clock.time - VirtualClock().time <= 90_000

    def test_marker_deleted(self):
        """A look that finds the marker gone and its traffic still there gives it back: the state remembers it."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        state = json.loads(json.dumps(durable.look(durable.START, drive)))
        aws.description = "mine"
        aws.someone_else_writes()
        assert durable.look(state, drive)["outcome"] == RolloutState.ROLLED_BACK.value
        assert (aws.stable, aws.canary) == ("41", None)

    def test_lost_answer(self):
        """A step whose answer was lost is told once, when the alias shows it, and not taken twice."""
        aws, clock = FakeAws(), VirtualClock()
        told: list[object] = []
        drive = replace(self.drive(aws, clock), tell=told.append)
        clock.time += 600
        aws.given_failure(len(aws.calls) + 6, Unavailable("the connection was lost"))
        state = durable.look(durable.START, drive)
        assert state["unanswered"]["event"]["decision"] == "set-weight"
        # Lambda did take it.
        aws.stable, aws.canary, aws.weight_pct = "41", "42", 50
        aws.description = state["unanswered"]["write"]["description"]
        aws.someone_else_writes()
        state = durable.look(json.loads(json.dumps(state)), drive)
        assert [event["decision"] for event in told] == ["set-weight", "wait"]  # type: ignore[index]
        assert state["unanswered"] is None

    def test_blind_across_looks(self):
        """Metrics that cannot be read for ten minutes pause the rollout, although each look is a new process."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        state = durable.look(durable.START, drive)
        for _ in range(11):
            clock.time += 60
            aws.given_failure(len(aws.calls) + 3, Unavailable("throttled"))
            fresh = replace(drive, gate=gate_for(parse(SETTINGS).environment("production"), ("errors",)))
            state = durable.look(json.loads(json.dumps(state)), fresh)
        assert ended(aws) is RolloutState.PAUSE

    def test_no_way_back(self):
        """When rolling back fails as well, the reason says both."""
        aws, clock = FakeAws(), VirtualClock()
        drive = self.drive(aws, clock)
        for number in (1, 2):
            aws.given_failure(len(aws.calls) + number, DeployerError(f"call {number} is not allowed"))
        state = durable.look(durable.START, drive)
        assert state["outcome"] == "failed"
        assert state["reason"] == "call 1 is not allowed; rolling back failed as well: call 2 is not allowed"


class Topic:
    """A rollout topic that keeps what it is told, and the canaries' alarms."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.alarms = ["image-resizer-production-canary-42"]
        self.armed = ""

    def publish(self, **told: str) -> None:
        """Keep the kind of the transition."""
        assert told["TopicArn"] == "arn:aws:sns:eu-west-1:1:rollouts"
        self.told.append(json.loads(told["Message"])["kind"])

    def get_paginator(self, _operation: str) -> Topic:
        """Return the pages of alarms."""
        return self

    def paginate(self, **_: object) -> list[object]:
        """Return the alarms as one page."""
        return [{"MetricAlarms": [{"AlarmName": name} for name in self.alarms]}]

    def put_metric_alarm(self, **alarm: object) -> None:
        """Keep what the alarm says of itself."""
        self.armed = str(alarm["AlarmDescription"])

    def delete_alarms(self, **named: list[str]) -> None:
        """Forget alarms."""
        self.alarms = [name for name in self.alarms if name not in named["AlarmNames"]]


def test_announced_and_put_away():
    """The function announces each transition to the topic, and arms the alarm that stays for a while."""
    aws, topic = FakeAws(), Topic()
    aws.sns = aws.cloudwatch = topic  # type: ignore[attr-defined]
    result = run(aws, handed(poll_s=600, topic="arn:aws:sns:eu-west-1:1:rollouts"))
    assert result.status is InvocationStatus.SUCCEEDED
    assert topic.told == ["step", "step", "done"]
    assert topic.alarms == ["image-resizer-production-canary-42"]
    assert "armed until" in topic.armed


class TestHandover:
    """What travels from `rollout start` to the function."""

    def test_round_trip(self):
        """A hand-over survives JSON."""
        made = handed(is_forced=True)
        assert Handover.parse(json.loads(json.dumps(made.event()))) == made

    def test_wrong_event(self):
        """Another event is refused with what is wrong with it."""
        with pytest.raises(DeployerError, match="not a rollout"):
            Handover.parse({"alarms": [], "bucket": "x"})

    def test_execution_name(self):
        """An execution's name is what Lambda allows, also for the longest rollout id, and new at each hand-over."""
        name = handover.execution_name("x" * 80 + ".1", 1_763_712_000.9)
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
        assert handover.execution_name("77.1", 1.0) != handover.execution_name("77.1", 2.0)


class NoStack:
    """A CloudFormation in which the stack lists no alarms and no topic."""

    def describe_stacks(self, **_: object) -> object:
        """Answer that the stack exists."""
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": []}]}

    def get_template(self, **_: object) -> object:
        """Answer with an empty template."""
        return {"TemplateBody": ""}


class HandedAws(FakeAws):
    """The fake with a durable function beside it, which keeps what it is started with."""

    def given_durable(self, error: DeployerError | None = None) -> HandedAws:
        """Let the durable function take a rollout over, or fail so."""
        self.cloudformation = NoStack()
        self.started: list[tuple[str, Handover]] = []
        self.error = error
        return self

    def invoke_later(self, function_name: str, event: dict[str, object], *, execution_name: str) -> None:
        """Start a durable execution."""
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", execution_name)
        if self.error:
            raise self.error
        self.started.append((function_name, Handover.parse(json.loads(json.dumps(event)))))


class TestCommands:
    """`rollout start` and `resume` under the durable driver, as a user meets them."""

    @pytest.fixture
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Return a function that runs one rollout command on a fake."""
        for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "ACTIONS_"))]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(tmp_path)

        def run_it(
            aws: FakeAws, *argv: str, settings: str = SETTINGS, clock: VirtualClock | None = None
        ) -> int:
            text = settings.replace('driver = "durable"', 'driver = "durable"\nalarms = ["errors"]')
            given_settings(tmp_path, text)
            return main(
                ["rollout", *argv], clock=clock or VirtualClock(), aws=lambda _config, _environment: aws
            )  # type: ignore[arg-type,return-value]

        return run_it

    def test_start(self, command):
        """A start checks, takes the first step and is over; the function gets all it needs to go on."""
        aws, clock = HandedAws().given_durable(), VirtualClock()
        assert command(aws, "start", clock=clock) == Exit.DONE
        ((name, made),) = aws.started
        assert name == "image-resizer-production-rollout"
        assert (made.environment, made.version, made.alarms) == ("production", "42", ("errors",))
        assert (
            Config.model_validate_json(made.settings).environment("production").listed_steps()[1].bake_s
            == 3600
        )
        assert Handover.parse(made.event()).places == PLACES
        assert [write.weight_pct for write in aws.writes] == [10]
        assert clock.slept == 0

    def test_nobody_takes_over(self, command, capsys):
        """When the function cannot be started the first step is taken back, and the error says so."""
        aws = HandedAws().given_durable(
            DeployerError("invoking: not found", found="ResourceNotFoundException")
        )
        assert command(aws, "start") == Exit.FAILED
        assert (aws.stable, aws.canary) == ("41", None)
        assert ended(aws) is RolloutState.ROLLED_BACK
        assert capsys.readouterr().err == (
            "error: `image-resizer-production-rollout` did not take the rollout over, all traffic is on version 41\n"
            "  ResourceNotFoundException\n"
            "  hint: deployer apply, then `deployer rollout start`\n"
        )

    def test_resume(self, command):
        """A resume starts another execution for the rollout on the alias and ends."""
        aws = HandedAws().given_durable()
        begun(aws, VirtualClock())
        assert command(aws, "resume") == Exit.DONE
        assert [made.rollout_id for _, made in aws.started] == ["77.1"]

    def test_nothing_to_hand_over(self, command):
        """A rollout without steps is over with its first write, and nobody is started."""
        settings = re.sub("steps = .*\nfinal_bake_s = 300", "steps = []", SETTINGS)
        aws = HandedAws().given_durable()
        assert command(aws, "start", settings=settings) == Exit.DONE
        assert aws.started == []
        assert aws.stable == "42"

    def test_samples(self, command, capsys):
        """Samples need a process that stays: refused before any call."""
        aws = HandedAws().given_durable()
        settings = SETTINGS.replace("final_bake_s = 300", "sample_every_s = 60")
        assert command(aws, "start", settings=settings) == Exit.REFUSED
        assert aws.calls == []
        assert "the durable driver cannot send samples" in capsys.readouterr().err


class TestCalls:
    """The two calls that only this driver makes, against Lambda's own API model."""

    @pytest.fixture
    def stubbed(self, monkeypatch: pytest.MonkeyPatch) -> tuple[Aws, Stubber]:
        """Return the port with a stubbed Lambda."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        aws = Aws("image-resizer-production", "eu-west-1")
        stub = Stubber(aws._lambda)
        stub.activate()
        return aws, stub

    def test_invoke_later(self, stubbed: tuple[Aws, Stubber]):
        """The function is invoked asynchronously, qualified, and under a name of its own."""
        aws, stub = stubbed
        stub.add_response(
            "invoke",
            {"StatusCode": 202},
            {
                "FunctionName": "f-rollout", "Qualifier": "$LATEST", "InvocationType": "Event",
                "DurableExecutionName": "77-1-5", "Payload": b'{"a": 1}',
            },
        )  # fmt: skip
        aws.invoke_later("f-rollout", {"a": 1}, execution_name="77-1-5")
        stub.assert_no_pending_responses()

    def test_same_code(self, stubbed: tuple[Aws, Stubber]):
        """Code that is there already is not uploaded again."""
        aws, stub = stubbed
        stub.add_response("get_function_configuration", {"CodeSha256": "abc="}, {"FunctionName": "f-rollout"})
        assert aws.put_code("f-rollout", b"zip", code_sha256="abc=") is False
        stub.assert_no_pending_responses()

    def test_new_code(self, stubbed: tuple[Aws, Stubber]):
        """Other code is uploaded between two waits for the function to be still."""
        aws, stub = stubbed
        still = {"Configuration": {"LastUpdateStatus": "Successful"}}
        stub.add_response("get_function_configuration", {"CodeSha256": "old="}, {"FunctionName": "f-rollout"})
        stub.add_response("get_function", still, {"FunctionName": "f-rollout"})
        stub.add_response("update_function_code", {}, {"FunctionName": "f-rollout", "ZipFile": b"zip"})
        stub.add_response("get_function", still, {"FunctionName": "f-rollout"})
        assert aws.put_code("f-rollout", b"zip", code_sha256="new=") is True
        stub.assert_no_pending_responses()


class TestPackage:
    """What the function is made of."""

    def test_locked(self):
        """Everything the package locks is what the deployer itself is tested with."""
        requirements = GENERATED / "requirements"
        locked = {
            name: set(re.findall(r"^(\S+==\S+)", (requirements / name).read_text(), re.MULTILINE))
            for name in ("driver.txt", "dev.txt")
        }
        assert locked["driver.txt"] <= locked["dev.txt"]

    def test_imports_nothing_else(self):
        """The handler imports the deployer's own modules and what requirements/driver.txt locks, no terminal."""
        code = "import sys, deployer.durable; print(sorted({m.partition('.')[0] for m in sys.modules}))"
        root = GENERATED
        environ = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(root)}
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
        )
        assert {"rich", "typer", "PIL"} & set(ast.literal_eval(told.stdout)) == set()

    def test_only_the_rooms_it_needs(self, tmp_path: Path):
        """The handler imports from what is packed alone: no commands, no image, no page of charts are in it."""
        packed = dict(package._sources(GENERATED))
        for name, body in packed.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(body)
        rooms = {name.split("/")[1] for name in packed if name.count("/") > 1}
        assert rooms == {"aws", "canary", "drivers", "judge", "release", "report", "rollout"}
        assert not [name for name in packed if "/page/" in name or name.endswith("console.py")]
        code = "import deployer.durable; print(deployer.__file__)"
        environ = {**os.environ, "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(tmp_path)}
        told = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env=environ,
        )
        assert Path(told.stdout.strip()).is_relative_to(tmp_path)

    def test_every_client_has_its_data(self):
        """Each AWS service `deployer.aws.clients` makes a client of is described in the package."""
        source = (GENERATED / "deployer/aws/clients.py").read_text(encoding="utf-8")
        used = set(re.findall(r'self\.made\(\s*"(\w+)"', source))
        assert len(used) > 4
        assert used <= set(package._SERVICES)

    def test_no_installer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Dependencies that cannot be installed are an error with the installer's words."""
        (tmp_path / "deployer").mkdir()
        (tmp_path / "requirements").mkdir()
        (tmp_path / "requirements" / "driver.txt").write_text("no-hash==1\n")
        with pytest.raises(DeployerError, match="cannot be installed") as caught:
            package.build(tmp_path, "arm64")
        assert caught.value.found


class TestLongBakes:
    """How long a step may take depends on who waits."""

    def test_a_day_needs_somebody_to_wait(self):
        """A bake of a day is refused for a job, which ends after six hours, and accepted for the durable function."""
        day = SETTINGS.replace("bake_s = 3600", "bake_s = 86400")
        assert parse(day).environment("production").steps[1].bake_s == 86400
        with pytest.raises(DeployerError) as caught:
            parse(day.replace('driver = "durable"', 'driver = "runner"'))
        assert 'bakes of at most 21600 s, or `driver = "durable"`, found 86400 s' in (
            caught.value.found or ""
        )

    def test_a_month(self):
        """A bake of a month is refused for everybody: its minutes cannot be read at once."""
        with pytest.raises(DeployerError, match="cannot be used"):
            parse(SETTINGS.replace("bake_s = 3600", "bake_s = 2592000"))
