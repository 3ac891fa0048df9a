"""`plan.make`: what is wanted against what is live."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.aws.observed import FunctionState, Observed, StackState
from deployer.model import AliasState, Marker, RolloutState, Routing
from deployer.release import plan as plans
from deployer.report import text as report

PARAMETERS = {"FunctionName": "fn", "MemoryMb": "1024", "TimeoutS": "60", "Architecture": "arm64"}


def template(variables: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a template whose function has these variables."""
    environment = {"Environment": {"Variables": variables}} if variables else {}
    properties = {"FunctionName": {"Ref": "FunctionName"}, **environment}
    return {"Resources": {"Function": {"Properties": properties}}, **more}


TEMPLATE = template({"SIZE": "0"})
IMAGE = "repo@sha256:" + "a" * 64
OTHER = "repo@sha256:" + "b" * 64
FUNCTION = FunctionState(IMAGE, "sha256:" + "a" * 64, "a", "f1", 1024, 60, "arm64")
LIVE = Observed(
    stack=StackState("UPDATE_COMPLETE", TEMPLATE, PARAMETERS, {}),
    function=FUNCTION,
    alias=AliasState(Routing("41"), "r1", description="mine"),
    live_image_uri=IMAGE,
)
DESIRED = plans.Desired(TEMPLATE, PARAMETERS, IMAGE)
SHIFTING = replace(LIVE, alias=AliasState(Routing("41", "42", 10), "r1"))


def kinds(plan: plans.Plan) -> list[type]:
    """Return the actions' types in their order."""
    return [type(action) for action in plan.actions]


def test_nothing_deployed_means_one_stack():
    """The first deployment is the stack and nothing else."""
    assert plans.make(DESIRED, Observed(stack=None)) == plans.Plan((plans.CreateStack("fn"),))


def test_what_is_as_wanted_needs_nothing():
    """An empty plan means there is no drift, and says so."""
    plan = plans.make(DESIRED, LIVE)
    assert plan == plans.Plan(())
    assert report.describe_plan(plan) == "nothing to do: what is live is what the repository asks for"


def test_a_new_image_is_put_into_latest_and_released():
    """A changed digest updates `$LATEST` and then moves the alias by a rollout."""
    plan = plans.make(replace(DESIRED, image_uri=OTHER), LIVE)
    assert kinds(plan) == [plans.UpdateCode, plans.ReleaseVersion]


def test_an_image_already_in_latest_is_still_released():
    """After a crash between the update and the publication the same plan goes on."""
    observed = replace(LIVE, function=replace(FUNCTION, image_digest="sha256:" + "b" * 64))
    assert kinds(plans.make(replace(DESIRED, image_uri=OTHER), observed)) == [plans.ReleaseVersion]


def test_a_changed_setting_is_shown_and_released():
    """A changed parameter names its old and new value, and rides a canary like code does."""
    plan = plans.make(replace(DESIRED, parameters={**PARAMETERS, "MemoryMb": "2048"}), LIVE)
    assert plan.actions[0] == plans.UpdateStack("fn", ("MemoryMb: 1024 -> 2048",))
    assert kinds(plan) == [plans.UpdateStack, plans.ReleaseVersion]


OUTPUT = {"Outputs": {"Name": {"Value": "x"}}}
QUEUE = {"Resources": {**TEMPLATE["Resources"], "Queue": {"Type": "AWS::SQS::Queue"}}}


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        pytest.param(template({"SIZE": "512"}), ("variable SIZE: 0 -> 512",), id="a variable's value"),
        pytest.param(
            template({"SIZE": "0", "TABLE": {"Fn::GetAtt": ["Table", "Arn"]}}),
            ('variable TABLE: unset -> {"Fn::GetAtt": ["Table", "Arn"]}',),
            id="a variable from a resource",
        ),
        pytest.param(template(), ("variable SIZE: 0 -> unset",), id="no variable any more"),
        pytest.param(template({"SIZE": "0"}, **OUTPUT), ("infra changed: Outputs",), id="an output"),
        pytest.param(QUEUE, ("infra changed: Queue",), id="a resource"),
        pytest.param(
            {**QUEUE, **OUTPUT}, ("infra changed: Outputs, Queue",), id="more than one thing, in one line"
        ),
        pytest.param(
            {"Resources": {"Function": {"Properties": {"Timeout": 3}}}},
            ("variable SIZE: 0 -> unset", "infra changed: Function"),
            id="the function beside its variables",
        ),
    ],
)
def test_a_changed_template_is_told(wanted, changes):
    """Each variable has a line with both values; of the rest it says which resources and sections differ."""
    plan = plans.make(replace(DESIRED, template=wanted), LIVE)
    assert plan.actions[0] == plans.UpdateStack("fn", changes)
    assert kinds(plan) == [plans.UpdateStack, plans.ReleaseVersion]


