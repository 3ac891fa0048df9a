"""The AWS ports, call by call against botocore's own models: what is sent, and what errors become."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from deployer.aws.client import Aws, connect
from deployer.aws.errors import Conflict, NotFound, Unavailable, translated
from deployer.aws.registry import Registry
from deployer.aws.stack import ChangeSet, Stack
from deployer.clock import SystemClock
from deployer.config import parse
from deployer.errors import DeployerError
from deployer.model import AlarmReading, AlarmState, AliasWrite, Routing, percent
from engine.fakes import VirtualClock

FN = "image-resizer-production"
STACK_ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1"
CREATED = {"Id": "arn:change-set", "StackId": STACK_ID}
FIRST = ChangeSet("arn:change-set", STACK_ID, (), is_first=True)
# Newest first, as CloudFormation lists them.
EVENTS = [
    {
        "StackId": STACK_ID,
        "StackName": "s",
        "EventId": "1",
        "Timestamp": 0,
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }
    for resource, status, reason in (
        ("s", "DELETE_COMPLETE", ""),
        ("SourceBucket", "DELETE_FAILED", "not empty"),
        ("s", "DELETE_IN_PROGRESS", "The following resource(s) failed to create: [Function, Role]."),
        ("Role", "CREATE_FAILED", "Resource creation cancelled"),
        ("Function", "CREATE_FAILED", "boom"),
        ("Function", "CREATE_IN_PROGRESS", ""),
    )
]


@pytest.fixture
def aws(monkeypatch):
    """Return a port whose clients can only be called through stubs."""
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Aws(FN, "eu-west-1")


@pytest.fixture
def function(aws):
    """Return the stub of the Lambda client; every queued answer must have been asked for."""
    with Stubber(aws._lambda) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_the_alias_is_read_with_weights_and_marker(aws, function):
    """Weights become whole percent, and the Description splits into text and marker."""
    function.add_response(
        "get_alias",
        {
            "FunctionVersion": "41",
            "RoutingConfig": {"AdditionalVersionWeights": {"42": 0.07}},
            "Description": "mine [lc1 id=7f3a from=41 to=42 step=1/2 at=1 plan=aaaa st=run]",
            "RevisionId": "r1",
        },
        {"FunctionName": FN, "Name": "live"},
    )
    alias = aws.alias()
    assert alias.routing == Routing("41", "42", 7)
    assert (alias.text, alias.marker.to_version, alias.revision) == ("mine", "42", "r1")


@pytest.mark.parametrize(
    ("write", "weights"),
    [
        (AliasWrite("41", "text", "42", 10), {"42": 0.1}),
        (AliasWrite("42", "text"), {}),
    ],
    ids=["a canary's share", "no canary: an empty map, which is what clears the weights"],
)
def test_an_alias_write_sends_everything_and_the_lock(aws, function, write, weights):
    """Version, weights, Description and RevisionId always travel together."""
    function.add_response(
        "update_alias",
        {},
        {
            "FunctionName": FN,
            "Name": "live",
            "FunctionVersion": write.version,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
            "Description": "text",
            "RevisionId": "r1",
        },
    )
    aws.update_alias(write, revision="r1")


def test_an_alarm_that_does_not_exist_is_missing(aws):
    """DescribeAlarms leaves it out; here it has a state of its own, and composite alarms are asked for.

    An alarm's state is dated by when it came into it, not by when it was last looked at.
    """
    since = datetime.fromtimestamp(1_763_712_000, tz=UTC)
    with Stubber(aws.cloudwatch) as stub:
        stub.add_response(
            "describe_alarms",
            {
                "MetricAlarms": [
                    {
                        "AlarmName": "a",
                        "StateValue": "ALARM",
                        "StateTransitionedTimestamp": since,
                        "StateUpdatedTimestamp": 1,
                    }
                ],
                "CompositeAlarms": [{"AlarmName": "c", "StateValue": "INSUFFICIENT_DATA"}],
            },
            {
                "AlarmNames": ["a", "b", "c"],
                "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
                "MaxRecords": 100,
            },
        )
        assert aws.alarms(("a", "b", "c")) == {
            "a": AlarmReading(AlarmState.ALARM, 1_763_712_000.0),
            "b": AlarmReading(AlarmState.MISSING),
            "c": AlarmReading(AlarmState.INSUFFICIENT_DATA),
        }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("PreconditionFailedException", 412, Conflict),
        ("ResourceConflictException", 409, Conflict),
        ("ResourceNotFoundException", 404, NotFound),
        ("TooManyRequestsException", 429, Unavailable),
        ("ServiceException", 500, Unavailable),
        ("AccessDeniedException", 403, DeployerError),
        ("ExpiredTokenException", 403, DeployerError),
    ],
)
def test_errors_become_ours(aws, function, code, status, kind):
    """Each AWS error becomes one of ours, with AWS's own words kept and a next command given."""
    function.add_client_error("get_alias", code, "its own words", http_status_code=status)
    with pytest.raises(DeployerError) as caught:
        aws.alias()
    assert type(caught.value) is kind
    assert "its own words" in caught.value.found
    assert caught.value.hint


