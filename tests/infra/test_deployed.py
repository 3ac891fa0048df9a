"""Both templates are deployed on a local AWS, and what came out is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployer.aws.observed import StackState
from deployer.aws.stack import Stack
from deployer.clock import SystemClock
from deployer.errors import DeployerError
from deployer.release.template import render
from infra.conftest import (
    ACCOUNT,
    BOOTSTRAP_BODY,
    NAME,
    PROVIDER,
    REGISTRY_BODY,
    REGISTRY_PARAMETERS,
    SERVICE_BODY,
    SERVICE_PARAMETERS,
    Client,
    Outputs,
    Stacks,
    bootstrap_parameters,
)
from rules.templates import SERVICE, merged, text

PRODUCTION, STAGING = f"{NAME}-production", f"{NAME}-staging"
FUNCTION_ARN = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{PRODUCTION}"


def test_bootstrap_outputs_are_complete(bootstrap: dict[str, Outputs]) -> None:
    """Every role and the repository is an output, under the names that `deployer bootstrap` tells GitHub."""
    everywhere = ("Deploy", "Plan", "Prune", "Rollback", "Stack")
    made = {
        "registry": ("Push", "Prune"),
        "staging": (*everywhere, "Smoke", "Gameday"),
        "production": everywhere,
    }
    for part, names in made.items():
        prefix = NAME if part == "registry" else f"{NAME}-{part}"
        arns = {
            f"{name}RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{prefix}-{name.lower()}-eu-central-1"
            for name in names
        }
        repository = {k: v for k, v in bootstrap[part].items() if k == "RepositoryUri"}
        assert bootstrap[part] == {**arns, **repository, "OidcProviderArn": PROVIDER}, part
    assert bootstrap["registry"]["RepositoryUri"].endswith(f"/{NAME}")


@pytest.mark.parametrize(("role", "environment"), [("deploy", "production"), ("plan", "production-plan")])
def test_production_trusts_exactly_its_job(
    client: Client, bootstrap: dict[str, Outputs], role: str, environment: str
) -> None:
    """The deployed trust policy names provider, audience, subject, repository, environment and branch."""
    found = client("iam").get_role(RoleName=f"{NAME}-production-{role}-eu-central-1")["Role"]
    (statement,) = found["AssumeRolePolicyDocument"]["Statement"]
    claim = "token.actions.githubusercontent.com:"
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                claim + "aud": "sts.amazonaws.com",
                claim + "sub": f"repo:acme@123/resizer@456:environment:{environment}",
                claim + "repository_id": "456",
                claim + "environment": environment,
                claim + "ref": "refs/heads/main",
            }
        },
    }


def test_repository_is_immutable_and_open_to_lambda(client: Client, registry: Outputs) -> None:
    """The deployed repository keeps its tags, expires untagged images, and lets Lambda and nobody else pull."""
    ecr = client("ecr")
    (repository,) = ecr.describe_repositories(repositoryNames=[NAME])["repositories"]
    policy = json.loads(ecr.get_repository_policy(repositoryName=NAME)["policyText"])
    lifecycle = json.loads(ecr.get_lifecycle_policy(repositoryName=NAME)["lifecyclePolicyText"])
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert [one["Principal"] for one in policy["Statement"]] == [{"Service": "lambda.amazonaws.com"}]
    assert FUNCTION_ARN in policy["Statement"][0]["Condition"]["ArnLike"]["aws:sourceArn"]
    assert [rule["selection"]["tagStatus"] for rule in lifecycle["rules"]] == ["untagged"]


def test_another_account_reads_by_its_roles(client: Client, stacks: Stacks) -> None:
    """An environment in an account of its own may read images, by the roles that release there."""
    elsewhere = {"FunctionName": "shared", "ProductionAccount": "222222222222"}
    stacks.apply("shared-registry", REGISTRY_BODY, REGISTRY_PARAMETERS | elsewhere)
    found = client("ecr").get_repository_policy(repositoryName="shared")["policyText"]
    by_lambda, by_roles = json.loads(found)["Statement"]
    pulling = by_lambda["Condition"]["ArnLike"]["aws:sourceArn"]
    assert [arn.split(":", 4)[4] for arn in pulling] == [
        f"{ACCOUNT}:function:shared-staging",
        f"{ACCOUNT}:function:shared-staging:*",
        "222222222222:function:shared-production",
        "222222222222:function:shared-production:*",
    ]
    assert by_roles["Principal"] == {"AWS": "arn:aws:iam::222222222222:root"}
    assert by_roles["Condition"]["ArnEquals"]["aws:PrincipalArn"] == [
        f"arn:aws:iam::222222222222:role/shared-production-{role}-eu-central-1"
        for role in ("deploy", "plan", "rollback", "stack")
    ]


@pytest.mark.parametrize(
    "subject", ["repo:*", "repo:acme@1/*", "repo:acme@1/x@2:environment:production"], ids=lambda s: s
)
def test_bootstrap_refuses_a_subject_that_is_a_pattern(stacks: Stacks, subject: str) -> None:
    """CloudFormation itself refuses a subject that would match more than one repository."""
    with pytest.raises(ClientError, match="GitHubSubject"):
        stacks.apply("refused", BOOTSTRAP_BODY, bootstrap_parameters("staging") | {"GitHubSubject": subject})


def test_first_deployment_points_the_alias_at_version_1(client: Client, service: Outputs) -> None:
    """Without a live version the alias points at the version the stack made, with no weights."""
    alias = client("lambda").get_alias(FunctionName=PRODUCTION, Name="live")
    assert service["AliasArn"] == alias["AliasArn"] == f"{FUNCTION_ARN}:live"
    assert (alias["FunctionVersion"], alias.get("Description", ""), alias.get("RoutingConfig")) == (
        "1",
        "",
        None,
    )


def test_function_is_configured_from_the_parameters(client: Client, service: Outputs) -> None:
    """Package type, sizes, role, log group and environment arrive in the function."""
    function = client("lambda").get_function_configuration(FunctionName=PRODUCTION)
    assert function["PackageType"] == "Image"
    assert (function["MemorySize"], function["Timeout"], function["Architectures"]) == (1024, 60, ["x86_64"])
    assert function["Role"] == f"arn:aws:iam::{ACCOUNT}:role/{PRODUCTION}-function-eu-central-1"
    assert function["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{PRODUCTION}"
    assert function["Environment"]["Variables"] == {
        "RESIZED_BUCKET": service["ResizedBucket"],
        "FIT_PX": "0",
        "MAX_OBJECT_MB": "25",
        "MAX_MEGAPIXELS": "50",
        "POWERTOOLS_SERVICE_NAME": PRODUCTION,
        "POWERTOOLS_METRICS_NAMESPACE": PRODUCTION,
        "LOG_LEVEL": "INFO",
    }


def test_new_objects_invoke_the_alias(client: Client, service: Outputs) -> None:
    """The source bucket notifies the alias, which lets that bucket of that account in."""
    notification = client("s3").get_bucket_notification_configuration(Bucket=service["SourceBucket"])
    (target,) = notification["LambdaFunctionConfigurations"]
    policy = client("lambda").get_policy(FunctionName=PRODUCTION, Qualifier="live")["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert (target["LambdaFunctionArn"], target["Events"]) == (service["AliasArn"], ["s3:ObjectCreated:*"])
    assert statement["Resource"] == service["AliasArn"]
    assert ACCOUNT in str(statement["Condition"])
    assert f"arn:aws:s3:::{service['SourceBucket']}" in str(statement["Condition"])


def test_an_overwritten_original_can_be_brought_back(client: Client, service: Outputs) -> None:
    """The deployed source bucket keeps what an object was before."""
    s3, name = client("s3"), service["SourceBucket"]
    first = s3.put_object(Bucket=name, Key="kept/a.txt", Body=b"first")["VersionId"]
    s3.put_object(Bucket=name, Key="kept/a.txt", Body=b"second")
    assert s3.get_object(Bucket=name, Key="kept/a.txt", VersionId=first)["Body"].read() == b"first"


@pytest.mark.parametrize("bucket", ["SourceBucket", "ResizedBucket"])
def test_buckets_are_private(client: Client, service: Outputs, bucket: str) -> None:
    """Both deployed buckets block public access, are encrypted, and refuse plain HTTP."""
    s3, name = client("s3"), service[bucket]
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert set(block.values()) == {True}
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=name)["Policy"]


def test_alarms_watch_the_alias(client: Client, service: Outputs) -> None:
    """Every alarm of the output exists, on the alias's metric, and has no data yet."""
    names = service["AlarmNames"].split(",")
    alarms = client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == {f"{PRODUCTION}-errors", f"{PRODUCTION}-throttles"}
    for alarm in alarms:
        dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
        assert dimensions == {"FunctionName": PRODUCTION, "Resource": f"{PRODUCTION}:live"}
        assert (alarm["TreatMissingData"], alarm["StateValue"]) == ("missing", "INSUFFICIENT_DATA")


