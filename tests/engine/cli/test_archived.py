"""An image that Lambda could not pull is refused by plan, apply and rollback, and nothing is changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from deployer.aws.errors import translated
from deployer.cli.main import main
from deployer.errors import Exit
from engine.around import given_settings
from engine.cli.test_cli import SETTINGS, NoStack
from engine.fakes import FakeAws, VirtualClock
from generating import GENERATED

DIGEST = "sha256:" + "a" * 64
IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/image-resizer@{DIGEST}"
RELEASED = "mine [lc1 id=7f3a from=41 to=42 step=1/0 at=1763712000 plan=9c1e st=done]"


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs one command; version 42 serves, and all ran 41 before."""
    given_settings(tmp_path, SETTINGS)
    shutil.copytree(GENERATED / "infra", tmp_path / "infra")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_"))]:
        monkeypatch.delenv(name)
    clock = VirtualClock()
    fake = FakeAws(clock, stable="42", description=RELEASED)
    fake._images = {"41": IMAGE, "42": IMAGE.replace("a" * 64, "b" * 64)}
    fake.cloudformation = NoStack()

    def run(*argv: str) -> int:
        return main(list(argv), clock=clock, aws=lambda _config, _environment: fake)

    run.aws = fake
    return run


@pytest.mark.parametrize(
    "case",
    [
        ("ARCHIVED", "is archived", "--target-storage-class STANDARD"),
        ("ACTIVATING", "is being restored from the archive", "try again in some minutes"),
        ("gone", "is not in the registry", "push the commit again"),
    ],
    ids=lambda case: case[0],
)
@pytest.mark.parametrize(
    "command", [("plan", "--image", IMAGE), ("apply", "--image", IMAGE), ("rollback",)], ids=lambda c: c[0]
)
def test_an_image_that_cannot_be_pulled_is_refused(deploy, capsys, command, case):
    """The message names image, state and way on; AWS is as it was."""
    status, what, way_on = case
    deploy.aws.ecr.statuses[DIGEST] = status
    assert deploy(*command) == Exit.REFUSED
    said = capsys.readouterr().err
    assert f"error: image `{DIGEST[:19]}…` {what}" in said
    assert "repository `image-resizer`, expected ACTIVE: Lambda cannot pull it" in said
    assert way_on in said
    assert (deploy.aws.stable, deploy.aws.writes) == ("42", [])
    assert not {"UpdateFunctionCode", "PublishVersion"} & set(deploy.aws.calls)


def test_a_rollback_does_not_wait_for_what_cannot_be_found_out(deploy, capsys):
    """Without the right to look, or without an answer, the traffic goes back all the same."""
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    deploy.aws.ecr.error = ClientError(denied, "DescribeImages")
    assert deploy("rollback") == Exit.DONE
    assert "not checked whether the image can be pulled" in capsys.readouterr().out
    assert deploy.aws.stable == "41"


def test_a_version_that_serves_is_not_looked_up(deploy):
    """While a canary runs the stable version serves: giving it all traffic needs no image."""
    deploy.aws.ecr.statuses = {DIGEST: "ARCHIVED", DIGEST.replace("a", "b"): "ARCHIVED"}
    running = RELEASED.replace("st=done", "st=run").replace("step=1/0", "step=1/2")
    deploy.aws.given_alias(running.replace("from=41 to=42", "from=42 to=41"), canary="41", weight_pct=10)
    assert deploy("rollback") == Exit.DONE
    assert deploy.aws.ecr.asked == []


def test_a_failed_jobs_last_step_does_not_look(deploy):
    """The rollback that a job makes of its own rollout has seconds, and goes to a version that serves."""
    deploy.aws.ecr.statuses[DIGEST] = "ARCHIVED"
    assert deploy("rollback", "--only-if-owner", "77") == Exit.DONE
    assert deploy.aws.ecr.asked == []


def test_a_deleted_version_is_passed_over(deploy, capsys):
    """Where the version before was deleted, the next best one has the traffic, and the output says so."""
    deploy.aws.versions = {"40", "42"}
    assert deploy("rollback") == Exit.DONE
    said = capsys.readouterr().out
    assert "next best  version 40 has the traffic instead" in said
    assert "roll back  all traffic is on version 40" in said
    assert "version 41 does not exist" in deploy.aws.description
    assert deploy.aws.stable == "40"


def test_a_version_without_its_image_is_passed_over(deploy, capsys):
    """A version that is Failed gets the traffic for a moment; the next best one keeps it."""
    deploy.aws.versions = {"40", "41", "42"}
    deploy.aws.given_state("41", "Failed")
    assert deploy("rollback") == Exit.DONE
    assert "no way back: version 41 is Failed" in capsys.readouterr().out
    assert [write.version for write in deploy.aws.writes] == ["41", "40"]


def test_a_rollback_without_the_right_to_wake_is_one(deploy, capsys):
    """What cannot be found out after the write changes nothing about it."""
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}

    def refuse(name: str) -> None:
        if name == "Invoke":
            with translated("invoking version 41"):
                raise ClientError(denied, "Invoke")

    deploy.aws.before_call = refuse
    assert deploy("rollback") == Exit.DONE
    assert (
        "not known  whether version 41 answers: invoking version 41: not allowed" in capsys.readouterr().out
    )
