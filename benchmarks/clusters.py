"""Measure how often healthy releases are rolled back where errors come in runs, with the steps that ship.

    python -m benchmarks.clusters                 # about half an hour on two cores
    python -m benchmarks.clusters --runs 200      # a quick look, less precise

A sick environment fails a run of calls, an event with three tries fails three times, always on one version.
Each cell simulates weeks of such traffic, from which the gate measures how errors come and takes its places,
and rollouts of a version that is no worse, by `deployer.judge` itself. Writes docs/rollout-runs.md.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from benchmarks.grid import Grid
from benchmarks.shipped import Calls, play, steps_for
from benchmarks.traffic import Poisson
from deployer.judge.counts import Block, Counts, Dispersion
from deployer.judge.dispersion import dispersion

EXPOSURE_MIN = 14.0  # minutes of the whole traffic that the canary serves, about
LAWS = {"independent": 1.0, "three tries": 3.0, "runs of 5": 5.0, "runs of 15": 15.0, "runs of 50": 50.0}
RATES = (0.001, 0.01, 0.02)
TRAFFIC = (30, 100, 300, 1000)
CALL_S = 0.7
BLOCKS, BLOCK_MIN = 7 * 24 * 4, 15
ROLLOUTS_PER_WEEK = 10


@dataclass(frozen=True)
class Cell:
    """Calls per minute, the share of them that fail (0-1), and how failures come."""

    rpm: int
    rate: float
    law: str


class Source:
    """Failures of one cell's law, seeded."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell = cell
        self._poisson = Poisson(seed)
        self._chance = random.Random(seed + 1)

    def calls(self, minutes: float, share: float) -> int:
        """Return how many calls a version with that share of the traffic gets."""
        return self._poisson.draw(round(self.cell.rpm * share * minutes, 6))

    def errors(self, minute: int, share: float, coming: dict[int, float]) -> float:
        """Return the failures of that minute of a version with that share of the traffic.

        `coming` are the failures of runs that began before, by minute; what begins now is added to it.
        """
        mean = LAWS[self.cell.law]
        clusters = self._poisson.draw(round(self.cell.rpm * share * self.cell.rate / mean, 9))
        if mean == 1.0:
            return float(clusters)
        for _ in range(clusters):
            self._spread(coming, minute, share)
        return coming.pop(minute, 0.0)

    def _spread(self, coming: dict[int, float], minute: int, share: float) -> None:
        """Add one run of failures, from its first minute on."""
        if self.cell.law == "three tries":
            for delay in (0, 1, 3):
                coming[minute + delay] = coming.get(minute + delay, 0.0) + 1
            return
        size = 1 + int(math.log(1 - self._chance.random()) / math.log(1 - 1 / LAWS[self.cell.law]))
        calls = self.cell.rpm * share
        # One environment takes its part of the version's calls, at most as many as fit into its time.
        per_minute = max(1.0, calls / max(1.0, calls / 60 * CALL_S))
        left = float(size)
        room = per_minute * (1 - self._chance.random())
        while left >= 1:
            here = min(left, round(room) or 1)
            coming[minute] = coming.get(minute, 0.0) + here
            left -= here
            minute, room = minute + 1, per_minute

    def week(self) -> tuple[Block, ...]:
        """Return a week of the alias in blocks of 15 minutes."""
        if LAWS[self.cell.law] == 1.0:
            expected = round(self.cell.rpm * self.cell.rate * BLOCK_MIN, 9)
            errors = [float(self._poisson.draw(expected)) for _ in range(BLOCKS)]
        else:
            coming: dict[int, float] = {}
            each = [self.errors(minute, 1.0, coming) for minute in range(BLOCKS * BLOCK_MIN)]
            errors = [sum(each[at : at + BLOCK_MIN]) for at in range(0, len(each), BLOCK_MIN)]
        return tuple(Block(max(self.calls(BLOCK_MIN, 1.0), failed), failed) for failed in errors)

    def before(self) -> Counts:
        """Return the hour before a rollout."""
        coming: dict[int, float] = {}
        failed = sum(self.errors(minute, 1.0, coming) for minute in range(60))
        return Counts(max(self.calls(60, 1.0), round(failed)), failed)

    def rollout(self) -> Calls:
        """Return the minutes of a rollout of a version that is no worse."""
        coming: tuple[dict[int, float], dict[int, float]] = ({}, {})

        def calls(minute: int, weight: float) -> tuple[Counts, Counts]:
            canary, stable = (
                self._counts(share, self.errors(minute, share, runs))
                for share, runs in zip((weight, 1 - weight), coming, strict=True)
            )
            return canary, stable

        return calls

    def _counts(self, share: float, errors: float) -> Counts:
        return Counts(max(self.calls(1, share), math.ceil(errors)), errors)


