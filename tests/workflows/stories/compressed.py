"""The `deployer` on a runner's PATH: the checkout's own, on the compressed clock. Shell.

Started with the Python beside the `deployer` it stands before, so what is not installed there is not found
here either. Nothing else of the program is changed; see `rehearsal/release.py`, which does the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CLOCK = "COMPRESSED_CLOCK"

WRAPPER = """#!/bin/sh
# Stands before the checkout's own `deployer`; without that one there is none.
own=$(dirname "$0")
IFS=:
for folder in $PATH; do
    if [ "$folder" != "$own" ] && [ -x "$folder/deployer" ]; then
        exec "$folder/python" -P {program} "$@"
    fi
done
echo "deployer: command not found" >&2
exit 127
"""


def write(folder: Path) -> None:
    """Put the program `deployer` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "deployer"
    program.write_text(WRAPPER.format(program=Path(__file__).resolve()), encoding="utf-8")
    program.chmod(0o755)


def main() -> int:
    """Run the command line and return its exit code."""
    from deployer.cli import main as cli
    from rehearsal.clock import CompressedClock
    from rehearsal.release import factory

    clock = CompressedClock.from_text(os.environ[CLOCK])
    return int(cli.main(sys.argv[1:], clock=clock, aws=factory("image", clock)))


if __name__ == "__main__":
    sys.exit(main())
