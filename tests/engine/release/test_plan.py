"""`plan.make`: what is wanted against what is live."""

from __future__ import annotations

from dataclasses import replace

from deployer.aws.observed import FunctionState, Observed, StackState
from deployer.model import AliasState, Marker, RolloutState, Routing
from deployer.release import plan as plans
from deployer.report import text as report

PARAMETERS = {"FunctionName": "fn", "MemoryMb": "1024", "TimeoutS": "60", "Architecture": "arm64"}
IMAGE = "repo@sha256:" + "a" * 64
OTHER = "repo@sha256:" + "b" * 64
FUNCTION = FunctionState(IMAGE, "sha256:" + "a" * 64, "a", "f1", 1024, 60, "arm64")
LIVE = Observed(
    stack=StackState("UPDATE_COMPLETE", "template", PARAMETERS, {}),
    function=FUNCTION,
    alias=AliasState(Routing("41"), "r1", description="mine"),
    live_image_uri=IMAGE,
)
DESIRED = plans.Desired("template", PARAMETERS, IMAGE)
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


def test_a_changed_template_is_noticed():
    """Another template text is a change even when all parameters are the same."""
    plan = plans.make(replace(DESIRED, template="other"), LIVE)
    assert plan.actions[0] == plans.UpdateStack("fn", ("infra/service.yaml changed",))


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
    marker = Marker("7f3a", "41", "42", 2, (0,), "aaaa", RolloutState.RUN)
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
    """Image, alias version and marker are handed to the stack as they are live, so that it moves no traffic."""
    assert plans.live_parameters(LIVE, OTHER) == {
        "ImageUri": IMAGE,
        "LiveVersion": "41",
        "LiveDescription": "mine",
    }
    assert plans.live_parameters(Observed(stack=None), OTHER) == {
        "ImageUri": OTHER,
        "LiveVersion": "",
        "LiveDescription": "",
    }
