"""Measure `make demo` from nothing but a warm package cache, with Docker and without."""

from __future__ import annotations

import sys

from timing import report, run, runs


def from_nothing(*arguments: str) -> None:
    """Remove what earlier runs made, then run the demo."""
    run([sys.executable, "dev.py", "clean"])
    run([sys.executable, "dev.py", "demo", *arguments])


if __name__ == "__main__":
    times = runs(__doc__, 3)
    report("make demo, Docker", times, from_nothing, 180)
    report("make demo, no Docker", times, lambda: from_nothing("--no-docker"), 90)
