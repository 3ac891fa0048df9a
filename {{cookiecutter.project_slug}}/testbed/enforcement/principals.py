"""Who asks, and whether policies, boundary and the resource's own policy allow it. Shell: MiniStack's state.

Replaces: MiniStack takes the key `test`, any twelve digits and no key at all for the account's root.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.settings import Settings


def install(settings: Settings, _: Decisions) -> None:
    """Let one random key be root, and no other."""
    replace(iam_evaluator, "is_root_access_key", lambda _: lambda key: key == settings.root_key)


def of_session(access_key: str) -> Any | None:
    """Return MiniStack's principal of an access key, None for an unknown key or an ended session."""
    found = iam_evaluator.resolve_principal(access_key, get_account_id())
    return None if isinstance(found, iam_evaluator.AuthError) else found


def acting(role_arn: str, session: str) -> Any:
    """Return the principal of a role that an AWS service acts with."""
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    return iam_evaluator.PrincipalInfo(
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        type="AssumedRole",
        account=account,
        policies=iam_evaluator._gather_role_policies(name, account),
        limits=iam_evaluator._permissions_boundary(iam._roles, name, account),
    )


def trusts(role_arn: str, service: str, source_arn: str = "") -> bool:
    """Tell whether a role exists and its trust policy lets an AWS service act with it."""
    account = role_arn.split(":")[4]
    role = iam._roles.get_scoped(account, None, role_arn.rsplit("/", 1)[-1])
    if role is None:
        return False
    context = {"aws:sourceaccount": account, **({"aws:sourcearn": source_arn} if source_arn else {})}
    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context=context,
    )
    document = role.get("AssumeRolePolicyDocument") or "{}"
    decided = iam_evaluator.evaluate_resource_policy(document, asked, service)
    return bool(decided.decision == "Allow")


def why_denied(principal: Any, action: str, resource: str, context: Mapping[str, Any]) -> str:
    """Return why a principal may not, in AWS's words; empty when it may.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    if principal.policies is None:
        return ""
    asked = question(principal, action, resource, context)
    decided = iam_evaluator.evaluate(asked, principal.policies, *principal.limits)
    policy = iam_evaluator._resource_policy(action.partition(":")[0], resource)
    if policy is not None:
        decided = iam_evaluator.combine_resource_policy(decided, asked, *policy, limits=principal.limits)
    if decided.decision == "Allow":
        return ""
    return _reason(principal, asked, decided)


def denial(arn: str, action: str, resource: str, why: str) -> str:
    """Return AWS's sentence about a right that is missing."""
    return f"User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"


def question(principal: Any, action: str, resource: str, context: Mapping[str, Any]) -> Any:
    """Return a question about a right as MiniStack's evaluation takes it."""
    return iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={key.lower(): value for key, value in context.items()},
        principal_keys=principal.keys,
    )


def _reason(principal: Any, asked: Any, decided: Any) -> str:
    if decided.decision == "Deny":
        kind = "a resource-based policy" if decided.resource_policy_arn else "an identity-based policy"
        return f"with an explicit deny in {kind}"
    if iam_evaluator.evaluate(asked, principal.policies).decision == "Allow":
        return f"because no permissions boundary allows the {asked.action} action"
    return f"because no identity-based policy allows the {asked.action} action"
