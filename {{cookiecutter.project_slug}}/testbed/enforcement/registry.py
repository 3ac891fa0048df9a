"""The Docker registry: whoever signs in acts with the rights of the caller who fetched the password. Shell.

Replaces: MiniStack's registry knows no password and asks for no right.
Kinder than ECR in one thing: what Lambda pulls for a function is judged by the repository's policy when the
function is given the image (`functions.py`), not again at each pull.
Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecr

from testbed.enforcement import caller, principals
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.settings import Settings

LAMBDA = "lambda.amazonaws.com"
VALID_S = 12 * 3600
# Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
_RIGHTS = {
    ("blob", "HEAD"): "BatchCheckLayerAvailability",
    ("blob", "GET"): "GetDownloadUrlForLayer",
    ("blob_uploads", "POST"): "InitiateLayerUpload",
    ("blob_upload_session", "PATCH"): "UploadLayerPart",
    ("blob_upload_session", "PUT"): "CompleteLayerUpload",
    ("manifest", "PUT"): "PutImage",
    ("manifest", "GET"): "BatchGetImage",
    ("manifest", "HEAD"): "BatchGetImage",
    ("tags_list", "GET"): "ListImages",
}
_READS = {"BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage"}

# Password: whose it is (an access key, or Lambda), and until when it is good.
_passwords: dict[str, tuple[str, float]] = {}


def install(settings: Settings, decisions: Decisions) -> None:
    """Give out passwords, and ask for one and for a right with each request."""
    replace(ecr, "_get_authorization_token", _giving)
    replace(ecr, "handle_registry_request", lambda known: _asking(known, settings, decisions))
    _sign_lambda_in()


def _giving(known: Callable[..., Any]) -> Callable[..., Any]:
    def give(data: dict[str, Any]) -> Any:
        status, headers, body = known(data)
        answer = json.loads(body)
        for entry in answer["authorizationData"]:
            entry["authorizationToken"] = _encoded(_password_of(caller.access_key.get()))
        return status, headers, json.dumps(answer).encode()

    return give


def _password_of(holder: str, valid_s: float = VALID_S) -> str:
    password = secrets.token_hex(32)
    _passwords[password] = (holder, time.time() + valid_s)
    return password


def _encoded(password: str) -> str:
    return base64.b64encode(f"AWS:{password}".encode()).decode()


def _sign_lambda_in() -> None:
    """Let the Docker library in this process, which pulls functions' images, sign in as Lambda."""
    folder = Path(os.environ["HOME"]) / ".docker"
    folder.mkdir(exist_ok=True)
    auth = {"auth": _encoded(_password_of(LAMBDA, float("inf")))}
    port = os.environ["GATEWAY_PORT"]
    hosts = {f"{host}:{port}": auth for host in ("localhost", "127.0.0.1")}
    (folder / "config.json").write_text(json.dumps({"auths": hosts}), encoding="utf-8")


def _asking(known: Callable[..., Any], settings: Settings, decisions: Decisions) -> Callable[..., Any]:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Any:
        holder = _holder({key.lower(): value for key, value in headers.items()}.get("authorization", ""))
        if not holder:
            answer = ecr._registry_error(401, "UNAUTHORIZED", "authentication required")
            answer[1]["WWW-Authenticate"] = 'Basic realm="ECR",service="ecr.amazonaws.com"'
            return answer
        verb, name, _ = ecr._parse_v2_path(path) or ("", "", "")
        if verb != "ping" and holder != settings.root_key:
            action = _RIGHTS.get((verb, method.upper()), "")
            resource = f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{name}"
            if denied := _denied(holder, action, resource, decisions):
                return ecr._registry_error(403, "DENIED", denied)
        return await known(method, path, headers, body, query_params)

    return handle


def _holder(authorization: str) -> str:
    """Return whose password came with a request, empty for none that is good."""
    kind, _, encoded = authorization.partition(" ")
    if kind != "Basic":
        return ""
    password = base64.b64decode(encoded).decode(errors="replace").partition(":")[2]
    holder, until = _passwords.get(password, ("", 0.0))
    return holder if time.time() < until else ""


def _denied(holder: str, action: str, resource: str, decisions: Decisions) -> str:
    """Return why a request is denied, in ECR's words; empty when it is not."""
    if holder == LAMBDA:
        return "" if action in _READS else f"{LAMBDA} only reads"
    principal = principals.of_session(holder)
    if principal is None:
        return "Your authorization token has expired. Reauthenticate and try again."
    if not action:
        return f"the local registry knows no right for this request on {resource}"
    right = f"ecr:{action}"
    why = principals.why_denied(principal, right, resource, {})
    decisions.note("registry", principal.arn, right, resource, allowed=not why, context={})
    return principals.denial(principal.arn, right, resource, why) if why else ""
