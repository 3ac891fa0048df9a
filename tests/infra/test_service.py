"""infra/service.yaml keeps every rule of `rules/service.py`, and every rule refuses a mutant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rules import service as rules
from rules.templates import BOOTSTRAP, PERMISSIONS, SERVICE, Rule, grants, merged, parse, resources, text


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_service_keeps_the_rule(rule: Rule) -> None:
    """The template as it is breaks no rule."""
    assert rule(merged(SERVICE)) == []


@dataclass(frozen=True)
class Mutant:
    """One edit that makes the template worse, and the finding it must cause."""

    rule: Rule
    old: str
    new: str
    finding: str
    file: str = SERVICE


SOURCE_ARN = "arn:${AWS::Partition}:s3:::${FunctionName}-source-${AWS::AccountId}"

MUTANTS = {
    "the image is written down": Mutant(
        rules.no_literal_image_or_version,
        "ImageUri: !Ref ImageUri",
        "ImageUri: 123.dkr.ecr.eu-central-1.amazonaws.com/x:latest",
        "Function runs",
    ),
    "the image may be a tag": Mutant(
        rules.no_literal_image_or_version,
        "    AllowedPattern: ^[^@\\s]+@sha256:[0-9a-f]{64}$\n",
        "",
        "ImageUri may be a tag",
    ),
    "the image has a default": Mutant(
        rules.no_literal_image_or_version,
        "    AllowedPattern: ^[^@\\s]+@sha256:[0-9a-f]{64}$\n",
        "    Default: x\n",
        "ImageUri has a default",
    ),
    "every update goes back to the first version": Mutant(
        rules.no_literal_image_or_version,
        "!If [HasLiveVersion, !Ref LiveVersion, !GetAtt FirstVersion.Version]",
        "!GetAtt FirstVersion.Version",
        "LiveAlias points at",
    ),
    "every update erases the marker": Mutant(
        rules.no_literal_image_or_version,
        "      Description: !Ref LiveDescription\n",
        "",
        "which erases the marker",
    ),
    "every update clears the weights": Mutant(
        rules.weights_are_not_declared,
        "      Description: !Ref LiveDescription\n",
        "      RoutingConfig: {AdditionalVersionWeights: []}\n",
        "LiveAlias declares RoutingConfig",
    ),
    "the first version is deleted": Mutant(
        rules.versions_are_kept,
        "    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n",
        "",
        "FirstVersion has DeletionPolicy Delete",
    ),
    "pictures are deleted with the stack": Mutant(
        rules.buckets_are_kept,
        "    DeletionPolicy: RetainExceptOnCreate\n",
        "",
        "ResizedBucket has DeletionPolicy Delete",
    ),
    "buckets of other accounts invoke": Mutant(
        rules.only_ours_invoke,
        "      SourceAccount: !Ref AWS::AccountId\n",
        "",
        "SourceBucketPermission has SourceAccount None",
    ),
    "any bucket invokes": Mutant(
        rules.only_ours_invoke,
        f"      SourceArn: !Sub {SOURCE_ARN}\n",
        "",
        "SourceBucketPermission has SourceArn None",
    ),
    "the permission is on the function": Mutant(
        rules.only_ours_invoke,
        "      FunctionName: !Ref LiveAlias",
        "      FunctionName: !Ref Function",
        "SourceBucketPermission has FunctionName {'Ref': 'Function'}",
    ),
    "events bypass the alias": Mutant(
        rules.notifications_go_to_the_alias,
        "Function: !Ref LiveAlias",
        "Function: !GetAtt Function.Arn",
        "notifications go",
    ),
    "the bucket does not wait": Mutant(
        rules.notifications_go_to_the_alias,
        "    DependsOn: SourceBucketPermission\n",
        "",
        "does not wait",
    ),
    "a bucket may become public": Mutant(
        rules.buckets_are_closed,
        "BlockPublicPolicy: true",
        "BlockPublicPolicy: false",
        "SourceBucket can become public",
    ),
    "a bucket is not encrypted": Mutant(
        rules.buckets_are_closed, "      BucketEncryption:", "      X:", "ResizedBucket is not encrypted"
    ),
    "incomplete uploads stay": Mutant(
        rules.buckets_are_closed,
        "Status: Enabled",
        "Status: Disabled",
        "SourceBucket keeps incomplete uploads",
    ),
    "a bucket answers plain HTTP": Mutant(
        rules.buckets_are_closed,
        'aws:SecureTransport: "false"',
        'aws:SecureTransport: "true"',
        "answers plain HTTP",
    ),
    "a bucket policy opens": Mutant(
        rules.buckets_are_closed, "Effect: Deny", "Effect: Allow", "ResizedBucket is opened by its policy"
    ),
    "concurrency is not bounded": Mutant(
        rules.concurrency_is_reserved,
        "      ReservedConcurrentExecutions: !If [ReservesConcurrency, "
        "!Ref ReservedConcurrency, !Ref AWS::NoValue]\n",
        "",
        "Function reserves nothing",
    ),
    "failed events are dropped": Mutant(
        rules.failed_events_are_kept, "OnFailure:", "OnSuccess:", "failed events of Function:live go to None"
    ),
    "failed events of the alias are dropped": Mutant(
        rules.failed_events_are_kept,
        "Qualifier: live",
        "Qualifier: $LATEST",
        "events of Function:live go to None",
    ),
    "nobody hears that the guard failed": Mutant(
        rules.failed_events_are_kept,
        "      FunctionName: !Ref GuardFunction\n      Qualifier: $LATEST\n",
        "      FunctionName: !Ref RolloutFunction\n      Qualifier: $LATEST\n",
        "failed events of GuardFunction:$LATEST go to None",
    ),
    "a guard that failed wakes itself": Mutant(
        rules.failed_events_are_kept,
        "      MaximumEventAgeInSeconds: 3600\n      DestinationConfig:\n        OnFailure:\n"
        "          Destination: !GetAtt FailureQueue.Arn\n",
        "      MaximumEventAgeInSeconds: 3600\n      DestinationConfig:\n        OnFailure:\n"
        "          Destination: !Ref RolloutTopic\n",
        "failed events of GuardFunction:$LATEST go to {'Ref': 'RolloutTopic'}",
    ),
    "the guard may not tell its failure": Mutant(
        rules.guard_only_moves_the_alias,
        "                Action: sqs:SendMessage\n",
        "                Action: sqs:ReceiveMessage\n",
        "the guard may",
    ),
    "failed events are kept for four days": Mutant(
        rules.failed_events_are_kept,
        "      MessageRetentionPeriod: 1209600\n",
        "",
        "FailureQueue keeps events for 345600 s, expected 1209600",
    ),
    "failed events are readable on the disk": Mutant(
        rules.failed_events_are_kept,
        "      SqsManagedSseEnabled: true\n",
        "",
        "FailureQueue is not encrypted",
    ),
    "an overwritten original is gone": Mutant(
        rules.originals_can_be_brought_back,
        "      VersioningConfiguration:\n        Status: Enabled\n",
        "",
        "SourceBucket loses what is overwritten",
    ),
    "versions are no longer kept": Mutant(
        rules.originals_can_be_brought_back,
        "      VersioningConfiguration:\n        Status: Enabled\n",
        "      VersioningConfiguration:\n        Status: Suspended\n",
        "SourceBucket loses what is overwritten",
    ),
    "old versions are paid for without end": Mutant(
        rules.originals_can_be_brought_back,
        "            NoncurrentVersionExpiration:\n              NoncurrentDays: 30\n",
        "",
        "SourceBucket keeps old versions by []",
    ),
    "old versions are gone after a day": Mutant(
        rules.originals_can_be_brought_back, "NoncurrentDays: 30", "NoncurrentDays: 1", "SourceBucket keeps"
    ),
    "Lambda acts for functions of other accounts": Mutant(
        rules.one_service_assumes_each_role_for_this_account,
        "              StringEqualsIfExists:\n                aws:SourceAccount: !Ref AWS::AccountId\n",
        '              StringEqualsIfExists:\n                aws:SourceAccount: "123456789012"\n',
        "FunctionRole trusts",
    ),
    "the account is a pattern": Mutant(
        rules.one_service_assumes_each_role_for_this_account,
        "              StringEqualsIfExists:\n                aws:SourceAccount: !Ref AWS::AccountId\n",
        '              StringLike:\n                aws:SourceAccount: "*"\n',
        "GuardRole trusts",
    ),
    "another service assumes the function's role": Mutant(
        rules.one_service_assumes_each_role_for_this_account,
        "              Service: lambda.amazonaws.com\n",
        "              Service: [lambda.amazonaws.com, ec2.amazonaws.com]\n",
        "RolloutRole trusts",
    ),
    "logs stay for ever": Mutant(
        rules.logs_expire,
        "      RetentionInDays: !Ref LogRetentionDays\n",
        "",
        "LogGroup keeps logs for ever",
    ),
    "the function logs elsewhere": Mutant(
        rules.logs_expire,
        "LogGroup: !Ref LogGroup",
        "LogGroup: /aws/lambda/other",
        "Function logs to a group",
    ),
    "alarms see probes too": Mutant(
        rules.alarms_watch_the_alias,
        "        - Name: Resource\n          Value: !Sub ${FunctionName}:live\n",
        "",
        "ErrorsAlarm watches",
    ),
    "no data is healthy": Mutant(
        rules.alarms_watch_the_alias,
        "TreatMissingData: missing",
        "TreatMissingData: notBreaching",
        "as notBreaching",
    ),
    "the rollout does not know an alarm": Mutant(
        rules.alarms_watch_the_alias,
        '!Join [",", [!Ref ErrorsAlarm, !Ref ThrottlesAlarm]]',
        "!Ref ErrorsAlarm",
        "expected every alarm",
    ),
    "the function's role has no ceiling": Mutant(
        rules.function_has_few_rights,
        "      PermissionsBoundary: !Sub",
        "      X: !Sub",
        "FunctionRole has no boundary",
    ),
    "the function does anything in S3": Mutant(
        rules.function_has_few_rights,
        "Action: s3:PutObject",
        "Action: s3:*",
        "FunctionRole allows s3:*",
        PERMISSIONS,
    ),
    "the function reads every bucket": Mutant(
        rules.function_has_few_rights,
        f"- s3:GetObjectVersion\n    Resource: {SOURCE_ARN}/*",
        '- s3:GetObjectVersion\n    Resource: "*"',
        "FunctionRole allows s3:GetObject on *",
        PERMISSIONS,
    ),
    "the function writes to its own source": Mutant(
        rules.function_has_few_rights,
        "- s3:GetObject\n",
        "- s3:PutObject\n",
        "FunctionRole may write to its own source",
        PERMISSIONS,
    ),
    "the guard's role has no ceiling": Mutant(
        rules.function_has_few_rights,
        "policy/${FunctionName}-guard-boundary-${AWS::Region}",
        "policy/${FunctionName}-boundary-${AWS::Region}",
        "GuardRole has no boundary",
    ),
    "anybody's topic wakes the guard": Mutant(
        rules.only_ours_invoke,
        "      Principal: sns.amazonaws.com\n      SourceArn: !Ref RolloutTopic\n",
        "      Principal: sns.amazonaws.com\n",
        "GuardPermission has SourceArn None",
    ),
    "no topic wakes the guard": Mutant(
        rules.only_ours_invoke,
        "  GuardPermission:\n    Type: AWS::Lambda::Permission\n",
        "  GuardPermission:\n    Type: AWS::CloudFormation::WaitConditionHandle\n",
        "nobody may wake the guard",
    ),
    "alarms publish to another topic": Mutant(
        rules.only_our_alarms_publish,
        "      Topics: [!Ref RolloutTopic]\n",
        "      Topics: [!Ref OtherTopic]\n",
        "no alarm may publish",
    ),
    "a flood starves the guard": Mutant(
        rules.concurrency_is_reserved,
        "      ReservedConcurrentExecutions: !If [ReservesConcurrency, 1, !Ref AWS::NoValue]\n",
        "",
        "GuardFunction reserves nothing",
    ),
    "the guard changes code": Mutant(
        rules.guard_only_moves_the_alias,
        "                  - lambda:GetAlias\n                  - lambda:UpdateAlias\n",
        "                  - lambda:GetAlias\n                  - lambda:UpdateFunctionCode\n",
        "the guard may",
    ),
    "the guard moves every alias": Mutant(
        rules.guard_only_moves_the_alias,
        ":function:${FunctionName}\n",
        ":function:*\n",
        "the guard may",
    ),
    "the guard does not fit": Mutant(
        rules.guard_only_moves_the_alias,
        "          import json\n",
        "          # " + "x" * 20_000 + "\n          import json\n",
        "characters inline",
    ),
    "the guard does not hear": Mutant(
        rules.guard_only_moves_the_alias,
        "        - Protocol: lambda\n          Endpoint: !GetAtt GuardFunction.Arn\n",
        "        []\n",
        "the topic's listeners are []",
    ),
    "alarms of other accounts publish": Mutant(
        rules.only_our_alarms_publish,
        "                aws:SourceAccount: !Ref AWS::AccountId\n              ArnLike:",
        '                aws:SourceAccount: "123456789012"\n              ArnLike:',
        "RolloutTopicPolicy allows",
    ),
    "everybody publishes": Mutant(
        rules.only_our_alarms_publish,
        "              Service: cloudwatch.amazonaws.com",
        '              AWS: "*"',
        "RolloutTopicPolicy allows",
    ),
    "every driver gets a durable function": Mutant(
        rules.rollout_function_only_rolls_out,
        "  RolloutFunction:\n    Type: AWS::Lambda::Function\n    Condition: IsDrivenByDurable\n",
        "  RolloutFunction:\n    Type: AWS::Lambda::Function\n",
        "RolloutFunction is made under every driver",
    ),
    "the durable driver deploys code": Mutant(
        rules.rollout_function_only_rolls_out,
        "                  - cloudwatch:PutMetricAlarm\n",
        "                  - lambda:UpdateFunctionCode\n",
        "RolloutRole allows lambda:UpdateFunctionCode",
    ),
    "the durable driver is not durable": Mutant(
        rules.rollout_function_only_rolls_out,
        "        ExecutionTimeout: 2592000\n",
        "",
        "RolloutFunction is not durable",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_rule_refuses_the_mutant(mutant: Mutant) -> None:
    """A rule finds the template that breaks it, and says where."""
    original = text(mutant.file)
    assert mutant.old in original
    changed = {mutant.file.removesuffix(".yaml"): original.replace(mutant.old, mutant.new)}
    findings = mutant.rule(merged(SERVICE, **changed))
    assert any(mutant.finding in finding for finding in findings), findings


def test_a_queue_of_the_owner_may_forget() -> None:
    """How long a queue of one's own keeps messages is the owner's to say."""
    queue = "  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      MessageRetentionPeriod: 60\n"
    changed = text(SERVICE).replace("  # End: resources\n", f"{queue}  # End: resources\n")
    template = merged(SERVICE, service=changed)
    assert "Queue" in template["Resources"]
    assert rules.failed_events_are_kept(template) == []


def test_every_rule_has_a_mutant() -> None:
    """No rule passes unproven."""
    assert {mutant.rule for mutant in MUTANTS.values()} == set(rules.RULES)


CEILINGS = [
    ("Boundary", "FunctionRole"),
    ("GuardBoundary", "GuardRole"),
    ("RolloutBoundary", "RolloutRole"),
]


def ceiling_differs(ceiling: str, role: str, **changed: str) -> set[tuple[str, str]]:
    """Return each action and resource that the role is granted and its boundary forbids, or the other way round."""
    ours = "${FunctionName}-${Environment}"
    queue = parse(text(SERVICE))["Resources"]["FailureQueue"]["Properties"]["QueueName"]["Fn::Sub"]
    arn = {"Fn::Sub": f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{queue}"}
    in_words = {str({"Fn::GetAtt": ["FailureQueue", "Arn"]}): str(arn)}
    granted = {
        (action, in_words.get(str(resource), str(resource)).replace("${FunctionName}", ours))
        for grant in grants(merged(SERVICE, **changed))
        if grant.holder == role
        for action in grant.actions
        for resource in grant.resources
    }
    allowed = {
        (action, str(resource))
        for grant in grants(merged(BOOTSTRAP, **changed))
        if grant.holder == ceiling
        for action in grant.actions
        for resource in grant.resources
    }
    assert granted
    return granted ^ allowed


@pytest.mark.parametrize(("ceiling", "role"), CEILINGS, ids=[role for _, role in CEILINGS])
def test_ceiling_is_what_the_role_is_granted(ceiling: str, role: str) -> None:
    """Each boundary allows what the role below it is granted, and nothing more."""
    assert ceiling_differs(ceiling, role) == set()


@pytest.mark.parametrize(("ceiling", "role"), CEILINGS, ids=[role for _, role in CEILINGS])
def test_a_ceiling_that_is_too_high_is_found(ceiling: str, role: str) -> None:
    """A boundary that allows more than the role below it is granted is told."""
    log = "              - logs:PutLogEvents\n"
    head, mark, rest = text(BOOTSTRAP).partition(f"  {ceiling}:\n    Type: AWS::IAM::ManagedPolicy\n")
    higher = head + mark + rest.replace(log, f"{log}              - logs:DeleteLogGroup\n", 1)
    assert {action for action, _ in ceiling_differs(ceiling, role, bootstrap=higher)} == {
        "logs:DeleteLogGroup"
    }


def test_a_right_beside_the_permissions_is_found() -> None:
    """A right that is written into service.yaml alone is above the ceiling, where it is worth nothing."""
    alone = "              # Lambda sends to the on-failure destination with the function's own role.\n"
    statement = (
        "              - {Effect: Allow, Action: s3:DeleteObject, Resource: !Sub 'x/${FunctionName}'}\n"
    )
    assert alone in text(SERVICE)
    changed = text(SERVICE).replace(alone, statement + alone)
    found = ceiling_differs("Boundary", "FunctionRole", service=changed)
    assert [action for action, _ in found] == ["s3:DeleteObject"]


def test_a_ceiling_that_lacks_a_right_is_found() -> None:
    """A boundary that forbids what the role is granted is told, whichever of the two was changed."""
    send = "Action: sqs:SendMessage"
    assert text(BOOTSTRAP).count(send) == 2
    changed = text(BOOTSTRAP).replace(send, "Action: sqs:ReceiveMessage")
    found = ceiling_differs("Boundary", "FunctionRole", bootstrap=changed)
    assert {action for action, _ in found} == {"sqs:SendMessage", "sqs:ReceiveMessage"}


def test_a_right_of_the_permissions_reaches_role_and_ceiling() -> None:
    """A right that is added to permissions.yaml is granted and allowed, in both environments."""
    added = "function:\n  - {Action: dynamodb:PutItem, Resource: 'table/${FunctionName}'}\n"
    changed = text(PERMISSIONS).replace("function:\n", added)
    granted = [g for g in grants(merged(SERVICE, permissions=changed)) if "dynamodb:PutItem" in g.actions]
    allowed = [g for g in grants(merged(BOOTSTRAP, permissions=changed)) if "dynamodb:PutItem" in g.actions]
    assert [(g.holder, g.resources) for g in granted] == [
        ("FunctionRole", ({"Fn::Sub": "table/${FunctionName}"},))
    ]
    assert [(g.holder, g.resources) for g in allowed] == [
        ("Boundary", ({"Fn::Sub": "table/${FunctionName}-${Environment}"},))
    ]
    assert ceiling_differs("Boundary", "FunctionRole", permissions=changed) == set()


def test_no_right_of_the_sample_is_in_the_templates() -> None:
    """Without permissions.yaml the function has its log and its queue, and the stack role makes no bucket."""
    for name in (SERVICE, BOOTSTRAP):
        actions = {a for grant in grants(parse(text(name))) for a in grant.actions}
        assert not {a for a in actions if a.startswith("s3:")}, name


def test_names_fit_what_is_made_of_them() -> None:
    """The longest name allowed still makes legal names of an environment, its roles and its buckets."""
    longest = parse(text(BOOTSTRAP))["Parameters"]["FunctionName"]["MaxLength"]
    of_environment = parse(text(SERVICE))["Parameters"]["FunctionName"]["MaxLength"]
    function = "n" * longest + "-production"
    assert len(function) == of_environment
    assert len(f"{function}-resized-000000000000") <= 63  # S3's limit
    assert len(f"{function}-guard") <= 64  # Lambda's limit for a function
    # IAM's limit for a role, with the longest region there is.
    words = [
        role.removesuffix("Role").lower()
        for name in (BOOTSTRAP, SERVICE)
        for role in resources(parse(text(name)), "AWS::IAM::Role")
    ]
    assert {"function", "rollback", "stack"} <= set(words)
    assert max(len(f"{function}-{word}-ap-southeast-1") for word in words) == 64
