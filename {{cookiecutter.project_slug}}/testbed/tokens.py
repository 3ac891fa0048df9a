"""GitHub's issuer of ID tokens, on loopback: what a job with `id-token: write` asks for its token. Shell.

Signed with a key that the local AWS knows (`Roles.issuer_key`) and nobody else.
Source: https://docs.github.com/en/actions/reference/security/oidc
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
VALID_S = 300


class TokenIssuer:
    """Answers `GET url&audience=…` with a token, for the claims that a request token was granted.

    A context manager; `close` ends it too.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._granted: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return what ACTIONS_ID_TOKEN_REQUEST_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_port}/token?api-version=2.0"

    def grant(self, claims: Mapping[str, Any]) -> str:
        """Return a request token (ACTIONS_ID_TOKEN_REQUEST_TOKEN) for these claims, good until revoked."""
        right = secrets.token_hex(16)
        self._granted[right] = dict(claims)
        return right

    def revoke(self, right: str) -> None:
        """Let a request token be good for nothing; one that is unknown is no error."""
        self._granted.pop(right, None)

    def claims_of(self, right: str) -> dict[str, Any] | None:
        """Return the claims a request token was granted, None when it was not or no longer is."""
        return self._granted.get(right)

    def token(self, claims: Mapping[str, Any]) -> str:
        """Return a signed token with these claims; issuer and times are added where the claims have none."""
        now = int(time.time())
        added = {
            "iss": ISSUER,
            "iat": now,
            "nbf": now - VALID_S,
            "exp": now + VALID_S,
            "jti": secrets.token_hex(8),
        }
        parts = [
            _encoded(json.dumps(part).encode())
            for part in ({"alg": "HS256", "typ": "JWT"}, {**added, **claims})
        ]
        return ".".join([*parts, _encoded(hmac.digest(self._key, ".".join(parts).encode(), "sha256"))])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _handler(issuer: TokenIssuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One request for a token."""

        def do_GET(self) -> None:  # http.server's name
            """Answer with a token, or with 401 for a request token that is good for nothing."""
            right = self.headers.get("Authorization", "").partition(" ")[2]
            claims = issuer.claims_of(right)
            audience = parse_qs(urlsplit(self.path).query).get("audience", [AUDIENCE])[0]
            body = json.dumps({"value": issuer.token({**claims, "aud": audience})} if claims else {}).encode()
            self.send_response(200 if claims else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a token must not reach a log."""

    return Handler


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
