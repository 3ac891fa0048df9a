"""Own the local AWS, and leave nothing of it behind whatever happens to the process that asked for it.

Shell; standard library only, run by its path. The first line of standard input is one JSON object
(`Orders`); every later line is the name of an image to remove at the end. When standard input closes, which
it does even if the other side is killed with -9, the local AWS is ended by its process id, its containers
by their label, and its temporary directory is removed. One JSON line is printed: `{"ready": true}` or
`{"failed": "…"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

READY_WITHIN_S = 60.0
# A container whose creation was under way when the local AWS ended appears a moment later.
SWEEPS = 3
SWEEP_PAUSE_S = 0.4


@dataclass(frozen=True)
class Orders:
    """What to run and what to remove; `label` is carried by every container the local AWS starts."""

    command: list[str]
    environment: dict[str, str]
    health_url: str
    log_path: str
    state_path: str
    docker: list[str] = field(default_factory=list)
    label: str = ""
    registries: list[str] = field(default_factory=list)


def main() -> int:
    """Start the local AWS, report, wait for the end of standard input, clean up."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    ended = threading.Event()
    images: list[str] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=_listen, args=(images, ended), daemon=True).start()
    server: subprocess.Popen[bytes] | None = None
    try:
        server = _start(orders)
        failure = _wait_until_ready(orders, server, ended)
        with contextlib.suppress(OSError):
            print(json.dumps({"failed": failure} if failure else {"ready": True}), flush=True)
        if not failure:
            ended.wait()
    finally:
        _clean_up(orders, server, images)
    return 0


def _listen(images: list[str], ended: threading.Event) -> None:
    """Collect the names of images to remove until standard input closes."""
    buffer = b""
    # The raw descriptor: a thread blocked in sys.stdin would hold its lock at interpreter shutdown.
    while chunk := os.read(0, 4096):
        *lines, buffer = (buffer + chunk).split(b"\n")
        images.extend(line.decode() for line in lines if line)
    ended.set()


def _start(orders: Orders) -> subprocess.Popen[bytes]:
    """Start the local AWS in a process group of its own, so that its workers end with it."""
    with Path(orders.log_path).open("ab") as log:
        return subprocess.Popen(
            orders.command,
            env=orders.environment,
            cwd=orders.state_path,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )


def _wait_until_ready(orders: Orders, server: subprocess.Popen[bytes], ended: threading.Event) -> str | None:
    """Return None once the local AWS answers, else why it does not."""
    deadline = time.monotonic() + READY_WITHIN_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach loopback
    while time.monotonic() < deadline and not ended.is_set():
        if server.poll() is not None:
            return f"it ended with status {server.returncode}"
        try:
            with opener.open(orders.health_url, timeout=2):
                return None
        except (urllib.error.URLError, OSError):
            ended.wait(0.1)
    return "it was told to stop" if ended.is_set() else f"it did not answer within {READY_WITHIN_S:g} s"


def _clean_up(orders: Orders, server: subprocess.Popen[bytes] | None, images: list[str]) -> None:
    """End the local AWS, its containers, its images and its files, in that order."""
    if server is not None:
        # Killed, not asked: it holds nothing worth saving, and an orderly end waits for each container.
        with contextlib.suppress(OSError):
            os.killpg(server.pid, signal.SIGKILL) if os.name == "posix" else server.kill()
        server.wait()
    if orders.docker:
        for sweep in range(SWEEPS):
            if sweep:
                time.sleep(SWEEP_PAUSE_S)
            ids = _lines(orders, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={orders.label}")
            if ids:
                _lines(orders, "rm", "--force", "--volumes", *ids)
        for name in dict.fromkeys([*_names_from(orders), *images]):
            _lines(orders, "image", "rm", name)
    shutil.rmtree(orders.state_path, ignore_errors=True)


def _names_from(orders: Orders) -> list[str]:
    """Return the names under which images of this local AWS's registry are known to the engine."""
    form = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}"
    names = []
    for line in _lines(orders, "image", "ls", "--digests", "--format", form):
        repository, tag, digest = line.split("\t")
        if repository.startswith(tuple(orders.registries)):
            names += [f"{repository}:{tag}"] if tag != "<none>" else []
            names += [f"{repository}@{digest}"] if digest != "<none>" else []
    return names


def _lines(orders: Orders, *arguments: str) -> list[str]:
    """Run the Docker client and return its output's lines; a failure is logged and leaves none."""
    try:
        done = subprocess.run(
            [*orders.docker, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    else:
        if done.returncode == 0:
            return done.stdout.splitlines()
        problem = done.stderr.strip()
    with Path(orders.log_path).open("a") as log:
        log.write(f"docker {' '.join(arguments)}: {problem}\n")
    return []


if __name__ == "__main__":
    raise SystemExit(main())
