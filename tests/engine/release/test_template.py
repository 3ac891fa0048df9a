"""Templates as data: short forms come out long, and what YAML would turn into something else is refused."""

from __future__ import annotations

import json

import pytest

from deployer.errors import DeployerError, Exit
from deployer.release import template as templates


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref X", {"Ref": "X"}),
        ("!Condition X", {"Condition": "X"}),
        ("!Sub ${X}-y", {"Fn::Sub": "${X}-y"}),
        ("!GetAtt Queue.Arn", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ("!GetAtt Nested.Outputs.Arn", {"Fn::GetAtt": ["Nested", "Outputs.Arn"]}),
        ("!GetAtt [Queue, Arn]", {"Fn::GetAtt": ["Queue", "Arn"]}),
        ("!If [A, !Ref B, !Ref AWS::NoValue]", {"Fn::If": ["A", {"Ref": "B"}, {"Ref": "AWS::NoValue"}]}),
        ("!Sub [a, {b: !Ref C}]", {"Fn::Sub": ["a", {"b": {"Ref": "C"}}]}),
        ('"2012-10-17"', "2012-10-17"),
        ("2012-10-17T", "2012-10-17T"),
        ('"yes"', "yes"),
        ("012345678901", "012345678901"),
        ("true", True),
        ("1209600", 1209600),
        ("-0.5", -0.5),
        ("|\n  a: !Ref b\n", "a: !Ref b\n"),
        ("[]", []),
    ],
)
def test_values_are_read_as_cloudformation_reads_them(text, value):
    """Functions are written out; texts, numbers and booleans are what they look like."""
    assert templates.parse(f"Key: {text}", name="x.yaml") == {"Key": value}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2012-10-17", 'A.Key (line 2): found `2012-10-17`, which YAML reads as a date, expected "2012-10-17" in quotes, or another value'),
        ("yes", 'A.Key (line 2): found `yes`, which YAML reads as a boolean, expected "yes" in quotes, or another value'),
        ("0123", 'A.Key (line 2): found `0123`, which YAML reads as a number, expected "0123" in quotes, or another value'),
        ("10:30", 'A.Key (line 2): found `10:30`, which YAML reads as a number, expected "10:30" in quotes, or another value'),
        ("1_000", 'A.Key (line 2): found `1_000`, which YAML reads as a number, expected "1_000" in quotes, or another value'),
        (".inf", 'A.Key (line 2): found `.inf`, which YAML reads as a number, expected ".inf" in quotes, or another value'),
        ("", "A.Key (line 2): found no value, expected one"),
        ("[a, ~]", "A.Key.1 (line 2): found no value, expected one"),
        ("{on: a}", "A.Key.on (line 2): found a key that YAML reads as something else, expected text"),
        ("{1: a}", "A.Key.1 (line 2): found a key that YAML reads as something else, expected text"),
        ("{a: 1, a: 2}", "A.Key.a (line 2): found the key twice, expected it once"),
        ("[&x [a], *x]", "A.Key.1 (line 2): found an alias (`*NAME`), expected the value itself"),
        ("&x [*x]", "A.Key.0 (line 2): found an alias (`*NAME`), expected the value itself"),
    ],
)  # fmt: skip
def test_what_yaml_changes_silently_is_refused(text, found):
    """One line names file, key, line and value, before anything is sent to AWS."""
    with pytest.raises(DeployerError) as caught:
        templates.parse(f"A:\n  Key: {text}\n", name="infra/service.yaml")
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.what == "`infra/service.yaml` has 1 value that cannot be used"
    assert caught.value.found == found


@pytest.mark.parametrize(
    ("text", "what"), [("a: [", "is not valid YAML"), ("", "is not a mapping"), ("- a", "is not a mapping")]
)
def test_what_is_no_template_is_refused(text, what):
    """A file that is empty, a list or no YAML is told with its name."""
    with pytest.raises(DeployerError, match=f"`x.yaml` {what}"):
        templates.parse(text, name="x.yaml")


def test_rendering_survives_what_cloudformation_gives_back():
    """CloudFormation returns `?` for what is not ASCII, so that none is sent and the data is the same."""
    data = {"A": "Größe 🎈", "B": "${AWS::Region} #{x}"}
    returned = templates.render(data, name="x").encode("ascii", "replace")
    assert json.loads(returned) == data


def test_rendering_reads_back_the_same():
    """Compact JSON is what YAML means, umlauts included, and is itself YAML."""
    data = {"A": {"Fn::Sub": "${X}"}, "B": ["ä", 1, True]}
    text = templates.render(data, name="x")
    assert " " not in text
    assert json.loads(text) == data == templates.parse(text, name="x")


def test_too_large_a_template_is_refused():
    """What one call does not take is told with both numbers, before the call."""
    with pytest.raises(DeployerError, match="`x` is too large for CloudFormation") as caught:
        templates.render({"A": "ä" * 30_000}, name="x")
    assert caught.value.found == "found 180008 bytes as JSON with all that is merged, expected at most 51200"
