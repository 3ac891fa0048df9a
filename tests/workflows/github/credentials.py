"""The stand-in for aws-actions/configure-aws-credentials: a real call of the local STS. Shell.

The real action tries up to twelve times; this one tries once.
"""

from __future__ import annotations

import re
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from workflows.github.actions import Call
from workflows.github.errors import ActionFailedError

_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def configure_aws_credentials(call: Call) -> dict[str, str]:
    """Ask for an ID token, assume the role with it, and give the keys to the steps that follow."""
    region = call.inputs.required("aws-region")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", region):
        raise ActionFailedError(f"Region is not valid: {region}")
    role = call.inputs["role-to-assume"]
    if not role:
        raise ActionFailedError(
            "Credentials could not be loaded, please check your action inputs:"
            " Could not load credentials from any providers"
        )
    token = call.id_token(call.inputs["audience"])
    given = {name: call.environment[name] for name in ("AWS_ENDPOINT_URL",) if name in call.environment}
    sts: Any = Session().create_client(
        "sts",
        region_name=region,
        endpoint_url=given.get("AWS_ENDPOINT_URL"),
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    try:
        answer = sts.assume_role_with_web_identity(
            RoleArn=role,
            RoleSessionName=call.inputs["role-session-name"],
            WebIdentityToken=token,
            DurationSeconds=int(call.inputs["role-duration-seconds"]),
        )
    except (ClientError, BotoCoreError) as error:
        raise ActionFailedError(f"Could not assume role with OIDC: {error}") from None
    keys, arn = answer["Credentials"], answer["AssumedRoleUser"]["Arn"]
    values = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    call.hide(*values)
    call.export(
        {**dict(zip(_NAMES, values, strict=True)), "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    )
    account = arn.split(":")[4]
    if call.inputs.flag("mask-aws-account-id"):
        call.hide(account)
    call.say(f"Authenticated as assumedRoleId {answer['AssumedRoleUser']['AssumedRoleId']}")
    return {"aws-account-id": account, "authenticated-arn": arn}
