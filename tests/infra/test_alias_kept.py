"""On a local AWS: a rollback pressed during an apply stays, whenever it is pressed; a first stack is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deployer.aws.stack import ChangeSet, Stack
from deployer.clock import SystemClock
from deployer.errors import DeployerError
from deployer.release.apply import Release, apply
from deployer.rollout.run import roll_back
from infra.conftest import SERVICE_BODY, SERVICE_PARAMETERS, Client, Stacks
from infra.test_plan_deployed import IMAGE, Environment, environment

__all__ = ["environment"]

MARKER = "mine [lc1 id=7f3a from=1 to=2 step=1/0 at=1763712000 plan=9c1e st=done]"
SECOND = IMAGE.replace("1" * 64, "2" * 64)


class PressedDuring(Stack):
    """The stack, and a person who presses Rollback at one moment of its change."""

    def __init__(self, staging: Environment, moment: str) -> None:
        super().__init__(staging.aws.cloudformation, staging.function, SystemClock())
        self.moment, self.aws = moment, staging.aws

    def propose(self, template: str, parameters: Any, **options: Any) -> ChangeSet | None:
        """Propose, then press."""
        found = super().propose(template, parameters, **options)
        self._press("proposed")
        return found

    def execute(self, change_set: ChangeSet, **options: Any) -> Any:
        """Carry it out, and press as soon as it runs, or right after."""
        first: list[None] = []
        told = options.pop("meanwhile", lambda: None)

        def meanwhile() -> None:
            if not first:
                self._press("during")
                first.append(None)
            told()

        found = super().execute(change_set, meanwhile=meanwhile, **options)
        self._press("after")
        return found

    def _press(self, moment: str) -> None:
        if moment == self.moment:
            assert roll_back(self.aws, reason="pressed").version == "1"


@pytest.mark.parametrize("moment", ["", "proposed", "during", "after"])
def test_a_rollback_during_an_apply_stays(
    client: Client, environment: Callable[[str], Environment], moment: str
) -> None:
    """The alias is where the person put it, and without one where it was; CloudFormation never wrote it."""
    staging = environment(f"kept-{moment or 'never'}")
    staging.apply(IMAGE)
    lambda_ = client("lambda")
    lambda_.update_function_code(FunctionName=staging.function, ImageUri=SECOND)
    version = lambda_.publish_version(FunctionName=staging.function)["Version"]
    lambda_.update_alias(
        FunctionName=staging.function, Name="live", FunctionVersion=version, Description=MARKER
    )
    staging.settings += "\n[environments.staging.variables]\nFIT_PX = 512\n"
    stack = PressedDuring(staging, moment)

    def change() -> None:
        apply(staging.aws, stack, Release(staging.desired(SECOND), "test"), say=lambda _: None)

    if moment:
        with pytest.raises(DeployerError, match="alias `live` moved"):
            change()
    else:
        change()
    alias = lambda_.get_alias(FunctionName=staging.function, Name="live")
    assert alias["FunctionVersion"] == ("1" if moment else "2")
    assert ("st=rolled-back why=pressed" in alias["Description"]) == bool(moment)
    fit = lambda_.get_function_configuration(FunctionName=staging.function)["Environment"]["Variables"]
    assert fit["FIT_PX"] == ("0" if moment == "proposed" else "512")


def test_a_bucket_that_exists_is_named_before_anything_is_made(client: Client) -> None:
    """A first stack whose bucket is taken names the bucket, and can be tried again once it is gone."""
    function = "taken-staging"
    bucket = f"{function}-source-000000000000"
    s3 = client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def create() -> Any:
        stack = Stack(client("cloudformation"), function, SystemClock())
        parameters = {**SERVICE_PARAMETERS, "FunctionName": function}
        proposed = stack.propose(SERVICE_BODY, parameters, exists=stack.read() is not None)
        assert proposed is not None
        return stack.execute(proposed, say=lambda _: None)

    with pytest.raises(DeployerError) as caught:
        create()
    assert bucket in (caught.value.found or "")
    assert "DescribeEvents" not in (caught.value.found or "")
    s3.delete_bucket(Bucket=bucket)
    assert create().status == "CREATE_COMPLETE"


def test_a_stack_under_review_is_gone_on_with(client: Client, stacks: Stacks) -> None:
    """A change set that nobody carried out leaves a stack under review, which the next creation uses."""
    function = "reviewed-staging"
    stack = Stack(client("cloudformation"), function, SystemClock())
    parameters = {**SERVICE_PARAMETERS, "FunctionName": function}
    assert stack.propose(SERVICE_BODY, parameters, exists=False) is not None
    assert stack.read() is None
    again = stack.propose(SERVICE_BODY, parameters, exists=False)
    assert again is not None
    assert stack.execute(again, say=lambda _: None).status == "CREATE_COMPLETE"
