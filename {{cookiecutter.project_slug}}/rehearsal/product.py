"""Runs the product's own commands, in a copy of the sources, against the local AWS. Shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.clock import CompressedClock
from rehearsal.jobs import Jobs
from testbed.local_aws import find_python

COMMAND_WITHIN_S = 600.0
ORDERLY_END_S = 15.0


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code and everything it said."""

    status: int
    output: str

    @property
    def last_line(self) -> str:
        """Return the first line of the error if there is one, else the last line."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or [""])[-1]

    def value(self, name: str) -> str:
        """Return what the command gave as `NAME=VALUE`, empty if it did not."""
        found = re.search(rf"^{re.escape(name)}=(.*)$", self.output, re.MULTILINE)
        return found[1].strip() if found else ""


@dataclass(frozen=True)
class Product:
    """The `deployer` commands in the folder `sources`, each as the job of the workflows that runs it."""

    sources: Path
    jobs: Jobs
    clock: CompressedClock
    package: str  # `image`, or `zip` without Docker
    hear: Callable[[str], None]

    def run(self, *command: str) -> Finished:
        """Run one command to its end; every line it says is passed on as it comes."""
        with self.started(*command) as process:
            return finish(process, self.hear)

    @contextlib.contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Run one command for the length of a `with` block; on leaving it has ended, orderly if it can."""
        process = subprocess.Popen(
            [sys.executable, "-m", "rehearsal.release", self.clock.to_text(), self.package, *command],
            cwd=self.sources,
            env=self.environment(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C is ours: the command is ended by closing its standard input.
            start_new_session=os.name == "posix",
        )
        try:
            yield process
        finally:
            end(process)

    def environment(self, *command: str) -> dict[str, str]:
        """Return this process's environment without anything of AWS or GitHub, with the local AWS instead.

        The credentials are those of the command's job. Raises DeployerError when that job has none.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_"))}
        kept.setdefault("TRIVY_CACHE_DIR", str(Path.cwd() / ".cache" / "trivy"))
        return {
            **kept,
            **self.jobs.settings(command),
            "LOCAL_AWS_PYTHON": find_python(),  # for the smoke test's own; there is none below the copy
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "COLUMNS": "200",
        }

    def commit(self, message: str) -> str:
        """Commit the sources and return the first twelve digits, which image tags are made from.

        Empty without git: then images are called `untracked`.
        """
        if shutil.which("git") is None:
            return ""
        # Nothing of the user's: no hooks, no signing, no name.
        settings = {"user.name": "rehearsal", "user.email": "rehearsal@localhost", "commit.gpgsign": "false"}
        git = [
            "git",
            "-C",
            str(self.sources),
            *(part for k, v in settings.items() for part in ("-c", f"{k}={v}")),
        ]
        env = {**self.environment(), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        if not (self.sources / ".git").exists():
            (self.sources / ".gitignore").write_text(
                "build/\n__pycache__/\nevents*.jsonl\n", encoding="utf-8"
            )
            subprocess.run([*git, "init", "--quiet"], env=env, check=True, capture_output=True)
        subprocess.run([*git, "add", "--all"], env=env, check=True, capture_output=True)
        subprocess.run([*git, "commit", "--quiet", "-m", message], env=env, check=True, capture_output=True)
        done = subprocess.run(
            [*git, "rev-parse", "HEAD"], env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()[:12]

    def read_json(self, name: str) -> dict[str, Any]:
        """Return one of the files the image steps leave in `build/`, empty if it is not there."""
        try:
            found = json.loads((self.sources / "build" / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def finish(process: subprocess.Popen[str], hear: Callable[[str], None]) -> Finished:
    """Pass on what a running command says until it ends; one that takes ten minutes is ended."""
    output: list[str] = []
    limit = threading.Timer(COMMAND_WITHIN_S, end, [process])
    limit.start()
    try:
        for line in process.stdout or ():
            output.append(line)
            if line.strip():
                hear(line)
        status = process.wait()
    finally:
        limit.cancel()
    return Finished(status, "".join(output))


def end(process: subprocess.Popen[str]) -> None:
    """End a command: close its standard input, which interrupts it, and kill it if that takes too long."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(timeout=ORDERLY_END_S)
    except subprocess.TimeoutExpired:
        kill(process)
    if process.stdout is not None:
        process.stdout.close()


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a command as a lost runner would be: no signal handler of its own runs."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
    process.wait()
