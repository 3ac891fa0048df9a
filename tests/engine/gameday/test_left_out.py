"""Mutants of the net and of the game day: each field of the alarm, each call that puts something back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.versions import Versions
from deployer.errors import DeployerError
from deployer.gameday import record, trial, versions
from deployer.model import AliasWrite
from deployer.rollout.guard import Guard
from engine.gameday.staging import Staging
from engine.gameday.test_run import assert_as_before, play

# What the alarm may lack and the net still hold, with the reason.
HARMLESS = {
    "AlarmDescription": "it is for people",
    "DatapointsToAlarm": "without it CloudWatch wants all eight minutes, and a version that cannot answer has them",
    "TreatMissingData": "what CloudWatch does without it is what it says",
    "ActionsEnabled": "CloudWatch acts unless told otherwise",
    "AlarmName": "no alarm is put without a name",
}
ALTERED: dict[str, Any] = {
    "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:somebody-elses"],
    "ActionsEnabled": False,
    "Namespace": "AWS/SQS",
    "MetricName": "Throttles",
    "Period": 3600,
    "EvaluationPeriods": 60,
    "Threshold": 1e6,
    "ComparisonOperator": "LessThanThreshold",
}


def fields() -> set[str]:
    """Return every field with which the guard's alarm is put."""
    aws = Staging()
    guard = Guard(aws.cloudwatch, aws.function_name, "topic")  # type: ignore[arg-type]
    put: dict[str, Any] = {}

    def keep(**alarm: Any) -> None:
        put.update(alarm)

    aws.cloudwatch.put_metric_alarm = keep  # type: ignore[method-assign]
    guard.arm("42", aws.metrics().baseline("41", 0).counts)
    return set(put)


def test_each_field_of_the_alarm_is_needed_or_excused() -> None:
    """A field that the guard's alarm has is altered below, or there is a reason why not; no excuse is for nothing."""
    others = {
        "Dimensions",
        "Statistic",
    }  # each dimension in test_run; other statistics are refused by the fake
    assert fields() - set(HARMLESS) - set(ALTERED) == others
    assert set(HARMLESS) - fields() == {"ActionsEnabled"}


@pytest.mark.parametrize("field", ALTERED)
def test_an_alarm_that_somebody_altered_is_red(tmp_path: Path, field: str) -> None:
    """Whatever somebody else does to the alarm after it was put, the game day finds it and leaves nothing."""
    aws = Staging()
    value = ALTERED[field]
    aws.cloudwatch.break_alarm = lambda put, name: put[name].update({field: value, "DatapointsToAlarm": None})
    with pytest.raises(DeployerError) as caught:
        play(tmp_path, aws)
    assert "guard: " in (caught.value.found or "")
    assert_as_before(aws)


def nothing(*_: Any, **__: Any) -> Any:
    """Do nothing."""
    return None


def never(*_: Any, **__: Any) -> bool:
    """Find nothing."""
    return False


def mutants() -> Iterator[tuple[str, object, str, Any]]:
    """Yield what is left out of a game day: a name, and what is replaced by what."""
    yield "$LATEST is never put back", versions, "put_back", nothing
    yield "nothing is put back after a trial", versions, "repair", never
    yield "its versions stay", Versions, "delete", nothing
    yield "its alarms stay", versions, "put_away", nothing
    yield "its own command is not known again", record, "is_ours", never
    yield "nothing is compared afterwards", trial, "_compare", nothing
    yield "a refusal is not expected", trial, "_expect_refusal", nothing


def is_found(folder: Path, change: Callable[[pytest.MonkeyPatch], None]) -> bool:
    """Tell whether one of the checks of this folder's tests fails under a change of the game day."""
    for harm in (nothing, lambda aws: setattr(aws, "answers_anything", True), release_meanwhile):
        aws = Staging()
        with pytest.MonkeyPatch.context() as patch:
            change(patch)
            harm(aws)
            try:
                play(folder, aws)
                red = ""
            except DeployerError as error:
                red = error.found or error.what
        expected = {nothing: "", release_meanwhile: "the alias was moved"}.get(harm, "the pre-flight lets")
        if (expected not in red) or (harm is nothing and red):
            return True
        try:
            if harm is not release_meanwhile:
                assert_as_before(aws)
        except AssertionError:
            return True
    return False


def release_meanwhile(aws: Staging) -> None:
    """Let somebody else release a version during the first trial."""

    def release() -> None:
        with aws.rightly():
            aws.update_alias(AliasWrite("40", ""), revision=aws.alias().revision)

    aws.clock.at(150, release)


MUTANTS = {name: (place, attribute, other) for name, place, attribute, other in mutants()}


@pytest.mark.parametrize(("place", "name", "other"), MUTANTS.values(), ids=MUTANTS)
def test_a_game_day_that_leaves_something_out_is_found(
    tmp_path: Path, place: object, name: str, other: Any
) -> None:
    """Each part that protects the user's environment, or finds something, is missed when it is gone."""
    assert is_found(tmp_path, lambda patch: patch.setattr(place, name, other))


def test_the_game_day_as_it_is_passes_the_same_checks(tmp_path: Path) -> None:
    """Without a mutant nothing is found."""
    assert not is_found(tmp_path, lambda _patch: None)
