"""A local AWS (MiniStack) on loopback and, for containers, on the Docker bridge; never on the LAN.

Shell. `running()` is the context manager that rehearsal and smoke test use; other programs use `python -m
testbed.local_aws serve`. MiniStack belongs to a watchdog process (`testbed/watchdog.py`), so nothing is
left behind even when this process is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deployer.errors import DeployerError
from deployer.image.docker import find_docker
from testbed import process
from testbed.addresses import bridge_gateway, reserve_port
from testbed.process import How
from testbed.roles import Decision, Roles, read_decisions, schemas

# Below the folder it is started in, which is the repository's.
RUN_DIRECTORY = Path("build") / "local-aws"
ENVIRONMENT = Path(".venv-local-aws")
REGION = "eu-central-1"
START_ATTEMPTS = 3
KEPT_LOGS = 4


@dataclass(frozen=True)
class LocalAws:
    """A local AWS that answers.

    `container_endpoint` is the same one, as containers reach it; `state` is a folder that is removed with it.
    `credentials` are the administrator's: key and secret, dummies unless roles are enforced.
    """

    endpoint: str
    container_endpoint: str
    region: str
    state: Path
    log_path: Path
    watchdog: subprocess.Popen[str]
    credentials: tuple[str, str] = process.DUMMY

    def environment(self) -> dict[str, str]:
        """Return what makes boto3 and the AWS CLI talk to this local AWS as its administrator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.credentials[0],
            "AWS_SECRET_ACCESS_KEY": self.credentials[1],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def decisions(self) -> list[Decision]:
        """Return every decision about a right so far, in order; none where roles are not enforced."""
        return read_decisions(self.state / process.DECISIONS)

    def remove_image_at_end(self, name: str) -> None:
        """Have the engine forget that image name when this local AWS ends, however it ends."""
        stdin, _ = _pipes(self.watchdog)
        with contextlib.suppress(OSError):  # the watchdog is gone: the next call will say so
            stdin.write(f"{name}\n")
            stdin.flush()


@contextlib.contextmanager
def running(
    *,
    docker: Sequence[str] | None = None,
    port: int = 0,
    region: str = REGION,
    roles: Roles | None = None,
) -> Iterator[LocalAws]:
    """Run a local AWS for the length of a `with` block.

    `docker` is the Docker client's command, None for a local AWS without containers; `port` 0 takes a free
    one. With `roles`, IAM is enforced, and only `LocalAws.environment()` is the administrator. Raises
    DeployerError when its environment is missing, the port is taken, or it does not start.
    """
    python = find_python()
    if roles:
        schemas()  # raises, where they are missing, before there is anything to clean up
    addresses = ["127.0.0.1"]
    if docker and (gateway := bridge_gateway(docker)):
        addresses.append(gateway)
    attempts = 1 if port else START_ATTEMPTS  # between finding a free port and using it somebody may take it
    for attempt in range(attempts):
        chosen = reserve_port(addresses, port)
        try:
            local_aws = _start(python, addresses, chosen, How(region, docker, roles))
        except DeployerError:
            if attempt + 1 == attempts:
                raise
        else:
            break
    try:
        yield local_aws
    finally:
        process.keep_decisions(local_aws.state)
        _stop(local_aws.watchdog)


def find_python() -> str:
    """Return the Python of the environment that holds MiniStack (`LOCAL_AWS_PYTHON` overrides it)."""
    if named := os.environ.get("LOCAL_AWS_PYTHON"):
        candidate = Path(named)
    else:
        candidate = ENVIRONMENT.absolute() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not candidate.exists():
        raise DeployerError(
            "the local AWS is not installed",
            found=f"found no `{candidate}`",
            hint="make setup (python3 dev.py setup)",
        )
    return str(candidate)


