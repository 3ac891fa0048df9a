"""Measure how often each rule rolls a healthy release back, and how fast it finds a broken one.

    python -m benchmarks.rollout_power                 # about two minutes on two cores
    python -m benchmarks.rollout_power --runs 200      # a quick look, less precise

Every rule sees the same simulated traffic. Writes docs/rollout-power.md and docs/rollout-power.svg.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import power_report
from benchmarks.power_report import Tally
from benchmarks.rules import RULES, excess_failures
from benchmarks.traffic import Case, Poisson, simulate

DOCS = Path(__file__).parents[1] / "docs"
PART = 250
HEALTHY = (
    *(Case(rpm, rate, rate) for rate in (0.005, 0.02) for rpm in (10, 30, 100, 1000, 10_000)),
    *(Case(rpm, 0.001, 0.001, (first, first + 5)) for rpm, first in ((100, 22), (1000, 8), (10_000, 30))),
)
BROKEN = tuple(
    Case(rpm, stable, canary)
    for stable, canary in ((0, 1), (0, 0.2), (0, 0.05), (0.001, 0.05), (0.001, 0.01), (0.01, 0.03))
    for rpm in (10, 30, 100, 1000)
)


def part(job: tuple[Case, int, int]) -> tuple[Case, dict[str, list[int | None]]]:
    """Simulate some runs of a case and return what each rule found in them."""
    case, seed, runs = job
    poisson = Poisson(seed)
    found: dict[str, list[int | None]] = {name: [] for name in RULES}
    for _ in range(runs):
        run = simulate(case, poisson)
        for name, rule in RULES.items():
            found[name].append(rule.judge(run))
    return case, found


def jobs(runs: int, seed: int) -> list[tuple[Case, int, int]]:
    """Return parts of at most 250 runs, each with a seed of its own; healthy cases get five times as many."""
    wanted = [(case, 5 * runs) for case in HEALTHY] + [(case, runs) for case in BROKEN]
    parts = [(case, min(PART, count - done)) for case, count in wanted for done in range(0, count, PART)]
    return [(case, seed * 1_000_003 + place, count) for place, (case, count) in enumerate(parts)]


def collect(
    results: Iterable[tuple[Case, dict[str, list[int | None]]]], total: int
) -> dict[tuple[Case, str], Tally]:
    """Add the parts up and show how far it is."""
    tallies = {(case, name): Tally() for case in (*HEALTHY, *BROKEN) for name in RULES}
    for done, (case, found) in enumerate(results, 1):
        for name, minutes in found.items():
            tally = tallies[case, name]
            tally.runs += len(minutes)
            tally.found += [minute for minute in minutes if minute is not None]
            excess = case.canary_rate - case.stable_rate
            tally.failures += sum(excess_failures(RULES[name], m, case.rpm, excess) for m in minutes)
        if done % 10 == 0 or done == total:
            print(f"\r{100 * done // total:3d} % simulated", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tallies


def main() -> None:
    """Simulate, print the tables, write the page and the chart."""
    parser = argparse.ArgumentParser(description="compare rules that judge a canary")
    parser.add_argument(
        "--runs", type=int, default=2000, help="runs per broken case; healthy: five times that"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same tables")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the page and the chart")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}, expected at least 1")
    began = time.monotonic()
    work = jobs(options.runs, options.seed)
    with multiprocessing.Pool(options.processes) as pool:
        tallies = collect(pool.imap_unordered(part, work), len(work))
    command = f"python -m benchmarks.rollout_power --runs {options.runs} --seed {options.seed}"
    page = power_report.page(tallies, HEALTHY, BROKEN, command)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rollout-power.md").write_text(page, encoding="utf-8")
    (options.out / "rollout-power.svg").write_text(power_report.chart(tallies, HEALTHY), encoding="utf-8")
    print(page)
    print(f"{time.monotonic() - began:.0f} s; wrote {options.out}/rollout-power.md and .svg", file=sys.stderr)


if __name__ == "__main__":
    main()
