"""Plans, ticks and rollbacks as text, Markdown and JSON lines. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from deployer.canary.decision import (
    Decision,
    Done,
    Pause,
    Promote,
    Refuse,
    Resume,
    Rollback,
    SetWeight,
    Tick,
    Wait,
)
from deployer.errors import DeployerError
from deployer.model import AlarmReading, AliasState, AliasWrite, RolloutState
from deployer.release import plan as plans
from deployer.report import mermaid as report_mermaid


def describe_action(action: plans.Action) -> str:
    """Return one line, or an indented block, that says what the action will do."""
    match action:
        case plans.CreateStack(name):
            return f"+ create stack {name}: function, first version, alias, trigger, alarms"
        case plans.UpdateStack(name, changes):
            return "\n".join([f"~ update stack {name}", *(f"    {line}" for line in changes)])
        case plans.RepairFunction(changes):
            return "\n".join(
                ["! the function was changed outside this repository", *(f"    {c}" for c in changes)]
            )
        case plans.UpdateCode(found, wanted):
            return f"~ update $LATEST: {_short(found)} -> {_short(wanted)}"
        case plans.ReleaseVersion(stable):
            return f"+ publish a version and roll it out over version {stable}"
        case plans.ClearWeights(canary, weight_pct):
            return f"! version {canary} has {weight_pct} % and no rollout runs: `deployer rollback`"


def describe_plan(plan: plans.Plan) -> str:
    """Return the plan as text; an empty plan says so."""
    if not plan.actions:
        return "nothing to do: what is live is what the repository asks for"
    lines = [describe_action(action) for action in plan.actions]
    if plan.blocked:
        lines.append(f"blocked: {plan.blocked}")
    return "\n".join(lines)


def describe_decision(decision: Decision) -> str:
    """Return a decision as one line, verb first."""
    match decision:
        case Wait(_, reason):
            return f"wait       {reason}"
        case SetWeight(_, _, reason):
            return f"set weight {reason}"
        case Promote(reason):
            return f"promote    {reason}"
        case Pause(reason, _):
            return f"pause      {reason}"
        case Resume(reason):
            return f"resume     {reason}"
        case Done(_, reason):
            return f"done       {reason}"
        case Rollback(reason):
            return f"roll back  {reason}"
        case Refuse(reason, _):
            return f"refuse     {reason}"


def describe_alias(alias: AliasState) -> str:
    """Return where the traffic goes and what the marker says, in two or three lines."""
    routing = alias.routing
    if routing.canary:
        lines = [
            f"traffic    version {routing.stable} {100 - routing.weight_pct} %, "
            f"version {routing.canary} {routing.weight_pct} %"
        ]
    else:
        lines = [f"traffic    version {routing.stable} 100 %"]
    marker = alias.marker
    if marker is None:
        lines.append("rollout    none recorded on the alias")
    else:
        step = f", step {marker.step}/{marker.steps}" if marker.is_active else ""
        lines.append(
            f"rollout    {marker.id}: version {marker.from_version} -> {marker.to_version}, "
            f"{marker.state.value}{step}"
        )
        if marker.why:
            lines.append(f"why        {marker.why}")
    return "\n".join(lines)


def describe_alarms(alarms: Mapping[str, AlarmReading]) -> str:
    """Return one line per alarm."""
    return "\n".join(f"alarm      {name}: {reading.state.value}" for name, reading in sorted(alarms.items()))


def tick_event(tick: Tick) -> dict[str, Any]:
    """Return a tick as the JSON object of `--events`; the routing is the one after its write."""
    write = tick.written
    routing = tick.alias.routing
    return {
        "at": tick.at,
        "kind": "decision",
        "stable": write.version if write else routing.stable,
        "canary": write.canary if write else routing.canary,
        "weight_pct": write.weight_pct if write else routing.weight_pct,
        "alarms": {name: reading.state.value for name, reading in tick.evidence.alarms.items()},
        "verdicts": [
            {"metric": verdict.metric, "outcome": verdict.outcome.value, "sentence": verdict.sentence}
            for verdict in tick.evidence.verdicts
        ],
        "evidence": [
            {"metric": known.metric, "log_e": round(known.log_e, 3), "limit": round(known.limit, 3)}
            for known in tick.evidence.strengths
        ],
        "decision": _verb(tick.decision),
        "reason": tick.decision.reason,
        "state": _state_after(tick),
    }


def rollback_event(at: float, write: AliasWrite, reason: str) -> dict[str, Any]:
    """Return a rollback asked for by a person or a failed job as the JSON object of `--events`."""
    return {
        "at": at,
        "kind": "decision",
        "stable": write.version,
        "canary": None,
        "weight_pct": 0,
        "alarms": {},
        "decision": "rollback",
        "reason": reason,
        "state": RolloutState.ROLLED_BACK.value,
    }


def wish_summary(function: str, verb: str, write: AliasWrite, reason: str) -> str:
    """Return what a person asked for as Markdown for the job's summary: verb, traffic after it, reason."""
    shared = f", version {write.canary} {write.weight_pct} %" if write.canary else ""
    traffic = f"version {write.version} {100 - write.weight_pct} %{shared}"
    return f"### `{function}`: {verb}\n\n{traffic}\n\nReason: {_inline(reason)}\n"


