"""Measure how often each rule rolls a healthy release back, and how fast it finds a broken one.

    python -m benchmarks.rollout_power                 # about an hour on two cores
    python -m benchmarks.rollout_power --runs 200      # a quick look, less precise

The gate has the places that ship; the other rules share one simulated traffic. Writes
docs/rollout-power.md and docs/rollout-power.svg.
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
from benchmarks.power_report import OURS, READERS, READERS_RATE, Tally
from benchmarks.rules import RULES, excess_failures
from benchmarks.shipped import independent, play, steps_for
from benchmarks.traffic import HORIZON, Case, Poisson, simulate
from deployer.judge.counts import Counts

DOCS = Path(__file__).parents[1] / "docs"
PART = 250
TRAFFIC = (5, 30, 100, 1000, 10_000)
HEALTHY = (
    *(Case(rpm, rate, rate) for rate in (READERS_RATE, 0.01, 0.02) for rpm in TRAFFIC),
    *(
        Case(rpm, READERS_RATE, READERS_RATE, (first, first + 5))
        for first in (8, 22)
        for rpm in (30, 100, 1000, 10_000)
    ),
)
BROKEN = tuple(
    Case(rpm, stable, canary)
    for stable, canary in ((0.001, 1), (0.001, 0.2), (0.001, 0.05), (0.001, 0.01), (0.01, 0.03))
    for rpm in TRAFFIC
)
# What else is tried to find the smallest regression that a reader's function notices.
LADDER = tuple(
    case
    for rpm in READERS
    for rate in (0.015, 0.02, 0.03, 0.07, 0.1, 0.15, 0.25, 0.5)
    if (case := Case(rpm, READERS_RATE, rate)) not in BROKEN
)


def part(job: tuple[Case, int, int]) -> tuple[Case, dict[str, Tally]]:
    """Simulate some runs of a case and return what each rule did in them."""
    case, seed, runs = job
    poisson = Poisson(seed)
    excess = case.canary_rate - case.stable_rate
    found = {OURS: ours(case, poisson, runs)}
    if case in LADDER:
        return case, found
    found |= {name: Tally(runs) for name in RULES}
    for _ in range(runs):
        run = simulate(case, poisson)
        for name, rule in RULES.items():
            minute = rule.judge(run)
            found[name].found += [] if minute is None else [minute + rule.lag]
            found[name].failures += excess_failures(rule, minute, case.rpm, excess)
    return case, found


def ours(case: Case, poisson: Poisson, runs: int) -> Tally:
    """Return what the gate did, with the places that ship."""
    found = Tally(runs)
    steps = steps_for(case.rpm, case.stable_rate)
    before = Counts(60 * case.rpm, 60 * case.rpm * case.stable_rate)
    for _ in range(runs):
        played = play(steps, independent(case, poisson), before)
        found.found += [] if played.rolled_back is None else [played.rolled_back]
        found.done += [] if played.done is None else [played.done]
        found.slow += played.slow_at is not None
        weights = [*played.weights, *((100.0,) * (HORIZON if played.done is not None else 0))][:HORIZON]
        found.failures += sum(weights) / 100 * case.rpm * (case.canary_rate - case.stable_rate)
    return found


def jobs(runs: int, seed: int) -> list[tuple[Case, int, int]]:
    """Return parts of at most 250 runs, each with a seed of its own; healthy cases get five times as many."""
    wanted = [(case, 5 * runs) for case in HEALTHY] + [(case, runs) for case in (*BROKEN, *LADDER)]
    parts = [(case, min(PART, count - done)) for case, count in wanted for done in range(0, count, PART)]
    return [(case, seed * 1_000_003 + place, count) for place, (case, count) in enumerate(parts)]


def collect(results: Iterable[tuple[Case, dict[str, Tally]]], total: int) -> dict[tuple[Case, str], Tally]:
    """Add the parts up and show how far it is."""
    tallies: dict[tuple[Case, str], Tally] = {}
    for done, (case, found) in enumerate(results, 1):
        for name, tally in found.items():
            tallies.setdefault((case, name), Tally()).add(tally)
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
    places = {rpm: steps_for(rpm, READERS_RATE) for rpm in READERS}
    page = power_report.page(tallies, (HEALTHY, BROKEN), places, command)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "rollout-power.md").write_text(page, encoding="utf-8")
    (options.out / "rollout-power.svg").write_text(power_report.chart(tallies, HEALTHY), encoding="utf-8")
    print(page)
    print(f"{time.monotonic() - began:.0f} s; wrote {options.out}/rollout-power.md and .svg", file=sys.stderr)


if __name__ == "__main__":
    main()
