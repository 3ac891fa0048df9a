"""What cannot go well is one message in three parts, and AWS is as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from engine.around import given_settings
from engine.cli.test_cli import SETTINGS, NoStack
from engine.fakes import FakeAws, VirtualClock
from generating import GENERATED

IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/image-resizer@sha256:{'a' * 64}"
JOB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:9", "GITHUB_ACTIONS": "true"}
WRITES = {"UpdateAlias", "UpdateFunctionCode", "PublishVersion", "Invoke"}


class StackIs(NoStack):
    """A CloudFormation whose stack is in one status."""

    def __init__(self, status: str) -> None:
        self.status = status

    def describe_stacks(self, **_):
        """Answer with it."""
        return {"Stacks": [{"StackName": "s", "StackStatus": self.status, "Outputs": []}]}


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs one command in a checkout, against a fake AWS."""
    given_settings(tmp_path, SETTINGS)
    shutil.copytree(GENERATED / "infra", tmp_path / "infra")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "ACTIONS_", "SKIP_"))]:
        monkeypatch.delenv(name)
    clock = VirtualClock()
    fake = FakeAws(clock)
    fake.cloudformation = NoStack()

    def run(*argv: str) -> int:
        return main(list(argv), clock=clock, aws=lambda _config, _environment: fake)

    run.aws, run.set = fake, monkeypatch.setenv
    return run


def _by_hand(deploy) -> None:
    deploy.aws.given_alias("mine", canary="42", weight_pct=20)


def _in_a_job(deploy) -> None:
    for name, value in JOB.items():
        deploy.set(name, value)


def _changing(deploy) -> None:
    deploy.aws.cloudformation = StackIs("UPDATE_IN_PROGRESS")


def _failed(deploy) -> None:
    deploy.aws.cloudformation = StackIs("ROLLBACK_COMPLETE")


def _nothing(_deploy) -> None:
    pass


CASES: dict[str, tuple[Callable[..., None], tuple[str, ...], Exit, str]] = {
    "an image by tag": (_nothing, ("apply", "--image", "repo:latest"), Exit.USAGE, "named by its digest"),
    "weights by hand, then apply": (
        _by_hand,
        ("apply", "--image", IMAGE),
        Exit.REFUSED,
        "sends 20 % to version 42",
    ),
    "weights by hand, then a rollout": (
        _by_hand,
        ("rollout", "start", "--version", "42"),
        Exit.REFUSED,
        "not by a rollout of this tool",
    ),
    "a stack that is being changed": (
        _changing,
        ("apply", "--image", IMAGE),
        Exit.REFUSED,
        "the stack is UPDATE_IN_PROGRESS",
    ),
    "a first stack that failed": (
        _failed,
        ("apply", "--image", IMAGE),
        Exit.REFUSED,
        "aws cloudformation delete-stack",
    ),
    "a job without the stack role": (
        _in_a_job,
        ("apply", "--image", IMAGE),
        Exit.REFUSED,
        "the variable AWS_STACK_ROLE_ARN is not set",
    ),
    "an empty stack role": (
        _in_a_job,
        ("apply", "--image", IMAGE, "--stack-role", ""),
        Exit.REFUSED,
        "the variable AWS_STACK_ROLE_ARN is not set",
    ),
    "a way back that never was": (
        _nothing,
        ("rollback", "--to", "99"),
        Exit.FAILED,
        "reading version 99: not found",
    ),
    "no way back": (_nothing, ("rollback",), Exit.REFUSED, "there is no earlier version"),
    "a wish without a rollout": (_nothing, ("rollout", "skip"), Exit.REFUSED, "no rollout is running"),
    "images without lists": (
        _nothing,
        ("prune", "--images", "--delete"),
        Exit.REFUSED,
        "nobody knows what staging uses",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_message_and_nothing_changed(deploy, capsys, case):
    """The exit code says what it is, the message has its three parts, and no call that writes was made."""
    given, command, code, words = CASES[case]
    given(deploy)
    before = (deploy.aws.routing, deploy.aws.description)
    assert deploy(*command) == code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("error: ") == 1
    assert words in said
    assert "\n  hint: " in said
    assert "Traceback" not in said
    assert (deploy.aws.routing, deploy.aws.description) == before
    assert not WRITES & set(deploy.aws.calls)
