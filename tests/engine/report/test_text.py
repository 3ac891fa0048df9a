"""Decisions and ticks as people and programs read them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deployer.canary.decision import Done, Pause, Promote, Refuse, Resume, Rollback, SetWeight, Tick, Wait
from deployer.canary.moves import write_for
from deployer.model import Cause, Evidence, RolloutState
from deployer.report import text as report
from engine.canary.test_decide import BY_ENGINE, LAST, OK, PAUSED, PLAN, START, at_step, untouched

TICKS = [
    (Wait(5, "why"), at_step(1), "wait", "wait       why", ("41", "42", 10, "run")),
    (Wait(5, "why"), PAUSED, "wait", "wait       why", ("41", "42", 10, "pause")),
    (SetWeight(1, 10, "why"), untouched(), "set-weight", "set weight why", ("41", "42", 10, "run")),
    (Promote("why"), LAST, "promote", "promote    why", ("42", None, 0, "done")),
    (Pause("why", Cause.SLOW), at_step(1), "pause", "pause      why", ("41", "42", 10, "pause")),
    (Resume("why"), BY_ENGINE, "resume", "resume     why", ("41", "42", 10, "run")),
    (Rollback("why"), at_step(2), "rollback", "roll back  why", ("41", None, 0, "rolled-back")),
    (Refuse("why", "hint"), untouched(), "refuse", "refuse     why", ("41", None, 0, None)),
    (Done(RolloutState.DONE, "why"), at_step(3, RolloutState.DONE), "done", "done       why", ("42", None, 0, "done")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "alias", "verb", "line", "after"), TICKS, ids=[f"{t[2]} in {t[4][3]}" for t in TICKS]
)
def test_every_decision_is_a_line_and_an_event(decision, alias, verb, line, after):
    """Each decision has its words for people, and its event shows the traffic as it is after the write."""
    written = (
        write_for(decision, PLAN, alias, START + 5)
        if isinstance(decision, SetWeight | Promote | Pause | Resume | Rollback)
        else None
    )
    event = report.tick_event(Tick(START + 5.0, alias, OK, decision, written))
    assert report.describe_decision(decision).startswith(line)
    assert (event["decision"], event["reason"], event["kind"]) == (verb, "why", "decision")
    assert (event["stable"], event["canary"], event["weight_pct"], event["state"]) == after
    assert event["alarms"] == {"errors": "OK"}
    assert event["verdicts"] == [{"metric": "errors", "outcome": "pass", "sentence": "errors: pass"}]
    assert json.loads(report.json_line(event)) == event


def test_the_alias_in_words():
    """Traffic, rollout and reason are one line each; without a marker it says that none is recorded."""
    shared = replace(PAUSED, marker=replace(PAUSED.marker, why="a person asked"))
    assert report.describe_alias(shared).splitlines() == [
        "traffic    version 41 90 %, version 42 10 %",
        "rollout    7f3a: version 41 -> 42, pause, step 1/3",
        "why        a person asked",
    ]
    assert "none recorded" in report.describe_alias(untouched())


def test_the_summary_has_a_row_per_transition():
    """The job's summary leaves waiting out, and a reason cannot break the table."""
    ticks = [
        Tick(START, untouched(), Evidence(), SetWeight(1, 10, "a | b"), None),
        Tick(START + 30, at_step(1), Evidence(), Wait(5, "waiting"), None),
    ]
    found = report.rollout_summary(ticks, function="fn", started_at=START)
    assert "a \\| b" in found
    assert "waiting" not in found
