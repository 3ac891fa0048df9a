"""Roles, boundaries, conditions and policies of resources decide, for every program and for CloudFormation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testbed.enforcement.handler_rights import rights
from testbed.excuses import EXCUSES
from testbed.roles import Roles, schemas

from enforced.plain import path_status
from enforced.test_gaps import BUCKETS, FUNCTION, denied, zipped
from enforced.worlds import ACCOUNT, REGION, World, allow, policy, trusting_service, world

STACK = trusting_service("cloudformation.amazonaws.com")
LAMBDA = trusting_service("lambda.amazonaws.com")


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account."""
    with world() as made:
        yield made


def test_a_boundary_is_named_where_it_denies(here: World) -> None:
    """A right that the policy grants and the boundary does not is denied, and the sentence says by which."""
    session = here.session(allow("sqs:*", "*"), boundary=[allow("sqs:ListQueues", "*")])
    assert session("sqs").list_queues()
    said = denied(lambda: session("sqs").create_queue(QueueName="q"))
    assert "because no permissions boundary allows the sqs:CreateQueue action" in said


def test_a_deny_of_the_resources_own_policy_counts(here: World) -> None:
    """A bucket's policy that denies is stronger than a role that allows."""
    s3, name = here.admin("s3"), here.unique("bucket")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    session = here.session(allow("s3:*", "*"))
    session("s3").put_object(Bucket=name, Key="k", Body=b"")
    forbids = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    s3.put_bucket_policy(Bucket=name, Policy=policy(forbids))
    assert "explicit deny" in denied(lambda: session("s3").put_object(Bucket=name, Key="k", Body=b""))


def test_transport_and_strangers(here: World) -> None:
    """A policy that wants TLS has it, and what is open to everybody is open without credentials."""
    s3, name = here.admin("s3"), here.unique("bucket")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="k", Body=b"")
    s3.delete_public_access_block(Bucket=name)
    assert path_status(here, f"/{name}/k") == 403
    of_all = {"Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    s3.put_bucket_policy(
        Bucket=name,
        Policy=policy({"Effect": "Allow", **of_all}, {"Effect": "Deny", **of_all, "Condition": plain}),
    )
    assert path_status(here, f"/{name}/k") == 200
    assert here.session(allow("s3:GetObject", BUCKETS + "/*"))("s3").get_object(Bucket=name, Key="k")


def test_a_function_calls_with_its_own_role(here: World) -> None:
    """What a function's code calls is judged by the role of the function, not by anybody else's."""
    source = (
        "import os, botocore.session\n"
        "def handler(event, context):\n"
        "    sqs = botocore.session.get_session().create_client('sqs', endpoint_url=os.environ['AWS_ENDPOINT_URL'])\n"
        "    try:\n"
        "        return sqs.list_queues()['ResponseMetadata']['HTTPStatusCode']\n"
        "    except Exception as error:\n"
        "        return str(error)\n"
    )
    answers = []
    for statements in ([allow("sqs:ListQueues", "*")], []):
        name = here.unique("calls")
        here.admin("lambda").create_function(
            FunctionName=name,
            Role=here.role(*statements, trust=LAMBDA),
            Code={"ZipFile": zipped(source)},
            Runtime="python3.13",
            Handler="index.handler",
            Timeout=30,
        )
        here.admin("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
        found = here.admin("lambda").invoke(FunctionName=name, Payload=b"{}")
        answers.append(json.loads(found["Payload"].read()))
    assert answers[0] == 200
    assert f"assumed-role/{here.unique('role').rpartition('-')[0]}" in answers[1]
    assert "is not authorized to perform: sqs:ListQueues" in answers[1]


def test_a_function_logs_with_its_own_role(here: World) -> None:
    """A function whose role may not write logs has none, as in AWS."""
    groups = []
    for may in (True, False):
        name = here.unique("logs")
        group = f"/aws/lambda/{name}"
        stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
        statements = [allow(["logs:CreateLogStream", "logs:PutLogEvents"], stream)] if may else []
        here.admin("logs").create_log_group(logGroupName=group)
        here.admin("lambda").create_function(
            FunctionName=name,
            Role=here.role(*statements, trust=LAMBDA),
            Code={"ZipFile": zipped("def handler(event, context): print('said')")},
            Runtime="python3.13",
            Handler="index.handler",
        )
        here.admin("lambda").invoke(FunctionName=name, Payload=b"{}")
        time.sleep(0.2)
        groups.append(here.admin("logs").describe_log_streams(logGroupName=group)["logStreams"])
    assert groups[0]
    assert not groups[1]


BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "made-by-a-stack"}}


def test_conditions_see_what_handlers_name(here: World) -> None:
    """A stack role that may add permissions for one service alone cannot open the function to another."""
    account = here.admin("lambda")
    name = here.unique("opened")
    account.create_function(
        FunctionName=name,
        Role=here.role(trust=LAMBDA),
        Code={"ZipFile": zipped("def handler(event, context): pass")},
        Runtime="python3.13",
        Handler="index.handler",
    )
    role = here.role(
        allow(
            "lambda:AddPermission",
            f"{FUNCTION}:{name}",
            StringEquals={"lambda:Principal": "s3.amazonaws.com"},
        ),
        allow(["lambda:GetPolicy", "lambda:RemovePermission"], f"{FUNCTION}:{name}"),
        trust=STACK,
    )
    makes = here.session(allow("cloudformation:*", "*"), allow("iam:PassRole", role))

    def status(principal: str) -> str:
        properties = {"FunctionName": name, "Action": "lambda:InvokeFunction", "Principal": principal}
        template = {"Resources": {"It": {"Type": "AWS::Lambda::Permission", "Properties": properties}}}
        return here.stack(makes, template, role)[1][0]

    assert status("s3.amazonaws.com") == "CREATE_COMPLETE"
    assert status("*") == "ROLLBACK_COMPLETE"


def test_a_stack_without_role_acts_with_its_makers_rights(here: World) -> None:
    """Without a stack role CloudFormation may do what the caller may, and no more."""
    rights_of_it = ["s3:CreateBucket", "s3:ListBucket", "s3:PutBucketTagging", "s3:TagResource"]
    makes = here.session(allow("cloudformation:*", "*"), allow(rights_of_it, BUCKETS))
    assert here.stack(makes, {"Resources": {"It": BUCKET}})[1][0] == "ROLLBACK_COMPLETE"


def test_a_stack_role_that_does_not_trust_cloudformation_is_refused(here: World) -> None:
    """A change set with a role that CloudFormation cannot assume is refused before anything is made."""
    role = here.role(allow("s3:*", "*"), trust=LAMBDA)
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        here.stack(here.admin, {"Resources": {"It": BUCKET}}, role)


def test_a_type_whose_rights_nobody_knows_fails(here: World) -> None:
    """A resource type without a schema is not let through as one that needs no right."""
    with pytest.raises(LookupError, match="AWS::No::Such"):
        rights(str(schemas()), REGION, "AWS::No::Such")


def test_rights_are_those_that_the_linter_knows() -> None:
    """Reading the schemas as files gives what cfn-lint's own manager gives."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    for kind in ("AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::IAM::Role"):
        theirs: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        found = {phase: tuple(entry["permissions"]) for phase, entry in theirs["handlers"].items()}
        assert rights(str(schemas()), REGION, kind) == found


def test_the_administrators_key_is_new_each_time() -> None:
    """Nothing that was written down before opens a local AWS with enforced roles."""
    assert Roles().issuer_key != Roles().issuer_key
    assert all(entry.reason for entry in EXCUSES)
