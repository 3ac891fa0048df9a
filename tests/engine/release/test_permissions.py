"""`infra/permissions.yaml`: what is accepted, and one line for each thing that is refused."""

from __future__ import annotations

import pytest

from deployer.errors import DeployerError, Exit
from deployer.release import permissions
from generating import GENERATED

GOOD = """
function:
  - Action: sqs:SendMessage
    Resource: arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${FunctionName}-next
"""


def found_in(text: str) -> str:
    """Return what the error about a text says was found."""
    with pytest.raises(DeployerError) as caught:
        permissions.parse(text)
    assert caught.value.exit_code == Exit.USAGE
    assert "infra/permissions.yaml" in str(caught.value)
    return caught.value.found or ""


def test_a_statement_becomes_one_of_iam():
    """Effect is Allow, texts with a reference are substituted, and the function has the name it is asked for."""
    (statement,) = permissions.parse(GOOD).function
    arn = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${FunctionName}"
    assert statement.rendered() == {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::Sub": f"{arn}-next"},
    }
    assert statement.rendered("${FunctionName}-staging")["Resource"] == {"Fn::Sub": f"{arn}-staging-next"}


def test_all_parts_of_a_statement_arrive():
    """Lists, a Sid, a denial and a condition are kept; what refers to nothing stays a plain text."""
    text = """
stack:
  - Sid: NoOther
    Effect: Deny
    Action: [dynamodb:DeleteTable, dynamodb:UpdateTable]
    Resource: ["*", "table/${FunctionName}"]
    Condition:
      StringNotLike: {"aws:PrincipalTag/of": ["${FunctionName}", ""]}
      Bool: {"aws:SecureTransport": false}
"""
    assert permissions.parse(text).stack[0].rendered() == {
        "Sid": "NoOther",
        "Effect": "Deny",
        "Action": ["dynamodb:DeleteTable", "dynamodb:UpdateTable"],
        "Resource": ["*", {"Fn::Sub": "table/${FunctionName}"}],
        "Condition": {
            "StringNotLike": {"aws:PrincipalTag/of": [{"Fn::Sub": "${FunctionName}"}, ""]},
            "Bool": {"aws:SecureTransport": False},
        },
    }


def test_sections_may_be_left_out():
    """A function that needs nothing but its log has no entry anywhere."""
    assert permissions.parse("smoke: []\n") == permissions.Permissions()


def test_the_owners_file_is_accepted():
    """The file that is generated has statements in each section."""
    text = (GENERATED / "infra" / "permissions.yaml").read_text(encoding="utf-8")
    found = permissions.parse(text)
    assert all((found.function, found.stack, found.smoke))


ACTION = "Action: sqs:SendMessage"
REFERENCES = "${FunctionName}, ${AWS::Partition}, ${AWS::Region}, ${AWS::AccountId}, ${AWS::URLSuffix}"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("function:", "functions:"), "functions: unknown key `functions`, expected one of function, stack, smoke"),
        ((ACTION, "NotAction: iam:CreateUser"), "function[0].Action: missing, expected a value\nfunction[0].NotAction: unknown key `NotAction`, expected one of Action, Resource, Effect, Condition, Sid"),
        ((ACTION, f"{ACTION}\n    Principal: x"), "function[0].Principal: unknown key `Principal`, expected one of Action, Resource, Effect, Condition, Sid"),
        ((ACTION, "Action: []"), "function[0].Action: expected at least one, found none"),
        ((ACTION, 'Action: ""'), "function[0].Action: expected at least one, found none"),
        ((ACTION, 'Action: "*"'), "function[0].Action[0]: expected actions by name, found `*`, which is every action of AWS"),
        ((ACTION, 'Action: "*:*"'), "function[0].Action[0]: expected an action such as `sqs:SendMessage`, found `*:*`"),
        ((ACTION, "Action: SendMessage"), "function[0].Action[0]: expected an action such as `sqs:SendMessage`, found `SendMessage`"),
        ((ACTION, "Action: iam:PassRole"), "function[0].Action[0]: expected no action of IAM, found `iam:PassRole`: roles are an administrator's, in infra/bootstrap.yaml"),
        ((ACTION, "Action: [sqs:SendMessage, IAM:*]"), "function[0].Action[1]: expected no action of IAM, found `IAM:*`: roles are an administrator's, in infra/bootstrap.yaml"),
        (("${FunctionName}", "${FailureQueue.Arn}"), f"function[0].Resource[0]: expected one of {REFERENCES}, found `${{FailureQueue.Arn}}`"),
        (("${FunctionName}", "${}"), f"function[0].Resource[0]: expected one of {REFERENCES}, found `${{}}`"),
        ((ACTION, f"{ACTION}\n    Effect: allow"), "function[0].Effect: found `allow`, expected 'Allow' or 'Deny'"),
        ((ACTION, f"{ACTION}\n    Condition: {{Bool: true}}"), "function[0].Condition: expected an operator with a key and its value, as in `Bool: {aws:SecureTransport: true}`"),
        ((ACTION, f"{ACTION}\n    Condition: {{ArnLike: {{'aws:SourceArn': '${{Topic}}'}}}}"), f"function[0].Condition: expected one of {REFERENCES}, found `${{Topic}}`"),
        ((ACTION, f"{ACTION}\n    Sid: not so"), "function[0].Sid: found `not so`, expected text like ^[A-Za-z0-9]+$"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(change, line):
    """The error names section, entry and key, what was found and what is allowed."""
    assert change[0] in GOOD
    assert found_in(GOOD.replace(*change)) == line


def test_a_sid_is_given_once():
    """IAM refuses a policy in which two statements have the same Sid, at the first deployment only."""
    entry = "  - {Sid: A, Action: sqs:SendMessage, Resource: x}\n"
    assert found_in(f"smoke:\n{entry}{entry}") == "smoke: found Sid `A` 2 times, expected it once"


def test_all_mistakes_are_reported_at_once():
    """Nobody has to run it three times to learn of three mistakes."""
    text = "function:\n  - {Action: '*', Resource: x}\nstack:\n  - {Action: iam:PassRole, Resource: []}\n"
    assert found_in(text).count("\n") == 2
