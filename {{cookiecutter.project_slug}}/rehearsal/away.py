"""AWS is away for a while: what a release's process then gets instead of answers. Shell.

While a file exists, each request of that process is answered as a load balancer does whose service is gone: a
bare 503 without a code that an SDK could read. The traffic and everybody else still reach the local AWS.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse
from urllib3 import HTTPResponse

from deployer.aws.client import Aws

AWAY = "aws-is-away"
_BODY = b"<html><body><h1>503 Service Unavailable</h1></body></html>"


def may_be_away(aws: Aws, folder: Path) -> None:
    """Let each request of this port fail, and be counted, while `aws-is-away` exists in that folder."""
    away = folder / AWAY

    def answer(request: Any, **_: object) -> AWSResponse | None:
        if not away.exists():
            return None
        with away.open("a", encoding="utf-8") as file:
            file.write("1\n")
        headers: Any = {"Content-Type": "text/html", "Content-Length": str(len(_BODY))}
        raw: Any = HTTPResponse(io.BytesIO(_BODY), headers, 503, preload_content=False)
        return AWSResponse(request.url, 503, headers, raw)

    aws.register("before-send", answer)


def go_away(folder: Path) -> None:
    """Let AWS be away from here on."""
    (folder / AWAY).write_text("", encoding="utf-8")


def come_back(folder: Path) -> int:
    """Let AWS answer again; returns how many requests it refused meanwhile."""
    away = folder / AWAY
    refused = len(away.read_text(encoding="utf-8").splitlines())
    away.unlink()
    return refused
