"""The resource type AWS::IAM::OIDCProvider, so that `deployer bootstrap` can be run as it is. Shell.

Replaces: MiniStack's CloudFormation knows the type not, though its IAM keeps providers.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import iam
from ministack.services.cloudformation import provisioners

from testbed.enforcement.decisions import Decisions
from testbed.enforcement.settings import Settings

TYPE = "AWS::IAM::OIDCProvider"


def install(_: Settings, __: Decisions) -> None:
    """Teach CloudFormation the type; one that MiniStack has learned by itself is left alone."""
    assert isinstance(provisioners._RESOURCE_HANDLERS, dict)
    provisioners._RESOURCE_HANDLERS.setdefault(
        TYPE, {"create": _create, "update": _update, "delete": _delete}
    )


def _arn(properties: dict[str, Any]) -> str:
    host = str(properties["Url"]).removeprefix("https://").rstrip("/")
    return f"arn:aws:iam::{get_account_id()}:oidc-provider/{host}"


def _create(_: str, properties: dict[str, Any], __: str) -> tuple[str, dict[str, str]]:
    arn = _arn(properties)
    if arn in iam._oidc_providers:
        message = f"Provider with url {properties['Url']} already exists. (Service: Iam, Status Code: 409)"
        raise ValueError(message)
    _put(arn, properties)
    return arn, {"Arn": arn}


def _update(physical: str, _: dict[str, Any], new: dict[str, Any], *__: Any) -> tuple[str, dict[str, str]]:
    _put(physical, new)
    return physical, {"Arn": physical}


def _put(arn: str, properties: dict[str, Any]) -> None:
    iam._oidc_providers[arn] = {
        "Arn": arn,
        "Url": properties["Url"],
        "ClientIDList": list(properties.get("ClientIdList", [])),
        "ThumbprintList": list(properties.get("ThumbprintList", [])),
        "CreateDate": iam._now(),
        "Tags": list(properties.get("Tags", [])),
    }


def _delete(physical: str, _: dict[str, Any]) -> None:
    if physical in iam._oidc_providers:
        del iam._oidc_providers[physical]
