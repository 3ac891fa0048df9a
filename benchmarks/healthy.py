"""Measure how often healthy releases pause or go back for slow calls, throttled calls and outages.

    python -m benchmarks.healthy                 # about half an hour on two cores
    python -m benchmarks.healthy --runs 50       # a quick look, less precise

What is simulated is said in `benchmarks/durations.py`, `throttling.py` and `outages.py`; `deployer.judge`
itself looks at it. Writes docs/rollout-healthy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median_low

from benchmarks import durations, outages, throttling
from benchmarks.grid import Grid

TRAFFIC = (30, 60, 100, 300, 1000)
Case = durations.Case | outages.Case | throttling.Case
Results = Mapping[Case, tuple[int, Sequence[int]]]
Row = tuple[str, Callable[[int], Case]]

HEALTHY_SLOW: tuple[Row, ...] = (
    ("the same code", durations.Case),
    ("uploads of 30 photos", partial(durations.Case, upload=30)),
    ("warming up, 30 % slower for 180 s", partial(durations.Case, warming=0.3, warming_s=180)),
    ("warming up, 60 % slower for 180 s", partial(durations.Case, warming=0.6, warming_s=180)),
    ("warming up, 90 % slower for 180 s", partial(durations.Case, warming=0.9, warming_s=180)),
    ("environments 10 % apart", partial(durations.Case, spread=0.1)),
    ("environments 20 % apart", partial(durations.Case, spread=0.2)),
)
BEYOND: tuple[Row, ...] = (
    ("warming up, 90 % slower for 300 s", partial(durations.Case, warming=0.9, warming_s=300)),
)
SLOWER: tuple[Row, ...] = (
    ("each call 1.3 times as long", partial(durations.Case, ratio=1.3)),
    ("each call 1.5 times as long", partial(durations.Case, ratio=1.5)),
    ("each call twice as long", partial(durations.Case, ratio=2.0)),
)
UPLOADS = ((60, 1), (60, 5), (60, 10), (100, 5), (100, 10), (200, 5))
RATIOS = (1.0, 1.5, 2.0, 3.0)
CONTROLS = (95, 90, 80)
OUTAGE_TRAFFIC = (5, 10, 30, 100, 300, 1000)
FAILING = (
    (None, "outage of both, 30 % for 5 min"),
    (1.0, "the canary fails 100 %"),
    (0.2, "the canary fails 20 %"),
)


def cases() -> list[Case]:
    """Return everything that is simulated."""
    slow: list[Case] = [make(rpm) for _, make in (*HEALTHY_SLOW, *BEYOND, *SLOWER) for rpm in TRAFFIC]
    slow += [make(10) for _, make in SLOWER]
    throttled = [throttling.Case(rpm, upload, ratio) for rpm, upload in UPLOADS for ratio in RATIOS]
    last = [
        outages.Case(rpm, weight, rate)
        for rate, _ in FAILING
        for weight in CONTROLS
        for rpm in OUTAGE_TRAFFIC
    ]
    return [*slow, *throttled, *last]


def part(job: tuple[Case, int, int]) -> tuple[Case, int, Sequence[int]]:
    """Simulate one case; return how often, and what was found: minutes, or how many paused and throttled."""
    case, runs, seed = job
    match case:
        case durations.Case():
            return case, runs, durations.found(case, runs, seed)
        case outages.Case():
            return case, runs, outages.found(case, runs, seed)
    runs = max(3, runs // 4)
    return case, runs, throttling.paused(case, runs, seed)


def _percent(found: int, runs: int) -> str:
    share = 100 * found / runs
    return f"{share:.2g}" if share < 99 else f"{share:.3g}"


def _share(results: Results, case: Case, *, with_minutes: bool = False) -> str:
    runs, minutes = results[case]
    after = f" ({median_low(minutes)})" if with_minutes and minutes else ""
    return f"{_percent(len(minutes), runs)}{after}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _slow(results: Results, rows: Sequence[Row], traffic: Sequence[int], *, minutes: bool) -> list[str]:
    return _table(
        ["", *(f"{rpm}/min" for rpm in traffic)],
        [
            [name, *(_share(results, make(rpm), with_minutes=minutes) for rpm in traffic)]
            for name, make in rows
        ],
    )


def _throttled(results: Results) -> list[str]:
    rows = []
    for rpm, upload in UPLOADS:
        cells = []
        for ratio in RATIOS:
            runs, found = results[throttling.Case(rpm, upload, ratio)]
            cells.append(" / ".join(_percent(count, runs) for count in found))
        come = "singly" if upload == 1 else f"in uploads of {upload}"
        rows.append([f"{rpm}/min, {come}", *cells])
    return _table(["calls", "same code", *(f"{ratio:g} times as long" for ratio in RATIOS[1:])], rows)


def _outages(results: Results, rate: float | None) -> list[str]:
    rows = [
        [
            f"{weight} / {100 - weight} %",
            *(
                _share(results, outages.Case(rpm, weight, rate), with_minutes=rate is not None)
                for rpm in OUTAGE_TRAFFIC
            ),
        ]
        for weight in CONTROLS
    ]
    return _table(["new / old", *(f"{rpm}/min" for rpm in OUTAGE_TRAFFIC)], rows)


def page(results: Results, command: str) -> str:
    """Return the page."""
    runs = max(count for count, _ in results.values())
    few = results[throttling.Case(*UPLOADS[0])][0]
    healthy = [(make(rpm)) for _, make in HEALTHY_SLOW for rpm in TRAFFIC]
    worst = max(100 * len(results[case][1]) / results[case][0] for case in healthy)
    lines = [
        "# Slow calls, throttled calls and outages",
        "",
        f"Simulated rollouts, {runs} of each case, {few} of those with throttled calls. The gate itself",
        "judges them. Made by",
        "",
        f"    {command}",
        "",
        "The places of the slow calls are those that ship. A warm call takes a lognormal time with a median",
        "of 0.7 s; ln of it has a standard deviation of 0.6. How much slower a regression looks depends on",
        "that. A tail that is slower where the median is not, is not found here.",
        "",
        "## Healthy releases that pause for slow calls, in %",
        "",
        f"At most {worst:.2g} % of a case.",
        "",
        *_slow(results, HEALTHY_SLOW, TRAFFIC, minutes=False),
        "",
        "Three minutes after each increase are forgiven. What warms up for longer is taken for slow:",
        "",
        *_slow(results, BEYOND, TRAFFIC, minutes=False),
        "",
        "## Slower releases that are found, in % (median minutes from the start)",
        "",
        *_slow(results, SLOWER, (10, *TRAFFIC), minutes=True),
        "",
        "## Throttled calls: paused by the gate / any call throttled, in %",
        "",
        "Ten calls run at once, a call takes 1.2 s, what finds no room comes back later. The steps are 10,",
        "50 and 95 % for 5, 5 and 10 judged minutes. The history is one day. The second figure is that of a",
        "rule that answers any throttle.",
        "",
        *_throttled(results),
        "",
        "## Rolled back in the last place, in % (median minutes from the failure)",
        "",
        "Ten judged minutes; what fails begins in the third of them. Minutes are judged minutes.",
        "Of the outages at most 5 % may be rolled back, by design.",
    ]
    for rate, name in FAILING:
        lines += ["", f"### {name[0].upper()}{name[1:]}", "", *_outages(results, rate)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, print the page and write it."""
    about = "roll out healthy versions that warm up, throttle or meet outages"
    grid = Grid.asked("healthy", about, runs=400, each="rollouts of each case")
    work = [(case, grid.runs, grid.seed) for case in cases()]
    results: dict[Case, tuple[int, Sequence[int]]] = {}
    for case, runs, found in grid.results(part, work):
        results[case] = (runs, found)
    grid.write("rollout-healthy.md", page(results, grid.command))


if __name__ == "__main__":
    main()
