"""The benchmark's results as a page and a chart. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from benchmarks.rules import RULES
from benchmarks.traffic import HORIZON, OUTAGE_RATE, RAMP, Case
from deployer.model import Step

SHOWN = Case(100, 0.001, 0.05)  # the broken release of the chart: 5 % of its calls fail
OURS = "ours"
NAMES = {OURS: "this gate", **{name: rule.name for name, rule in RULES.items()}}
READERS = (5, 30, 100, 1000)
READERS_RATE = 0.001
POWER = 0.95


@dataclass
class Tally:
    """What one rule did in one case: after how many minutes it rolled back, run by run, its lag included.

    `done` are the minutes of the gate's rollouts that ended with all traffic; `slow` how many paused.
    """

    runs: int = 0
    found: list[int] = field(default_factory=list)
    failures: float = 0.0
    done: list[int] = field(default_factory=list)
    slow: int = 0

    @property
    def share(self) -> float:
        """Return the share of the runs (0-1) that ended in a rollback."""
        return len(self.found) / self.runs

    @property
    def median(self) -> int | None:
        """Return the median minutes to the rollback among the runs that had one."""
        return statistics.median_low(self.found) if self.found else None

    @property
    def mean_failures(self) -> float:
        """Return the mean number of requests that failed because of the canary."""
        return self.failures / self.runs

    def add(self, other: Tally) -> None:
        """Count the runs of another part as well."""
        self.runs, self.slow = self.runs + other.runs, self.slow + other.slow
        self.failures += other.failures
        self.found += other.found
        self.done += other.done


Tallies = Mapping[tuple[Case, str], Tally]
Places = Mapping[int, Sequence[Step]]


def page(tallies: Tallies, cases: tuple[Sequence[Case], Sequence[Case]], places: Places, command: str) -> str:
    """Return docs/rollout-power.md; `cases` are the healthy and the broken ones."""
    healthy, broken = cases
    runs = {True: tallies[healthy[0], OURS].runs, False: tallies[broken[0], OURS].runs}
    ramp = ", ".join(f"{RAMP.count(weight)} minutes at {weight} %" for weight in sorted(set(RAMP)))
    return "\n".join(
        [
            "# How often the gate is wrong, and how fast it is right",
            "",
            "![False rollbacks and found regressions, rule by rule](rollout-power.svg)",
            "",
            "Simulated rollouts with the `deploy.toml` of a new repository: its steps follow from last",
            "week's traffic, a place ends when it has shown enough, and slow calls are compared as well.",
            "Made by",
            "",
            f"    {command}",
            "",
            "## Your function",
            "",
            f"{100 * READERS_RATE:g} % of all calls fail anyway. Minutes are medians from the first call on;",
            'the time until numbers are settled is included. "Smallest found" is the smallest share of',
            "failing calls, of those tried, that 95 % of the rollouts find. The alarm that stays armed",
            "afterwards is not counted here.",
            "",
            *_table(
                [
                    "calls/min",
                    "places, % of traffic",
                    "healthy: minutes to done",
                    "rolled back",
                    "paused",
                    "smallest found",
                    "fails 100 %: found, minutes, failed requests",
                    "fails 5 %: found, minutes, failed requests",
                ],
                [_reader(tallies, places, rpm) for rpm in READERS],
            ),
            "",
            "## Healthy releases that are rolled back",
            "",
            f"The canary is as good as the stable version. {runs[True]} rollouts per row. In an outage",
            f"{100 * OUTAGE_RATE:g} % of both versions' calls fail for five minutes. Calls arrive at random",
            f"(Poisson). The other rules' ramp is {ramp};",
            "CodeDeploy's two schedules run as AWS defines them. What each rule is exactly, with its",
            "source: `benchmarks/rules.py`.",
            "",
            *_table(
                ["traffic and error rate", *NAMES.values()],
                [
                    [_healthy_name(case), *(_percent(tallies[case, name].share) for name in NAMES)]
                    for case in healthy
                ],
            ),
            "",
            "## Minutes until a worse release is rolled back",
            "",
            "Median of the rollouts in which it was found, from the first traffic on, and their share if",
            f"that is not all of {runs[False]}. The time until numbers are settled is included: 3 minutes",
            "for this gate, 1 for the others. A dash: found in less than 1 %.",
            "",
            *_broken_table(broken, lambda case, name: _median(tallies[case, name])),
            "",
            "## Requests that fail because of the release",
            "",
            "Mean until the rollback. A release that a rule lets through has all traffic once the rule's",
            f"schedule is over, until somebody notices {HORIZON} minutes after the start.",
            "",
            *_broken_table(broken, lambda case, name: _count(tallies[case, name].mean_failures)),
            "",
        ]
    )


def _reader(tallies: Tallies, places: Places, rpm: int) -> list[str]:
    """Return what a reader with that traffic may expect."""
    healthy = tallies[Case(rpm, READERS_RATE, READERS_RATE), OURS]
    found = sorted(
        case.canary_rate
        for (case, name), tally in tallies.items()
        if name == OURS and (case.rpm, case.stable_rate, case.outage) == (rpm, READERS_RATE, None)
        if case.canary_rate > READERS_RATE and tally.share >= POWER
    )
    return [
        _count(rpm),
        ", ".join(f"{step.weight_pct:g}" for step in places[rpm]),
        f"{statistics.median_low(healthy.done)}" if healthy.done else "–",  # noqa: RUF001 - a dash, as in print
        _percent(healthy.share),
        _percent(healthy.slow / healthy.runs),
        f"{100 * found[0]:g} %" if found else "–",  # noqa: RUF001 - a dash, as in print
        *(_found(tallies[Case(rpm, READERS_RATE, rate), OURS]) for rate in (1.0, 0.05)),
    ]


def _found(tally: Tally) -> str:
    return f"{_percent(tally.share)}, {tally.median or '–'}, {_count(tally.mean_failures)}"  # noqa: RUF001


def _broken_table(broken: Sequence[Case], cell: Callable[[Case, str], str]) -> list[str]:
    return _table(
        ["stable to canary", "calls/min", *NAMES.values()],
        [
            [
                f"{100 * case.stable_rate:g} → {100 * case.canary_rate:g} %",
                _count(case.rpm),
                *(cell(case, name) for name in NAMES),
            ]
            for case in broken
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _healthy_name(case: Case) -> str:
    outage = f", outage in minute {case.outage[0]}" if case.outage else ""
    return f"{_count(case.rpm)}/min, {100 * case.stable_rate:g} %{outage}"


def _percent(share: float) -> str:
    return "0" if not share else f"{100 * share:.2g} %" if share < 0.995 else "100 %"


def _median(tally: Tally) -> str:
    if tally.share < 0.01:
        return "–"  # noqa: RUF001 - a dash, as in print
    power = "" if tally.share >= 0.995 else f" ({100 * tally.share:.0f} %)"
    return f"{tally.median}{power}"


def _count(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


STYLE = """
    svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; --card: #ffffff;
          --line: #d0d7de; --ink: #1f2328; --soft: #59636e; --ours: #1f883d;
          --bad: #cf222e; --good: #6e8cc4; }
    @media (prefers-color-scheme: dark) {
      svg { --card: #0d1117; --line: #3d444d; --ink: #f0f6fc; --soft: #9198a1; --ours: #3fb950;
            --bad: #f85149; --good: #58709e; }
    }
    .card { fill: var(--card); stroke: var(--line); } .axis { stroke: var(--line); }
    text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 12px; } .head { font-weight: 600; }
    .bad { fill: var(--bad); } .good { fill: var(--good); } .ours { fill: var(--ours); }
    .mine { font-weight: 600; }