def rollout_summary(ticks: Iterable[Tick], *, function: str, started_at: float) -> str:
    """Return the rollout as Markdown for the job's summary page.

    A chart of the canary's weight, one row per decision that moved it, and what the comparison found last.
    """
    ticks = tuple(ticks)
    rows = ["| minute | decision | stable | canary | why |", "| ---: | --- | --- | --- | --- |"]
    for tick in ticks:
        if isinstance(tick.decision, Wait):
            continue
        event = tick_event(tick)
        canary = f"{event['canary']} at {event['weight_pct']} %" if event["canary"] else "none"
        reason = _inline(str(event["reason"]))
        minute = f"{(tick.at - started_at) / 60:.1f}"
        rows.append(f"| {minute} | {event['decision']} | {event['stable']} | {canary} | {reason} |")
    parts = [*report_mermaid.weight_chart(ticks, started_at), "", *rows, "", *_found(ticks)]
    return "\n".join([f"### Rollout of `{function}`", "", *parts, ""])


def _found(ticks: tuple[Tick, ...]) -> list[str]:
    """Return one line per verdict of the last tick that has any, with the evidence it rests on."""
    last = next((tick.evidence for tick in reversed(ticks) if tick.evidence.verdicts), None)
    if last is None:
        return []
    known = {strength.metric: strength for strength in last.strengths}
    lines = [f"- **{v.metric}: {v.outcome.value}.** {_inline(v.sentence)}" for v in last.verdicts]
    return lines + [
        f"- evidence on {metric}: ln E = {strength.log_e:.1f}, limit {strength.limit:.1f}"
        for metric, strength in known.items()
    ]


def _inline(text: str) -> str:
    """Return text that stays on one line and in its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def annotation(error: DeployerError) -> str:
    """Return the one `::error::` line GitHub Actions shows on the run's page.

    Source: newlines and percent signs are encoded,
    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    text = str(error).removeprefix("error: ")
    return "::error::" + text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def json_line(event: Mapping[str, Any]) -> str:
    """Return an event as one line of JSON."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _verb(decision: Decision) -> str:
    match decision:
        case Wait():
            return "wait"
        case SetWeight():
            return "set-weight"
        case Promote():
            return "promote"
        case Pause():
            return "pause"
        case Resume():
            return "resume"
        case Done():
            return "done"
        case Rollback():
            return "rollback"
        case Refuse():
            return "refuse"


def _state_after(tick: Tick) -> str | None:
    match tick.decision:
        case Rollback():
            return RolloutState.ROLLED_BACK.value
        case Promote():
            return RolloutState.DONE.value
        case SetWeight() | Resume():
            return RolloutState.RUN.value
        case Pause():
            return RolloutState.PAUSE.value
        case Done(state, _):
            return state.value
        case Wait() | Refuse():
            return tick.alias.marker.state.value if tick.alias.marker else None


def _short(digest: str) -> str:
    return digest[:19]