@pytest.mark.parametrize(
    "words",
    [
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        "Version is pointed by a Provisioned Concurrency alias",
    ],
)
def test_provisioned_concurrency_elsewhere_is_no_race(aws, function, words):
    """A conflict about provisioned concurrency is not somebody else's write: trying again would not help."""
    function.add_client_error("put_provisioned_concurrency_config", "ResourceConflictException", words, 409)
    with pytest.raises(DeployerError, match="provisioned concurrency sits elsewhere") as caught:
        aws.provisioned().put("42", 1)
    assert type(caught.value) is DeployerError


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (EndpointConnectionError(endpoint_url="https://lambda"), Unavailable, "did not answer"),
        (NoCredentialsError(), DeployerError, "no AWS credentials"),
    ],
)
def test_botocore_errors_become_ours(error, kind, words):
    """No network and no credentials are told apart."""
    with pytest.raises(kind, match=words), translated("reading"):
        raise error


def test_publishing_names_the_code_and_waits(aws, function):
    """PublishVersion carries the code's checksum, and the version is waited for before it is returned."""
    function.add_response(
        "publish_version", {"Version": "42"}, {"FunctionName": FN, "CodeSha256": "abc", "Description": "why"}
    )
    expected = {"FunctionName": FN, "Qualifier": "42"}
    function.add_response("get_function_configuration", {"State": "Active"}, expected)
    assert aws.publish(code_sha256="abc", description="why") == "42"


def test_code_is_updated_under_the_lock_and_waited_for(aws, function):
    """UpdateFunctionCode sends the digest and the RevisionId, and the update is waited for."""
    function.add_response(
        "update_function_code",
        {},
        {"FunctionName": FN, "ImageUri": "repo@sha256:a", "RevisionId": "r1", "Publish": False},
    )
    function.add_response(
        "get_function", {"Configuration": {"LastUpdateStatus": "Successful"}}, {"FunctionName": FN}
    )
    aws.update_code("repo@sha256:a", revision="r1")


def test_the_newest_version_is_the_highest_number(aws, function):
    """Versions are numbers, not text: 10 is newer than 9, and `$LATEST` is none."""
    versions = [{"Version": v} for v in ("$LATEST", "9", "10", "1")]
    function.add_response("list_versions_by_function", {"Versions": versions}, {"FunctionName": FN})
    assert aws.newest_version() == "10"


def test_a_function_error_comes_back_with_its_message(aws, function):
    """An invocation that failed is told from one that answered."""
    body = json.dumps({"errorMessage": "boom"}).encode()
    function.add_response(
        "invoke",
        {
            "StatusCode": 200,
            "FunctionError": "Unhandled",
            "Payload": StreamingBody(io.BytesIO(body), len(body)),
        },
        {"FunctionName": FN, "Qualifier": "42", "Payload": b"{}"},
    )
    assert aws.invoke("42", {}) == ("Unhandled", {"errorMessage": "boom"})


def test_a_manifest_is_returned_byte_for_byte(aws):
    """The digest is what the registry says, so that it can be compared; an index is not hidden."""
    with Stubber(aws.ecr) as stub:
        stub.add_response(
            "batch_get_image",
            {
                "images": [
                    {
                        "imageManifest": '{"a": 1}',
                        "imageManifestMediaType": "t",
                        "imageId": {"imageDigest": "sha256:said"},
                    }
                ]
            },
            {"repositoryName": "repo", "imageIds": [{"imageTag": "x"}], "acceptedMediaTypes": ANY},
        )
        found = Registry(aws.ecr, "repo").manifest("x")
    assert (found.body, found.media_type) == (b'{"a": 1}', "t")
    assert found.digest == "sha256:said"


