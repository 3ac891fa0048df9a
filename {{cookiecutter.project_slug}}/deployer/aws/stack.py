"""A CloudFormation stack, changed by change sets only. Shell: talks through the client `aws` made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deployer.aws import denied, stack_states
from deployer.aws.client import Aws
from deployer.aws.errors import translated
from deployer.aws.observed import StackState
from deployer.clock import Clock
from deployer.context import Context
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_POLL_S = 2.0
_TIMEOUT_S = 1800.0
_DELETION_STARTS_WITHIN_S = 60.0
# The last when a change set took over a resource that existed.
_ENDS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE")
_DELETION_ENDS = {
    "DELETE_COMPLETE": "failed and was deleted",
    "DELETE_FAILED": "failed and could not be deleted",
}
_NO_CHANGE = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class ChangeSet:
    """What CloudFormation would do, one line per resource; `is_first` when it creates the stack.

    `resources` are the logical names of what it touches. It touches nothing else, also when it rolls back.
    """

    id: str
    stack_id: str
    changes: tuple[str, ...]
    is_first: bool = False
    resources: frozenset[str] = frozenset()


class Stack:
    """One stack by name. Waiting uses real time: AWS's own pace cannot be compressed."""

    def __init__(self, client: CloudFormationClient, name: str, clock: Clock) -> None:
        self._client = client
        self.name = name
        self.is_under_review = False
        self._clock = clock

    def read(self) -> StackState | None:
        """Return the stack as it is, or None when there is none.

        One that is only under review has no resource: a change set of it failed or was never carried out.
        It counts as none and sets `is_under_review`; the next creation goes on with it.
        """
        try:
            with translated(f"reading stack `{self.name}`"):
                found = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        except DeployerError as error:
            if _says_missing(error):
                return None
            raise
        self.is_under_review = found["StackStatus"] == "REVIEW_IN_PROGRESS"
        if found["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
            return None
        with translated(f"reading the template of `{self.name}`"):
            body: Any = self._client.get_template(StackName=self.name, TemplateStage="Original")[
                "TemplateBody"
            ]
        return StackState(
            status=found["StackStatus"],
            template=body,  # botocore gives JSON as a dict, and YAML as the text it is
            parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])},
            outputs={o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])},
        )

    def propose(
        self,
        template: str,
        parameters: Mapping[str, str],
        *,
        exists: bool,
        role_arn: str | None = None,
        takes_over: bool = False,
    ) -> ChangeSet | None:
        """Create a change set and wait for it; None when CloudFormation finds nothing to change.

        With `takes_over`, what an earlier stack kept when it was deleted becomes this stack's, by its name.
        A first creation that fails is deleted: a stack left in ROLLBACK_COMPLETE refuses every change.
        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
        Raises DeployerError when the template or a parameter is refused; exit 5 when the stack itself is in
        a state in which it takes no change.
        """
        # After the stack: a right to a change set can name nothing else of it.
        name = f"{self.name}-{int(self._clock.now() * 1000)}"
        options: Any = {"RoleARN": role_arn} if role_arn else {}
        if not exists:
            options["OnStackFailure"] = "DELETE"
        if takes_over:
            options["ImportExistingResources"] = True
        try:
            with translated(f"proposing a change of stack `{self.name}`"):
                created = self._client.create_change_set(
                    StackName=self.name,
                    ChangeSetName=name,
                    ChangeSetType="UPDATE" if exists else "CREATE",
                    TemplateBody=template,
                    Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
                    Capabilities=["CAPABILITY_NAMED_IAM"],
                    **options,
                )
        except DeployerError as error:
            status = stack_states.refused_status(error.found or "")
            raise (stack_states.refusal(self.name, status or "") or error) from error
        described = self._poll_change_set(created["Id"])
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "")
            is_empty = any(text in reason for text in _NO_CHANGE)
            found = "" if is_empty else self._why_invalid(reason, ChangeSetName=created["Id"])
            self._discard(created["Id"])
            if is_empty:
                return None
            raise DeployerError(
                f"CloudFormation refuses the change of stack `{self.name}`",
                found=found,
                hint="cfn-lint infra/service.yaml infra/bootstrap.yaml",
            )
        changes = self._changes(created["Id"], described)
        return ChangeSet(
            created["Id"],
            created["StackId"],
            tuple(_line(change) for change in changes),
            is_first=not exists,
            resources=frozenset(change["ResourceChange"]["LogicalResourceId"] for change in changes),
        )

    def _changes(self, identifier: str, first: Any) -> list[Any]:
        """Return the changes of all pages, of which `first` is the first.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html
        """
        changes, page = list(first.get("Changes", [])), first
        while token := page.get("NextToken"):
            with translated("reading the change set"):
                page = self._client.describe_change_set(
                    ChangeSetName=identifier, StackName=self.name, NextToken=token
                )
            changes += page.get("Changes", [])
        return changes

    def discard(self, change_set: ChangeSet) -> None:
        """Delete a change set that is not to be carried out."""
        self._discard(change_set.id)

    def _discard(self, identifier: str) -> None:
        with translated("discarding the change set"):
            self._client.delete_change_set(ChangeSetName=identifier, StackName=self.name)

    def _why_invalid(self, reason: str, **which: Any) -> str:
        """Return what CloudFormation's validation found before it changed anything; else `reason`.

        The answers to other calls only say that DescribeEvents knows.
        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html
        """
        try:
            with translated("asking CloudFormation for its reasons"):
                events = self._client.describe_events(Filters={"FailedEvents": True}, **which)
        except DeployerError as error:
            return "\n".join(filter(None, [reason, error.what, error.found]))
        return stack_states.validation_errors(events.get("OperationEvents", [])) or reason

    def execute(
        self,
        change_set: ChangeSet,
        *,
        say: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> StackState:
        """Carry a change set out, wait for the end (at most 30 minutes) and return the stack.

        `meanwhile` is called each time before the stack's status is read, every two seconds.
        Raises DeployerError with CloudFormation's first reason when it rolled back or deleted the stack.
        """
        with translated(f"changing stack `{self.name}`"):
            self._client.execute_change_set(ChangeSetName=change_set.id, StackName=self.name)
        waited_s, told, told_s = 0.0, "", 0.0
        while waited_s <= _TIMEOUT_S:
            meanwhile()
            status, reason = self._status(change_set.stack_id)
            if status != told:
                say(f"stack {self.name}: {status}")
                told, told_s = status, waited_s
            if status in _ENDS:
                state = self.read()
                if state is not None:
                    return state
            if status in _DELETION_ENDS:
                raise self._failure(change_set, status, reason)
            # A first stack may show for a moment that it failed before CloudFormation deletes it.
            awaits_deletion = change_set.is_first and waited_s - told_s < _DELETION_STARTS_WITHIN_S
            if status.endswith(("ROLLBACK_COMPLETE", "FAILED")) and not awaits_deletion:
                raise self._failure(change_set, status, reason)
            self._clock.sleep(_POLL_S)
            waited_s += _POLL_S
        raise DeployerError(
            f"stack `{self.name}` did not settle within 30 minutes",
            found=f"found {told}, expected an end",
            hint=f"aws cloudformation describe-stack-events --stack-name {self.name}, then try again",
        )

    def _status(self, stack_id: str) -> tuple[str, str]:
        """Return status and reason. By the id, because a deleted stack has lost its name.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
        """
        try:
            with translated(f"reading stack `{self.name}`"):
                found = self._client.describe_stacks(StackName=stack_id)["Stacks"][0]
        except DeployerError as error:
            if _says_missing(error):
                return "DELETE_COMPLETE", error.found or ""
            raise
        return found["StackStatus"], found.get("StackStatusReason", "")

    def _poll_change_set(self, identifier: str) -> Any:
        waited_s = 0.0
        while True:
            with translated("reading the change set"):
                found = self._client.describe_change_set(ChangeSetName=identifier, StackName=self.name)
            if found["Status"] in ("CREATE_COMPLETE", "FAILED") or waited_s > 300:
                return found
            self._clock.sleep(_POLL_S)
            waited_s += _POLL_S

    def _failure(self, change_set: ChangeSet, status: str, reason: str) -> DeployerError:
        events = self._events(change_set.stack_id)
        first = stack_states.first_failure(events)
        if "DescribeEvents" in f"{first} {reason}":
            first = self._why_invalid(first, StackName=change_set.stack_id)
        end = f"{status}: {reason or 'CloudFormation gives no reason'}"
        # What keeps a stack from being deleted is another reason than why it failed, and both are needed.
        found = f"{first}\n{end}" if first and status == "DELETE_FAILED" else first or end
        mended = denied.mends(first)
        if mended:
            found = f"{mended[0]}\n{found}"
        left = stack_states.left_behind(events) if status == "DELETE_COMPLETE" else ()
        found += "".join(f"\nleft behind: {what}" for what, _ in left)
        refused = stack_states.refusal(self.name, status)
        hint = refused.hint if refused else "docs/runbook.md, section Stack"
        if left or mended:
            rights = (mended[1],) if mended else ()
            hint = "; ".join([*rights, *(command for _, command in left), "then release again"])
        return DeployerError(
            f"stack `{self.name}` {_DELETION_ENDS.get(status, 'could not be changed')}",
            found=found,
            hint=hint,
        )

    def _events(self, stack_id: str) -> list[Any]:
        try:
            with translated("reading the stack's events"):
                pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
                return [event for page in pages for event in page["StackEvents"]]
        except DeployerError as error:
            if _says_missing(error):
                return []
            raise


def stack_of(context: Context, aws: Aws) -> Stack:
    """Return the stack of the command's environment; it has the function's name."""
    return Stack(aws.cloudformation, context.config.function_name(context.environment), context.clock)


def _says_missing(error: DeployerError) -> bool:
    return isinstance(error.__cause__, ClientError) and "does not exist" in (error.found or "")


def _line(change: Any) -> str:
    resource = change["ResourceChange"]
    replacement = " (replaced)" if resource.get("Replacement") == "True" else ""
    what = f"{resource['LogicalResourceId']} {resource['ResourceType']}"
    return f"{resource['Action'].lower()} {what}{replacement}"
