"""The parts of a game day: its bounds, its words, the thread beside it, and the port to the versions."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import Stubber

from deployer import config
from deployer.aws.errors import Unavailable
from deployer.aws.versions import Versions
from deployer.clock import SystemClock
from deployer.errors import DeployerError
from deployer.gameday import plan as plans
from deployer.gameday.background import Calls, in_thread
from deployer.gameday.chain import allows
from deployer.gameday.findings import Line, moved
from deployer.gameday.plan import Result
from engine.fakes import VirtualClock
from engine.gameday.staging import SETTINGS

NOON = 1_763_712_000.0


class Answers:
    """An AWS that answers each call of the alias with what it was given, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def invoke(self, version: str, _event: object) -> Any:
        """Answer one call."""
        assert version == "live"
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_lost_is_what_the_caller_did_not_get() -> None:
    """An error, a throttle and no answer are lost; an answer is not; a refusal ends the calls."""
    clock = VirtualClock(NOON)
    aws = Answers((None, {}), ("Unhandled", {}), Unavailable("throttled"), DeployerError("not allowed"))
    calls = Calls(aws, {}, clock, 100, NOON + 900)  # type: ignore[arg-type]
    waits = [calls() for _ in range(4)]
    assert (calls.sent, calls.lost, waits[:3], waits[3]) == (4, 3, [2.0, 2.0, 2.0], None)
    assert calls.problem is not None


def test_the_calls_end_by_number_and_by_time() -> None:
    """Neither a clock that stands still nor a patient caller sends more than was said."""
    clock = VirtualClock(NOON)
    few = Calls(Answers((None, {})), {}, clock, 5, NOON + 900)  # type: ignore[arg-type]
    assert [few() for _ in range(7)].count(None) == 2
    late = Calls(Answers((None, {})), {}, clock, 500, NOON)  # type: ignore[arg-type]
    assert late() is None


def test_a_thread_calls_beside_and_ends_with_the_block() -> None:
    """The calls go on while somebody else is busy, and none is made after the block."""
    answered = threading.Event()
    made: list[float] = []

    def step() -> float:
        made.append(time.monotonic())
        if len(made) == 3:
            answered.set()
        return 0.01

    with in_thread(step, SystemClock()):
        assert answered.wait(10)
    count = len(made)
    time.sleep(0.05)
    assert len(made) == count


def test_most_is_modest() -> None:
    """What a game day costs at most is a number one can read before it begins."""
    assert plans.PER_MINUTE <= 60
    assert sum(trial.most_calls for trial in plans.TRIALS) + plans.CALM_CALLS == 1200
    assert plans.LONGEST_S < 3600 - 600, "a session in AWS lasts an hour"
    assert "at most 1200 calls" in plans.outlook("f")


def test_its_settings_differ_only_where_they_must() -> None:
    """The gate's own settings and the owner's alarms stay; steps, driver and warm capacity are its own."""
    text = (
        SETTINGS
        + '[environments.staging]\nalarms = ["mine"]\nalpha = 0.02\ndriver = "durable"\nmode = "observe"\n'
    )
    text = text.replace("[function]", "[function]\nprovisioned_concurrency = 2")
    before = config.parse(text)
    after = plans.tried(before, "staging")
    mine = after.environment("staging")
    assert (mine.alpha, mine.alarms, mine.driver, mine.mode) == (0.02, ["mine"], "runner", "act")
    assert [step.weight_pct for step in mine.steps] == [plans.WEIGHT_PCT]
    assert after.function.provisioned_concurrency == 0
    assert after.environments.production == before.environments.production
    assert before.environment("staging").steps == []


def test_the_badge_says_minutes_or_red() -> None:
    """One line has both lines of defence and the day; a finding makes its line red whatever it took."""
    gate, guard = Result(Line.GATE, 303.0), Result(Line.GUARD, 541.0)
    assert plans.badge([gate, guard], NOON) == "gate 5 min, guard alone 9 min, 21 Nov"
    guard.findings.append(moved(Line.GUARD, "41"))
    assert plans.badge([gate, guard], NOON) == "gate 5 min, guard alone red, 21 Nov"
    assert plans.verdict([gate]) is None
    page = plans.markdown("f", [gate, guard], "line")
    assert "| guard | 9.0 | 0 | 0 | none |" in page
    assert "mend it: `deployer status" in page


@pytest.mark.parametrize(
    ("statement", "is_allowed"),
    [
        ({"Effect": "Allow", "Principal": {"Service": "a.b"}, "Action": "sns:Publish"}, True),
        ({"Effect": "Allow", "Principal": {"Service": ["c", "a.b"]}, "Action": ["x", "sns:Publish"]}, True),
        ({"Effect": "Deny", "Principal": {"Service": "a.b"}, "Action": "sns:Publish"}, False),
        ({"Effect": "Allow", "Principal": {"Service": "c"}, "Action": "sns:Publish"}, False),
        ({"Effect": "Allow", "Principal": {"Service": "a.b"}, "Action": "sns:Subscribe"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:Publish"}, False),
    ],
)
def test_a_policy_is_read_as_written(statement: dict[str, Any], is_allowed: bool) -> None:
    """Only a statement that allows this service this action lets it through."""
    assert allows(json.dumps({"Statement": [statement]}), "a.b", ("sns:Publish",)) is is_allowed
    assert allows(json.dumps({"Statement": statement}), "a.b", ("sns:Publish",)) is is_allowed
    assert not allows("no JSON", "a.b", ("sns:Publish",))
    assert not allows(None, "a.b", ("sns:Publish",))


@pytest.fixture
def port() -> Versions:
    """Return the port on a client that can only be called through a stub."""
    client = Session().create_client(
        "lambda", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return Versions(client, "f-staging")


@pytest.mark.parametrize("version", ["", "$LATEST", "live", "4 2"])
def test_only_a_number_is_deleted(port: Versions, version: str) -> None:
    """Without a qualifier the same call would delete the function, so nothing else is ever sent."""
    with Stubber(port.client), pytest.raises(DeployerError, match="is no published version"):
        port.delete(version)


def test_the_versions_calls_are_lambdas_own(port: Versions) -> None:
    """What is asked of Lambda has its names, its lock, and a qualifier where one version is meant."""
    named = {"FunctionName": "f-staging"}
    with Stubber(port.client) as stub:
        stub.add_response(
            "get_function_configuration",
            {
                "CodeSha256": "sha",
                "RevisionId": "r1",
                "ImageConfigResponse": {"ImageConfig": {"Command": ["a.b"], "EntryPoint": []}},
            },
            {**named, "Qualifier": "$LATEST"},
        )
        latest = port.read()
        assert latest.image_config == {"Command": ["a.b"]}
        stub.add_response(
            "publish_version",
            {"Version": "7"},
            {**named, "CodeSha256": "sha", "RevisionId": "r1", "Description": "text"},
        )
        assert port.publish(latest, description="text") == "7"
        stub.add_response("delete_function", {}, {**named, "Qualifier": "7"})
        port.delete("7")
        stub.add_client_error("delete_function", "ResourceNotFoundException")
        port.delete("7")
        stub.add_response(
            "update_function_configuration", {}, {**named, "RevisionId": "r1", "ImageConfig": {}}
        )
        done = {"Configuration": {"LastUpdateStatus": "Successful"}}
        stub.add_response("get_function", done, named)
        port.set_image_config({}, revision="r1")
        stub.assert_no_pending_responses()
