"""`apply`: stack, code, version, in that order; repeating it changes nothing; traffic never moves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from deployer.aws.errors import NotFound
from deployer.aws.observed import FunctionState, StackState
from deployer.aws.stack import ChangeSet
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, Marker, RolloutState, Routing
from deployer.release.apply import Applied, Release, apply
from deployer.release.plan import Desired

IMAGE = "repo@sha256:" + "a" * 64
OTHER = "repo@sha256:" + "b" * 64
PARAMETERS = {"FunctionName": "fn", "MemoryMb": "1024", "TimeoutS": "60", "Architecture": "arm64"}
TEMPLATE = {"Resources": {"Function": {"Properties": {"Timeout": 60}}}}
WANTED = Release(Desired(TEMPLATE, PARAMETERS, OTHER), "commit of today")


@dataclass
class FakeFunction:
    """A function with an alias, as `apply` sees it; it writes down what is done to it."""

    exists: bool = True
    alias_state: AliasState = AliasState(Routing("41"), "r1", description="mine")
    latest: FunctionState = FunctionState(IMAGE, "sha256:" + "a" * 64, "code-a", "f1", 1024, 60, "arm64")
    images: dict[str, str] = field(default_factory=lambda: {"41": IMAGE})
    done: list[str] = field(default_factory=list)

    def alias(self) -> AliasState:
        """Read the alias."""
        if not self.exists:
            raise NotFound("no alias")
        return self.alias_state

    def function(self) -> FunctionState:
        """Read `$LATEST`."""
        if not self.exists:
            raise NotFound("no function")
        return self.latest

    def image_of(self, version: str) -> str:
        """Return a version's image."""
        return self.images[version]

    def wait_updated(self) -> None:
        """Wait for nothing."""
        self.done.append("wait")

    def update_code(self, image_uri: str, *, revision: str) -> None:
        """Put another image into `$LATEST`, under its lock."""
        assert revision == self.latest.revision
        assert self.done[-1] == "wait", "Lambda refuses an update while another is in progress"
        digest = image_uri.partition("@")[2]
        self.latest = replace(
            self.latest, image_uri=image_uri, image_digest=digest, code_sha256="code-b", revision="f2"
        )
        self.done.append("update code")

    def publish(self, *, code_sha256: str, description: str) -> str:
        """Publish `$LATEST`; unchanged code gives the version it has."""
        assert code_sha256 == self.latest.code_sha256
        newest = max(self.images, key=int)
        if self.images[newest] != self.latest.image_uri:
            newest = str(int(newest) + 1)
            self.images[newest] = self.latest.image_uri
        self.done.append(f"publish {newest}")
        return newest


@dataclass
class FakeStack:
    """A stack, as `apply` sees it."""

    function: FakeFunction
    state: StackState | None = StackState("UPDATE_COMPLETE", TEMPLATE, PARAMETERS, {})
    name: str = "fn"
    proposed: list[dict[str, str]] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    roles: list[str | None] = field(default_factory=list)
    touched: frozenset[str] = frozenset({"Function"})
    is_under_review: bool = False

    def read(self) -> StackState | None:
        """Return the stack as it is."""
        return self.state

    def propose(self, template, parameters, *, exists, role_arn=None) -> ChangeSet:
        """Note what would change."""
        assert exists == (self.state is not None)
        self.proposed.append(dict(parameters))
        self.templates.append(template)
        self.roles.append(role_arn)
        changes = ("modify Function AWS::Lambda::Function",)
        return ChangeSet("id", "stack id", changes, resources=self.touched)

    def discard(self, change_set) -> None:
        """Forget the change set."""
        self.function.done.append("discard")

    def execute(self, change_set, *, say, meanwhile=lambda: None) -> StackState:
        """Make it so; a new stack brings function, version 1 and alias."""
        if self.state is None:
            self.function.exists = True
            self.function.alias_state = AliasState(Routing("1"), "r1")
        self.state = StackState("UPDATE_COMPLETE", json.loads(self.templates[-1]), self.proposed[-1], {})
        self.function.done.append("stack")
        return self.state