@pytest.mark.parametrize(
    "live",
    [
        pytest.param({**TEMPLATE, "Description": "other", "Metadata": {"a": 1}}, id="described otherwise"),
        pytest.param(template({"SIZE": {"Ref": "Size"}}), id="the value of a parameter"),
        pytest.param({**TEMPLATE, "Parameters": {"Size": {"Type": "Number"}}}, id="a parameter's limits"),
    ],
)
def test_what_cloudformation_finds_no_change_in_is_none(live):
    """A plan that CloudFormation would never empty is not made: the same resources are the same."""
    stack = StackState("UPDATE_COMPLETE", live, {**PARAMETERS, "Size": "0"}, {})
    assert plans.make(DESIRED, replace(LIVE, stack=stack)) == plans.Plan(())


def test_a_template_nobody_can_read_is_replaced():
    """What somebody put there by hand, and is no template as we know them, is one change."""
    plan = plans.make(DESIRED, replace(LIVE, stack=replace(LIVE.stack, template="a: [")))
    assert plan.actions[0] == plans.UpdateStack(
        "fn", ("infra changed: the stack's own template cannot be read",)
    )


def test_a_function_changed_by_hand_is_drift():
    """Memory set in the console is found although the stack's parameters are as wanted."""
    plan = plans.make(DESIRED, replace(LIVE, function=replace(FUNCTION, memory_mb=512)))
    assert plan.actions == (plans.RepairFunction(("MemoryMb: 512 -> 1024",)),)


def test_weights_without_a_rollout_are_drift():
    """An alias that shares its traffic although nobody rolls out is shown, and blocks changes."""
    plan = plans.make(DESIRED, SHIFTING)
    assert plan.actions == (plans.ClearWeights("42", 10),)
    assert plan.blocked == "the alias sends 10 % to version 42"


def test_a_running_rollout_is_not_drift_but_blocks_changes():
    """While a rollout runs nothing may change the stack or the code under it."""
    marker = Marker("7f3a", "41", "42", (10, 50), (0,), RolloutState.RUN)
    observed = replace(LIVE, alias=AliasState(Routing("41", "42", 10), "r1", marker=marker))
    assert plans.make(DESIRED, observed) == plans.Plan(())
    assert plans.make(replace(DESIRED, image_uri=OTHER), observed).blocked is not None


def test_a_stack_that_is_changing_blocks():
    """A second change waits for the first."""
    observed = replace(LIVE, stack=replace(LIVE.stack, status="UPDATE_IN_PROGRESS"))
    assert (
        plans.make(replace(DESIRED, image_uri=OTHER), observed).blocked == "the stack is UPDATE_IN_PROGRESS"
    )


def test_a_stack_update_keeps_what_is_live():
    """The image is the live one; the alias's parameters stay as they were, so that no update writes the alias."""
    before = replace(LIVE.stack, parameters={"LiveVersion": "7", "LiveDescription": "then"})
    assert plans.live_parameters(replace(LIVE, stack=before), OTHER) == {
        "ImageUri": IMAGE,
        "LiveVersion": "7",
        "LiveDescription": "then",
    }
    assert plans.live_parameters(Observed(stack=None), OTHER) == {
        "ImageUri": OTHER,
        "LiveVersion": "",
        "LiveDescription": "",
    }


def test_a_stack_update_that_touches_the_alias_hands_back_what_is_live():
    """Where the template itself changes the alias, version and description are those of this moment."""
    found = plans.live_parameters(LIVE, OTHER, is_alias_touched=True)
    assert (found["LiveVersion"], found["LiveDescription"]) == ("41", "mine")


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_that_takes_no_change_is_said(status):
    """A stack that failed for good is no stack that is as wanted, even if its template is."""
    found = plans.make(DESIRED, Observed(stack=replace(LIVE.stack, status=status)))
    assert found.actions == (plans.CreateStack("fn"),)
    assert found.blocked is not None
    assert found.blocked.startswith(f"the stack is {status}: ")
