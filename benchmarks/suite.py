"""Measure `make test`: a run that installs from a warm package cache, then runs that find all there."""

from __future__ import annotations

import sys

from timing import report, run, runs

if __name__ == "__main__":
    times = runs(__doc__, 1)
    run([sys.executable, "dev.py", "clean"])
    report("make test, environments to make", 1, lambda: run([sys.executable, "dev.py", "test"]), 480)
    report("make test, environments there", times, lambda: run([sys.executable, "dev.py", "test"]), 480)
