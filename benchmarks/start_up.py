"""Measure how long the command line takes to start: `--help`, and `rollback` until UpdateAlias has come.

    python3 dev.py run -m benchmarks.start_up

Lambda here is a server on this machine that answers at once, so this is the deployer's own part: the
interpreter, imports, settings, clients, and two calls. On a busy machine the fastest run says most.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.timing import ROOT, report, run, runs

DEPLOYER = [sys.executable, "-P", "-m", "deployer"]
SETTINGS = ROOT / "build" / "bake" / "image-resizer" / "deploy.toml"
ALIAS = {
    "Name": "live",
    "FunctionVersion": "1",
    "RevisionId": "7",
    "Description": "",
    "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}},
}


class Lambda(BaseHTTPRequestHandler):
    """Answers each request with the alias, and says when it was written."""

    written = threading.Event()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer GetAlias."""
        body = json.dumps(ALIAS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        """Answer UpdateAlias."""
        self.written.set()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Write no log."""


class Server(ThreadingHTTPServer):
    """A server whose callers end in the middle of an answer."""

    def handle_error(self, *_: object) -> None:
        """Say nothing of that."""


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Yield the environment in which AWS is that server."""
    server = Server(("127.0.0.1", 0), Lambda)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_"))}
    try:
        yield {**plain, **keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}"}
    finally:
        server.shutdown()
        server.server_close()


def roll_back(environment: dict[str, str], seconds: float = 60.0) -> None:
    """Start `deployer rollback`, return when its UpdateAlias has come, and end it."""
    Lambda.written.clear()
    command = [*DEPLOYER, "rollback", "--reason", "measured", "--config", str(SETTINGS)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        until = time.monotonic() + seconds
        while not Lambda.written.wait(0.001) and process.poll() is None and time.monotonic() < until:
            continue
        process.kill()
        said = process.stdout.read() if process.stdout else ""
    if not Lambda.written.is_set():
        sys.exit(f"error: `deployer rollback` wrote no alias, so there is nothing to time\n{said}")


def main() -> None:
    """Print the median, the fastest and the slowest start of each beside its goal."""
    times = runs((__doc__ or "").partition("\n")[0], 15)
    run([sys.executable, str(Path("dev.py")), "bake"])
    run([*DEPLOYER, "--help"])  # byte-code is there from now on
    report("--help", times, lambda: run([*DEPLOYER, "--help"]), 0.25)
    with served() as environment:
        roll_back(environment)
        report("rollback, to UpdateAlias", times, lambda: roll_back(environment), 0.35)


if __name__ == "__main__":
    main()
