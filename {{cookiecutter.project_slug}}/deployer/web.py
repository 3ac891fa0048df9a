"""One HTTP request to one address. Shell."""

from __future__ import annotations

import urllib.request
from http.client import HTTPResponse
from typing import Any, cast


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuse to carry a request, and the secrets in it, to another address than the one that was given."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request, which makes the answer an error."""


def send(request: urllib.request.Request, *, timeout_s: float) -> HTTPResponse:
    """Send a request and return the answer; `timeout_s` bounds each wait for the other side.

    Raises urllib's HTTPError for every answer that is no success, OSError when there is none.
    """
    return cast("HTTPResponse", urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s))