def test_a_new_image_becomes_a_version_without_traffic():
    """`$LATEST` gets the image, a version is published, and the alias is not written."""
    function = FakeFunction()
    applied = apply(function, FakeStack(function), WANTED, say=lambda _: None)
    assert applied == Applied("42", is_live=False)
    assert function.done == ["wait", "update code", "wait", "publish 42"]


def test_repeating_it_changes_nothing():
    """After a crash or a re-run the same version comes out, and nothing is updated twice."""
    function = FakeFunction()
    apply(function, FakeStack(function), WANTED, say=lambda _: None)
    function.done.clear()
    assert apply(function, FakeStack(function), WANTED, say=lambda _: None) == Applied("42", is_live=False)
    assert function.done == ["wait", "publish 42"]


def test_what_is_live_already_is_said_to_be():
    """With nothing to change the live version is the answer, and no call writes."""
    function = FakeFunction()
    release = replace(WANTED, desired=replace(WANTED.desired, image_uri=IMAGE))
    assert apply(function, FakeStack(function), release, say=lambda _: None) == Applied("41", is_live=True)
    assert function.done == []


def test_the_first_release_creates_the_stack_and_is_live():
    """Function, version and alias come from the stack; there is nothing to roll out over."""
    function = FakeFunction(exists=False)
    stack = FakeStack(function, state=None)
    assert apply(function, stack, WANTED, say=lambda _: None) == Applied("1", is_live=True)
    assert stack.proposed[0] | {} == {
        **PARAMETERS,
        "ImageUri": OTHER,
        "LiveVersion": "",
        "LiveDescription": "",
    }


def test_a_changed_setting_keeps_image_version_and_marker_in_the_stack():
    """A stack update gets the alias's parameters of the last one, and so leaves traffic and marker alone."""
    function = FakeFunction()
    earlier = {**PARAMETERS, "LiveVersion": "7", "LiveDescription": "then"}
    stack = FakeStack(function, state=StackState("UPDATE_COMPLETE", TEMPLATE, earlier, {}))
    desired = replace(WANTED.desired, parameters={**PARAMETERS, "MemoryMb": "2048"})
    apply(function, stack, replace(WANTED, desired=desired), say=lambda _: None)
    assert stack.proposed == [
        {**PARAMETERS, "MemoryMb": "2048", "ImageUri": IMAGE, "LiveVersion": "7", "LiveDescription": "then"}
    ]
    assert function.done == ["stack", "wait", "update code", "wait", "publish 42"]


@pytest.mark.parametrize("exists", [True, False])
def test_cloudformation_is_given_the_stack_role(exists):
    """The first change of a stack and each later one name the role of the release, with which CloudFormation acts."""
    function = FakeFunction(exists=exists)
    stack = FakeStack(function) if exists else FakeStack(function, state=None)
    desired = replace(WANTED.desired, parameters={**PARAMETERS, "MemoryMb": "2048"})
    apply(function, stack, replace(WANTED, desired=desired, stack_role_arn="arn:role"), say=lambda _: None)
    assert stack.roles == ["arn:role"]


YAML = "# a comment\nResources:\n  Function:\n    Properties:\n      Timeout: 60\n"


@pytest.mark.parametrize(
    ("live", "proposals"),
    [
        pytest.param(YAML, 0, id="the same in YAML"),
        pytest.param(YAML.replace("60", "30"), 1, id="another in YAML"),
        pytest.param("a: [", 1, id="no YAML"),
        pytest.param({"Resources": {}}, 1, id="another in JSON"),
    ],
)
def test_templates_are_compared_as_data(live, proposals):
    """What is deployed in YAML, as every stack before, is compared like JSON; afterwards it is JSON, and the same."""
    function = FakeFunction()
    stack = FakeStack(function, state=StackState("UPDATE_COMPLETE", live, PARAMETERS, {}))
    release = replace(WANTED, desired=replace(WANTED.desired, image_uri=IMAGE))
    for _ in range(2):
        apply(function, stack, release, say=lambda _: None)
        assert len(stack.templates) == proposals
    assert set(stack.templates) <= {'{"Resources":{"Function":{"Properties":{"Timeout":60}}}}'}


