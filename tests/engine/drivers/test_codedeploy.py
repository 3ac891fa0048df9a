"""The codedeploy driver: what it translates, what it refuses, and its calls against the API's own model."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from deployer.canary import marker
from deployer.cli.main import main
from deployer.config import Environment
from deployer.drivers import codedeploy, deployments
from deployer.drivers.codedeploy import Deployment, Traffic
from deployer.drivers.deployments import Deployments, Ended, Status
from deployer.errors import DeployerError, Exit
from deployer.judge.counts import Week
from deployer.model import RolloutState, Routing
from deployer.rollout.run import Stop
from engine.around import given_settings
from engine.fakes import FakeAws, VirtualClock
from generating import GENERATED

NAME = "image-resizer-production"
ALARMS = (f"{NAME}-errors",)


def environment(*steps: tuple[float, int], **settings: object) -> Environment:
    """Return settings with those steps (weight_pct, bake_s)."""
    listed = [{"weight_pct": weight_pct, "bake_s": bake_s} for weight_pct, bake_s in steps]
    return Environment.model_validate({"driver": "codedeploy", "steps": listed, **settings})


def translated(settings: Environment, alarms: tuple[str, ...] = ALARMS) -> Deployment:
    """Translate the plan those settings make for version 42."""
    plan = settings.rollout_plan("77.1", "42", settings.listed_steps())
    return codedeploy.translate(NAME, settings, plan, Routing("41"), alarms)


@pytest.mark.parametrize(
    ("steps", "name", "routing"),
    [
        pytest.param([], "CodeDeployDefault.LambdaAllAtOnce", None, id="no steps are all at once"),
        pytest.param(
            [(10, 300)],
            f"{NAME}-canary-10pct-5min",
            {
                "type": "TimeBasedCanary",
                "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 5},
            },
            id="one step is a canary",
        ),
        pytest.param(
            [(25, 600), (50, 600), (75, 600)],
            f"{NAME}-linear-25pct-10min",
            {
                "type": "TimeBasedLinear",
                "timeBasedLinear": {"linearPercentage": 25, "linearInterval": 10},
            },
            id="equal steps to 100 % are linear",
        ),
    ],
)
def test_traffic(steps: list[tuple[int, int]], name: str, routing: object):
    """A plan CodeDeploy knows becomes its deployment configuration, named by what is in it."""
    assert translated(environment(*steps)).traffic == Traffic(name, routing)  # type: ignore[arg-type]


def test_request():
    """The deployment names both versions, stops on its alarms, and treats an alarm it cannot read as red."""
    request = translated(environment((10, 300))).request()
    content = json.loads(request["revision"]["appSpecContent"]["content"])
    assert content["Resources"] == [
        {
            "function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Name": NAME, "Alias": "live", "CurrentVersion": "41", "TargetVersion": "42"},
            }
        }
    ]
    assert request["overrideAlarmConfiguration"] == {
        "enabled": True,
        "ignorePollAlarmFailure": False,
        "alarms": [{"name": f"{NAME}-errors"}],
    }
    assert request["autoRollbackConfiguration"]["events"] == [
        "DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        pytest.param(
            environment((10, 300), (50, 300)),
            "steps 10 % for 300 s, 50 % for 300 s: it knows one share, or equal shares at equal intervals up to 100 %",
            id="two uneven steps",
        ),
        pytest.param(environment((10, 300), (20, 300)), "steps 10 % for 300 s, 20 % for 300 s: ", id="a linear that stops"),
        pytest.param(environment((50, 300), (51, 60)), "steps 50 % for 300 s, 51 % for 60 s: ", id="two intervals"),
        pytest.param(
            environment((30, 60), (60, 60), (90, 60)),
            "steps 30 % for 60 s, 60 % for 60 s, 90 % for 60 s: ",
            id="shares that do not add up to 100",
        ),
        pytest.param(environment((10, 90)), "bake_s = 90: it waits in whole minutes", id="half a minute"),
        pytest.param(environment((10, 300), final_bake_s=60), "final_bake_s = 60: ", id="a final bake"),
        pytest.param(environment((10, 300), mode="observe"), 'mode = "observe": ', id="observing"),
        pytest.param(environment((10, 300), on_cancel="hold"), 'on_cancel = "hold": ', id="holding on cancel"),
        pytest.param(environment((10, 300), second_rollout="supersede"), 'second_rollout = "supersede": ', id="superseding"),
        pytest.param(
            environment((10, 300), alpha=0.01),
            "alpha = 0.01: it does not compare versions, leave the key out",
            id="a comparison asked for",
        ),
        pytest.param(
            environment((10, 300), on_slow="pause"),
            'on_slow = "pause": it does not compare versions, expected "off"',
            id="a comparison of durations",
        ),
        pytest.param(
            environment((10, 300), sample_every_s=60),
            "sample_every_s = 60: it does not compare versions, expected 0",
            id="sampling",
        ),
        pytest.param(
            Environment(driver="codedeploy", steps="auto"),
            'steps = "auto": its steps end by the clock, expected [{ weight_pct = 10, bake_s = 300 }]',
            id="steps from traffic",
        ),
        pytest.param(
            environment((2.6, 300)),
            "weight_pct = 2.6: it shifts whole percentages, expected 3",
            id="a fraction",
        ),
    ],
)  # fmt: skip
def test_refused(settings: Environment, sentence: str):
    """A plan CodeDeploy cannot express is refused with exit 5 and says which setting, never approximated."""
    with pytest.raises(DeployerError) as caught:
        translated(settings)
    assert caught.value.exit_code == Exit.REFUSED
    assert (caught.value.found or "").startswith(sentence)
    assert "\n" not in (caught.value.found or "")


def test_longest_bake():
    """CodeDeploy waits 48 hours between the first and the last shift, and not a minute more."""
    settings = environment((10, 300))
    plan = settings.rollout_plan("77.1", "42", settings.listed_steps())
    step = plan.steps[0]

    def sentences(bake_s: int) -> list[str]:
        longer = dataclasses.replace(plan, steps=(dataclasses.replace(step, bake_s=bake_s),))
        return list(codedeploy.refusals(settings, longer, ALARMS))

    assert sentences(48 * 3600) == []
    assert sentences(48 * 3600 + 60) == [
        "steps of 2881 min in all: at most 2880 min lie between first and last shift"
    ]


def test_all_refusals_at_once():
    """Everything that is in the way is said at once, one line each."""
    settings = environment((10, 300), (50, 300), final_bake_s=60, alpha=0.01)
    with pytest.raises(DeployerError) as caught:
        translated(settings, alarms=())
    assert len((caught.value.found or "").splitlines()) == 4


def test_settings_that_switch_the_comparison_off():
    """Settings that say there is no comparison are no reason to refuse."""
    settings = environment((10, 300), on_slow="off", sample_every_s=0, slow_ms=0)
    assert translated(settings).target == "42"


class Stubbed:
    """CodeDeploy by its own API model: requests that do not fit it fail, answers are given."""

    def __init__(self) -> None:
        client = boto3.client(
            "codedeploy", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.stub = Stubber(client)
        self.port = Deployments(client)
        self.stub.activate()

    def given_created(self, deployment: Deployment, *, known_config: bool = False) -> Stubbed:
        """Expect configuration and deployment to be created exactly so."""
        config = deployment.config_request()
        if config is not None and known_config:
            self.stub.add_client_error(
                "create_deployment_config", "DeploymentConfigAlreadyExistsException", expected_params=config
            )
        elif config is not None:
            self.stub.add_response("create_deployment_config", {"deploymentConfigId": "c"}, config)
        self.stub.add_response("create_deployment", {"deploymentId": "d-1"}, deployment.request())
        return self

    def given_status(
        self, status: str, *, deployment_id: str = "d-1", reason: str = "", undo: str | None = None
    ) -> Stubbed:
        """Answer the next GetDeployment."""
        found: dict[str, object] = {"deploymentId": deployment_id, "status": status}
        if reason:
            found["errorInformation"] = {"code": "ALARM_ACTIVE", "message": reason}
        if undo:
            found["rollbackInfo"] = {"rollbackDeploymentId": undo}
        self.stub.add_response("get_deployment", {"deploymentInfo": found}, {"deploymentId": deployment_id})
        return self


class TestCalls:
    """The calls, against botocore's model of CodeDeploy: how far this driver was exercised."""

    @pytest.mark.parametrize("known_config", [False, True], ids=["new configuration", "known configuration"])
    def test_promoted(self, known_config: bool):
        """A deployment is created, watched and ends with all traffic on the new version."""
        deployment = translated(environment((10, 300)))
        aws, said = FakeAws(stable="42"), []
        stubbed = Stubbed().given_created(deployment, known_config=known_config)
        stubbed.given_status("Created").given_status("InProgress").given_status("InProgress").given_status(
            "Succeeded"
        )
        ended = deployments.run(stubbed.port, deployment, Stop(), VirtualClock(), said.append)
        deployments.settle(aws, stubbed.port, deployment, ended, VirtualClock())  # type: ignore[arg-type]
        stubbed.stub.assert_no_pending_responses()
        assert said == [
            f"deployment d-1 with {NAME}-canary-10pct-5min",
            "codedeploy Created",
            "codedeploy InProgress",
            "codedeploy Succeeded",
        ]

    def test_alarm(self):
        """A deployment that stopped on its alarm ends with exit 4 once CodeDeploy has put the traffic back."""
        deployment = translated(environment((10, 300)))
        aws = FakeAws()
        stubbed = Stubbed().given_created(deployment)
        stubbed.given_status("Stopped", reason="alarm went red", undo="d-2")
        stubbed.given_status("Stopped", undo="d-2").given_status("InProgress", deployment_id="d-2")
        stubbed.given_status("Stopped", undo="d-2").given_status("Succeeded", deployment_id="d-2")
        ended = deployments.run(stubbed.port, deployment, Stop(), VirtualClock(), lambda _: None)
        with pytest.raises(DeployerError, match="rolled back by CodeDeploy") as caught:
            deployments.settle(aws, stubbed.port, deployment, ended, VirtualClock())  # type: ignore[arg-type]
        assert (caught.value.exit_code, caught.value.found) == (Exit.ROLLED_BACK, "alarm went red")
        assert aws.writes == []

    def test_left_behind(self):
        """Traffic that CodeDeploy has not put back ten minutes after a failure is put back by the deployer."""
        deployment = translated(environment((10, 300)))
        aws = FakeAws().given_alias("", canary="42", weight_pct=10)
        stubbed = Stubbed()
        for _ in range(41):
            stubbed.given_status("Failed")
        with pytest.raises(DeployerError, match="rolled back by the deployer"):
            deployments.settle(aws, stubbed.port, deployment, Ended("d-1", Status("Failed")), VirtualClock())  # type: ignore[arg-type]
        assert (aws.stable, aws.canary) == ("41", None)

    def test_succeeded_elsewhere(self):
        """A success that the alias does not confirm is an error, not a release."""
        deployment = translated(environment((10, 300)))
        with pytest.raises(DeployerError, match="the alias says otherwise"):
            deployments.settle(
                FakeAws(), Stubbed().port, deployment, Ended("d-1", Status("Succeeded")), VirtualClock()  # type: ignore[arg-type]
            )  # fmt: skip

    def test_cancelled(self):
        """A signal stops the deployment with automatic rollback, and ends with exit 130."""
        deployment = translated(environment((10, 300)))
        stubbed = Stubbed().given_created(deployment).given_status("InProgress")
        stubbed.stub.add_response(
            "stop_deployment", {"status": "Pending"}, {"deploymentId": "d-1", "autoRollbackEnabled": True}
        )
        stop, clock = Stop(), VirtualClock()
        clock.at(5, lambda: stop("SIGINT"))
        with pytest.raises(DeployerError, match="stopped by SIGINT") as caught:
            deployments.run(stubbed.port, deployment, stop, clock, lambda _: None)
        assert caught.value.exit_code == Exit.INTERRUPTED
        assert clock.slept <= 5.5
        stubbed.stub.assert_no_pending_responses()

    def test_throttled(self):
        """A throttled look is repeated: the deployment goes on by itself."""
        deployment = translated(environment((10, 300)))
        stubbed = Stubbed().given_created(deployment)
        stubbed.stub.add_client_error("get_deployment", "ThrottlingException")
        stubbed.given_status("Succeeded")
        ended = deployments.run(stubbed.port, deployment, Stop(), VirtualClock(), lambda _: None)
        assert ended.status.status == "Succeeded"


