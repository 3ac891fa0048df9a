"""The fake refuses what Lambda refuses, and shows what CloudWatch shows."""

from __future__ import annotations

import re

import pytest

from deployer.aws.errors import Conflict, NotFound, Unavailable
from deployer.errors import DeployerError
from deployer.model import AliasWrite, Routing
from engine.fakes import FakeAws, Traffic, VirtualClock


@pytest.mark.parametrize(
    ("write", "kind", "words"),
    [
        (AliasWrite("99", ""), NotFound, "Function not found"),
        (AliasWrite("41", "", "99", 10), NotFound, "Function not found"),
        (AliasWrite("41", "", "$LATEST", 10), DeployerError, "ValidationException: Map keys"),
        (AliasWrite("$LATEST", "", "42", 10), DeployerError, r"\$LATEST is not supported"),
        (AliasWrite("41", "", "41", 10), DeployerError, "the function version itself"),
        (AliasWrite("41", "", "42", -1), DeployerError, "ValidationException: Map value"),
        (AliasWrite("41", "", "42", 101), DeployerError, "ValidationException: Map value"),
        (AliasWrite("41", "x" * 257), DeployerError, "less than or equal to 256"),
        (AliasWrite("41", "", "43", 10), DeployerError, "same execution role"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_lambda_refuses_is_refused(write, kind, words):
    """A write Lambda would refuse changes nothing, and is told in its words."""
    aws = FakeAws(versions={"41", "42", "43"}, roles={"43": "other"})
    with pytest.raises(kind) as caught:
        aws.update_alias(write, revision=aws.alias().revision)
    assert type(caught.value) is kind
    assert re.search(words, caught.value.found)
    assert (aws.routing, aws.writes) == (Routing("41"), [])


def test_a_stale_revision_is_refused_in_lambdas_words():
    """Any write moves the revision, also one that changes nothing, and the old one is then refused."""
    aws = FakeAws()
    revision = aws.alias().revision
    aws.update_alias(AliasWrite("41", ""), revision=revision)
    with pytest.raises(Conflict) as caught:
        aws.update_alias(AliasWrite("41", ""), revision=revision)
    assert caught.value.found.startswith(
        "PreconditionFailedException: The Revision Id provided does not match"
    )


def test_an_update_in_progress_refuses_the_next():
    """While Lambda takes an image in, neither another one nor a version can be made of it."""
    clock = VirtualClock()
    aws = FakeAws(clock, update_s=5.0)
    aws.update_code("repo@sha256:b", revision=aws.function().revision)
    assert clock.slept == 5.0
    assert aws.publish(code_sha256="sha256:b", description="") == "43"
    assert aws.publish(code_sha256="sha256:b", description="") == "43"
    aws._updated_at = clock.now()
    for refused in (
        lambda: aws.publish(code_sha256="sha256:b", description=""),
        lambda: aws.update_code("repo@sha256:c", revision=aws.function().revision),
    ):
        with pytest.raises(Conflict) as caught:
            refused()
        assert "ResourceConflictException" in caught.value.found


def test_faults_happen_at_their_call():
    """A throttled call does nothing, a lost answer everything, and a conflict is somebody else's write."""
    aws = FakeAws().given_throttling(1).given_lost_answer(3).given_conflict(5)
    with pytest.raises(Unavailable):
        aws.alias()
    first = aws.alias()
    with pytest.raises(Unavailable):
        aws.update_alias(AliasWrite("41", "", "42", 10), revision=first.revision)
    second = aws.alias()
    assert second.routing == Routing("41", "42", 10)
    with pytest.raises(Conflict):
        aws.update_alias(AliasWrite("41", ""), revision=second.revision)


def test_lambdas_own_weights_pass():
    """For a while after the version changed, the alias shows the old one with all the weight."""
    clock = VirtualClock()
    aws = FakeAws(clock, transient_s=100.0)
    aws.update_alias(AliasWrite("42", ""), revision=aws.alias().revision)
    assert aws.alias().routing == Routing("42", "41", 100)
    clock.sleep(100)
    assert aws.alias().routing == Routing("42")


def test_metrics_follow_the_routing_and_come_late():
    """Each minute has the calls its weights made; the newest calls are not there yet, and none is lost."""
    clock = VirtualClock()
    aws = FakeAws(clock, traffic=Traffic(per_minute=600, errors={"42": 0.5}, lag_s=90))
    start = int(clock.now())
    aws.update_alias(AliasWrite("41", "", "42", 10), revision=aws.alias().revision)
    clock.sleep(120)
    aws.update_alias(AliasWrite("41", "", "42", 50), revision=aws.alias().revision)
    clock.sleep(150)
    first, second, third = aws.metrics().minutes(("41", "42"), start, clock.now(), None)
    assert (first.canary.calls, first.canary.errors, first.stable.calls) == (60, 30, 540)
    assert second.canary.calls == 60
    assert third.canary.calls == third.stable.calls == 300
    clock.sleep(30)
    *_, newest = aws.metrics().minutes(("41", "42"), start, clock.now(), None)
    assert newest.canary.calls + newest.stable.calls == 300


@pytest.mark.parametrize("weight_pct", [0, 100])
def test_a_weight_of_nothing_or_all_is_accepted(weight_pct):
    """Lambda takes the weights 0.0 and 1.0 of a second version, so a console can leave them."""
    aws = FakeAws()
    aws.update_alias(AliasWrite("41", "", "42", weight_pct), revision=aws.alias().revision)
    assert aws.alias().routing == Routing("41", "42", weight_pct)


def test_an_inactive_version_refuses_until_it_is_awake():
    """The first call of an Inactive version is refused and wakes it; a Failed one is refused for ever."""
    aws = FakeAws().given_state("41", "Inactive").given_state("42", "Failed")
    with pytest.raises(Conflict):
        aws.invoke("41", {})
    assert aws.describe_version("41")["state"] == "Pending"
    aws.clock.sleep(aws.wakes_in_s)
    assert (aws.describe_version("41")["state"], aws.invoke("41", {})[0]) == ("Active", None)
    aws.clock.sleep(1e6)
    with pytest.raises(Conflict):
        aws.invoke("42", {})
