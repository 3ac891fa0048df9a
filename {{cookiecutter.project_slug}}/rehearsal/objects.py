"""Objects in the local AWS's S3, by plain HTTP: it checks no signature. Shell."""

from __future__ import annotations

import urllib.error
import urllib.request
from urllib.parse import quote

from deployer.errors import DeployerError

TIMEOUT_S = 60


def put(endpoint: str, folder: str, name: str, body: bytes = b"") -> None:
    """Store an object as `/FOLDER/NAME`. Raises DeployerError when the local AWS does not take it."""
    _send("PUT", endpoint, folder, may_be=(409,))  # 409: it is there already
    _send("PUT", endpoint, f"{folder}/{quote(name)}", body)


def remove(endpoint: str, folder: str, name: str) -> None:
    """Remove an object; one that is not there is fine. Raises DeployerError."""
    _send("DELETE", endpoint, f"{folder}/{quote(name)}", may_be=(404,))


def _send(method: str, endpoint: str, path: str, body: bytes = b"", may_be: tuple[int, ...] = ()) -> None:
    request = urllib.request.Request(f"{endpoint}/{path}", data=body, method=method)  # noqa: S310  # loopback
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        without_proxy.open(request, timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        if error.code not in may_be:
            raise _refused(method, path, f"status {error.code}") from error
    except OSError as error:
        raise _refused(method, path, str(error)) from error


def _refused(method: str, path: str, found: str) -> DeployerError:
    return DeployerError(
        f"the local AWS refuses {method} /{path}", found=f"found {found}", hint="run the rehearsal again"
    )
