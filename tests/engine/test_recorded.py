"""What AWS itself answered, replayed against the fake: the same refusals, and RevisionIds that move together.

`aws_recorded.json` names its source. A step that is not replayed stands in DEPARTURES with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import DeployerError
from deployer.model import AliasWrite
from engine.fakes import FakeAws, VirtualClock

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "aws_recorded.json").read_text("utf-8"))
# By scenario and the beginning of a step's name: why the fake is not asked.
DEPARTURES = {
    ("test_alias_lifecycle", "create_"): "the fake begins with function and alias in place",
    ("test_alias_lifecycle", "get_alias_1_2"): "the fake has one alias",
    ("test_alias_lifecycle", "get_alias_1_3"): "the fake has one alias",
    ("test_alias_lifecycle", "get_alias_2"): "the fake has one alias",
    ("test_alias_lifecycle", "update_alias_1_2"): "the fake has one alias",
    ("test_alias_lifecycle", "get_function_"): "no release reads a function by its alias",
    ("test_alias_lifecycle", "list_aliases_"): "no release lists aliases",
    ("test_alias_lifecycle", "delete_alias_"): "no release deletes an alias",
    ("test_alias_lifecycle", "publish_v"): "replayed with the versions of an image",
    (
        "test_version_lifecycle",
        "",
    ): "made of Zip and configuration updates; the fake has images, see the next",
    ("test_lambda_image_versions", "create_image_response"): "the fake begins with a version in place",
    ("test_lambda_image_versions", "get_function_result"): "says nothing but that it worked",
    ("test_lambda_image_versions", "list_versions_result"): "the fake begins with a version in place",
    ("test_function_revisions_basic", "create_"): "the fake begins with a function in place",
    (
        "test_function_revisions_basic",
        "update_function_configuration",
    ): "CloudFormation updates configurations",
    ("test_function_revisions_basic", "get_function_response_rev6"): "follows a configuration update",
    ("test_lambda_provisioned_lifecycle", ""): "of a fake of its own, see engine/around.py",
    ("test_lambda_eventinvokeconfig_lifecycle", ""): "CloudFormation makes these",
}


def error_of(action: Callable[[], object]) -> str:
    """Return AWS's code of a refused call, empty for one that worked."""
    try:
        action()
    except DeployerError as error:
        return (error.found or "").partition(":")[0]
    return ""


def image_versions() -> dict[str, dict[str, Any]]:
    """Play two updates and two versions of an image."""
    seen: dict[str, dict[str, Any]] = {}
    aws = FakeAws(VirtualClock(), versions={"1"}, stable="1", update_s=5.0)
    for number, (name, version) in enumerate((("first", "2"), ("second", "3"))):
        before = aws.code_revision
        aws.update_code(f"repo@sha256:{number}", revision=before)
        seen[f"{name}_update_response"] = seen[f"{name}_update_get_function"] = {}
        assert aws.code_revision != before
        if name == "first":
            refused = error_of(lambda: aws.publish(code_sha256="other", description=""))
            seen["invalid_sha_publish"] = {"error": refused}
        updated = aws.code_revision
        seen[f"{name}_publish_response"] = {
            "Version": aws.publish(code_sha256=f"sha256:{number}", description="")
        }
        assert aws.code_revision != updated, "a version changes `$LATEST`'s RevisionId"
        assert seen[f"{name}_publish_response"]["Version"] == version
    return seen


def revisions() -> dict[str, dict[str, Any]]:
    """Play an update under a stale RevisionId and one under the right one."""
    aws = FakeAws(VirtualClock(), update_s=5.0)
    seen: dict[str, dict[str, Any]] = {"get_function_response_rev2": {}}
    first = aws.function().revision
    stale = error_of(lambda: aws.update_code("repo@sha256:b", revision="stale"))
    seen["update_function_revision_exception"] = {"error": stale}
    aws.update_code("repo@sha256:b", revision=first)
    seen["update_function_code_response_rev3"] = {}
    seen["get_function_response_rev4"] = {}
    assert aws.function().revision != first
    assert error_of(lambda: aws.update_code("repo@sha256:c", revision=first)) == "PreconditionFailedException"
    return seen


def alias() -> dict[str, dict[str, Any]]:
    """Play an update of the alias and the look at it."""
    aws = FakeAws(versions={"1", "2"}, stable="1", description="custom-alias", canary="2", weight_pct=10)
    before = aws.alias().revision
    aws.update_alias(AliasWrite("1", "custom-alias"), revision=before)
    after = aws.alias()
    assert after.revision != before
    told = {"FunctionVersion": after.routing.stable, "Description": after.description}
    return {"get_alias_1_1": {}, "update_alias_1_1": told, "get_alias_1_1_after_update": told}


REPLAYED = {
    "test_lambda_image_versions": image_versions,
    "test_function_revisions_basic": revisions,
    "test_alias_lifecycle": alias,
}


@pytest.mark.parametrize("scenario", RECORDED["scenarios"])
def test_the_fake_answers_as_aws_did(scenario: str) -> None:
    """Every recorded step is replayed with the same outcome, or stands among the departures."""
    steps = RECORDED["scenarios"][scenario]["steps"]
    seen = REPLAYED[scenario]() if scenario in REPLAYED else {}
    for name, recorded in steps.items():
        if name in seen:
            assert seen[name].get("error", "") == recorded.get("error", ""), name
            for key in ("Version", "FunctionVersion", "Description"):
                if key in seen[name]:
                    assert seen[name][key] == recorded[key], (name, key)
        else:
            assert any(name.startswith(begin) for of, begin in DEPARTURES if of == scenario), name


def test_no_departure_is_unused() -> None:
    """An entry that excuses no recorded step is taken out of the list."""
    for scenario, begin in DEPARTURES:
        seen = REPLAYED[scenario]() if scenario in REPLAYED else {}
        steps = RECORDED["scenarios"][scenario]["steps"]
        assert any(name.startswith(begin) and name not in seen for name in steps), (scenario, begin)