def _written_at(path: Path) -> float:
    """Return when a file was last written; another run may have removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _start(python: str, addresses: Sequence[str], port: int, how: How) -> LocalAws:
    """Start the watchdog and wait until the local AWS it owns answers."""
    run_id = f"rehearsal-{uuid.uuid4().hex[:12]}"
    RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
    log_path = RUN_DIRECTORY.absolute() / f"local-aws-{port}.log"
    for old in sorted(RUN_DIRECTORY.glob("local-aws-*.log"), key=_written_at)[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)
    log_path.unlink(missing_ok=True)
    state = tempfile.mkdtemp(prefix="rehearsal-local-aws-")
    environment, credentials = process.server(run_id, port, how, state), process.DUMMY
    if how.roles:
        credentials = process.administrator()
        environment |= process.enforcing(how.roles, Path(state), credentials)
    watchdog = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("watchdog.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C in a terminal reaches the whole group: the watchdog has to stay until we are done.
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    server = str(Path(__file__).with_name("ministack.py"))
    orders = {
        # -P: the folder of the program is not searched, where `ministack` would be the program itself.
        "command": [python, "-P", server, *(f"{address}:{port}" for address in addresses)],
        "environment": environment,
        "health_url": f"http://127.0.0.1:{port}/_ministack/health",
        "log_path": str(log_path),
        "state_path": state,
        "docker": list(how.docker or []),
        "label": f"ministack.instance={run_id}:{port}",
        "registries": [f"127.0.0.1:{port}/", f"localhost:{port}/"],
    }
    try:
        stdin, stdout = _pipes(watchdog)
        stdin.write(json.dumps(orders) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline() or '{"failed": "its watchdog ended"}')
    except BaseException:
        _stop(watchdog)
        raise
    if "failed" in answer:
        _stop(watchdog)
        raise DeployerError(
            "the local AWS did not start",
            found=f"{answer['failed']}; its last line: {_last_line(log_path)}",
            hint=f"read {log_path}",
        )
    endpoint = f"http://127.0.0.1:{port}"
    inside = f"http://host.docker.internal:{port}" if how.docker else endpoint
    return LocalAws(endpoint, inside, how.region, Path(state), log_path, watchdog, credentials)


def _stop(watchdog: subprocess.Popen[str]) -> None:
    """Close the watchdog's input and wait until it has cleaned up."""
    stdin, stdout = _pipes(watchdog)
    with contextlib.suppress(OSError):
        stdin.close()
    while True:
        try:
            watchdog.wait()
            break
        except KeyboardInterrupt:  # a second Ctrl-C: the cleaning up is already under way and short
            continue
    stdout.close()


def _pipes(watchdog: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    """Return the watchdog's standard input and output, which are always pipes."""
    assert watchdog.stdin is not None  # noqa: S101  # for the type checker
    assert watchdog.stdout is not None  # noqa: S101
    return watchdog.stdin, watchdog.stdout


def _last_line(log_path: Path) -> str:
    """Return the last line of the log that is not empty."""
    lines = log_path.read_text(errors="replace").split("\n") if log_path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def serve(options: argparse.Namespace, output: IO[str]) -> int:
    """Run a local AWS until standard input closes or a signal arrives; print its endpoints when ready."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    docker = find_docker() if options.docker else None
    with running(docker=docker, port=options.port, region=options.region) as local_aws:
        endpoints = {
            "endpoint": local_aws.endpoint,
            "container_endpoint": local_aws.container_endpoint,
            "region": local_aws.region,
        }
        print(json.dumps(endpoints), file=output, flush=True)

        def end_with_stdin() -> None:
            while os.read(0, 4096):
                pass
            stop.set()

        threading.Thread(target=end_with_stdin, daemon=True).start()
        stop.wait()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line; expected errors are printed in three parts and end with status 1."""
    parser = argparse.ArgumentParser(prog="python -m testbed.local_aws", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("serve", help="run a local AWS until standard input closes")
    command.add_argument("--docker", action=argparse.BooleanOptionalAction, default=True)
    command.add_argument("--port", type=int, default=0, help="0 takes a free one")
    command.add_argument("--region", default=REGION)
    try:
        return serve(parser.parse_args(argv), sys.stdout)
    except DeployerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


if __name__ == "__main__":
    raise SystemExit(main())
