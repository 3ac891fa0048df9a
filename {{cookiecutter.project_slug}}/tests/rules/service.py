"""What infra/service.yaml must be, as pure functions: a parsed template in, one sentence per finding out.

Each is shown to refuse a mutant in `test_service.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rules.templates import Rule, Template, as_list, grants, resources

ALIAS = {"Ref": "LiveAlias"}
SOURCE_BUCKET = {"Fn::Sub": "arn:${AWS::Partition}:s3:::${FunctionName}-source-${AWS::AccountId}"}
# Who may invoke what; a permission that is not here is one too many.
PERMISSIONS = {
    "SourceBucketPermission": {
        "FunctionName": ALIAS,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceAccount": {"Ref": "AWS::AccountId"},
        "SourceArn": SOURCE_BUCKET,
    },
    "GuardPermission": {
        "FunctionName": {"Ref": "GuardFunction"},
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
        "SourceArn": {"Ref": "RolloutTopic"},
    },
}
# Each role's ceiling in infra/bootstrap.yaml.
BOUNDARIES = {
    "FunctionRole": "boundary",
    "GuardRole": "guard-boundary",
    "ScheduleRole": "schedule-boundary",
    "RolloutRole": "rollout-boundary",
}
RESERVED = {"Function": {"Ref": "ReservedConcurrency"}, "GuardFunction": 1, "RolloutFunction": 1}
# What events arrive at, and where: S3 invokes the alias, SNS the guard as it is.
INVOKED_BY_EVENTS = (("Function", "live"), ("GuardFunction", "$LATEST"))
# They carry the deployer's own code, not the image.
OUR_OWN = ("GuardFunction", "RolloutFunction")
# They read, and know no resource or none that works.
UNSCOPED = {"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"}
CANARY_ALARMS = (
    "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${FunctionName}-canary-*"
)
MAX_INLINE_CHARACTERS = 20_000  # what is longer is no text to read beside a template
ALIAS_DIMENSIONS = {
    "FunctionName": {"Ref": "FunctionName"},
    "Resource": {"Fn::Sub": "${FunctionName}:live"},
}


def no_literal_image_or_version(template: Template) -> list[str]:
    """Require that image, alias version and description are parameters, filled from what is live."""
    problems = []
    for name, function in resources(template, "AWS::Lambda::Function").items():
        if name not in OUR_OWN and function["Code"] != {"ImageUri": {"Ref": "ImageUri"}}:
            problems.append(f"{name} runs {function['Code']}, expected the parameter ImageUri")
    if "Default" in template["Parameters"]["ImageUri"]:
        problems.append("ImageUri has a default")
    if not _only_digests(template["Parameters"]["ImageUri"].get("AllowedPattern", "")):
        problems.append("ImageUri may be a tag")
    for name, alias in resources(template, "AWS::Lambda::Alias").items():
        version = {
            "Fn::If": ["HasLiveVersion", {"Ref": "LiveVersion"}, {"Fn::GetAtt": ["FirstVersion", "Version"]}]
        }
        if alias["FunctionVersion"] != version:
            problems.append(f"{name} points at {alias['FunctionVersion']}, expected the live version")
        if alias.get("Description") != {"Ref": "LiveDescription"}:
            problems.append(f"{name} is described as {alias.get('Description')}, which erases the marker")
    return problems


def _only_digests(pattern: str) -> bool:
    digest = f"registry/x@sha256:{'0' * 64}"
    return not re.search(pattern, "registry/x:latest") and re.search(pattern, digest) is not None


def weights_are_not_declared(template: Template) -> list[str]:
    """Require that a stack update leaves the rollout's weights alone."""
    return [
        f"{name} declares RoutingConfig"
        for name, alias in resources(template, "AWS::Lambda::Alias").items()
        if "RoutingConfig" in alias
    ]


def versions_are_kept(template: Template) -> list[str]:
    """Require that CloudFormation never deletes a version: it may serve, or be the one to roll back to."""
    return _kept(template, "AWS::Lambda::Version", "Retain")


def buckets_are_kept(template: Template) -> list[str]:
    """Require that CloudFormation never deletes a bucket that held data."""
    return _kept(template, "AWS::S3::Bucket", "RetainExceptOnCreate")


