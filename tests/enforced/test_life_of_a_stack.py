"""The stack role suffices to create, change and take away all that infra/service.yaml makes, and for no more."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployer.aws.stack import Stack
from deployer.clock import SystemClock
from deployer.errors import DeployerError
from enforced.conftest import Deployed, role_arn
from enforced.worlds import ACCOUNT, REGION
from infra.conftest import NAME, SERVICE_BODY, SERVICE_PARAMETERS

TEMPLATE: dict[str, Any] = json.loads(SERVICE_BODY)
STACK = f"{NAME}-staging"
PARAMETERS = {**SERVICE_PARAMETERS, "FunctionName": STACK}
# One property of each type that can be changed in place.
CHANGES = {
    "AWS::CloudWatch::Alarm": {"Threshold": 2},
    "AWS::IAM::Role": {"MaxSessionDuration": 7200},
    "AWS::Lambda::Alias": {"Description": "another"},
    "AWS::Lambda::EventInvokeConfig": {"MaximumRetryAttempts": 1},
    "AWS::Lambda::Function": {"MemorySize": 256},
    "AWS::Logs::LogGroup": {"RetentionInDays": 3},
    "AWS::S3::Bucket": {"Tags": [{"Key": "a", "Value": "b"}]},
    "AWS::SNS::Topic": {"DisplayName": "another"},
    "AWS::SQS::Queue": {"MessageRetentionPeriod": 86400},
}


def changed() -> str:
    """Return the template with another value in each resource that can be changed."""
    template = copy.deepcopy(TEMPLATE)
    for resource in template["Resources"].values():
        resource.setdefault("Properties", {}).update(CHANGES.get(resource["Type"], {}))
    return json.dumps(template)


def with_a_queue() -> str:
    """Return the template with a resource that infra/permissions.yaml says nothing of, made last."""
    template = copy.deepcopy(TEMPLATE)
    buckets = [name for name, each in template["Resources"].items() if each["Type"] == "AWS::S3::Bucket"]
    template["Resources"]["Orders"] = {
        "Type": "AWS::SQS::Queue",
        "DependsOn": buckets,
        "Properties": {"QueueName": f"{STACK}-orders"},
    }
    return json.dumps(template)


@pytest.fixture
def gone(deployed: Deployed) -> Iterator[None]:
    """Take the stack away afterwards, with all that a deletion keeps."""
    yield
    cloudformation = deployed.here.admin("cloudformation")
    arn = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=arn)
    assert deployed.here.settled(arn) == ["DELETE_COMPLETE"]
    for kind in ("source", "resized"):
        deployed.here.admin("s3").delete_bucket(Bucket=f"{STACK}-{kind}-000000000000")


@pytest.mark.usefixtures("gone")
def test_a_stack_is_created_changed_and_deleted(deployed: Deployed) -> None:
    """No right is lacking for any driver, and none for a change of any kind of resource."""
    live = {"LiveVersion": "1", "ReservedConcurrency": "5"}
    assert deployed.stack("CREATE", Driver="runner") == "CREATE_COMPLETE"
    assert deployed.stack("UPDATE", changed(), Driver="durable", **live) == "UPDATE_COMPLETE"
    deploy = deployed.job("staging-deploy", "staging")("lambda")
    image = SERVICE_PARAMETERS["ImageUri"].replace("1" * 64, "2" * 64)
    assert deploy.update_function_code(FunctionName=STACK, ImageUri=image)["CodeSha256"]
    assert deployed.stack("UPDATE", Driver="codedeploy", Trigger="none", LiveVersion="1") == "UPDATE_COMPLETE"


@pytest.mark.usefixtures("gone")
def test_a_change_that_changes_nothing_leaves_none_behind(deployed: Deployed) -> None:
    """The deploy role takes back a change set that CloudFormation finds empty."""
    stack = Stack(deployed.job("staging-deploy", "staging")("cloudformation"), STACK, SystemClock())
    made = stack.propose(SERVICE_BODY, PARAMETERS, exists=False, role_arn=role_arn("staging-stack"))
    assert made is not None
    assert stack.execute(made, say=lambda _: None).status == "CREATE_COMPLETE"
    assert stack.propose(SERVICE_BODY, PARAMETERS, exists=True, role_arn=role_arn("staging-stack")) is None


def test_a_resource_without_its_right_is_denied_by_name(deployed: Deployed) -> None:
    """The stack goes back, and the deployer's error names the stack role, the right and the resource."""
    stack = Stack(deployed.job("staging-deploy", "staging")("cloudformation"), STACK, SystemClock())
    made = stack.propose(with_a_queue(), PARAMETERS, exists=False, role_arn=role_arn("staging-stack"))
    assert made is not None
    with pytest.raises(DeployerError) as error:
        stack.execute(made, say=lambda _: None)
    said = str(error.value)
    assert f"{NAME}-staging-stack-eu-central-1" in said
    assert "sqs:CreateQueue" in said
    assert f":{STACK}-orders" in said
    assert stack.read() is None


def test_a_change_set_by_its_arn_is_no_stack(deployed: Deployed) -> None:
    """Its events are a right to the change set, as in AWS: the deploy role has its own ones', and no other's."""
    client = deployed.job("staging-deploy", "staging")("cloudformation")
    refused = {}
    for environment in ("staging", "production"):
        arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{NAME}-{environment}-1/a"
        since = len(deployed.here.aws.decisions())
        try:
            client.describe_events(ChangeSetName=arn)
            refused[environment] = ""
        except ClientError as error:
            refused[environment] = error.response["Error"]["Code"]
        [asked] = [
            d for d in deployed.here.aws.decisions()[since:] if d.action == "cloudformation:DescribeEvents"
        ]
        assert asked.resource == arn
    assert "AccessDenied" not in refused["staging"]
    assert refused["production"].startswith("AccessDenied")