def test_failed_events_go_to_the_queue(client: Client, service: Outputs) -> None:
    """The alias sends events that failed for good to the failure queue."""
    config = client("lambda").get_function_event_invoke_config(FunctionName=PRODUCTION, Qualifier="live")
    queue = client("sqs").get_queue_attributes(QueueUrl=service["FailureQueueUrl"], AttributeNames=["All"])
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == queue["Attributes"]["QueueArn"]
    assert config["MaximumRetryAttempts"] == 2
    assert queue["Attributes"]["MessageRetentionPeriod"] == "1209600"


def test_log_group_forgets(client: Client, service: Outputs) -> None:
    """The function's log group, and the guard's, keep their events as long as asked."""
    groups = client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{PRODUCTION}")["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        f"/aws/lambda/{PRODUCTION}": 30,
        f"/aws/lambda/{PRODUCTION}-guard": 30,
    }


def test_update_keeps_version_description_and_versions(client: Client, stacks: Stacks) -> None:
    """A configuration change leaves the alias where the deployer put it, marker included."""
    function, lambda_ = "updated-staging", client("lambda")
    marker = "released by hand [lc1 id=7f3a from=1 to=2 step=0/0 at=1763712000 plan=9c1e st=done prev=1]"
    image = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{NAME}@sha256:{'2' * 64}"
    stacks.service(function)
    # What a release does: new code, a version of it, the alias moved to it.
    lambda_.update_function_code(FunctionName=function, ImageUri=image)
    version = lambda_.publish_version(FunctionName=function)["Version"]
    lambda_.update_alias(FunctionName=function, Name="live", FunctionVersion=version, Description=marker)

    stacks.service(
        function,
        update=True,
        MemoryMb="2048",
        ImageUri=image,
        LiveVersion=version,
        LiveDescription=marker,
    )

    alias = lambda_.get_alias(FunctionName=function, Name="live")
    versions = lambda_.list_versions_by_function(FunctionName=function)["Versions"]
    latest = lambda_.get_function(FunctionName=function)
    assert version == "2"
    assert (alias["FunctionVersion"], alias["Description"]) == ("2", marker)
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2"]
    assert (latest["Configuration"]["MemorySize"], latest["Code"]["ImageUri"]) == (2048, image)
    assert lambda_.get_function_configuration(FunctionName=function, Qualifier="2")["MemorySize"] == 1024


