"""An apply never undoes what a person does to the alias meanwhile, at whatever moment it is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from deployer.aws.errors import Conflict
from deployer.aws.observed import FunctionState, StackState
from deployer.aws.stack import ChangeSet
from deployer.errors import DeployerError, Exit
from deployer.release.apply import Release, apply
from deployer.release.plan import Desired
from engine.fakes import FakeAws

PARAMETERS = {"FunctionName": "fn", "MemoryMb": "1024", "TimeoutS": "60", "Architecture": "arm64"}
KEPT = {"LiveVersion": "7", "LiveDescription": "of the last update"}
TEMPLATE = {"Resources": {"Function": {"Properties": {"Timeout": 60}}, "LiveAlias": {}}}
DONE = "mine [lc1 id=7f3a from=41 to=42 step=1/0 at=1763712000 plan=9c1e st=done]"
BACK = "mine [lc1 id=7f3a from=41 to=42 step=1/0 at=1763712000 plan=9c1e st=rolled-back why=bad]"


class Function(FakeAws):
    """The fake, with sizes that its stack also has."""

    def function(self) -> FunctionState:
        """Read `$LATEST`."""
        return replace(super().function(), memory_mb=1024, timeout_s=60, architecture="arm64")


@dataclass
class Formation:
    """CloudFormation: writes the alias only if template or parameters of the alias changed, and then blindly.

    `at` is when a person rolls back: proposed, before, after (CloudFormation's own write), done. With `fails`
    the update is rolled back, for which every resource that was written gets its earlier values.
    """

    aws: FakeAws
    at: str = ""
    fails: bool = False
    name: str = "fn"
    state: StackState = StackState("UPDATE_COMPLETE", TEMPLATE, {**PARAMETERS, **KEPT}, {})
    discarded: int = 0
    executed: list[dict[str, str]] = field(default_factory=list)
    _proposed: tuple[dict[str, object], dict[str, str]] = ({}, {})

    def read(self) -> StackState:
        """Return the stack as it is."""
        return self.state

    def propose(self, template, parameters, *, exists, role_arn=None) -> ChangeSet:
        """List what changed; a person may be quick."""
        self._proposed = (json.loads(template), dict(parameters))
        touched = {"Function"} | ({"LiveAlias"} if self._writes_alias() else set())
        self._person("proposed")
        return ChangeSet("id", "stack", tuple(touched), resources=frozenset(touched))

    def discard(self, change_set) -> None:
        """Forget it."""
        self.discarded += 1

    def execute(self, change_set, *, say, meanwhile: Callable[[], None] = lambda: None) -> StackState:
        """Write what changed."""
        template, parameters = self._proposed
        self.executed.append(parameters)
        meanwhile()
        self._person("before")
        meanwhile()
        if self._writes_alias():
            self._write(parameters)
        meanwhile()
        self._person("after")
        meanwhile()
        if self.fails:
            if self._writes_alias():
                self._write(self.state.parameters)
            raise DeployerError("stack `fn` could not be changed")
        self.state = replace(self.state, template=template, parameters=parameters)
        self._person("done")
        return self.state

    def _writes_alias(self) -> bool:
        template, parameters = self._proposed
        is_same = all(self.state.parameters.get(name) == parameters[name] for name in KEPT)
        return not is_same or template["Resources"]["LiveAlias"] != TEMPLATE["Resources"]["LiveAlias"]

    def _write(self, parameters) -> None:
        """Write the alias as CloudFormation does: whatever it is at."""
        self.aws.stable, self.aws.description = parameters["LiveVersion"], parameters["LiveDescription"]
        self.aws.someone_else_writes()

    def _person(self, moment: str) -> None:
        if moment == self.at:
            self.aws.stable, self.aws.description = "41", BACK
            self.aws.someone_else_writes()


def given(**formation) -> Formation:
    """Return an environment whose version 42 serves, and a changed setting to apply."""
    aws = Function(stable="42", versions={"7", "41", "42"}, description=DONE)
    return Formation(aws, **formation)


def release(*, alias: object = None) -> Release:
    """Return an apply of another memory size, or of a template with another alias as well."""
    resources = {**TEMPLATE["Resources"], "LiveAlias": alias or {}}
    return Release(Desired({"Resources": resources}, {**PARAMETERS, "MemoryMb": "2048"}), "now")


def live(formation: Formation) -> tuple[str, str]:
    """Return where the alias is."""
    return formation.aws.stable, formation.aws.description


def test_a_stack_update_leaves_the_alias_alone():
    """Nobody does anything: the alias is where it was, and CloudFormation was not even asked to write it."""
    formation = given()
    apply(formation.aws, formation, release(), say=lambda _: None)
    assert live(formation) == ("42", DONE)
    assert {name: formation.executed[0][name] for name in KEPT} == KEPT


@pytest.mark.parametrize("alias", [None, {"Properties": {"A": 1}}], ids=["usual", "the template's alias"])
@pytest.mark.parametrize(
    ("at", "fails"),
    [*((at, False) for at in ("proposed", "before", "after", "done")), ("before", True), ("after", True)],
)
def test_a_rollback_is_never_undone(at, alias, fails):
    """Whenever the rollback comes, and whatever becomes of the update: the rolled-back alias is what stays."""
    formation = given(at=at, fails=fails)
    with pytest.raises(DeployerError) as caught:
        apply(formation.aws, formation, release(alias=alias), say=lambda _: None)
    assert live(formation) == ("41", BACK)
    assert "PublishVersion" not in formation.aws.calls
    if at == "proposed":
        assert (caught.value.exit_code, formation.executed) == (Exit.REFUSED, [])
        assert (
            caught.value.what == "alias `live` moved while the change was prepared, and nothing was changed"
        )
        assert formation.discarded
    elif not fails:
        assert (
            caught.value.what == "alias `live` moved while the stack was changed, and nothing was published"
        )
        assert caught.value.found == f"found version 41 ({BACK}), expected version 42 ({DONE})"
        assert caught.value.hint


def test_an_update_of_the_alias_that_fails_moves_no_traffic():
    """CloudFormation's own roll-back would give the traffic to the version of the last update; it is put back."""
    formation, said = given(fails=True), []
    with pytest.raises(DeployerError, match="could not be changed"):
        apply(formation.aws, formation, release(alias={"Properties": {"A": 1}}), say=said.append)
    assert live(formation) == ("42", DONE)
    assert said[-1].startswith("restored   alias live: version 42")


def test_an_alias_that_moves_before_the_code_is_changed_stops_the_apply():
    """A move by hand in the middle of a release without a stack change is one message, and nothing changed."""
    formation = given()
    formation.aws.wait_updated = lambda: formation._person("")  # the last call before the code is changed
    wanted = Release(Desired(TEMPLATE, PARAMETERS, "repo@sha256:" + "b" * 64), "now")
    with pytest.raises(DeployerError, match="moved during the apply, and nothing was changed") as caught:
        apply(formation.aws, formation, wanted, say=lambda _: None)
    assert caught.value.exit_code == Exit.REFUSED
    assert not {"UpdateFunctionCode", "PublishVersion"} & set(formation.aws.calls)


@pytest.mark.parametrize(("times", "stays"), [(1, ("42", DONE)), (4, ("42", DONE))])
def test_putting_back_is_tried_again_when_somebody_is_faster(times, stays):
    """A conflict while the alias is put back is read again, and what is right by then is written."""
    formation, conflicts = given(fails=True), []

    def somebody_is_faster(call):
        if call == "UpdateAlias" and len(conflicts) < times:
            conflicts.append(call)
            formation.aws.someone_else_writes()

    formation.aws.before_call = somebody_is_faster
    with pytest.raises(DeployerError, match="could not be changed"):
        apply(formation.aws, formation, release(alias={"Properties": {"A": 1}}), say=lambda _: None)
    assert live(formation) == stays
    assert len(conflicts) == times


def test_an_alias_that_keeps_moving_is_said():
    """After five conflicts in a row nobody knows who is right: the error says so, and nothing is written."""
    formation = given(fails=True)
    formation.aws.before_call = lambda call: call == "UpdateAlias" and formation.aws.someone_else_writes()
    with pytest.raises(Conflict, match="somebody else changed it meanwhile"):
        apply(formation.aws, formation, release(alias={"Properties": {"A": 1}}), say=lambda _: None)
    assert formation.aws.calls.count("UpdateAlias") == 5
    assert formation.aws.writes == []
