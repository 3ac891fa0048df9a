"""What settings and rights add to the templates, and the one line for what cannot be added."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer import config
from deployer.errors import DeployerError, Exit
from deployer.release import merge, permissions, sources
from generating import GENERATED

SETTINGS = """
[project]
name = "Any"
[function]
name = "any"
region = "eu-west-1"
architecture = "arm64"
[function.variables]
SIZE = 512
LEVEL = "INFO"
[environments.staging.variables]
LEVEL = "DEBUG"
"""
PARAMETERS = {
    name: {"Type": "String"}
    for name in (
        *(
            "FunctionName",
            "ImageUri",
            "LiveVersion",
            "LiveDescription",
            "Architecture",
            "MemoryMb",
            "TimeoutS",
        ),
        *("ReservedConcurrency", "LogRetentionDays", "Trigger", "Driver"),
    )
}


def policy(*statements: Any) -> dict[str, Any]:
    """Return the properties of a role with one policy."""
    return {"Properties": {"Policies": [{"PolicyDocument": {"Statement": [*statements]}}]}}


def template(**parameters: Any) -> dict[str, Any]:
    """Return a service template with the owner's parameters."""
    variables = {"TABLE": {"Ref": "Table"}}
    return {
        "Parameters": {**PARAMETERS, **parameters},
        "Resources": {
            "Function": {"Properties": {"Environment": {"Variables": variables}}},
            "FunctionRole": policy("its log"),
        },
    }


RIGHTS = permissions.parse("function:\n  - {Action: sqs:SendMessage, Resource: '${FunctionName}-next'}\n")


def refused(act: Callable[[], Any]) -> str:
    """Return what the error of a call says was found; it is one about usage."""
    with pytest.raises(DeployerError) as caught:
        act()
    assert caught.value.exit_code == Exit.USAGE
    return caught.value.found or ""


def test_variables_and_rights_are_added():
    """The function has its literal variables beside those of resources, and its role the owner's statements."""
    before = template()
    after = merge.service(before, RIGHTS, config.parse(SETTINGS).variables("staging"))
    assert after["Resources"]["Function"]["Properties"]["Environment"]["Variables"] == {
        "TABLE": {"Ref": "Table"},
        "SIZE": "512",
        "LEVEL": "DEBUG",
    }
    assert after["Resources"]["FunctionRole"] == policy(
        "its log",
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::Sub": "${FunctionName}-next"}},
    )
    assert before == template(), "what was given is as it was"


def test_a_function_without_variables_gets_them():
    """A template need not prepare anything for the variables."""
    bare = template()
    del bare["Resources"]["Function"]["Properties"]["Environment"]
    after = merge.service(bare, RIGHTS, {"A": "1"})
    assert after["Resources"]["Function"]["Properties"] == {"Environment": {"Variables": {"A": "1"}}}


def test_a_variable_that_comes_from_a_resource_is_refused():
    """A literal never replaces what infra/service.yaml says, and never disappears behind it."""
    assert (
        refused(lambda: merge.service(template(), RIGHTS, {"TABLE": "x"}))
        == "TABLE: infra/service.yaml sets it already"
    )


def test_too_many_variables_are_refused():
    """Lambda's limit is told before CloudFormation meets it; of a resource's value only the name counts."""
    fits = {"A": "x" * (merge.MAX_VARIABLES_BYTES - len("TABLE") - 1)}
    merge.service(template(), RIGHTS, fits)
    found = refused(lambda: merge.service(template(), RIGHTS, {"A": fits["A"] + "x"}))
    assert found == "found 4097 bytes of names and values, expected at most 4096"


@pytest.mark.parametrize("resource", ["Function", "FunctionRole"])
def test_a_template_that_cannot_be_added_to_is_told(resource):
    """The two resources that the deployer adds to must be there."""
    without = template()
    del without["Resources"][resource]
    with pytest.raises(DeployerError, match=f"`infra/service.yaml` has no resource `{resource}`"):
        merge.service(without, RIGHTS, {})


def test_a_role_without_policy_is_told():
    """Rights are never dropped because there is nothing to put them into."""
    without = template()
    without["Resources"]["FunctionRole"]["Properties"] = {}
    with pytest.raises(DeployerError, match=r"`infra/service\.yaml` has no policy in `FunctionRole`"):
        merge.service(without, RIGHTS, {})


def test_parameters_get_values_and_defaults():
    """A value of the environment wins, then that for both, then the template's default."""
    owners = {"Size": {"Type": "Number", "Default": 5}, "Kept": {"Default": True}, "Word": {"Type": "String"}}
    settings = SETTINGS + '[parameters]\nWord = "a"\n[environments.production.parameters]\nWord = "b"\n'
    read = config.parse(settings)
    found = merge.parameters(template(**owners), read, "staging")
    assert {name: found[name] for name in owners} == {"Size": "5", "Kept": "true", "Word": "a"}
    assert merge.parameters(template(**owners), read, "production")["Word"] == "b"
    assert found["FunctionName"] == "any-staging"
    assert not found.keys() & {"ImageUri", "LiveVersion", "LiveDescription"}


