"""A simulation that plays every cell of a grid and writes one page: options, processes, progress. Shell."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Grid:
    """What the command line said: rollouts of each cell, the seed, processes, and the folder of the page."""

    module: str
    runs: int
    seed: int
    processes: int
    out: Path
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def asked(cls, module: str, description: str, runs: int, each: str = "rollouts of each cell") -> Grid:
        """Read the command line of `python -m benchmarks.MODULE`; `runs` is the default number."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--runs", type=int, default=runs, help=each)
        parser.add_argument("--seed", type=int, default=1, help="same seed, same tables")
        parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
        parser.add_argument("--out", type=Path, default=DOCS, help="folder for the page")
        options = parser.parse_args()
        if options.runs < 1:
            parser.error(f"--runs is {options.runs}, expected at least 1")
        return cls(module, options.runs, options.seed, options.processes, options.out)

    @property
    def command(self) -> str:
        """Return the command that makes the same page again."""
        return f"python -m benchmarks.{self.module} --runs {self.runs} --seed {self.seed}"

    def parts(self, most: int) -> Iterator[tuple[int, int]]:
        """Return (how many are done, how many to do) for parts of one cell's runs, of at most so many."""
        size = min(most, self.runs)
        return ((done, min(size, self.runs - done)) for done in range(0, self.runs, size))

    def results(self, part: Callable[[Any], Any], work: Sequence[Any]) -> Iterator[Any]:
        """Yield the result of each piece of work as it comes, with progress on standard error."""
        with multiprocessing.Pool(self.processes) as pool:
            for done, result in enumerate(pool.imap_unordered(part, work), 1):
                yield result
                print(f"\r{100 * done // len(work):3d} % simulated", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def write(self, name: str, text: str) -> None:
        """Write a page and print it."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / name).write_text(text, encoding="utf-8")
        print(text)
        print(f"{time.monotonic() - self.began:.0f} s; wrote {self.out}/{name}", file=sys.stderr)
