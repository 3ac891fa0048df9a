"""A step's script as a process, and what a cancelled one gets. Shell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflows.github.errors import WorkflowError

# Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
DEFAULT_SHELL = "bash -e {0}"
SHELLS = {
    "bash": "bash --noprofile --norc -eo pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python3 {0}",
}
# What a cancelled step gets, each after the wait of the one before; then it is killed.
# Source: actions/runner, src/Runner.Sdk/ProcessInvoker.cs, CancelAndKillProcessTree
LADDER = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5))
OUTPUT_AFTER_END_S = 5.0  # an orphan may hold the pipe; the runner waits that long for more
TRACKING = "RUNNER_TRACKING_ID"


def _hear_signals() -> None:
    """Take SIGINT as a runner's step does: a test in the background inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command_of(shell: str, script: Path) -> list[str]:
    """Return the command that runs a script; `shell` empty is what GitHub takes without one."""
    pattern = SHELLS.get(shell, shell or DEFAULT_SHELL)
    if "{0}" not in pattern:
        raise WorkflowError(f"shell `{shell}` is not played")
    return [part.replace("{0}", str(script)) for part in pattern.split()]


@dataclass
class Script:
    """One process of one step; `waits` shortens the ladder for tests of everything else."""

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    hear: Callable[[str], None]
    ladder: Sequence[tuple[signal.Signals, float]] = LADDER
    signals: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_ended: bool = False

    def run(self) -> int:
        """Run it to its end, passing on each line it says; return its status, 1 if it cannot be started."""
        try:
            with self._lock:
                if self._is_ended:
                    return 130
                self._process = subprocess.Popen(
                    self.command,
                    cwd=self.directory,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                    preexec_fn=_hear_signals,  # noqa: PLW1509 - one call, and it takes no lock
                )
        except OSError as error:
            self.hear(f"##[error]{error}")
            return 1
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        status = self._process.wait()
        reader.join(OUTPUT_AFTER_END_S)
        return status

    def _read(self) -> None:
        assert self._process
        assert self._process.stdout
        with self._process.stdout as stream:
            for line in stream:
                self.hear(line.rstrip("\n"))

    def end(self) -> None:
        """Signal the step's first process only: on Linux the runner leaves its children alone."""
        with self._lock:
            self._is_ended = True
            process = self._process
        if process is None:
            return
        for number, wait_s in self.ladder:
            if process.poll() is not None:
                return
            self.signals.append(number.name)
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
                return
        self.signals.append("SIGKILL")
        process.kill()


def end_orphans(tracking_id: str) -> int:
    """Kill what the job's steps left behind, known by the variable they inherited; returns how many.

    Source: actions/runner, "Cleaning up orphan processes"
    """
    marked = f"{TRACKING}={tracking_id}".encode()
    ended = 0
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if marked in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                ended += 1
    return ended