def test_nothing_changes_while_traffic_is_shifted():
    """A stack or code update under a running rollout is refused with exit 5."""
    function = FakeFunction(alias_state=AliasState(Routing("41", "42", 10), "r1"))
    with pytest.raises(DeployerError) as caught:
        apply(function, FakeStack(function), WANTED, say=lambda _: None)
    assert caught.value.exit_code == Exit.REFUSED
    assert function.done == []


def test_the_first_release_needs_an_image():
    """Without an image there is nothing to create the function from."""
    function = FakeFunction(exists=False)
    release = replace(WANTED, desired=replace(WANTED.desired, image_uri=None))
    with pytest.raises(DeployerError, match="needs an image"):
        apply(function, FakeStack(function, state=None), release, say=lambda _: None)


def test_a_function_changed_by_hand_is_not_silently_accepted():
    """What CloudFormation cannot see is an error that names the difference."""
    function = FakeFunction()
    function.latest = replace(function.latest, memory_mb=512)
    with pytest.raises(DeployerError) as caught:
        apply(function, FakeStack(function), WANTED, say=lambda _: None)
    assert caught.value.found == "MemoryMb: 512 -> 1024"


def test_a_job_that_is_run_again_finds_its_rollout():
    """While a rollout of the wanted image runs, applying it again names that version and changes nothing."""
    marker = Marker("77.1", "41", "42", (10, 50), (0,), RolloutState.RUN)
    function = FakeFunction(alias_state=AliasState(Routing("41", "42", 10), "r1", marker=marker))
    function.images["42"] = OTHER
    assert apply(function, FakeStack(function), WANTED, say=lambda _: None) == Applied("42", is_live=False)
    assert function.done == []


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"])
def test_a_stack_that_failed_for_good_is_named_with_the_way_on(status):
    """A first stack that failed is refused with its state in words and the command that makes the way free."""
    function = FakeFunction(exists=False)
    stack = FakeStack(function, state=StackState(status, TEMPLATE, PARAMETERS, {}))
    with pytest.raises(DeployerError, match="stack `fn` takes no change: ") as caught:
        apply(function, stack, WANTED, say=lambda _: None)
    assert caught.value.exit_code == Exit.REFUSED
    assert status in caught.value.found
    assert caught.value.hint.startswith("aws cloudformation delete-stack --stack-name fn, then release again")
    assert (stack.proposed, function.done) == ([], [])


def test_a_stack_that_is_being_changed_is_waited_for():
    """While CloudFormation works nothing is changed, and the message says that it works."""
    function = FakeFunction()
    stack = FakeStack(function, state=StackState("UPDATE_IN_PROGRESS", TEMPLATE, PARAMETERS, {}))
    with pytest.raises(DeployerError) as caught:
        apply(function, stack, WANTED, say=lambda _: None)
    assert caught.value.exit_code == Exit.REFUSED
    assert "the stack is UPDATE_IN_PROGRESS" in caught.value.found
    assert function.done == []


def test_a_stack_without_its_function_is_said():
    """Where somebody deleted function or alias by hand nothing is changed, and the page says what to do."""
    function = FakeFunction(exists=False)
    with pytest.raises(DeployerError, match="the stack exists without its function or alias") as caught:
        apply(function, FakeStack(function), WANTED, say=lambda _: None)
    assert (caught.value.exit_code, caught.value.hint) == (Exit.REFUSED, "docs/runbook.md, section Stack")
    assert function.done == []


def test_a_stack_under_review_is_said_and_created():
    """What a refused first change left behind is named in words, and the creation goes on with it."""
    function, said = FakeFunction(exists=False), []
    stack = FakeStack(function, state=None, is_under_review=True)
    assert apply(function, stack, WANTED, say=said.append) == Applied("1", is_live=True)
    assert said[0] == (
        "stack fn is REVIEW_IN_PROGRESS: an earlier change of it was refused, this one goes on"
    )
