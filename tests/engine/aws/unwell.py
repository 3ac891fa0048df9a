"""A server on loopback that answers as AWS does when it is unwell; any service's client can be sent to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML = b"<html><head><title>503</title></head><body>Service Unavailable</body></html>"
PAGE = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>"
SLOW_S = 0.4
# What a service says with; the others speak JSON with the code in the body.
XML = {"cloudformation", "sns", "sts"}


@dataclass(frozen=True)
class Answer:
    """One answer: status and body; `cut` closes the connection early, `after_s` is how long it takes.

    `promised` is the length the header tells, where it is not the body's.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html"
    promised: int | None = None
    cut: bool = False
    after_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


def said(service: str, code: str, status: int) -> Answer:
    """Return a service's own error with that code, in the form its protocol has."""
    if service in XML:
        text = f"<ErrorResponse><Error><Code>{code}</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
        return Answer(status, text.encode(), "text/xml")
    text = json.dumps({"__type": code, "message": "Rate exceeded"})
    return Answer(status, text.encode(), "application/json", headers=(("x-amzn-ErrorType", code),))


@dataclass
class Unwell:
    """The server: it gives the answers in turn, and the last one for ever; `requests` counts them."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: int = 0
    _may_end: threading.Event = field(default_factory=threading.Event)

    def given(self, *answers: Answer) -> None:
        """Answer like that from now on."""
        self.answers, self.requests = list(answers), 0


@contextmanager
def running() -> Iterator[Unwell]:
    """Run the server for the length of a `with` block."""
    unwell = Unwell()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            unwell.requests += 1
            answer = unwell.answers.pop(0) if len(unwell.answers) > 1 else unwell.answers[0]
            unwell._may_end.wait(answer.after_s)
            if answer.cut:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in (("Content-Type", answer.content_type), *answer.headers):
                self.send_header(name, value)
            length = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = self.close_connection or length != len(answer.body)

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - http.server's own names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    unwell.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield unwell
    finally:
        unwell._may_end.set()
        server.shutdown()
        server.server_close()
        thread.join()
