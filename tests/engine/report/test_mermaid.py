"""The chart of the summary page: valid Mermaid, and the weight as it was."""

from __future__ import annotations

import re

import pytest

from deployer.canary.decision import Decision, Promote, Rollback, SetWeight, Tick, Wait
from deployer.model import (
    AliasState,
    AliasWrite,
    Evidence,
    Marker,
    Outcome,
    RolloutState,
    Routing,
    Strength,
    Verdict,
)
from deployer.report import text as report
from deployer.report.mermaid import weight_chart

START = 6000.0
MARKED = "[lc1 id=a from=1 to=2 step=1/2 at=6000 plan=0000 st=run]"


def tick(minute: float, decision: Decision, write: AliasWrite | None = None, **evidence: object) -> Tick:
    """Return a tick at a minute of the rollout of version 2 over version 1."""
    alias = AliasState(Routing("1"), "r")
    return Tick(START + 60 * minute, alias, Evidence(**evidence), decision, write)


def promoted_after(minutes: float) -> list[Tick]:
    """Return a rollout: 10 %, half-way 50 %, everything in the last minute, done at its end."""
    return [
        tick(0.01, SetWeight(1, 10, "first"), AliasWrite("1", MARKED, "2", 10)),
        tick(minutes / 2, SetWeight(2, 50, "good"), AliasWrite("1", MARKED, "2", 50)),
        tick(minutes - 1, Promote("good"), AliasWrite("2", MARKED)),
        tick(minutes, Promote("good"), AliasWrite("2", MARKED)),
    ]


def chart(lines: list[str]) -> tuple[tuple[int, int], list[int]]:
    """Check the form of a chart and return the range of its x-axis and its values."""
    fence, kind, title, x_axis, y_axis, line, end = lines
    assert (fence, kind, end) == ("```mermaid", "xychart-beta", "```")
    assert re.fullmatch(r'    title "[^"]+"', title)
    assert re.fullmatch(r'    y-axis "[^"]+" 0 --> 100', y_axis)
    across = re.fullmatch(r'    x-axis "[^"]+" (\d+) --> (\d+)', x_axis)
    values = re.fullmatch(r"    line \[(\d+(?:, \d+)*)\]", line)
    assert across
    assert values
    return (int(across[1]), int(across[2])), [int(value) for value in values[1].split(", ")]


def test_the_weight_is_drawn_minute_by_minute() -> None:
    """One value per minute, each the share that held then: 0 before the first step, 100 after the last."""
    across, values = chart(weight_chart(promoted_after(8), START))
    assert across == (0, 8)
    assert values == [0, 10, 10, 10, 50, 50, 50, 100, 100]


def test_a_rollback_ends_at_nothing() -> None:
    """After a rollback the new version has no traffic."""
    back = tick(3, Rollback("worse"), AliasWrite("1", MARKED.replace("run", "rolled-back")))
    _, values = chart(weight_chart([promoted_after(8)[0], back], START))
    assert values == [0, 10, 10, 0]


@pytest.mark.parametrize("minutes", [1, 61, 600, 100_000])
def test_a_chart_stays_small(minutes: int) -> None:
    """However long a rollout takes, a chart has few points, evenly spread over its axis."""
    (first, last), values = chart(weight_chart(promoted_after(minutes), START))
    assert 2 <= len(values) <= 100
    assert (last - first) % (len(values) - 1) == 0
    assert last >= minutes
    assert set(values) <= {0, 10, 50, 100}


def test_a_resumed_rollout_begins_where_it_is() -> None:
    """Whoever goes on with a rollout reads its weight from the alias, not from a write of its own."""
    marker = Marker("a", "1", "2", (10, 50), (5000,), RolloutState.RUN)
    alias = AliasState(Routing("1", "2", 10), "r", marker=marker)
    ticks = [Tick(START, alias, Evidence(), Wait(1, "x")), promoted_after(8)[1]]
    _, values = chart(weight_chart(ticks, START))
    assert values == [10, 10, 10, 10, 50]


def test_nothing_moved_nothing_drawn() -> None:
    """Without ticks, or when no traffic moved, there is no chart."""
    assert weight_chart([], START) == []
    assert weight_chart([tick(0, Wait(1, "x"))], START) == []


def test_the_summary_shows_chart_decisions_and_evidence() -> None:
    """The page has the chart, the table, and one line per verdict and per evidence, none of which breaks it."""
    verdict = Verdict(Outcome.FAIL, "v2 produced 6 of the\n7 errors | bad", "errors")
    last = tick(
        4,
        Rollback("worse"),
        AliasWrite("1", MARKED),
        verdicts=(verdict,),
        strengths=(Strength("errors", 9.31, 4.7),),
    )
    found = report.rollout_summary([*promoted_after(8)[:1], last], function="fn", started_at=START)
    assert found.count("```") == 2
    assert "- **errors: fail.** v2 produced 6 of the 7 errors \\| bad" in found.splitlines()
    assert "- evidence on errors: ln E = 9.3, limit 4.7" in found.splitlines()
    assert "| 4.0 | rollback | 1 | none | worse |" in found.splitlines()
