"""`prune` and `rollback` under the roles that infra/ makes: enough, no more, and a denial that says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.client import connect
from deployer.aws.schedule import Schedule
from deployer.cli.main import main
from deployer.config import parse
from deployer.errors import DeployerError, Exit
from deployer.rollout import sample as samples
from enforced.worlds import REGION, World, trusting_service, world
from generating import GENERATED
from infra.conftest import (
    BOOTSTRAP_BODY,
    GITHUB,
    NAME,
    REGISTRY_BODY,
    REGISTRY_PARAMETERS,
    SETTINGS_TEXT,
    Stacks,
    bootstrap_parameters,
)
from infra.test_prune_deployed import World as Released
from infra.test_prune_deployed import digest

SUBJECT = GITHUB["GitHubSubject"]


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account with the roles of registry and both environments, and eight versions in each."""
    with world() as made:
        stacks = Stacks(made.admin("cloudformation"))
        stacks.apply(f"{NAME}-registry", REGISTRY_BODY, REGISTRY_PARAMETERS)
        for environment in ("staging", "production"):
            stacks.apply(f"{NAME}-{environment}-bootstrap", BOOTSTRAP_BODY, bootstrap_parameters(environment))
        role = made.role(trust=trusting_service("lambda.amazonaws.com"))
        Released(made.admin, NAME, role).given(has_repository=True)
        yield made


