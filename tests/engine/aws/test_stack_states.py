"""A stack that cannot be changed, a change that is refused, what is left behind: each said in its own words."""

from __future__ import annotations

import pytest
from botocore.stub import ANY, Stubber

from deployer.aws import stack_states
from deployer.aws.client import Aws
from deployer.aws.stack import ChangeSet, Stack
from deployer.errors import DeployerError, Exit
from engine.fakes import VirtualClock

STACK_ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1"
CHANGE_SET = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/c/2"
CREATED = {"Id": CHANGE_SET, "StackId": STACK_ID}
# As CloudFormation says it: it names the call that knows more.
EARLY = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To troubleshoot "
    "Early Validation errors, use the DescribeEvents API for detailed failure information."
)
FAILED = {"EventId": "1", "StackId": STACK_ID, "OperationStatus": "FAILED", "Timestamp": 0}
EXISTS = {
    **FAILED,
    "EventType": "VALIDATION_ERROR",
    "LogicalResourceId": "SourceBucket",
    "ResourceType": "AWS::S3::Bucket",
    "ValidationFailureMode": "FAIL",
    "ValidationName": "NAME_CONFLICT_VALIDATION",
    "ValidationStatus": "FAILED",
    "ValidationStatusReason": "Resource of type 'AWS::S3::Bucket' with identifier 'pictures' already exists.",
    "ValidationPath": "/Resources/SourceBucket",
}
WARNS = {**EXISTS, "ValidationFailureMode": "WARN", "ValidationStatusReason": "a warning"}
SAID = (
    "SourceBucket: Resource of type 'AWS::S3::Bucket' with identifier 'pictures' already exists. "
    "(at /Resources/SourceBucket)"
)


@pytest.fixture
def stack(monkeypatch):
    """Return a stack whose client can only be called through stubs."""
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Stack(Aws("fn", "eu-west-1").cloudformation, "s", VirtualClock())


@pytest.fixture
def stub(stack):
    """Return the stub of its client; every queued answer must have been asked for."""
    with Stubber(stack._client) as made:
        yield made
        made.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "words", "verb"),
    [
        ("ROLLBACK_COMPLETE", "its first deployment failed and was undone", "delete-stack"),
        ("ROLLBACK_FAILED", "its first deployment failed and could not be undone", "delete-stack"),
        ("CREATE_FAILED", "its first deployment failed and was left as it was", "delete-stack"),
        ("DELETE_FAILED", "one of its resources could not be", "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "an update failed and could not be undone", "continue-update-rollback"),
    ],
)
def test_a_refused_change_names_state_and_way_on(stack, stub, status, words, verb):
    """When CloudFormation refuses a change because of the stack's state, the error is that state in words."""
    text = f"Stack:{STACK_ID} is in {status} state and can not be updated."
    stub.add_client_error("create_change_set", "ValidationError", text)
    with pytest.raises(DeployerError, match=words) as caught:
        stack.propose("template", {}, exists=True)
    assert caught.value.exit_code == Exit.REFUSED
    assert caught.value.found == f"found {status}, expected a stack that was created or updated"
    assert caught.value.hint.startswith(f"aws cloudformation {verb} --stack-name s, then ")


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"])
def test_a_usable_state_is_none(status):
    """A stack at rest is not refused, also after an update that was undone."""
    assert stack_states.refusal("s", status) is None
    assert stack_states.state_in_words(status) is None