"""
WIDTH, ROW, TOP, BAR = 880, 34, 92, 150
FIRST, SECOND = 326, 600


def chart(tallies: Tallies, healthy: Sequence[Case]) -> str:
    """Return docs/rollout-power.svg: false rollbacks to the left, found regressions to the right."""
    height = TOP + ROW * len(NAMES) + 44
    worst = {name: max(tallies[case, name].share for case in healthy) for name in NAMES}
    power = {name: tallies[SHOWN, name] for name in NAMES}
    desc = "; ".join(
        f"{shown}: {_percent(worst[name])} false, {_percent(power[name].share)} found"
        for name, shown in NAMES.items()
    )
    shapes = [
        f'<text class="head" x="{FIRST}" y="36">Healthy releases rolled back</text>',
        f'<text class="soft" x="{FIRST}" y="56">worst of {len(healthy)} situations, outages included</text>',
        f'<text class="head" x="{SECOND}" y="36">Broken releases found</text>',
        f'<text class="soft" x="{SECOND}" y="56">5 % of calls fail, {SHOWN.rpm} calls per minute</text>',
    ]
    for place, (name, shown) in enumerate(NAMES.items()):
        y = TOP + ROW * place
        mine = " mine" if name == OURS else ""
        shapes.append(f'<text class="label{mine}" x="24" y="{y + 14}">{escape(shown)}</text>')
        tone = "ours" if name == OURS else "bad"
        shapes += _bar(FIRST, y, worst[name], tone, _percent(worst[name]))
        found = power[name]
        median = f" in {found.median} min" if found.found else ""
        tone = "ours" if name == OURS else "good"
        shapes += _bar(SECOND, y, found.share, tone, f"{_percent(found.share)}{median}")
    bottom = TOP + ROW * len(NAMES) - 8
    for x in (FIRST, SECOND):
        shapes.append(f'<path class="axis" d="M{x - 0.5} {TOP - 8}V{bottom}"/>')
    shapes.append(
        f'<text class="soft" x="24" y="{height - 18}">Simulated; tables, rules and the command: '
        "docs/rollout-power.md. Minutes are the median, from the first traffic on.</text>"
    )
    drawn = "\n  ".join(shapes)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" \
aria-labelledby="title desc">
  <title id="title">How often each rule is wrong, and how often it finds a broken release</title>
  <desc id="desc">{escape(desc)}.</desc>
  <style>{STYLE}  </style>
  <rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>
  {drawn}
</svg>
"""


def _bar(x: int, y: int, share: float, tone: str, label: str) -> list[str]:
    """Draw one share (0-1) as a bar with its number behind it."""
    width = max(2.0, BAR * share)
    return [
        f'<rect class="{tone}" x="{x}" y="{y}" width="{width:.1f}" height="20" rx="3"/>',
        f'<text x="{x + width + 8:.1f}" y="{y + 15}">{escape(label)}</text>',
    ]