def test_a_missing_tag_is_none_and_a_failure_is_not(aws):
    """`no such tag` and `could not be read` are different answers."""
    with Stubber(aws.ecr) as stub:
        stub.add_response("batch_get_image", {"images": [], "failures": [{"failureCode": "ImageNotFound"}]})
        stub.add_response("batch_get_image", {"images": [], "failures": [{"failureCode": "KmsError"}]})
        registry = Registry(aws.ecr, "repo")
        assert registry.manifest("x") is None
        with pytest.raises(DeployerError, match="cannot be read"):
            registry.manifest("x")


def test_a_login_never_shows_its_password(aws):
    """Neither repr nor str of a login holds the secret."""
    with Stubber(aws.ecr) as stub:
        token = {"authorizationToken": "QVdTOmh1c2gtaHVzaA=="}
        stub.add_response("get_authorization_token", {"authorizationData": [token]})
        uri = "1.dkr.ecr.eu-west-1.amazonaws.com/repo"
        stub.add_response("describe_repositories", {"repositories": [{"repositoryUri": uri}]})
        login = Registry(aws.ecr, "repo").login()
    assert (login.registry, login.user, login.password) == (uri.partition("/")[0], "AWS", "hush-hush")
    assert "hush" not in f"{login} {login!r}"


class TestStack:
    """A stack changes by change sets, and only by them."""

    def test_a_stack_that_is_not_there_is_none(self, aws):
        """CloudFormation's ValidationError for a missing stack is an answer, not an error."""
        with Stubber(aws.cloudformation) as stub:
            stub.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
            assert Stack(aws.cloudformation, "s", SystemClock()).read() is None

    def test_other_errors_are_errors(self, aws):
        """A denied call is not a missing stack."""
        with Stubber(aws.cloudformation) as stub:
            stub.add_client_error("describe_stacks", "AccessDenied", "no")
            with pytest.raises(DeployerError, match="not allowed"):
                Stack(aws.cloudformation, "s", SystemClock()).read()

    def test_nothing_to_change_is_none_and_leaves_no_change_set(self, aws):
        """An empty change set is deleted again."""
        with Stubber(aws.cloudformation) as stub:
            stub.add_response("create_change_set", CREATED)
            reason = "The submitted information didn't contain changes."
            stub.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason})
            stub.add_response("delete_change_set", {})
            stack = Stack(aws.cloudformation, "s", VirtualClock())
            assert stack.propose("template", {}, exists=True) is None
            stub.assert_no_pending_responses()

    def test_a_failed_change_names_the_first_reason(self, aws):
        """The error is the first resource that failed, not the cancellations after it."""
        failed = {
            "LogicalResourceId": "Alias",
            "ResourceStatus": "UPDATE_FAILED",
            "ResourceStatusReason": "boom",
        }
        after = {**failed, "LogicalResourceId": "Role", "ResourceStatusReason": "Resource update cancelled"}
        common = {"StackId": "1", "StackName": "s", "EventId": "1", "Timestamp": 0}
        with Stubber(aws.cloudformation) as stub:
            stub.add_response("create_change_set", CREATED)
            change = {"Action": "Modify", "LogicalResourceId": "Alias", "ResourceType": "AWS::Lambda::Alias"}
            stub.add_response(
                "describe_change_set",
                {
                    "Status": "CREATE_COMPLETE",
                    "Changes": [{"ResourceChange": {**change, "Replacement": "True"}}],
                },
            )
            stub.add_response("execute_change_set", {})
            status = {"StackName": "s", "CreationTime": 0, "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}
            stub.add_response("describe_stacks", {"Stacks": [status]})
            stub.add_response(
                "describe_stack_events", {"StackEvents": [{**common, **after}, {**common, **failed}]}
            )
            stack = Stack(aws.cloudformation, "s", VirtualClock())
            proposed = stack.propose("template", {"A": "1"}, exists=True)
            assert proposed.changes == ("modify Alias AWS::Lambda::Alias (replaced)",)
            with pytest.raises(DeployerError) as caught:
                stack.execute(proposed, say=lambda _: None)
            assert caught.value.found == "Alias: boom"

    @pytest.mark.parametrize(
        ("exists", "also"),
        [
            (False, {"ChangeSetType": "CREATE", "OnStackFailure": "DELETE"}),
            (True, {"ChangeSetType": "UPDATE"}),
        ],
        ids=["a first creation", "a change"],
    )
    def test_only_a_first_stack_is_deleted_when_it_fails(self, aws, exists, also):
        """A first creation asks to be deleted when it fails; the change of a stack must not ask for that."""
        expected = {
            "StackName": "s",
            "ChangeSetName": ANY,
            "TemplateBody": "template",
            "Parameters": [],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            **also,
        }
        with Stubber(aws.cloudformation) as stub:
            stub.add_response("create_change_set", CREATED, expected)
            stub.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
            proposed = Stack(aws.cloudformation, "s", VirtualClock()).propose("template", {}, exists=exists)
        assert proposed == ChangeSet("arn:change-set", STACK_ID, (), is_first=not exists)

    @pytest.mark.parametrize(
        ("ends", "what", "found"),
        [
            (["DELETE_IN_PROGRESS", "DELETE_COMPLETE"], "failed and was deleted", "Function: boom"),
            (
                ["CREATE_FAILED", "ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"],
                "failed and was deleted",
                "Function: boom",
            ),
            (
                ["DELETE_IN_PROGRESS", "DELETE_FAILED"],
                "failed and could not be deleted",
                "Function: boom\nDELETE_FAILED: why",
            ),
            (["ROLLBACK_COMPLETE"] * 31, "could not be changed", "Function: boom"),
        ],
        ids=[
            "it is deleted",
            "its failure is visible before it is deleted",
            "it cannot be deleted",
            "nobody deletes it: after a minute that is the end",
        ],
    )
    def test_a_failed_first_creation_ends_with_its_reason(self, aws, ends, what, found):
        """The stack is followed by its id to the end of its deletion; the error is what failed first."""
        with Stubber(aws.cloudformation) as stub:
            stub.add_response("execute_change_set", {})
            for status in ("CREATE_IN_PROGRESS", *ends):
                answer = {
                    "StackName": "s",
                    "CreationTime": 0,
                    "StackStatus": status,
                    "StackStatusReason": "why",
                }
                stub.add_response("describe_stacks", {"Stacks": [answer]}, {"StackName": STACK_ID})
            stub.add_response("describe_stack_events", {"StackEvents": EVENTS}, {"StackName": STACK_ID})
            with pytest.raises(DeployerError) as caught:
                Stack(aws.cloudformation, "s", VirtualClock()).execute(FIRST, say=lambda _: None)
            stub.assert_no_pending_responses()
        assert (caught.value.what, caught.value.found) == (f"stack `s` {what}", found)
        assert caught.value.hint

    def test_a_stack_nobody_knows_any_more_was_deleted(self, aws):
        """When not even the id is known, the error says so instead of waiting."""
        missing = f"Stack with id {STACK_ID} does not exist"
        with Stubber(aws.cloudformation) as stub:
            stub.add_response("execute_change_set", {})
            stub.add_client_error("describe_stacks", "ValidationError", missing)
            stub.add_client_error("describe_stack_events", "ValidationError", missing)
            with pytest.raises(DeployerError, match="failed and was deleted") as caught:
                Stack(aws.cloudformation, "s", VirtualClock()).execute(FIRST, say=lambda _: None)
        assert missing in caught.value.found


def test_the_port_compares_what_the_settings_say(aws, monkeypatch):
    """The setting errors_from reaches the queries of the environment it is set in, and of no other."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    text = """
[project]
name = "x"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
errors_from = "app"
"""
    settings = parse(text)
    assert connect(settings, "production").metrics()._counts_failures
    assert not connect(settings, "staging").metrics()._counts_failures


@pytest.mark.parametrize(("share", "weight_pct"), [(0.1, 10), (0.001, 0.1), (0.145, 14.5), (0.95, 95)])
def test_a_weight_is_read_as_a_fraction_of_a_percent(share, weight_pct):
    """Lambda's weights are shares; a fraction of a percent survives, and a whole percentage stays whole."""
    assert percent(share) == weight_pct
    assert type(percent(share)) is type(weight_pct)