def test_a_stack_under_review_is_created(stack, stub):
    """What a failed or forgotten change set left behind counts as no stack, and the creation goes on with it."""
    status = {"StackName": "s", "CreationTime": 0, "StackStatus": "REVIEW_IN_PROGRESS"}
    stub.add_response("describe_stacks", {"Stacks": [status]})
    found = stack.read()
    assert found is None
    assert stack.is_under_review
    expected = {
        "StackName": "s",
        "ChangeSetName": ANY,
        "ChangeSetType": "CREATE",
        "OnStackFailure": "DELETE",
        "TemplateBody": "template",
        "Parameters": [],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    stub.add_response("create_change_set", CREATED, expected)
    stub.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
    assert stack.propose("template", {}, exists=found is not None).is_first


@pytest.mark.parametrize("exists", [True, False])
def test_cloudformation_acts_with_the_stack_role(stack, stub, exists):
    """The change set names the role that CloudFormation uses; the caller's own rights end at asking for it."""
    role = "arn:aws:iam::123456789012:role/stack"
    expected = {
        "StackName": "s",
        "ChangeSetName": ANY,
        "ChangeSetType": "UPDATE" if exists else "CREATE",
        "TemplateBody": "template",
        "Parameters": [],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "RoleARN": role,
    }
    stub.add_response(
        "create_change_set", CREATED, expected if exists else {**expected, "OnStackFailure": "DELETE"}
    )
    stub.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
    assert stack.propose("template", {}, exists=exists, role_arn=role)


def test_a_change_set_is_named_after_its_stack(stack, stub):
    """The deploy role may ask a change set why it was refused only where it is called after the role's own stack."""
    expected = dict.fromkeys(
        ("StackName", "ChangeSetType", "TemplateBody", "Parameters", "Capabilities"), ANY
    )
    stub.add_response("create_change_set", CREATED, {**expected, "ChangeSetName": "s-1763712000000"})
    stub.add_response("describe_change_set", {"Status": "CREATE_COMPLETE"})
    assert stack.propose("template", {}, exists=True)


def test_early_validation_is_asked_for_its_reason(stack, stub):
    """A change set that validation refuses shows resource, reason and place, and is discarded; warnings are not."""
    stub.add_response("create_change_set", CREATED)
    stub.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": EARLY})
    asked = {"ChangeSetName": CHANGE_SET, "Filters": {"FailedEvents": True}}
    stub.add_response("describe_events", {"OperationEvents": [WARNS, EXISTS, EXISTS]}, asked)
    stub.add_response("delete_change_set", {}, {"ChangeSetName": CHANGE_SET, "StackName": "s"})
    with pytest.raises(DeployerError, match="refuses the change of stack `s`") as caught:
        stack.propose("template", {}, exists=True)
    assert caught.value.found == SAID


def test_without_the_right_to_ask_both_are_told(stack, stub):
    """A role that may not call DescribeEvents sees what CloudFormation said, and the call it may not make."""
    stub.add_response("create_change_set", CREATED)
    stub.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": EARLY})
    stub.add_client_error("describe_events", "AccessDenied", "no")
    stub.add_response("delete_change_set", {})
    with pytest.raises(DeployerError) as caught:
        stack.propose("template", {}, exists=True)
    assert caught.value.found.startswith(EARLY)
    assert "not allowed" in caught.value.found


def test_validation_while_it_is_carried_out_is_asked_too(stack, stub):
    """An update that validation ends only points to DescribeEvents; its answer is the error."""
    event = {"StackId": STACK_ID, "StackName": "s", "EventId": "1", "Timestamp": 0, "LogicalResourceId": "s"}
    points = "Validation failed with 1 error(s). Call DescribeEvents to retrieve the full list of issues"
    event |= {"ResourceStatus": "UPDATE_FAILED", "ResourceStatusReason": points}
    status = {"StackName": "s", "CreationTime": 0, "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}
    stub.add_response("execute_change_set", {})
    stub.add_response("describe_stacks", {"Stacks": [status]})
    stub.add_response("describe_stack_events", {"StackEvents": [event]})
    asked = {"StackName": STACK_ID, "Filters": {"FailedEvents": True}}
    stub.add_response("describe_events", {"OperationEvents": [EXISTS]}, asked)
    with pytest.raises(DeployerError) as caught:
        stack.execute(ChangeSet(CHANGE_SET, STACK_ID, ()), say=lambda _: None)
    assert caught.value.found == SAID


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"])
def test_a_change_ends_well(stack, stub, status):
    """A stack that was made, changed, or took over what existed is read at once."""
    found = {"StackName": "s", "CreationTime": 0, "StackStatus": status}
    stub.add_response("execute_change_set", {})
    stub.add_response("describe_stacks", {"Stacks": [found]})
    stub.add_response("describe_stacks", {"Stacks": [found]})
    stub.add_response("get_template", {"TemplateBody": "{}"})
    assert stack.execute(ChangeSet(CHANGE_SET, STACK_ID, ()), say=lambda _: None).status == status


def test_a_change_without_an_end_is_not_waited_for_for_ever(stack, stub):
    """After half an hour the job ends and says how to look on; `meanwhile` was called until then."""
    looks = []
    stub.add_response("execute_change_set", {})
    for _ in range(901):
        found = {"StackName": "s", "CreationTime": 0, "StackStatus": "UPDATE_IN_PROGRESS"}
        stub.add_response("describe_stacks", {"Stacks": [found]})
    change = ChangeSet(CHANGE_SET, STACK_ID, ())
    with pytest.raises(DeployerError) as caught:
        stack.execute(change, say=lambda _: None, meanwhile=lambda: looks.append(1))
    assert caught.value.what == "stack `s` did not settle within 30 minutes"
    assert caught.value.found == "found UPDATE_IN_PROGRESS, expected an end"
    assert caught.value.hint.startswith("aws cloudformation describe-stack-events --stack-name s")
    assert len(looks) == 901


def test_what_a_deleted_stack_left_behind_is_told(stack, stub):
    """What CloudFormation retained when it deleted a first stack is named with the command that removes it."""
    rows = (
        ("s", "AWS::CloudFormation::Stack", STACK_ID, "DELETE_COMPLETE"),
        ("SourceBucket", "AWS::S3::Bucket", "s-source-123456789012", "DELETE_SKIPPED"),
        ("FirstVersion", "AWS::Lambda::Version", "arn:aws:lambda:::s:1", "DELETE_SKIPPED"),
        ("Table", "AWS::DynamoDB::Table", "s-table", "DELETE_SKIPPED"),
        ("Role", "AWS::IAM::Role", "s-role", "DELETE_COMPLETE"),
        ("Function", "AWS::Lambda::Function", "", "CREATE_FAILED"),
    )
    common = {"StackId": STACK_ID, "StackName": "s", "EventId": "1", "Timestamp": 0}
    events = [
        {**common, "LogicalResourceId": name, "ResourceType": kind, "ResourceStatus": status}
        | {"PhysicalResourceId": physical, "ResourceStatusReason": "boom" if "FAILED" in status else ""}
        for name, kind, physical, status in rows
    ]
    gone = {"StackName": "s", "CreationTime": 0, "StackStatus": "DELETE_COMPLETE"}
    stub.add_response("execute_change_set", {})
    stub.add_response("describe_stacks", {"Stacks": [gone]})
    # The reason stands on a later page: a stack has more events than one page takes.
    stub.add_response("describe_stack_events", {"StackEvents": events[:3], "NextToken": "more"})
    stub.add_response("describe_stack_events", {"StackEvents": events[3:]})
    with pytest.raises(DeployerError, match="failed and was deleted") as caught:
        stack.execute(ChangeSet(CHANGE_SET, STACK_ID, (), is_first=True), say=lambda _: None)
    assert caught.value.found.splitlines() == [
        "Function: boom",
        "left behind: AWS::DynamoDB::Table `s-table`",
        "left behind: AWS::S3::Bucket `s-source-123456789012`",
    ]
    assert caught.value.hint == (
        "delete AWS::DynamoDB::Table s-table in the console; "
        "aws s3 rb s3://s-source-123456789012; then release again"
    )


def test_a_right_that_a_stack_role_lacks_is_named(stack, stub):
    """What a handler of CloudFormation was denied is told with role, action, resource and the way to grant it."""
    role = "x-staging-stack-eu-central-1"
    reason = (
        f'Resource handler returned message: "User: arn:aws:sts::123456789012:assumed-role/{role}/AWSCloudFormation '
        "is not authorized to perform: s3:CreateBucket on resource: arn:aws:s3:::pictures because no "
        'identity-based policy allows the s3:CreateBucket action" (HandlerErrorCode: AccessDenied)'
    )
    event = {"StackId": STACK_ID, "StackName": "s", "EventId": "1", "Timestamp": 0}
    event |= {
        "LogicalResourceId": "Bucket",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": reason,
    }
    status = {"StackName": "s", "CreationTime": 0, "StackStatus": "UPDATE_ROLLBACK_COMPLETE"}
    stub.add_response("execute_change_set", {})
    stub.add_response("describe_stacks", {"Stacks": [status]})
    stub.add_response("describe_stack_events", {"StackEvents": [event]})
    with pytest.raises(DeployerError) as caught:
        stack.execute(ChangeSet(CHANGE_SET, STACK_ID, ()), say=lambda _: None)
    assert caught.value.found.splitlines()[0] == (
        f"found role `{role}` without `s3:CreateBucket` on `arn:aws:s3:::pictures`, "
        "no identity-based policy allows it, expected it granted"
    )
    assert caught.value.found.splitlines()[1].startswith("Bucket: Resource handler returned message")
    assert caught.value.hint == (
        "deployer bootstrap --env staging; section `stack` of infra/permissions.yaml, or the stack role in "
        "infra/bootstrap.yaml, must grant it; then release again"
    )


def test_every_page_of_a_change_set_is_read(stack, stub):
    """What a large change set touches may stand on a later page, the alias as well."""

    def page(name):
        change = {"Action": "Modify", "LogicalResourceId": name, "ResourceType": "AWS::Lambda::Alias"}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change}]}

    stub.add_response("create_change_set", CREATED)
    stub.add_response("describe_change_set", {**page("Function"), "NextToken": "more"})
    asked = {"ChangeSetName": CHANGE_SET, "StackName": "s", "NextToken": "more"}
    stub.add_response("describe_change_set", page("LiveAlias"), asked)
    proposed = stack.propose("template", {}, exists=True)
    assert proposed.resources == {"Function", "LiveAlias"}
    assert len(proposed.changes) == 2
