"""What Lambda does for a function: pull its image, act with its role, write its log, report failures. Shell.

Replaces: MiniStack gives a function any image and role, and writes logs and failures without a right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import ecr, lambda_svc

from testbed.enforcement import caller, principals
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.requests import Request
from testbed.enforcement.settings import Settings

LAMBDA = "lambda.amazonaws.com"
PULLS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_NO_IMAGE = "Lambda does not have permission to access the ECR image. Check the ECR permissions."
_NO_ROLE = "The role defined for the function cannot be assumed by Lambda."


def install(_: Settings, decisions: Decisions) -> None:
    """Judge what Lambda does for functions."""

    def creating(known: Callable[..., Any]) -> Callable[..., Any]:
        def create(data: dict[str, Any]) -> Any:
            image = (data.get("Code") or {}).get("ImageUri", "")
            return refusal(data.get("FunctionName", ""), image, data.get("Role", ""), decisions) or known(
                data
            )

        return create

    def updating(known: Callable[..., Any]) -> Callable[..., Any]:
        def update(name: str, data: dict[str, Any]) -> Any:
            return refusal(name, data.get("ImageUri", ""), data.get("Role", ""), decisions) or known(
                name, data
            )

        return update

    caller.further.append(pulled)
    replace(lambda_svc, "_create_function", creating)
    replace(lambda_svc, "_update_code", updating)
    replace(lambda_svc, "_update_config", updating)
    replace(lambda_svc, "_emit_lambda_logs", lambda known: _logging(known, decisions))
    replace(lambda_svc, "_route_async_failure", lambda known: _reporting(known, decisions))


def pulled(action: str, request: Request) -> list[caller.Further]:
    """Return the rights on the image that a request names: Lambda also reads it as whoever names it.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/permissions-user-function.html
    """
    if action not in ("lambda:CreateFunction", "lambda:UpdateFunctionCode"):
        return []
    code = request.parameters.get("Code")
    image = request.text("ImageUri") or (code.get("ImageUri", "") if isinstance(code, dict) else "")
    return [caller.Further(right, repository_arn(image), {}) for right in PULLS] if image else []


def repository_arn(image_uri: str) -> str:
    """Return the ARN of the repository an image is in."""
    name = image_uri.partition("/")[2].partition("@")[0].partition(":")[0]
    return f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{name}"


def refusal(name: str, image_uri: str, role: str, decisions: Decisions) -> Any:
    """Return Lambda's answer for an image it cannot pull or a role it cannot assume, None for neither."""
    if image_uri and not may_pull(image_uri, function_arn(name), decisions):
        return error_response_json("AccessDeniedException", _NO_IMAGE, 403)
    if role and not principals.trusts(role, LAMBDA, function_arn(name)):
        return error_response_json("InvalidParameterValueException", _NO_ROLE, 400)
    return None


def function_arn(name: str) -> str:
    """Return the ARN of a function from its name or ARN, without version or alias."""
    name = name.rpartition(":function:")[2].partition(":")[0]
    return f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{name}"


def may_pull(image_uri: str, function: str, decisions: Decisions) -> bool:
    """Tell whether the repository's own policy lets Lambda pull an image for a function.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#configuration-images-permissions
    """
    resource = repository_arn(image_uri)
    policy = ecr.repository_policy_for_arn(resource)
    context = {"aws:sourcearn": function, "aws:sourceaccount": get_account_id()}
    verdicts = []
    for action in PULLS:
        asked = iam_evaluator.EvalContext(
            principal_arn=LAMBDA,
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=resource,
            region=get_region(),
            service_context=context,
        )
        decided = iam_evaluator.evaluate_resource_policy(policy[0] if policy else None, asked, LAMBDA)
        decisions.note(
            "repository", LAMBDA, action, resource, allowed=decided.decision == "Allow", context=context
        )
        verdicts.append(decided.decision == "Allow")
    return all(verdicts)


def _logging(known: Callable[..., Any], decisions: Decisions) -> Callable[..., Any]:
    def emit(func: dict[str, Any], *arguments: Any, **named: Any) -> None:
        config = func.get("config") or func
        name = config.get("FunctionName", "")
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
        stream = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:{name}"
        rights = [
            _may(config, right, stream, decisions) for right in ("logs:CreateLogStream", "logs:PutLogEvents")
        ]
        if all(rights):
            known(func, *arguments, **named)

    return emit


def _reporting(known: Callable[..., Any], decisions: Decisions) -> Callable[..., Any]:
    sends = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}

    def route(target_arn: str, func_name: str, event: Any, result: Any) -> None:
        config = (lambda_svc._functions.get(func_name) or {}).get("config", {})
        action = sends.get(target_arn.split(":")[2] if target_arn.count(":") > 2 else "", "")
        if action and _may(config, action, target_arn, decisions):
            known(target_arn, func_name, event, result)

    return route


def _may(config: dict[str, Any], action: str, resource: str, decisions: Decisions) -> bool:
    """Tell whether a function's role may do what Lambda does with it."""
    if not (role := config.get("Role", "")):
        return False
    principal = principals.acting(role, config.get("FunctionName", ""))
    why = principals.why_denied(principal, action, resource, {})
    decisions.note("lambda", principal.arn, action, resource, allowed=not why, context={})
    return not why
