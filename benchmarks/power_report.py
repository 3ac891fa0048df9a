"""The benchmark's results as a page and a chart. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from benchmarks.rules import RULES
from benchmarks.traffic import HORIZON, OUTAGE_RATE, RAMP, Case

SHOWN = Case(100, 0.001, 0.05)  # the broken release of the chart: 5 % of its calls fail


@dataclass
class Tally:
    """What one rule did in one case: after how many minutes it rolled back, run by run."""

    runs: int = 0
    found: list[int] = field(default_factory=list)
    failures: float = 0.0

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


Tallies = Mapping[tuple[Case, str], Tally]


def page(tallies: Tallies, healthy: Sequence[Case], broken: Sequence[Case], command: str) -> str:
    """Return docs/rollout-power.md."""
    runs = {True: tallies[healthy[0], "ours"].runs, False: tallies[broken[0], "ours"].runs}
    ramp = ", ".join(f"{RAMP.count(weight)} minutes at {weight} %" for weight in sorted(set(RAMP)))
    return "\n".join(
        [
            "# How often the gate is wrong, and how fast it is right",
            "",
            "![False rollbacks and found regressions, rule by rule](rollout-power.svg)",
            "",
            "Simulated rollouts; every rule sees the same calls. Made by",
            "",
            f"    {command}",
            "",
            f"The ramp is {ramp}; CodeDeploy's two schedules run as AWS defines them. Calls arrive at random "
            "(Poisson). What each rule is exactly, with its source: `benchmarks/rules.py`.",
            "",
            "## Healthy releases that are rolled back",
            "",
            f"The canary is as good as the stable version. {runs[True]} rollouts per row. "
            f"In an outage {OUTAGE_RATE:.0%} of both versions' calls fail for five minutes.".replace(
                "%", " %"
            ),
            "",
            *_table(
                ["traffic and error rate", *(rule.name for rule in RULES.values())],
                [
                    [_healthy_name(case), *(_percent(tallies[case, name].share) for name in RULES)]
                    for case in healthy
                ],
            ),
            "",
            "## Minutes until a worse release is found",
            "",
            f"Median of the rollouts in which it was found, and their share if that is not all of "
            f"{runs[False]}. Counted in closed minutes; the time until a minute's numbers are settled "
            f"(3 minutes for this gate, 1 for the others) comes on top. A dash: found in less than 1 %.",
            "",
            *_broken_table(broken, lambda case, name: _median(tallies[case, name])),
            "",
            "## Requests that fail because of the release",
            "",
            "Mean until the rollback, that time included. A release that a rule lets through has all traffic "
            "once the rule's schedule is over and nobody watches, until somebody notices "
            f"{HORIZON} minutes after the start.",
            "",
            *_broken_table(broken, lambda case, name: _count(tallies[case, name].mean_failures)),
            "",
        ]
    )


def _broken_table(broken: Sequence[Case], cell: Callable[[Case, str], str]) -> list[str]:
    return _table(
        ["stable to canary", "calls/min", *(rule.name for rule in RULES.values())],
        [
            [
                f"{100 * case.stable_rate:g} → {100 * case.canary_rate:g} %",
                _count(case.rpm),
                *(cell(case, name) for name in RULES),
            ]
            for case in broken
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _healthy_name(case: Case) -> str:
    outage = ", outage" if case.outage else ""
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
    height = TOP + ROW * len(RULES) + 44
    worst = {name: max(tallies[case, name].share for case in healthy) for name in RULES}
    power = {name: tallies[SHOWN, name] for name in RULES}
    desc = "; ".join(
        f"{rule.name}: {_percent(worst[name])} false, {_percent(power[name].share)} found"
        for name, rule in RULES.items()
    )
    shapes = [
        f'<text class="head" x="{FIRST}" y="36">Healthy releases rolled back</text>',
        f'<text class="soft" x="{FIRST}" y="56">worst of {len(healthy)} situations, outages included</text>',
        f'<text class="head" x="{SECOND}" y="36">Broken releases found</text>',
        f'<text class="soft" x="{SECOND}" y="56">5 % of calls fail, {SHOWN.rpm} calls per minute</text>',
    ]
    for place, (name, rule) in enumerate(RULES.items()):
        y = TOP + ROW * place
        mine = " mine" if name == "ours" else ""
        shapes.append(f'<text class="label{mine}" x="24" y="{y + 14}">{escape(rule.name)}</text>')
        tone = "ours" if name == "ours" else "bad"
        shapes += _bar(FIRST, y, worst[name], tone, _percent(worst[name]))
        found = power[name]
        median = f" in {found.median} min" if found.found else ""
        tone = "ours" if name == "ours" else "good"
        shapes += _bar(SECOND, y, found.share, tone, f"{_percent(found.share)}{median}")
    bottom = TOP + ROW * len(RULES) - 8
    for x in (FIRST, SECOND):
        shapes.append(f'<path class="axis" d="M{x - 0.5} {TOP - 8}V{bottom}"/>')
    shapes.append(
        f'<text class="soft" x="24" y="{height - 18}">Simulated; tables, rules and the command: '
        "docs/rollout-power.md. Minutes are the median, without the time metrics take to settle.</text>"
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
