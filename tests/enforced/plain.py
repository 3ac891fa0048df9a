"""The local AWS, asked by plain HTTP."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any
from urllib.parse import urlsplit

from enforced.worlds import World


def path_status(here: World, path: str, ecr: Any = None) -> int:
    """Return the HTTP status of a plain read, with the password that this client of ECR is given, or none."""
    headers = {}
    if ecr is not None:
        (entry,) = ecr.get_authorization_token()["authorizationData"]
        headers["Authorization"] = f"Basic {entry['authorizationToken']}"
    with contextlib.closing(http.client.HTTPConnection(urlsplit(here.aws.endpoint).netloc)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
