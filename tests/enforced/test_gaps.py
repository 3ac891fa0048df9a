"""Each part of the enforcement closes a gap of MiniStack, and the gap is open without the parts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from enforced.plain import path_status
from enforced.worlds import ACCOUNT, HOST, REGION, World, allow, policy, trusting_service, world

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm"
BUCKETS = "arn:aws:s3:::*"


def denied(call: Callable[[], object]) -> str:
    """Return the sentence with which AWS denies a call, empty for one that it does not deny."""
    try:
        call()
    except ClientError as error:
        if "AccessDenied" in error.response["Error"]["Code"]:
            return error.response["Error"]["Message"]
    return ""


def root_is_one_random_key(here: World) -> bool:
    """Try MiniStack's other keys for root."""
    for key in ("test", ACCOUNT):
        try:
            here.client(key, "test")("iam").list_roles()
        except ClientError:
            continue
        return False
    return True


def an_action_is_what_the_request_does(here: World) -> bool:
    """Move an alias with the right to list aliases alone."""
    lists = here.session(allow("lambda:ListAliases", f"{FUNCTION}:*"))("lambda")
    return "lambda:UpdateAlias" in denied(lambda: lists.update_alias(FunctionName="fn", Name="live"))


def a_version_is_asked_for_by_its_own_name(here: World) -> bool:
    """Invoke a version with the right to invoke the function without one."""
    calls = here.session(allow("lambda:InvokeFunction", f"{FUNCTION}:fn"))("lambda")
    return f"{FUNCTION}:fn:7" in denied(lambda: calls.invoke(FunctionName="fn", Qualifier="7"))


def each_name_of_a_list_is_asked_for(here: World) -> bool:
    """Delete alarms, of which one belongs to somebody else."""
    deletes = here.session(allow("cloudwatch:DeleteAlarms", f"{ALARM}:mine-*"))("cloudwatch")
    own = denied(lambda: deletes.delete_alarms(AlarmNames=["mine-1", "mine-2"]))
    both = denied(lambda: deletes.delete_alarms(AlarmNames=["mine-1", "theirs"]))
    return not own and f"{ALARM}:theirs" in both


def a_denial_is_said_as_aws_says_it(here: World) -> bool:
    """Publish without the right, and read the sentence and the record."""
    role = here.role()
    name, topic = role.rpartition("/")[2], f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
    topics = here.assume(role)("sns")
    try:
        topics.publish(TopicArn=topic, Message="m")
    except ClientError as error:
        said = error.response["Error"]["Message"]
    recorded = [d for d in here.aws.decisions() if name in d.who]
    return (
        said
        == f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/job is not authorized to perform: sns:Publish on "
        f"resource: {topic} because no identity-based policy allows the sns:Publish action"
        and [(d.by, d.action, d.resource, d.allowed) for d in recorded]
        == [("api", "sns:Publish", topic, False)]
    )


def a_wrong_token_is_refused(here: World) -> bool:
    """Assume a role with another repository's token."""
    role = here.role()
    try:
        here.assume(role, repository_id="3")
    except ClientError:
        return bool(here.assume(role))
    return False


def the_registry_asks_for_rights(here: World) -> bool:
    """Look at the registry with no password, with a caller's who has no right, and with one who has it."""
    here.admin("ecr").create_repository(repositoryName=(name := here.unique("images")))
    resource = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    login = allow("ecr:GetAuthorizationToken", "*")
    without = here.session(login)("ecr")
    reads = here.session(login, allow("ecr:BatchGetImage", resource))("ecr")
    path = f"/v2/{name}/manifests/latest"
    found = [
        path_status(here, path),
        path_status(here, path, without),
        path_status(here, path, reads),
    ]
    return found == [401, 403, 404]


def a_role_is_passed_by_who_may(here: World) -> bool:
    """Give CloudFormation, then a function, then a schedule a role without the right to pass it."""
    role = here.role(trust=trusting_service("cloudformation.amazonaws.com"))
    makes = here.session(allow(["cloudformation:*", "lambda:*"], "*"))
    stack = denied(lambda: here.stack(makes, {"Resources": {}}, role))
    code = {"ZipFile": zipped("def handler(event, context): pass")}
    function = denied(
        lambda: makes("lambda").create_function(
            FunctionName="fn", Role=role, Code=code, Runtime="python3.13", Handler="index.handler"
        )
    )
    target = {"Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn", "RoleArn": role}
    schedules = here.session(allow("scheduler:*", "*"))("scheduler")
    schedule = denied(
        lambda: schedules.create_schedule(
            Name=here.unique("s"),
            ScheduleExpression="at(2099-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
        )
    )
    return all("iam:PassRole" in said for said in (stack, function, schedule))