def test_pictures_outlive_the_stack(client: Client, stacks: Stacks) -> None:
    """Deleting the stack takes the function away and leaves both buckets with what is in them."""
    outputs, s3 = stacks.service("deleted-staging"), client("s3")
    s3.put_object(Bucket=outputs["ResizedBucket"], Key="a.jpg", Body=b"picture")

    stacks.delete("deleted-staging")

    assert s3.get_object(Bucket=outputs["ResizedBucket"], Key="a.jpg")["Body"].read() == b"picture"
    s3.head_bucket(Bucket=outputs["SourceBucket"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client("lambda").get_function(FunctionName="deleted-staging")


def test_first_creation_that_fails_can_be_tried_again(client: Client) -> None:
    """A first stack that fails names its reason and leaves nothing in the way of the corrected template."""
    function, said = "retried-staging", list[str]()
    right = "      FunctionName: !Ref Function\n      Qualifier: live\n"
    wrong = text(SERVICE).replace(right, right.replace("!Ref Function", "no-such-function"))
    assert right in text(SERVICE)

    def create(template: str) -> StackState:
        stack = Stack(client("cloudformation"), function, SystemClock())
        parameters = {**SERVICE_PARAMETERS, "FunctionName": function}
        proposed = stack.propose(template, parameters, exists=stack.read() is not None)
        assert proposed is not None
        return stack.execute(proposed, say=said.append)

    with pytest.raises(DeployerError, match="failed and was deleted") as caught:
        create(render(merged(SERVICE, service=wrong), name=SERVICE))
    assert "no-such-function" in (caught.value.found or "")
    assert said[-1] == f"stack {function}: DELETE_COMPLETE"

    assert create(SERVICE_BODY).status == "CREATE_COMPLETE"


def test_concurrency_can_be_left_unreserved(stacks: Stacks) -> None:
    """An account too small to reserve anything sets 0, which reserves nothing and stops nothing."""
    # Read from the stack alone: this local AWS ignores ReservedConcurrentExecutions in a template.
    assert stacks.service("small-staging", ReservedConcurrency="0")["FunctionName"] == "small-staging"


def may(client: Client, role: str, action: str, resource: str) -> bool:
    """Ask the policy simulator whether a role may do something, no condition being met.

    The local AWS's simulator takes no condition values; grants under a condition are in `rules/roles.py`.
    """
    answer: Any = client("iam").simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/{NAME}-{role}-eu-central-1",
        ActionNames=[action],
        ResourceArns=[resource],
    )
    return bool(answer["EvaluationResults"][0]["EvalDecision"] == "allowed")


REGION = "eu-central-1"
STAGING_ARN = FUNCTION_ARN.replace("production", "staging")
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{NAME}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{NAME}"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{NAME}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("push", "ecr:GetAuthorizationToken", "*"),
        ("push", "ecr:DescribeRepositories", REPOSITORY),
        ("push", "ecr:PutImage", REPOSITORY),
        ("prune", "ecr:BatchDeleteImage", REPOSITORY),
        ("production-prune", "lambda:DeleteFunction", f"{FUNCTION_ARN}:41"),
        ("production-plan", "lambda:GetAlias", FUNCTION_ARN),
        ("production-plan", "cloudformation:GetTemplate", f"{STACK}-production/1"),
        ("production-rollback", "lambda:UpdateAlias", FUNCTION_ARN),
        ("production-rollback", "lambda:InvokeFunction", f"{FUNCTION_ARN}:41"),
        ("production-deploy", "ecr:GetDownloadUrlForLayer", REPOSITORY),
        ("production-deploy", "lambda:UpdateFunctionCode", FUNCTION_ARN),
        ("production-deploy", "lambda:PublishVersion", FUNCTION_ARN),
        ("production-deploy", "lambda:UpdateAlias", FUNCTION_ARN),
        ("production-deploy", "lambda:InvokeFunction", f"{FUNCTION_ARN}:2"),
        ("production-deploy", "lambda:GetFunction", f"{FUNCTION_ARN}-rollout"),
        ("production-deploy", "cloudwatch:GetMetricData", "*"),
        ("production-deploy", "cloudwatch:ListMetrics", "*"),
        ("production-deploy", "ecr:DescribeImages", REPOSITORY),
        ("production-deploy", "cloudwatch:PutMetricAlarm", f"{ALARM}-production-canary-42"),
        ("production-deploy", "cloudwatch:DeleteAlarms", f"{ALARM}-production-canary-42"),
        ("production-deploy", "sns:Publish", f"{TOPIC}-production-rollouts"),
        ("production-deploy", "lambda:PutProvisionedConcurrencyConfig", f"{FUNCTION_ARN}:42"),
        ("production-deploy", "cloudformation:ExecuteChangeSet", f"{STACK}-production/1"),
        ("production-stack", "lambda:CreateFunction", FUNCTION_ARN),
        ("production-stack", "lambda:CreateFunction", f"{FUNCTION_ARN}-guard"),
        ("production-stack", "lambda:ListVersionsByFunction", FUNCTION_ARN),
        ("production-stack", "lambda:GetFunctionScalingConfig", f"{FUNCTION_ARN}:1"),
        ("production-stack", "logs:DescribeIndexPolicies", "*"),
        ("production-stack", "logs:DescribeResourcePolicies", "*"),
        ("production-stack", "sns:Subscribe", f"{TOPIC}-production-rollouts"),
        ("production-stack", "s3:PutBucketNotification", f"arn:aws:s3:::{PRODUCTION}-source-{ACCOUNT}"),
        ("staging-smoke", "lambda:InvokeFunction", f"{STAGING_ARN}:live"),
        ("staging-smoke", "s3:PutObject", f"arn:aws:s3:::{STAGING}-source-{ACCOUNT}/smoke/a.jpg"),
        ("staging-smoke", "s3:GetObject", f"arn:aws:s3:::{STAGING}-resized-{ACCOUNT}/smoke/a.jpg"),
    ],
)
def test_role_may(
    client: Client, bootstrap: dict[str, Outputs], role: str, action: str, resource: str
) -> None:
    """A deployed role allows what its part of a release calls."""
    assert may(client, role, action, resource)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("push", "ecr:PutImage", f"{REPOSITORY}-other"),
        ("push", "ecr:DescribeRepositories", f"{REPOSITORY}-other"),
        ("push", "ecr:BatchDeleteImage", REPOSITORY),
        ("prune", "ecr:PutImage", REPOSITORY),
        ("production-prune", "lambda:DeleteFunction", FUNCTION_ARN),
        ("production-prune", "lambda:DeleteFunction", f"{STAGING_ARN}:41"),
        ("production-plan", "lambda:UpdateAlias", FUNCTION_ARN),
        ("production-plan", "lambda:InvokeFunction", f"{FUNCTION_ARN}:live"),
        ("production-plan", "cloudformation:CreateChangeSet", f"{STACK}-production/1"),
        ("production-rollback", "lambda:UpdateAlias", STAGING_ARN),
        ("production-rollback", "lambda:UpdateFunctionCode", FUNCTION_ARN),
        ("production-rollback", "lambda:PublishVersion", FUNCTION_ARN),
        ("production-rollback", "cloudwatch:DeleteAlarms", f"{ALARM}-production-errors"),
        ("production-rollback", "iam:PassRole", f"{ROLE}-production-stack-{REGION}"),
        ("push", "lambda:UpdateFunctionCode", FUNCTION_ARN),
        ("staging-deploy", "lambda:UpdateAlias", FUNCTION_ARN),
        ("staging-deploy", "cloudformation:ExecuteChangeSet", f"{STACK}-production/1"),
        ("production-deploy", "lambda:UpdateAlias", STAGING_ARN),
        ("production-deploy", "lambda:UpdateAlias", f"{FUNCTION_ARN}-eu"),
        ("production-deploy", "lambda:GetFunction", f"{STAGING_ARN}-rollout"),
        ("production-deploy", "lambda:AddPermission", FUNCTION_ARN),
        ("production-deploy", "ecr:PutImage", REPOSITORY),
        ("production-deploy", "ecr:SetRepositoryPolicy", REPOSITORY),
        ("production-deploy", "cloudwatch:DeleteAlarms", f"{ALARM}-production-errors"),
        ("production-deploy", "cloudwatch:PutMetricAlarm", f"{ALARM}-staging-canary-42"),
        ("production-deploy", "lambda:UpdateFunctionCode", f"{FUNCTION_ARN}-guard"),
        ("production-deploy", "sns:Subscribe", f"{TOPIC}-production-rollouts"),
        ("production-stack", "sns:Publish", f"{TOPIC}-production-rollouts"),
        ("production-stack", "iam:CreateRole", f"{ROLE}-production-guard-{REGION}"),
        ("staging-stack", "lambda:UpdateFunctionCode", FUNCTION_ARN),
        ("production-stack", "s3:GetObject", f"arn:aws:s3:::{PRODUCTION}-source-{ACCOUNT}/a.jpg"),
        ("production-stack", "iam:CreateRole", f"{ROLE}-production-function-{REGION}"),
        ("production-stack", "iam:AttachRolePolicy", f"{ROLE}-production-function-{REGION}"),
        ("staging-smoke", "lambda:InvokeFunction", STAGING_ARN),
        ("staging-smoke", "lambda:InvokeFunction", f"{STAGING_ARN}:2"),
        ("staging-smoke", "lambda:InvokeFunction", f"{FUNCTION_ARN}:live"),
        ("staging-smoke", "lambda:UpdateAlias", STAGING_ARN),
        ("staging-smoke", "s3:GetObject", f"arn:aws:s3:::{STAGING}-source-{ACCOUNT}/holiday.jpg"),
        ("staging-smoke", "s3:PutObject", f"arn:aws:s3:::{PRODUCTION}-source-{ACCOUNT}/smoke/a.jpg"),
        ("production-deploy", "iam:PassRole", f"{ROLE}-production-stack-{REGION}"),
        ("staging-deploy", "iam:PassRole", f"{ROLE}-production-stack-{REGION}"),
    ],
)
def test_role_may_not(
    client: Client, bootstrap: dict[str, Outputs], role: str, action: str, resource: str
) -> None:
    """A deployed role refuses what is another's, and whatever a condition guards that is not met."""
    assert not may(client, role, action, resource)
