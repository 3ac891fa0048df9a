"""What a request asks for: its action, the resources it names, what conditions see. Shell: MiniStack's state.

Replaces: MiniStack guesses a Lambda action from the last word of the path (`UpdateAlias` is judged as
`ListAliases`), reads no list of names, and leaves a qualifier out of a function's ARN.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions

from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.settings import Settings

# Operations whose right has another name than they have.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
_RIGHTS = {"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"}
_STREAMS = {"CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents"}
# Asked on the name of what was given, without more.
_TAGGED = {"TagResource", "UntagResource", "ListTagsForResource"}
_WITHOUT_RESOURCE = {"DescribeLogGroups", "DescribeResourcePolicies", "DescribeIndexPolicies"}


@dataclass(frozen=True)
class Request:
    """The request that is being judged: where it goes, its parameters, and the resources it names."""

    service: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resources: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Return one parameter as text, empty when it is not given."""
        value = self.parameters.get(name, "")
        value = value[0] if isinstance(value, list) and value else value
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, as JSON or as `NAME.member.1` and so on."""
        value = self.parameters.get(name)
        if isinstance(value, list):
            return [str(entry) for entry in value]
        keys = (key for key in self.parameters if key.startswith(f"{name}.member."))
        return [self.text(key) for key in sorted(keys, key=lambda key: int(key.rpartition(".")[2]))]


_NOTHING = Request()
current: contextvars.ContextVar[Request] = contextvars.ContextVar("local_aws_request", default=_NOTHING)


def install_actions(_: Settings, __: Decisions) -> None:
    """Find Lambda's actions by botocore's model of its paths."""
    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    match = iam_actions._match_rest_action

    def action(method: str, path: str) -> str | None:
        found = match("lambda", method, path)
        return _RIGHTS.get(found, found) if found else None

    replace(iam_actions, "_lambda_action", lambda _: action)


def install_resources(_: Settings, __: Decisions) -> None:
    """Read every resource that a request names."""
    replace(iam_actions, "extract_resource_arn", _reading)


def _reading(known: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        found = known(service, method, path, headers, body, query_params, region, account_id)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, query_params) or ""
        request = Request(service, {**query_params, **_json(body)})
        where = f"{region}:{account_id}"
        named = tuple(_resources(request, action.partition(":")[2], path, where, found)) or (found,)
        current.set(Request(service, request.parameters, named))
        return named[0]

    return extract


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _resources(request: Request, action: str, path: str, where: str, found: str) -> Iterable[str]:
    """Return the ARNs a request is judged on, in place of the one that MiniStack found."""
    match request.service:
        case "lambda":
            return _function(request, path, found)
        case "logs":
            return log_group(action, found, request.text("logStreamName"))
        case "ecr" if names := request.texts("repositoryNames"):
            return [f"arn:aws:ecr:{where}:repository/{name}" for name in names]
        case "ecr" if action == "DescribeRepositories":
            return [f"arn:aws:ecr:{where}:repository/*"] if found == "*" else [found]
        case "monitoring":
            return _alarms(request, action, where, found)
        case "cloudformation":
            return _stack(request, found)
        case "iam":
            return _identity(request, where.partition(":")[2], found)
    return [found]


def _function(request: Request, path: str, found: str) -> Iterable[str]:
    """Name version or alias where the request does.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
    """
    if "/durable-executions/" in path:
        return [unquote(path.partition("/durable-executions/")[2].partition("/")[0])]
    qualifier = request.text("Qualifier")
    return [f"{found}:{qualifier}"] if qualifier and found.count(":") == 6 else [found]


def log_group(action: str, found: str, stream: str) -> Iterable[str]:
    """Return a log group under both its names: with and without the end that denials show.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """
    if action in _WITHOUT_RESOURCE:
        return ["*"]
    if action in _STREAMS:
        return [f"{found}:log-stream:{stream}"]
    if action in _TAGGED or found == "*":
        return [found.removesuffix(":*")]
    return [found, f"{found}:log-stream:"]


def _alarms(request: Request, action: str, where: str, found: str) -> Iterable[str]:
    """Return each alarm that is named; a search for alarms is asked for all of them, by whatever names.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/permissions-reference-cw.html
    """
    if action == "DescribeAlarms":
        return [f"arn:aws:cloudwatch:{where}:alarm:*"]
    if tagged := request.text("ResourceARN"):
        return [tagged]
    names = request.texts("AlarmNames")
    return [f"arn:aws:cloudwatch:{where}:alarm:{name}" for name in names] or [found]


def _stack(request: Request, found: str) -> Iterable[str]:
    """Return a change set that is named by its ARN alone: no right to its stack covers it.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    """
    named = request.text("ChangeSetName")
    return [named] if found == "*" and named.startswith("arn:") else [found]


def _identity(request: Request, account: str, found: str) -> Iterable[str]:
    if provider := request.text("OpenIDConnectProviderArn"):
        return [provider]
    if found == "*" and (policy := request.text("PolicyName")):
        return [f"arn:aws:iam::{account}:policy/{policy}"]
    return [found]


def context(action: str) -> dict[str, str]:
    """Return what conditions see of the current request, besides what MiniStack tells them.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    """
    request = current.get()
    keys: dict[str, tuple[tuple[str, str], ...]] = {
        "lambda:AddPermission": (
            ("lambda:Principal", "Principal"),
            ("lambda:FunctionUrlAuthType", "FunctionUrlAuthType"),
        ),
        "lambda:CreateFunctionUrlConfig": (("lambda:FunctionUrlAuthType", "AuthType"),),
        "cloudwatch:PutMetricData": (("cloudwatch:namespace", "Namespace"),),
        "iam:CreateRole": (("iam:PermissionsBoundary", "PermissionsBoundary"),),
    }
    wanted = keys.get(action, ())
    if action.startswith("cloudformation:"):
        wanted = (("cloudformation:RoleArn", "RoleARN"), ("cloudformation:ChangeSetName", "ChangeSetName"))
    return {key: request.text(name) for key, name in wanted if request.text(name)}
