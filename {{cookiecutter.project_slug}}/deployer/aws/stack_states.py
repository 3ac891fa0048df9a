"""What a stack's status leaves one to do, what its events say, and what a failed one leaves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from deployer.errors import DeployerError, Exit

# What is true of a stack that takes no change, and which command makes the way free.
# Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_UNUSABLE = {
    "ROLLBACK_COMPLETE": ("its first deployment failed and was undone", "delete"),
    "ROLLBACK_FAILED": ("its first deployment failed and could not be undone", "delete"),
    "CREATE_FAILED": ("its first deployment failed and was left as it was", "delete"),
    "DELETE_FAILED": ("it was being deleted, and one of its resources could not be", "delete"),
    "UPDATE_ROLLBACK_FAILED": ("an update failed and could not be undone", "continue-update-rollback"),
}
_REFUSES = re.compile(r"is in ([A-Z_]+) state and can ?not be updated")
# The command that removes what outlived its stack; each refuses to remove what still has something in it.
_REMOVES = {
    "AWS::S3::Bucket": "aws s3 rb s3://{}",
    "AWS::ECR::Repository": "aws ecr delete-repository --repository-name {}",
    "AWS::Logs::LogGroup": "aws logs delete-log-group --log-group-name {}",
    "AWS::SQS::Queue": "aws sqs delete-queue --queue-url {}",
}
# They go with what they belong to.
_NOT_LEFT = frozenset({"AWS::Lambda::Version", "AWS::CloudFormation::Stack"})


def state_in_words(status: str) -> str | None:
    """Return why a stack in that status takes no change, or None when it takes one."""
    found = _UNUSABLE.get(status)
    return found[0] if found else None


def refusal(name: str, status: str) -> DeployerError | None:
    """Return the error for a stack that can take no change (exit 5), or None when it can."""
    if status not in _UNUSABLE:
        return None
    sentence, verb = _UNUSABLE[status]
    command = f"aws cloudformation {verb}{'-stack' if verb == 'delete' else ''} --stack-name {name}"
    then = "then release again" if verb == "delete" else "then re-run the job"
    return DeployerError(
        f"stack `{name}` takes no change: {sentence}",
        found=f"found {status}, expected a stack that was created or updated",
        hint=f"{command}, {then}; docs/runbook.md, section Stack",
        exit_code=Exit.REFUSED,
    )


def refused_status(text: str) -> str | None:
    """Return the status because of which CloudFormation refused a change, read from its own words."""
    match = _REFUSES.search(text)
    return match[1] if match else None


def validation_errors(events: Iterable[Mapping[str, Any]]) -> str:
    """Return one line for each failed validation of DescribeEvents: resource, reason, place in the template.

    A validation that only warns is left out.
    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html
    """
    lines = [
        f"{event.get('LogicalResourceId', 'template')}: {reason}{_at(event)}"
        for event in events
        if event.get("EventType") == "VALIDATION_ERROR" and event.get("ValidationFailureMode") != "WARN"
        for reason in [event.get("ValidationStatusReason")]
        if reason
    ]
    return "\n".join(dict.fromkeys(lines))


def _at(event: Mapping[str, Any]) -> str:
    path = event.get("ValidationPath")
    return f" (at {path})" if path else ""


def first_failure(events: Iterable[Mapping[str, Any]]) -> str:
    """Return resource and reason of what failed first; `events` are the newest first, as AWS gives them."""
    for event in reversed(list(events)):
        reason = event.get("ResourceStatusReason", "")
        if event.get("ResourceStatus", "").endswith("FAILED") and "cancelled" not in reason:
            return f"{event['LogicalResourceId']}: {reason}"
    return ""


def left_behind(events: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return what outlived a deleted stack: each as `TYPE NAME`, and the command that removes it.

    CloudFormation says DELETE_SKIPPED of a resource that it retains. One that has something in it is not
    removed by the command either.
    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
    """
    found: dict[str, str] = {}
    for event in events:
        kind, name = event.get("ResourceType", ""), event.get("PhysicalResourceId", "")
        if event.get("ResourceStatus") == "DELETE_SKIPPED" and name and kind not in _NOT_LEFT:
            found[f"{kind} `{name}`"] = _REMOVES.get(kind, f"delete {kind} {{}} in the console").format(name)
    return tuple(sorted(found.items()))
