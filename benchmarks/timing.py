"""Time a command some number of times, and print median and spread. Shared by the benchmarks here."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def runs(description: str, default: int) -> int:
    """Read from the command line how often to repeat."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=default, help=f"how often to repeat (default {default})")
    return max(1, parser.parse_args().runs)


def run(command: list[str]) -> None:
    """Run a command from the root of the template; leave with its output where it fails."""
    pipes = {"capture_output": True, "stdin": subprocess.DEVNULL, "text": True}
    result = subprocess.run(command, cwd=ROOT, check=False, **pipes)
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n")
        sys.exit(f"error: `{' '.join(command)}` failed, so there is nothing to time")


def report(name: str, times: int, action: Callable[[], object], goal_s: float) -> None:
    """Print the median, the fastest and the slowest of some runs, in seconds, beside the goal."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    median, fastest, slowest = statistics.median(seconds), min(seconds), max(seconds)
    spread = f"median {median:7.2f} s   {fastest:.2f} to {slowest:.2f} s"
    print(f"{name:34} {spread}   {times} runs   goal {goal_s:g} s", flush=True)