@pytest.mark.parametrize(
    ("given", "owners", "found"),
    [
        ('Sise = "5"', {"Size": {"Default": 1}}, "parameters.Sise: infra/service.yaml has no such parameter, expected one of `Size`"),
        ('Sise = "5"', {}, "parameters.Sise: infra/service.yaml has no such parameter, expected none"),
        ('MemoryMb = "5"', {}, "parameters.MemoryMb: the deployer fills it itself, expected none"),
        ('ImageUri = "x"', {"Size": {"Default": 1}}, "parameters.ImageUri: the deployer fills it itself, expected one of `Size`"),
        ("", {"Size": {}}, "parameters.Size: missing, and infra/service.yaml has no Default for it"),
    ],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_told(given, owners, found):
    """Unknown, the deployer's own, or without a value: one line with what is possible."""
    read = config.parse(f"{SETTINGS}[parameters]\n{given}\n")
    assert refused(lambda: merge.parameters(template(**owners), read, "production")) == found


def test_a_template_may_do_without_a_trigger():
    """A function that is only called need not keep the parameter; a trigger that nothing makes is told."""
    without = template()
    del without["Parameters"]["Trigger"]
    triggered = config.parse(SETTINGS.replace("[function.variables]", 'trigger = "s3"\n[function.variables]'))
    assert "Trigger" not in merge.parameters(without, config.parse(SETTINGS), "staging")
    assert merge.parameters(template(), triggered, "staging")["Trigger"] == "s3"
    assert (
        refused(lambda: merge.parameters(without, triggered, "staging"))
        == "infra/service.yaml has no parameter `Trigger`, which the deployer fills"
    )


def test_a_parameter_that_the_deployer_fills_must_be_there():
    """A template that lost one of the common parameters is told so, and not by CloudFormation."""
    without = template()
    del without["Parameters"]["MemoryMb"]
    assert (
        refused(lambda: merge.parameters(without, config.parse(SETTINGS), "staging"))
        == "infra/service.yaml has no parameter `MemoryMb`, which the deployer fills"
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the three files as they are generated."""
    (tmp_path / "infra").mkdir()
    for name in ("service.yaml", "bootstrap.yaml", "registry.yaml", "permissions.yaml"):
        (tmp_path / "infra" / name).write_bytes((GENERATED / "infra" / name).read_bytes())
    return tmp_path


def test_what_is_generated_fits_together(checkout: Path):
    """Variables, parameters and rights merge for both environments and for the account."""
    sources.check(checkout, config.parse(SETTINGS))


@pytest.mark.parametrize(
    ("settings", "file", "edit", "found"),
    [
        ("[parameters]\nFoo = 1", None, ("", ""), "parameters.Foo: infra/service.yaml has no such parameter, expected none"),
        ('[environments.production.variables]\nRESIZED_BUCKET = "x"', None, ("", ""), "RESIZED_BUCKET: infra/service.yaml sets it already"),
        ("", "permissions.yaml", ("Action: s3:PutObject", "Action: iam:PassRole"), "function[2].Action[0]: expected no action of IAM, found `iam:PassRole`: roles are an administrator's, in infra/bootstrap.yaml"),
        ("", "service.yaml", ('AWSTemplateFormatVersion: "2010-09-09"', "AWSTemplateFormatVersion: 2010-09-09"), 'AWSTemplateFormatVersion: found `2010-09-09`, which YAML reads as a date, expected "2010-09-09" in quotes, or another value'),
        ("", "bootstrap.yaml", ("  SmokeRole:", "  OtherRole:"), "expected it with its Properties, because the deployer adds to it"),
    ],
    ids=["a parameter nobody has", "a resource's variable", "a right over roles", "a date", "no smoke role"],
)  # fmt: skip
def test_mistakes_in_either_file_are_one_line(checkout: Path, settings, file, edit, found):
    """Each mistake is found by reading the checkout, before AWS is asked anything."""
    if file:
        path = checkout / "infra" / file
        text = path.read_text(encoding="utf-8")
        assert edit[0] in text
        path.write_text(text.replace(*edit), encoding="utf-8")
    told = refused(lambda: sources.check(checkout, config.parse(f"{SETTINGS}{settings}\n")))
    assert re.sub(r" \(line \d+\)", "", told) == found


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("Parameters",), "text"),
        (("Parameters", "Own"), "a Default"),
        (("Resources", "Function", "Properties", "Environment"), "text"),
        (("Resources", "Function", "Properties", "Environment", "Variables"), []),
        (("Resources", "FunctionRole", "Properties", "Policies"), {"a": "b"}),
        (("Resources", "FunctionRole", "Properties", "Policies"), []),
    ],
)
def test_a_template_of_another_shape_is_one_error(at, value):
    """A part that is not what the deployer adds to is named, and is no bug of the deployer."""
    found = template()
    part = found
    for key in at[:-1]:
        part = part[key]
    part[at[-1]] = value
    settings = config.parse(SETTINGS)
    merged = merge.parameters if at[0] == "Parameters" else merge.service
    second, third = (
        (settings, "staging")
        if at[0] == "Parameters"
        else (permissions.Permissions(), settings.variables("staging"))
    )
    with pytest.raises(DeployerError, match=r"infra/service\.yaml") as caught:
        merged(found, second, third)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.found
    assert caught.value.hint


def test_a_missing_file_is_named(checkout: Path):
    """A checkout without permissions.yaml says which file is missing and how it comes back."""
    (checkout / "infra" / "permissions.yaml").unlink()
    with pytest.raises(DeployerError, match=r"`infra/permissions\.yaml` cannot be read") as caught:
        sources.bootstrap(checkout)
    assert caught.value.hint == "restore it: git checkout -- infra/permissions.yaml"
