"""GitHub's ID tokens: signature, audience, time, and the claims that AWS lets trust policies see. Shell.

Replaces: MiniStack reads `aud`, `sub` and `amr` from a token and verifies nothing of it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_region
from ministack.services import iam, sts

from testbed.enforcement.decisions import Decisions
from testbed.enforcement.patching import replace
from testbed.enforcement.settings import Settings

HOST = "token.actions.githubusercontent.com"
# The claims of GitHub's provider that are condition keys; any other is unknown to a trust policy.
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
CLAIMS = (
    *("aud", "sub", "amr", "actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref"),
    *("ref", "repository", "repository_id", "workflow"),
)
_NOT_TRUSTED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


class Refused(Exception):
    """A token that is not accepted: AWS's error code and sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install(settings: Settings, decisions: Decisions) -> None:
    """Verify tokens before the trust policy sees their claims."""
    key = bytes.fromhex(settings.issuer_key)
    replace(sts, "_web_identity_trust_denied", lambda _: _judging(key, decisions))


def _judging(key: bytes, decisions: Decisions) -> Callable[..., Any]:
    def denied(role_arn: str, params: dict[str, Any], use_json: bool) -> Any:
        subject, context = "", {}
        try:
            claims = verified(sts._p(params, "WebIdentityToken"), key)
            subject, context = str(claims.get("sub", "")), _context(claims)
            _accept(claims, context, role_arn, int(sts._p(params, "DurationSeconds") or 3600))
        except Refused as refused:
            decisions.note(
                "sts", subject, "sts:AssumeRoleWithWebIdentity", role_arn, allowed=False, context=context
            )
            status = 403 if refused.code == "AccessDenied" else 400
            if use_json:
                return error_response_json(refused.code, str(refused), status)
            return sts._error(status, refused.code, str(refused), ns="sts")
        decisions.note(
            "sts", subject, "sts:AssumeRoleWithWebIdentity", role_arn, allowed=True, context=context
        )
        return None

    return denied


def verified(token: str, key: bytes) -> dict[str, Any]:
    """Return the claims of a token that the issuer signed and whose time has come; raise Refused.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
    """
    try:
        head, body, signature = token.split(".")
        genuine = hmac.compare_digest(
            _decoded(signature), hmac.digest(key, f"{head}.{body}".encode(), "sha256")
        )
        claims = json.loads(_decoded(body))
        not_before, expires = float(claims["nbf"]), float(claims["exp"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Refused("InvalidIdentityToken", "The ID Token provided is not a valid JWT") from error
    if not genuine:
        raise Refused("InvalidIdentityToken", "The ID Token's signature could not be verified")
    if time.time() >= expires:
        raise Refused(
            "ExpiredTokenException",
            "Token expired: current date/time must be before the expiration date/time",
        )
    if time.time() < not_before:
        raise Refused("InvalidIdentityToken", "The ID Token is not valid yet")
    return dict(claims)


def _accept(claims: Mapping[str, Any], context: Mapping[str, str], role_arn: str, duration_s: int) -> None:
    """Return for a token that provider and role accept; raise Refused."""
    account, issuer = role_arn.split(":")[4], str(claims.get("iss", ""))
    host = issuer.removeprefix("https://")
    provider_arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
    provider = iam._oidc_providers.get_scoped(account, None, provider_arn)
    if provider is None or host != HOST:
        raise Refused("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")
    if claims.get("aud") not in (provider.get("ClientIDList") or []):
        raise Refused("InvalidIdentityToken", "Incorrect token audience")
    role = iam._roles.get_scoped(account, None, role_arn.rsplit("/", 1)[-1]) or {}
    asked = iam_evaluator.EvalContext(
        principal_arn=provider_arn,
        principal_type="WebIdentityUser",
        principal_account=account,
        action="sts:AssumeRoleWithWebIdentity",
        resource_arn=role_arn,
        region=get_region(),
        service_context=dict(context),
    )
    trust = role.get("AssumeRolePolicyDocument", "{}")
    if not iam_evaluator.evaluate_trust_policy(trust, provider_arn, asked):
        raise Refused("AccessDenied", _NOT_TRUSTED)
    if duration_s > int(role.get("MaxSessionDuration") or 3600):
        raise Refused(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )


def _context(claims: Mapping[str, Any]) -> dict[str, str]:
    return {f"{HOST}:{name}": str(claims[name]) for name in CLAIMS if name in claims}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