def _kept(template: Template, type_: str, deletion: str) -> list[str]:
    return [
        f"{name} has {key} {template['Resources'][name].get(key, 'Delete')}, expected {value}"
        for name in resources(template, type_)
        for key, value in (("DeletionPolicy", deletion), ("UpdateReplacePolicy", "Retain"))
        if template["Resources"][name].get(key) != value
    ]


def only_ours_invoke(template: Template) -> list[str]:
    """Require that S3 may invoke the alias for our bucket of this account, and that SNS may the guard for our topic."""
    permissions = resources(template, "AWS::Lambda::Permission")
    problems = [] if "GuardPermission" in permissions else ["nobody may wake the guard"]
    return problems + [
        f"{name} has {key} {permission.get(key)}, expected {PERMISSIONS.get(name, {}).get(key)}"
        for name, permission in permissions.items()
        for key in sorted(permission.keys() | PERMISSIONS.get(name, {}).keys())
        if permission.get(key) != PERMISSIONS.get(name, {}).get(key)
    ]


def notifications_go_to_the_alias(template: Template) -> list[str]:
    """Require that a bucket's notifications go to the alias, and that the bucket waits for a permission of its own."""
    permissions = set(resources(template, "AWS::Lambda::Permission"))
    problems = []
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        told = bucket.get("NotificationConfiguration")
        if told is None:
            continue
        targets = [entry.get("Function") for entry in told.get("LambdaConfigurations", [])]
        if set(told) != {"LambdaConfigurations"} or any(target != ALIAS for target in targets):
            problems.append(f"{name}: notifications go to {told}")
        if not permissions & set(as_list(template["Resources"][name].get("DependsOn", []))):
            problems.append(f"{name} does not wait for its permission")
    return problems


def buckets_are_closed(template: Template) -> list[str]:
    """Require that each bucket is private, encrypted, TLS only, and drops incomplete uploads."""
    return [p for name in resources(template, "AWS::S3::Bucket") for p in _bucket(template, name)]