@pytest.fixture
def run(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs a command as a role, in a job of the environment that the role trusts."""
    (tmp_path / "deploy.toml").write_text(SETTINGS_TEXT.replace("keep_versions = 10", "keep_versions = 2"))
    monkeypatch.chdir(tmp_path)

    def as_role(role: str, environment: str, *command: str) -> int:
        claims = {"sub": f"{SUBJECT}:environment:{environment}", "repository_id": "456"}
        session = here.assume(
            f"arn:aws:iam::000000000000:role/{NAME}-{role}-{REGION}", environment=environment, **claims
        )
        here.become(session, monkeypatch)
        return main(list(command))

    return as_role


def test_the_prune_roles_suffice(here: World, run: Callable[..., int]) -> None:
    """Versions of each environment, then images, each under its own role and with what it wrote down."""
    released = Released(here.admin, NAME)
    for environment in ("staging", "production"):
        command = ("prune", "--env", environment, "--delete")
        assert run(f"{environment}-prune", "prune", *command) == Exit.DONE
    assert released.versions("production") == {"2", "3", "6", "7", "8"}
    files = ("--in-use", "build/in-use-staging.json", "--in-use", "build/in-use-production.json")
    assert run("prune", "prune", "prune", "--images", *files, "--keep", "1", "--delete") == Exit.DONE
    assert {digest(number) for number in (2, 3, 6, 7, 8)} <= released.images()
    assert digest(1) not in released.images()


@pytest.mark.parametrize(
    ("role", "command", "action"),
    [
        ("staging-prune", ("prune", "--env", "production", "--delete"), "lambda:ListVersionsByFunction"),
        ("prune", ("prune", "--env", "staging", "--delete"), "lambda:ListVersionsByFunction"),
        ("production-plan", ("rollback", "--to", "2"), "lambda:UpdateAlias"),
        ("staging-rollback", ("rollback", "--to", "2"), "lambda:GetFunction"),
    ],
    ids=["another environment", "the registry's", "who may only read", "another environment's alias"],
)
def test_a_role_that_may_not_says_what_it_lacks(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    role: str,
    command: tuple[str, ...],
    action: str,
) -> None:
    """The message names role, action, resource, file and command; nothing is changed."""
    assert run(role, "prune" if role.endswith("prune") else role, *command) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"role `{NAME}-{role}-{REGION}` without `{action}" in said
    assert "` on `arn:aws:lambda:" in said
    assert "hint: deployer bootstrap --" in said
    assert "must grant it" in said


def test_the_deploy_role_makes_and_moves_the_schedule(here: World) -> None:
    """A rollout may say when the guard ends it, for its own function and with the schedule's own role only."""
    claims = {"sub": f"{SUBJECT}:environment:production", "repository_id": "456"}
    deploy = f"arn:aws:iam::000000000000:role/{NAME}-production-deploy-{REGION}"
    client = here.assume(deploy, environment="production", **claims)("scheduler")
    guard = f"arn:aws:lambda:{REGION}:000000000000:function:{NAME}-production-guard"
    role = f"arn:aws:iam::000000000000:role/{NAME}-production-schedule-{REGION}"
    event = {"rollout": "7.1", "version": "2", "until": 4_070_908_800}
    for at in (4_070_908_800, 4_070_912_400):
        Schedule(client, f"{NAME}-production", guard, role).put(at, event)
    (made,) = here.admin("scheduler").list_schedules()["Schedules"]
    assert made["Name"] == f"{NAME}-production-rollout"
    for wrong in (
        Schedule(client, f"{NAME}-staging", guard, role),
        Schedule(client, f"{NAME}-production", guard, role.replace("schedule", "function")),
    ):
        with pytest.raises(DeployerError):
            wrong.put(4_070_908_800, event)


def test_the_rollback_role_suffices(here: World, run: Callable[..., int]) -> None:
    """The way back is checked and taken; the other environment's alias stays where it is."""
    lambda_ = here.admin("lambda")
    before = lambda_.get_alias(FunctionName=f"{NAME}-staging", Name="live")["RevisionId"]
    role = "production-rollback"
    assert run(role, role, "rollback", "--reason", "grey pictures") == Exit.DONE
    assert lambda_.get_alias(FunctionName=f"{NAME}-production", Name="live")["FunctionVersion"] == "2"
    assert lambda_.get_alias(FunctionName=f"{NAME}-staging", Name="live")["RevisionId"] == before


def test_the_deploy_role_sends_the_sample(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a rollout that no traffic can prove, the release's own role puts, looks at and removes the sample."""
    s3 = here.admin("s3")
    names = {
        f"{what.title()}Bucket": f"{NAME}-production-{what}-000000000000" for what in ("source", "resized")
    }
    for bucket in names.values():
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    claims = {"sub": f"{SUBJECT}:environment:production", "repository_id": "456"}
    role = f"arn:aws:iam::000000000000:role/{NAME}-production-deploy-{REGION}"
    here.become(here.assume(role, environment="production", **claims), monkeypatch)
    aws = connect(parse(SETTINGS_TEXT), "production")
    sample = samples.load(GENERATED)
    assert sample is not None

    def answer(*, writes: bool) -> samples.Invoke:
        def invoke(_event: Any) -> tuple[str | None, Any]:
            target = {"bucket": names["ResizedBucket"], "key": "smoke/sample/first photo.jpg"}
            if writes:
                s3.put_object(Bucket=target["bucket"], Key=target["key"], ContentType="image/jpeg")
            return None, {"resized": [target], "skipped": []}

        return invoke

    assert "as expected" in samples.send(sample, answer(writes=True), aws.client, names)
    # What is not there is "no such key", and not a right that is missing.
    with pytest.raises(DeployerError) as caught:
        samples.send(sample, answer(writes=False), aws.client, names)
    assert "denied" not in str(caught.value).lower()


@pytest.mark.parametrize(
    "refusal",
    [
        ({"environment": "staging"}, "environment   sent `staging`, the role expects `production`"),
        (
            {"ref": "refs/heads/topic"},
            "ref           sent `refs/heads/topic`, the role expects `refs/heads/main`",
        ),
        (
            {"sub": "repo:acme/resizer:environment:production"},
            "the subject is of the older form, without ids",
        ),
        ({"repository_id": "457"}, "so the role trusts another repository or form of the subject"),
    ],
    ids=["environment", "branch", "older subject", "another repository"],
)
def test_a_refused_token_is_explained(
    here: World,
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refusal: tuple[dict[str, str], str],
) -> None:
    """STS only says no: the error has what the job sent beside what the role expects, and no token."""
    changed, words = refusal
    claims = {
        "aud": "sts.amazonaws.com",
        "sub": f"{SUBJECT}:environment:production",
        "repository_id": "456",
        "environment": "production",
        "ref": "refs/heads/main",
        **changed,
    }
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    right = here.issuer.grant(claims)
    for name, value in (
        ("AWS_ENDPOINT_URL", here.aws.endpoint),
        ("AWS_CONFIG_FILE", os.devnull),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", here.issuer.url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", right),
        ("AWS_DEPLOY_ROLE_ARN", f"arn:aws:iam::000000000000:role/{NAME}-production-deploy-{REGION}"),
    ):
        monkeypatch.setenv(name, value)
    assert main(["status", "--env", "production"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert "assuming the deploy role: not allowed" in said
    assert f"role `{NAME}-production-deploy-{REGION}` refused the token of this job:" in said
    assert words in said
    assert "docs/runbook.md#credentials-in-github-actions" in said
    assert right not in said