def lambda_pulls_what_the_repository_lets_it(here: World) -> bool:
    """Make functions of images in a repository without a policy, of one that has it, and with a wrong role."""
    closed, opened = here.unique("closed"), here.unique("opened")
    ecr, functions = here.admin("ecr"), here.admin("lambda")
    for name in (closed, opened):
        ecr.create_repository(repositoryName=name)
    may = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    may |= {"Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]}
    ecr.set_repository_policy(repositoryName=opened, policyText=policy(may))
    right, wrong = (
        here.role(trust=trusting_service(f"{name}.amazonaws.com")) for name in ("lambda", "events")
    )

    def answered(repository: str, role: str) -> str:
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}@sha256:{'1' * 64}"
        try:
            functions.create_function(
                FunctionName=here.unique("fn"), Role=role, PackageType="Image", Code={"ImageUri": image}
            )
        except ClientError as error:
            return str(error.response["Error"]["Message"])
        return ""

    pull, assume = "permission to access the ECR image", "cannot be assumed by Lambda"
    return (
        pull in answered(closed, right) and assume in answered(opened, wrong) and not answered(opened, right)
    )


def a_provider_is_a_resource(here: World) -> bool:
    """Create GitHub's provider by CloudFormation, as `deployer bootstrap` does."""
    iam = here.admin("iam")
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    properties = {"Url": f"https://{HOST}", "ClientIdList": ["sts.amazonaws.com"]}
    _, found = here.stack(
        here.admin, {"Resources": {"It": {"Type": "AWS::IAM::OIDCProvider", "Properties": properties}}}
    )
    return found[0] == "CREATE_COMPLETE" and bool(here.session())


def cloudformation_acts_with_the_stacks_role(here: World) -> bool:
    """Create a bucket with a stack role that may not."""
    role = here.role(allow("s3:ListBucket", BUCKETS), trust=trusting_service("cloudformation.amazonaws.com"))
    makes = here.session(allow("cloudformation:*", "*"), allow("iam:PassRole", role))
    name = here.unique("bucket")
    template = {"Resources": {"It": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}}}
    _, found = here.stack(makes, template, role)
    return found[0] == "ROLLBACK_COMPLETE" and f"s3:CreateBucket on resource: arn:aws:s3:::{name}" in found[1]


def zipped(source: str) -> bytes:
    """Return a function's archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()


GAPS: dict[str, tuple[Callable[[World], bool], ...]] = {
    "root": (root_is_one_random_key,),
    "actions": (an_action_is_what_the_request_does,),
    "resources": (a_version_is_asked_for_by_its_own_name, each_name_of_a_list_is_asked_for),
    "caller": (a_denial_is_said_as_aws_says_it,),
    "tokens": (a_wrong_token_is_refused,),
    "registry": (the_registry_asks_for_rights,),
    "passing": (a_role_is_passed_by_who_may,),
    "functions": (lambda_pulls_what_the_repository_lets_it,),
    "providers": (a_provider_is_a_resource,),
    "stacks": (cloudformation_acts_with_the_stacks_role,),
}


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account with every part of the enforcement."""
    with world() as made:
        yield made


@pytest.mark.parametrize(
    "is_closed", [gap for gaps in GAPS.values() for gap in gaps], ids=lambda gap: gap.__name__
)
def test_gap_is_closed(here: World, is_closed: Callable[[World], bool]) -> None:
    """The local AWS does as AWS does."""
    assert is_closed(here)


def is_open(gap: Callable[[World], bool], made: World) -> bool:
    """Tell whether a gap is open; where it is, what follows may fail in any way."""
    try:
        return not gap(made)
    except (ClientError, KeyError):
        return True


@pytest.fixture(scope="module")
def alone() -> Iterator[World]:
    """Return an account on MiniStack as it is, with its own `AUTH=true`."""
    with world(left_out=tuple(GAPS)) as made:
        yield made


@pytest.mark.parametrize("part", GAPS)
def test_gap_is_open_without_its_part(alone: World, part: str) -> None:
    """MiniStack alone is kinder than AWS, so each part is needed; a newer MiniStack may make one superfluous."""
    assert [gap.__name__ for gap in GAPS[part] if not is_open(gap, alone)] == []
