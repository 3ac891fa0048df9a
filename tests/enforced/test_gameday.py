"""`deployer gameday` under the role that infra/ makes for it: it suffices, and each right that is gone turns it red.

The stack, its topic, alarm and guard are the repository's own, on a local AWS that enforces every role. What an image
would answer is said here, since there is no container; the right to ask is still needed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployer.aws.client import Aws, connect
from deployer.aws.errors import Unavailable
from deployer.cli.main import main
from deployer.config import Config
from deployer.errors import Exit
from deployer.gameday import record
from enforced.worlds import REGION, World, world
from engine.around import given_settings
from infra.conftest import (
    ACCOUNT,
    BOOTSTRAP_BODY,
    GITHUB,
    NAME,
    REGISTRY_BODY,
    REGISTRY_PARAMETERS,
    SERVICE_BODY,
    SERVICE_PARAMETERS,
    SETTINGS_TEXT,
    Stacks,
    bootstrap_parameters,
)
from infra.test_prune_deployed import digest, manifest
from rehearsal.clock import CompressedClock
from rehearsal.release import route_calls, use_evaluated_times
from rehearsal.traffic import CALLS, Target, flowing
from rules.roles import ALLOWED

FUNCTION, SPEED = f"{NAME}-staging", 40.0
ROLE, GUARD = f"{FUNCTION}-gameday-{REGION}", f"{FUNCTION}-guard-{REGION}"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}@{digest(1)}"


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account with staging's roles, and its stack."""
    with world() as made:
        stacks = Stacks(made.admin("cloudformation"))
        stacks.apply(f"{NAME}-registry", REGISTRY_BODY, REGISTRY_PARAMETERS)
        stacks.apply(f"{FUNCTION}-bootstrap", BOOTSTRAP_BODY, bootstrap_parameters("staging"))
        made.admin("ecr").put_image(repositoryName=NAME, imageManifest=manifest(1), imageTag="one")
        stacks.apply(
            FUNCTION, SERVICE_BODY, {**SERVICE_PARAMETERS, "FunctionName": FUNCTION, "ImageUri": IMAGE}
        )
        yield made


def answering(aws: Aws, lambda_: Any) -> None:
    """Answer for the images: a version answers unless its command names no handler."""
    inner = aws.invoke

    def invoke(version: str, event: object) -> tuple[str | None, Any]:
        with contextlib.suppress(Unavailable):  # there is nothing to run it
            inner(version, event)
        found = lambda_.get_function_configuration(FunctionName=FUNCTION, Qualifier=version)
        image_config = (found.get("ImageConfigResponse") or {}).get("ImageConfig") or {}
        if record.is_ours(image_config):
            return "Unhandled", {"errorMessage": "Unable to import module"}
        return None, {}

    aws.invoke = invoke  # type: ignore[method-assign]


@pytest.fixture
def play(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that plays a game day as its role, in a job of its environment, on a fast clock."""
    given_settings(tmp_path, SETTINGS_TEXT)
    monkeypatch.chdir(tmp_path)
    claims = {"sub": f"{GITHUB['GitHubSubject']}:environment:staging-gameday", "repository_id": "456"}
    session = here.assume(f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", environment="staging-gameday", **claims)
    here.become(session, monkeypatch)
    clock = CompressedClock.starting_now(SPEED)

    def connected(config: Config, environment: str) -> Aws:
        aws = connect(config, environment)
        aws.cloudwatch.meta.events.register("after-call.cloudwatch.DescribeAlarms", use_evaluated_times)
        answering(aws, here.admin("lambda"))
        route_calls(aws, clock, tmp_path)
        return aws

    def run(*options: str) -> int:
        target = Target(FUNCTION, {}, here.admin("lambda"), here.admin("cloudwatch"), clock, tmp_path / CALLS)
        with flowing(target, per_s=1e-6, seed="none", look=lambda _watch: None):
            return main(["gameday", *options], clock=clock, aws=connected)

    return run


def assert_as_before(here: World) -> None:
    """Check that nothing is left of a game day."""
    lambda_ = here.admin("lambda")
    versions = lambda_.list_versions_by_function(FunctionName=FUNCTION)["Versions"]
    assert {each["Version"] for each in versions} == {"$LATEST", "1"}
    assert "deployer-gameday" not in json.dumps(versions, default=str)
    alias = lambda_.get_alias(FunctionName=FUNCTION, Name="live")
    assert (alias["FunctionVersion"], alias.get("Description", "")) == ("1", "")
    assert not here.admin("cloudwatch").describe_alarms(AlarmNamePrefix=f"{FUNCTION}-canary-")["MetricAlarms"]


def decided(here: World, role: str, since: int) -> dict[bool, set[tuple[str, str]]]:
    """Return the actions and resources that a role was allowed, and was denied, since so many decisions."""
    ours = [each for each in here.aws.decisions()[since:] if f"/{role}" in each.who]
    return {
        answer: {(each.action, each.resource) for each in ours if each.allowed is answer}
        for answer in (True, False)
    }


def test_the_role_suffices_and_has_no_more(
    here: World, play: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole game day is green; nothing was denied, and each action that the role has was used.

    So whoever takes any of them away, or grants one more, turns this red.
    """
    since = len(here.aws.decisions())
    assert play() == Exit.DONE, capsys.readouterr()
    assert_as_before(here)
    found = decided(here, ROLE, since)
    assert found[False] == set()
    granted = {action for actions, _, _ in ALLOWED["GamedayRole"] for action in actions.split()}
    assert {action for action, _ in found[True]} == granted
    assert decided(here, GUARD, since)[False] == set()


def test_only_versions_may_be_deleted(here: World) -> None:
    """The same call without a version would delete the function, and the role may not make it."""
    claims = {"sub": f"{GITHUB['GitHubSubject']}:environment:staging-gameday", "repository_id": "456"}
    arn = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    session = here.assume(arn, environment="staging-gameday", **claims)
    for function in (FUNCTION, f"{NAME}-production", GUARD):
        with pytest.raises(ClientError, match="lambda:DeleteFunction"):
            session("lambda").delete_function(FunctionName=function)
    with pytest.raises(ClientError):
        here.assume(arn, **{**claims, "sub": f"{GITHUB['GitHubSubject']}:environment:staging"})


def test_a_guard_without_its_right_is_found(
    here: World, play: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The alarm fires, the guard may not write the alias, and the game day says so and how to mend it."""
    iam = here.admin("iam")
    (name,) = iam.list_role_policies(RoleName=GUARD)["PolicyNames"]
    document = iam.get_role_policy(RoleName=GUARD, PolicyName=name)["PolicyDocument"]
    whole = document if isinstance(document, str) else json.dumps(document)
    assert whole.count("lambda:UpdateAlias") == 1
    iam.put_role_policy(
        RoleName=GUARD,
        PolicyName=name,
        PolicyDocument=whole.replace("lambda:UpdateAlias", "lambda:ListAliases"),
    )
    try:
        assert play() == Exit.FAILED
    finally:
        iam.put_role_policy(RoleName=GUARD, PolicyName=name, PolicyDocument=whole)
    said = capsys.readouterr()
    assert "guard: the alarm fired, and the guard did not give the traffic back" in said.err
    assert f"aws logs tail /aws/lambda/{FUNCTION}-guard" in said.err
    assert "gate: traffic back after" in said.out
    assert_as_before(here)
