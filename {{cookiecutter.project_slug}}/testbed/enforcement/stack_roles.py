"""CloudFormation acts with the stack's role, or with the caller's rights where a stack has none. Shell.

Replaces: MiniStack's CloudFormation acts as root. Each resource's create, read, update and delete is judged
for every right that AWS's own handler of the type lists, before MiniStack carries it out; a denial fails the
resource, and the stack rolls back. AWS stops at the first denial; the message here names the others as well.
Not known: whether AWS asks for each listed right. Those it cannot ask for are excused, with reasons.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.core.responses import get_region
from ministack.services.cloudformation import handlers, helpers, provisioners, stacks

from testbed.enforcement import caller, functions, principals, stack_resources
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.handler_rights import rights
from testbed.enforcement.patching import replace, replace_entry
from testbed.enforcement.settings import Settings

SERVICE = "cloudformation.amazonaws.com"
# Stack name: the ARN of its role, or the access key of whoever made it without one. A stack keeps its role.
_actors: dict[str, str] = {}


def install(settings: Settings, decisions: Decisions) -> None:
    """Judge what CloudFormation does for a stack, and the role it is given."""
    for name in ("CreateChangeSet", "CreateStack", "UpdateStack", "DeleteStack"):
        replace_entry(handlers._ACTION_HANDLERS, name, _given)
    judge = _Judge(settings, decisions)
    replace(stacks, "_provision_resource", judge.creating)
    replace(stacks, "_update_resource", judge.updating)
    replace(stacks, "_delete_resource", judge.deleting)


def _given(known: Callable[..., Any]) -> Callable[..., Any]:
    def handle(params: dict[str, Any]) -> Any:
        role, name = helpers._p(params, "RoleARN"), stack_name(helpers._p(params, "StackName"))
        if role and not principals.trusts(role, SERVICE):
            return helpers._error("ValidationError", f"Role {role} is invalid or cannot be assumed", 400)
        _actors[name] = role or _actors.get(name, "") or caller.access_key.get()
        return known(params)

    return handle


def stack_name(named: str) -> str:
    """Return a stack's name from its name or ARN."""
    return named.rpartition(":stack/")[2].partition("/")[0]


class _Judge:
    """Decides for the actor of a stack."""

    def __init__(self, settings: Settings, decisions: Decisions) -> None:
        self._settings = settings
        self._decisions = decisions
        self._excuses = [
            (re.compile(entry.resource_type), re.compile(entry.action), entry.unless)
            for entry in settings.excuses
        ]

    def creating(self, known: Callable[..., Any]) -> Callable[..., Any]:
        def provision(kind: str, logical: str, properties: dict[str, Any], stack: str) -> Any:
            self.check(("create", "read"), kind, properties, "", stack)
            return known(kind, logical, properties, stack)

        return provision

    def updating(self, known: Callable[..., Any]) -> Callable[..., Any]:
        def update(
            kind: str, physical: str, old: dict[str, Any], new: dict[str, Any], stack: str, *more: Any
        ) -> Any:
            if old != new:
                replaced = provisioners._replacing_change(kind, old, new)
                self.check(("create" if replaced else "update", "read"), kind, new, physical, stack)
            return known(kind, physical, old, new, stack, *more)

        return update

    def deleting(self, known: Callable[..., Any]) -> Callable[..., Any]:
        def delete(
            kind: str,
            physical: str,
            properties: dict[str, Any] | None,
            stack_name: str | None = None,
            logical_id: str | None = None,
        ) -> Any:
            self.check(("delete",), kind, properties or {}, physical, stack_name or "")
            return known(kind, physical, properties, stack_name, logical_id)

        return delete

    def check(
        self, phases: Sequence[str], kind: str, properties: Mapping[str, Any], physical: str, stack: str
    ) -> None:
        """Raise PermissionError when the stack's actor lacks a right of the handler."""
        actor = _actors.get(stack, "")
        if not actor or actor == self._settings.root_key:
            return
        is_role = actor.startswith("arn:")
        principal = principals.acting(actor, "AWSCloudFormation") if is_role else principals.of_session(actor)
        if principal is None:
            message = "The security token included in the request is expired"
            raise PermissionError(message)
        listed = {} if kind.startswith("Custom::") else rights(self._settings.schemas, get_region(), kind)
        wanted = dict.fromkeys(right for phase in phases for right in listed.get(phase, []))
        if kind == "AWS::Lambda::Function" and is_set(properties, "Code.ImageUri") and "delete" not in phases:
            wanted |= dict.fromkeys(functions.PULLS)
        denied = [
            denial
            for right in wanted
            if not self._excused(kind, right, properties)
            for denial in self._denials(principal, right, kind, properties, physical, stack)
        ]
        if denied:
            service = denied[0].split("perform: ")[1].split(":")[0]
            others = "; ".join(denied[1:])
            more = f" [and then: {others}]" if others else ""
            message = (
                f'Resource handler returned message: "{denied[0]} (Service: {service}, Status Code: 403)"'
                f" (HandlerErrorCode: AccessDenied){more}"
            )
            raise PermissionError(message)
        self._check_image(phases, kind, properties)

    def _denials(
        self,
        principal: Any,
        right: str,
        kind: str,
        properties: Mapping[str, Any],
        physical: str,
        stack: str,
    ) -> list[str]:
        found = []
        context = stack_resources.context(right, kind, properties)
        for resource in stack_resources.resources(right, kind, properties, physical, stack):
            why = principals.why_denied(principal, right, resource, context)
            self._decisions.note(
                f"cloudformation {kind}", principal.arn, right, resource, allowed=not why, context=context
            )
            if why:
                found.append(principals.denial(principal.arn, right, resource, why))
        return found

    def _check_image(self, phases: Sequence[str], kind: str, properties: Mapping[str, Any]) -> None:
        """Judge a function's image and role as Lambda does, which CloudFormation's own code here does not."""
        if kind != "AWS::Lambda::Function" or "create" not in phases:
            return
        image = str((properties.get("Code") or {}).get("ImageUri", ""))
        name, role = str(properties.get("FunctionName", "")), str(properties.get("Role", ""))
        if refused := functions.refusal(name, image, role, self._decisions):
            raise PermissionError(refused[2].decode())

    def _excused(self, kind: str, right: str, properties: Mapping[str, Any]) -> bool:
        return any(
            types.fullmatch(kind)
            and actions.fullmatch(right)
            and not any(is_set(properties, path) for path in unless)
            for types, actions, unless in self._excuses
        )


def is_set(properties: Mapping[str, Any], path: str) -> bool:
    """Tell whether a resource sets a property, `Code.S3Bucket` within another."""
    first, _, rest = path.partition(".")
    value = properties.get(first)
    if not rest:
        return value is not None
    return isinstance(value, Mapping) and is_set(value, rest)