def _bucket(template: Template, name: str) -> Iterator[str]:
    bucket = template["Resources"][name]["Properties"]
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    if bucket.get("PublicAccessBlockConfiguration") != dict.fromkeys(blocks, True):
        yield f"{name} can become public"
    if "BucketEncryption" not in bucket:
        yield f"{name} is not encrypted"
    rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
    if not any("AbortIncompleteMultipartUpload" in r and r["Status"] == "Enabled" for r in rules):
        yield f"{name} keeps incomplete uploads"
    statements = [
        statement
        for policy in resources(template, "AWS::S3::BucketPolicy").values()
        if policy["Bucket"] == {"Ref": name}
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    tls = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Condition": tls}
    if not any(deny.items() <= statement.items() for statement in statements):
        yield f"{name} answers plain HTTP"
    yield from (f"{name} is opened by its policy" for s in statements if s["Effect"] == "Allow")


def originals_can_be_brought_back(template: Template) -> list[str]:
    """Require that a bucket whose objects are the only copy keeps old versions, and not for ever."""
    problems = []
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        if "NotificationConfiguration" in bucket:
            if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
                problems.append(f"{name} loses what is overwritten or deleted")
            rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
            kept = [r["NoncurrentVersionExpiration"] for r in rules if "NoncurrentVersionExpiration" in r]
            if not kept or any(rule["NoncurrentDays"] < 7 for rule in kept):
                problems.append(f"{name} keeps old versions by {kept}")
    return problems


def concurrency_is_reserved(template: Template) -> list[str]:
    """Require that a flood of events is bounded by deploy.toml, and cannot starve the guard."""
    return [
        f"{name} reserves {function.get('ReservedConcurrentExecutions', 'nothing')}"
        for name, function in resources(template, "AWS::Lambda::Function").items()
        if function.get("ReservedConcurrentExecutions")
        != {"Fn::If": ["ReservesConcurrency", RESERVED.get(name), {"Ref": "AWS::NoValue"}]}
    ]


def failed_events_are_kept(template: Template) -> list[str]:
    """Require that events that failed for good go from the alias to a queue: for two weeks, and encrypted."""
    configs = resources(template, "AWS::Lambda::EventInvokeConfig")
    found = {(c["FunctionName"].get("Ref"), c["Qualifier"]): c for c in configs.values()}
    problems = []
    for (function, qualifier), config in ({key: {} for key in INVOKED_BY_EVENTS} | found).items():
        target = config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if target != {"Fn::GetAtt": ["FailureQueue", "Arn"]}:
            problems.append(f"failed events of {function}:{qualifier} go to {target}")
    queue = resources(template, "AWS::SQS::Queue").get("FailureQueue", {})
    if queue.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in queue:
        problems.append("FailureQueue is not encrypted")
    kept_s = queue.get("MessageRetentionPeriod", 345600)
    if kept_s != 1209600:
        problems.append(f"FailureQueue keeps events for {kept_s} s, expected 1209600")
    return problems


def logs_expire(template: Template) -> list[str]:
    """Require that the function logs to the group made here, which forgets."""
    groups = resources(template, "AWS::Logs::LogGroup")
    problems = [f"{name} keeps logs for ever" for name, g in groups.items() if "RetentionInDays" not in g]
    for name, function in resources(template, "AWS::Lambda::Function").items():
        if function.get("LoggingConfig", {}).get("LogGroup") not in [{"Ref": group} for group in groups]:
            problems.append(f"{name} logs to a group that is not made here")
    return problems


def alarms_watch_the_alias(template: Template) -> list[str]:
    """Require that every alarm sees the alias alone, never reads no data as OK, and stops a rollout."""
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    problems = [] if alarms else ["there is no alarm"]
    for name, alarm in alarms.items():
        dimensions = {d["Name"]: d["Value"] for d in alarm.get("Dimensions", [])}
        if dimensions != ALIAS_DIMENSIONS:
            problems.append(f"{name} watches {dimensions}, expected {ALIAS_DIMENSIONS}")
        if alarm.get("TreatMissingData") != "missing":
            problems.append(f"{name} reads missing data as {alarm.get('TreatMissingData')}")
        if "Metrics" in alarm:
            problems.append(f"{name} uses metric math, which the local AWS refuses")
    names = template["Outputs"]["AlarmNames"]["Value"]
    if names != {"Fn::Join": [",", [{"Ref": name} for name in alarms]]}:
        problems.append(f"AlarmNames is {names}, expected every alarm")
    return problems


def function_has_few_rights(template: Template) -> list[str]:
    """Require that each role lists actions, on resources of its own, below its ceiling."""
    policy = "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/${FunctionName}-"
    problems = [
        f"{name} has no boundary"
        for name, role in resources(template, "AWS::IAM::Role").items()
        if role.get("PermissionsBoundary") != {"Fn::Sub": f"{policy}{BOUNDARIES.get(name)}-${{AWS::Region}}"}
        or "ManagedPolicyArns" in role
    ]
    for grant in grants(template):
        problems += [f"{grant.holder} allows {a}" for a in grant.actions if "*" in a or a.startswith("iam:")]
        problems += [
            f"{grant.holder} allows {grant.actions[0]} on {r}"
            for r in grant.resources
            if not _is_ours(r) and not (r == "*" and set(grant.actions) <= UNSCOPED)
        ]
        source = SOURCE_BUCKET["Fn::Sub"]
        if "s3:PutObject" in grant.actions and any(source in str(r) for r in grant.resources):
            problems.append(f"{grant.holder} may write to its own source")
    return problems


def one_service_assumes_each_role_for_this_account(template: Template) -> list[str]:
    """Require that each role is Lambda's to assume, the schedule's the scheduler's, and for this account only.

    Lambda does not always say for which account it acts, the scheduler does.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html,
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    of_account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    problems = []
    for name, role in resources(template, "AWS::IAM::Role").items():
        is_schedule = name == "ScheduleRole"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "scheduler.amazonaws.com" if is_schedule else "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals" if is_schedule else "StringEqualsIfExists": of_account},
        }
        if role["AssumeRolePolicyDocument"]["Statement"] != [trust]:
            problems.append(f"{name} trusts {role['AssumeRolePolicyDocument']['Statement']}")
    return problems


def guard_only_moves_the_alias(template: Template) -> list[str]:
    """Require that the guard is small, hears of our topic only, and may move one alias and tell its failure."""
    function = {
        "Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${FunctionName}"
    }
    granted = [(g.actions, g.resources) for g in grants(template) if g.holder == "GuardRole"]
    beyond_logs = [(a, r) for a, r in granted if not all(action.startswith("logs:") for action in a)]
    problems = []
    if beyond_logs != [
        (("lambda:GetAlias", "lambda:UpdateAlias"), (function,)),
        (("cloudwatch:DeleteAlarms",), ({"Fn::Sub": CANARY_ALARMS},)),
        (("sqs:SendMessage",), ({"Fn::GetAtt": ["FailureQueue", "Arn"]},)),
    ]:
        problems.append(f"the guard may {beyond_logs}")
    guard = template["Resources"]["GuardFunction"]["Properties"]
    length = len(guard["Code"].get("ZipFile", ""))
    if not 0 < length <= MAX_INLINE_CHARACTERS:
        problems.append(f"the guard has {length} characters inline")
    listeners = template["Resources"]["RolloutTopic"]["Properties"].get("Subscription", [])
    if listeners != [{"Protocol": "lambda", "Endpoint": {"Fn::GetAtt": ["GuardFunction", "Arn"]}}]:
        problems.append(f"the topic's listeners are {listeners}")
    return problems


def rollout_function_only_rolls_out(template: Template) -> list[str]:
    """Require that the durable driver exists when chosen only, and may neither deploy code nor invoke it."""
    problems = [
        f"{name} is made under {resource.get('Condition', 'every driver')}"
        for name, resource in template["Resources"].items()
        if name in ("RolloutFunction", "RolloutRole", "RolloutLogGroup")
        and resource.get("Condition") != "IsDrivenByDurable"
    ]
    granted = {a for g in grants(template) if g.holder == "RolloutRole" for a in g.actions}
    allowed = UNSCOPED | {
        "logs:CreateLogStream", "logs:PutLogEvents", "lambda:CheckpointDurableExecution",
        "lambda:GetDurableExecutionState", "lambda:GetAlias", "lambda:UpdateAlias",
        "lambda:DeleteProvisionedConcurrencyConfig", "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "sns:Publish",
    }  # fmt: skip
    problems += [f"RolloutRole allows {action}" for action in sorted(granted - allowed)]
    durable = template["Resources"]["RolloutFunction"]["Properties"].get("DurableConfig", {})
    if not durable.get("ExecutionTimeout"):
        problems.append("RolloutFunction is not durable")
    return problems


def only_our_alarms_publish(template: Template) -> list[str]:
    """Require that CloudWatch may publish to the topic for alarms of this function, and nobody else may."""
    arn = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${FunctionName}-*"
    expected = {
        "Sid": "AlarmsPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "RolloutTopic"},
        "Condition": {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
            "ArnLike": {"aws:SourceArn": {"Fn::Sub": arn}},
        },
    }
    policies = resources(template, "AWS::SNS::TopicPolicy")
    allowed = [
        statement
        for policy in policies.values()
        if {"Ref": "RolloutTopic"} in policy["Topics"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    problems = [] if expected in allowed else ["no alarm may publish"]
    return problems + [
        f"{name} allows {statement}"
        for name, policy in policies.items()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement != expected
    ]


def _is_ours(resource: Any) -> bool:
    match resource:
        case {"Fn::Sub": str(arn)}:
            return "${FunctionName}" in arn and "*" not in arn.partition("${FunctionName}")[0]
        case {"Fn::GetAtt": ["FailureQueue", "Arn"]}:
            return True
    return False


RULES: tuple[Rule, ...] = (
    no_literal_image_or_version,
    weights_are_not_declared,
    versions_are_kept,
    buckets_are_kept,
    only_ours_invoke,
    notifications_go_to_the_alias,
    buckets_are_closed,
    originals_can_be_brought_back,
    concurrency_is_reserved,
    failed_events_are_kept,
    logs_expire,
    alarms_watch_the_alias,
    function_has_few_rights,
    one_service_assumes_each_role_for_this_account,
    guard_only_moves_the_alias,
    rollout_function_only_rolls_out,
    only_our_alarms_publish,
)