class NoStack:
    """A CloudFormation in which the stack lists no alarms and no topic."""

    def describe_stacks(self, **_: object) -> object:
        """Answer that the stack exists."""
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Outputs": []}]}

    def get_template(self, **_: object) -> object:
        """Answer with an empty template."""
        return {"TemplateBody": ""}


class LastWeek:
    """A function that was called a hundred times a minute, and one call in a thousand failed."""

    def week(self, _version: str, _now: float) -> tuple[list[float], float]:
        """Return calls minute by minute, and the share that failed."""
        return [100.0] * 60, 0.001

    def history(self, _now: float) -> Week:
        """Return a week in which errors came each by itself."""
        return Week(0, (600.0,) * 10_080, (0.6,) * 10_080, (0.0,) * 10_080)


SETTINGS = """
[project]
name = "Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
driver = "codedeploy"
steps = [{ weight_pct = 10, bake_s = 300 }]
alarms = ["errors"]
"""


class TestCommand:
    """`rollout start` under the codedeploy driver, as a user meets it."""

    @pytest.fixture
    def start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Return a function that starts a rollout on a fake with a stubbed CodeDeploy."""
        for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "ACTIONS_"))]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(tmp_path)

        def run_it(aws: FakeAws, stubbed: Stubbed, settings: str = SETTINGS) -> int:
            given_settings(tmp_path, settings)
            aws.cloudformation = NoStack()  # type: ignore[attr-defined]
            aws.codedeploy = stubbed.stub.client  # type: ignore[attr-defined]
            return main(["rollout", "start"], clock=VirtualClock(), aws=lambda _config, _environment: aws)  # type: ignore[arg-type,return-value]

        return run_it

    def test_refused(self, start, capsys):
        """A plan CodeDeploy cannot express ends with exit 5 before any of its calls."""
        aws = FakeAws()
        settings = SETTINGS.replace("alarms", "final_bake_s = 300\nalpha = 0.01\nalarms")
        assert start(aws, Stubbed(), settings) == Exit.REFUSED
        assert capsys.readouterr().err == (
            "error: CodeDeploy cannot carry out this plan\n"
            "  final_bake_s = 300: it watches nothing after the last shift, expected 0\n"
            "  alpha = 0.01: it does not compare versions, leave the key out\n"
            '  hint: driver = "runner" or "durable" keeps it; see docs/drivers.md\n'
        )
        assert aws.writes == []

    def test_planned(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
        """The plan says what CodeDeploy will refuse, and what each driver costs."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "deploy.toml").write_text(SETTINGS.replace("alarms", "final_bake_s = 300\nalarms"))
        (tmp_path / "infra").mkdir()
        for name in ("service.yaml", "permissions.yaml"):
            (tmp_path / "infra" / name).write_bytes((GENERATED / "infra" / name).read_bytes())
        aws = FakeAws()
        aws.cloudformation = NoStack()  # type: ignore[attr-defined]
        aws.metrics = LastWeek  # type: ignore[assignment,method-assign]
        assert main(["plan"], clock=VirtualClock(), aws=lambda _config, _environment: aws) == Exit.DONE  # type: ignore[arg-type,return-value]
        out = capsys.readouterr().out
        assert "refused    final_bake_s = 300: it watches nothing after the last shift" in out
        assert "cost *     codedeploy $0.030: 5 runner minutes" in out
        assert (
            "sample     none: there is no smoke/sample.toml, so nothing real is tried before traffic" in out
        )

    def test_promoted(self, start):
        """After a success the alias says which version was stable before, so that `rollback` is one call."""
        aws, stubbed = FakeAws(), Stubbed()
        stubbed.stub.add_response("create_deployment_config", {"deploymentConfigId": "c"})
        stubbed.stub.add_response("create_deployment", {"deploymentId": "d-1"})
        stubbed.given_status("InProgress").given_status("Succeeded")
        # CodeDeploy moves the alias by itself.
        stubbed.stub.client.meta.events.register(
            "before-parameter-build.codedeploy.CreateDeployment", lambda **_: setattr(aws, "stable", "42")
        )
        assert start(aws, stubbed) == Exit.DONE
        found = marker.parse(aws.description)[1]
        assert found is not None
        assert (found.from_version, found.to_version, found.state) == ("41", "42", RolloutState.DONE)
