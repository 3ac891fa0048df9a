"""`deployer rollout control` under the rollback role: every wish is carried out, and no right is left over.

A rollout is begun under the deploy role, with the repository's own stack. What an image would answer is said here,
since there is no container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.client import Aws, connect
from deployer.canary.moves import Wish
from deployer.cli.main import main
from deployer.config import Config
from deployer.errors import Exit
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

FUNCTION = f"{NAME}-production"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
Run = Callable[..., int]


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account with production's roles and stack, and two versions."""
    with world() as made:
        stacks = Stacks(made.admin("cloudformation"))
        stacks.apply(f"{NAME}-registry", REGISTRY_BODY, REGISTRY_PARAMETERS)
        stacks.apply(f"{FUNCTION}-bootstrap", BOOTSTRAP_BODY, bootstrap_parameters("production"))
        for number in (1, 2):
            image = {"imageManifest": manifest(number), "imageTag": f"tag-{number}"}
            made.admin("ecr").put_image(repositoryName=NAME, **image)
        first = {"FunctionName": FUNCTION, "ImageUri": f"{REPOSITORY}@{digest(1)}"}
        stacks.apply(FUNCTION, SERVICE_BODY, {**SERVICE_PARAMETERS, **first})
        lambda_ = made.admin("lambda")
        lambda_.update_function_code(FunctionName=FUNCTION, ImageUri=f"{REPOSITORY}@{digest(2)}")
        assert lambda_.publish_version(FunctionName=FUNCTION)["Version"] == "2"
        yield made


def answering(config: Config, environment: str) -> Aws:
    """Connect, and answer for the images."""
    aws = connect(config, environment)

    def invoke(_version: str, _event: object) -> tuple[str | None, Any]:
        return None, {}

    aws.invoke = invoke  # type: ignore[method-assign]
    return aws


@pytest.fixture
def run(here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command as a role, in a job of the environment that the role trusts."""
    given_settings(tmp_path, SETTINGS_TEXT)
    monkeypatch.chdir(tmp_path)

    def as_role(role: str, environment: str, *command: str) -> int:
        claims = {"sub": f"{GITHUB['GitHubSubject']}:environment:{environment}", "repository_id": "456"}
        arn = f"arn:aws:iam::{ACCOUNT}:role/{FUNCTION}-{role}-{REGION}"
        here.become(here.assume(arn, environment=environment, **claims), monkeypatch)
        return main([*command, "--env", "production"], aws=answering)

    return as_role


def test_every_wish_is_carried_out(here: World, run: Run) -> None:
    """Nothing is denied to the rollback role, whatever somebody wishes of a rollout that runs."""
    for each in (
        ("status", Wish.PAUSE.value, Wish.RESUME.value, Wish.SKIP.value, "rollback"),
        (Wish.PROMOTE.value, "rollback"),
        (Wish.ABORT.value,),
    ):
        begun = run("deploy", "production", "rollout", "start", "--version", "2", "--detach")
        assert begun == Exit.DONE
        since = len(here.aws.decisions())
        for wish in each:
            control = ("rollout", "control", wish, "--reason", "it is wished")
            assert run("rollback", "production-rollback", *control) == Exit.DONE, wish
        assert [one for one in here.aws.decisions()[since:] if not one.allowed] == []
        alias = here.admin("lambda").get_alias(FunctionName=FUNCTION, Name="live")
        assert (alias["FunctionVersion"], alias.get("RoutingConfig") or {}) == ("1", {})