def part(job: tuple[Cell, int, int]) -> tuple[Cell, int, int, int]:
    """Simulate rollouts; return how many were rolled back with phi, and without."""
    cell, seed, runs = job
    source = Source(cell, seed)
    rolled_back = [0, 0]
    for number in range(runs):
        if number % ROLLOUTS_PER_WEEK == 0:
            week = source.week()
            rate = sum(block.errors for block in week) / sum(block.calls for block in week)
            seen = (dispersion(week, exposure_min=EXPOSURE_MIN), Dispersion())
            plans = [steps_for(cell.rpm, rate, found.phi) for found in seen]
        for place, (steps, found) in enumerate(zip(plans, seen, strict=True)):
            played = play(steps, source.rollout(), source.before(), found)
            rolled_back[place] += played.rolled_back is not None
    return cell, runs, rolled_back[0], rolled_back[1]


def table(found: Mapping[Cell, Sequence[int]], place: int) -> list[str]:
    """Return the percentages as rows of Markdown: laws by traffic, three error rates in each cell."""
    lines = [
        "| errors come | " + " | ".join(f"{rpm}/min" for rpm in TRAFFIC) + " |",
        "|---|" + "---|" * len(TRAFFIC),
    ]
    for law in LAWS:
        cells = []
        for rpm in TRAFFIC:
            counts = [found[Cell(rpm, rate, law)] for rate in RATES]
            cells.append(" / ".join(f"{100 * count[place] / count[0]:.2g}" for count in counts))
        lines.append(f"| {law} | " + " | ".join(cells) + " |")
    return lines


def page(found: Mapping[Cell, Sequence[int]], command: str) -> str:
    """Return the page: what was simulated, and both tables."""
    runs = max(counts[0] for counts in found.values())
    lines = [
        "# Healthy releases where errors come in runs",
        "",
        f"Rolled back, in % of {runs} rollouts a cell, of a version that is no worse. Each cell has three",
        "figures: 0.1, 1 and 2 % of all calls fail. The steps are those of a new repository, taken from a",
        "simulated week; there is one before each ten rollouts, and the gate measures phi on it. A sick",
        "environment fails a run of calls, and an event with three tries fails three times, each on one",
        "version. Made by",
        "",
        f"    {command}",
    ]
    titles = ("As the gate does: phi errors count as one", "If each error counted by itself")
    for place, title in enumerate(titles, 1):
        above = sum(counts[place] > 0.01 * counts[0] for counts in found.values())
        lines += [
            "",
            f"## {title}",
            "",
            f"{above} of {len(found)} cells are above 1 %.",
            "",
            *table(found, place),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, print the page and write it."""
    grid = Grid.asked("clusters", "roll out healthy versions where errors come in runs", runs=2000)
    cells = [Cell(rpm, rate, law) for law, rate, rpm in product(LAWS, RATES, TRAFFIC)]
    work = [
        (cell, grid.seed * 1_000_003 + 97 * place + done, runs)
        for place, cell in enumerate(cells)
        for done, runs in grid.parts(250)
    ]
    found = {cell: [0, 0, 0] for cell in cells}
    for cell, *counts in grid.results(part, work):
        found[cell] = [old + new for old, new in zip(found[cell], counts, strict=True)]
    grid.write("rollout-runs.md", page(found, grid.command))


if __name__ == "__main__":
    main()
