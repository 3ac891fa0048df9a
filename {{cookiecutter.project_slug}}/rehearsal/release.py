"""The door to the product: one `deployer` command in a process of its own, on the compressed clock. Shell.

    python -m rehearsal.release CLOCK PACKAGE COMMAND…

CLOCK is `CompressedClock.to_text`, PACKAGE `image` or `zip`. A process of its own, so that a rehearsal can
kill it with -9 as a lost runner would be. When its standard input closes it ends as after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from deployer import cli
from deployer.aws import connect
from rehearsal.clock import CompressedClock
from rehearsal.zip_function import connect_zip

ORDERLY_END_S = 10.0


def main(argv: list[str]) -> int:
    """Run the command and return the deployer's exit code."""
    clock, package, *command = argv
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    aws = connect_zip if package == "zip" else connect
    return cli.main(command, clock=CompressedClock.from_text(clock), aws=aws)


def _end_with_stdin() -> None:
    """Wait for the end of standard input, then interrupt the command, and at last kill it."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORDERLY_END_S)
    os._exit(130)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
