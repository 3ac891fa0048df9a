"""Judge a request on every resource it names, write the decision down, and say it as AWS does. Shell.

Replaces: MiniStack judges one resource of a request, keeps no record, and leaves the resource out of its
denials.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router

from testbed.enforcement import principals, requests
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.settings import Settings


@dataclass(frozen=True)
class Further:
    """A right that a request needs besides its own, such as passing the role it names."""

    action: str
    resource: str
    context: Mapping[str, str]


# Each returns what a request needs further; other parts add to it.
further: list[Callable[[str, requests.Request], list[Further]]] = []
access_key: contextvars.ContextVar[str] = contextvars.ContextVar("local_aws_access_key", default="")
_denied: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar(
    "local_aws_denied", default=None
)


def install(settings: Settings, decisions: Decisions) -> None:
    """Judge, record and remember who calls."""
    replace(iam_evaluator, "enforce", lambda known: _enforcing(known, settings, decisions))
    replace(iam_evaluator, "pin_request_caller", _remembering)
    # Loopback and the Docker bridge stand for the TLS that every client of AWS has.
    replace(app, "pin_request_origin", lambda known: lambda source_ip, _: known(source_ip, True))
    replace(iam_actions, "access_denied_response", _answering)


def _remembering(known: Callable[..., None]) -> Callable[..., None]:
    def pin(headers: dict[str, str], query_params: dict[str, Any] | None = None) -> None:
        access_key.set(router.extract_access_key_id(headers or {}, query_params or {}) or "")
        requests.current.set(requests.Request())
        _denied.set(None)
        known(headers, query_params)

    return pin


def _enforcing(known: Callable[..., Any], settings: Settings, decisions: Decisions) -> Callable[..., Any]:
    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if not access_key_id and iam_evaluator._served_unsigned(service, iam_action):
            return None  # such as sts:AssumeRoleWithWebIdentity, which the trust policy alone decides
        if not access_key_id and _is_open_to_all(service, iam_action, resource_arn):
            return None
        if access_key_id == settings.root_key:
            return known(access_key_id, iam_action, service, region, resource_arn, service_context)
        context = {**(service_context or {}), **requests.context(iam_action)}
        request = requests.current.get()
        named = request.resources if resource_arn in request.resources else (resource_arn,)
        caller = iam_evaluator.resolve_caller_identity(access_key_id) or {}
        who = caller.get("userArn", access_key_id)
        for resource in named:
            denied = known(access_key_id, iam_action, service, region, resource, context)
            decisions.note("api", who, iam_action, resource, allowed=denied is None, context=context)
            if denied is not None:
                _remember_why(access_key_id, iam_action, resource, context)
                return denied
        return _judged_further(access_key_id, iam_action, request, decisions)

    return enforce


def _is_open_to_all(service: str, action: str, resource: str) -> bool:
    """Tell whether the resource's own policy lets everybody do this, without credentials."""
    policy = iam_evaluator._resource_policy(service, resource)
    if policy is None:
        return False
    anybody = iam_evaluator.PrincipalInfo(arn="*", type="Anonymous", account="", policies=[])
    asked = principals.question(anybody, action, resource, {})
    return bool(iam_evaluator.evaluate_resource_policy(policy[0], asked).decision == "Allow")


def _judged_further(key: str, action: str, request: requests.Request, decisions: Decisions) -> Any:
    """Return None when all that a request needs further is allowed, else the denial."""
    principal = principals.of_session(key)
    if principal is None:
        return None
    for needed in [entry for ask in further for entry in ask(action, request)]:
        why = principals.why_denied(principal, needed.action, needed.resource, needed.context)
        decisions.note(
            "api", principal.arn, needed.action, needed.resource, allowed=not why, context=needed.context
        )
        if why:
            _denied.set((needed.action, needed.resource, why))
            return iam_evaluator.EvalResult("ImplicitDeny", principal_arn=principal.arn)
    return None


def _remember_why(key: str, action: str, resource: str, context: Mapping[str, Any]) -> None:
    principal = principals.of_session(key)
    why = principals.why_denied(principal, action, resource, context) if principal else ""
    _denied.set((action, resource, why) if why else None)


def _answering(known: Callable[..., Any]) -> Callable[..., Any]:
    def answer(service: str, action: str, principal_arn: str, request_id: str, **more: Any) -> Any:
        denied = _denied.get()
        if denied is not None and not more.get("error_code"):
            more["message"] = principals.denial(principal_arn, *denied)
        return known(service, action, principal_arn, request_id, **more)

    return answer
