"""The rollout as an AWS Lambda durable function: same `tick`, and waiting costs nothing. Shell.

One `wait_for_condition` asks `look` until the rollout has ended. Between two looks there is no process:
Lambda keeps when to wake up, the alias keeps all else, so a look that dies is simply repeated.
Source: https://docs.aws.amazon.com/durable-execution/sdk-reference/operations/wait-for-condition/
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.context import DurableContext
from aws_durable_execution_sdk_python.execution import durable_execution
from aws_durable_execution_sdk_python.types import WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

from deployer.aws.client import Aws, AwsFactory, connect
from deployer.aws.errors import Conflict, Unavailable
from deployer.canary import decide as canary
from deployer.canary import marker as markers
from deployer.canary.decision import Decision, Done, Pause, Promote, Refuse, Resume, Rollback, SetWeight, Wait
from deployer.clock import Clock, SystemClock
from deployer.config import Config
from deployer.drivers.handover import Handover
from deployer.errors import DeployerError
from deployer.model import AliasWrite, Known, RolloutPlan, RolloutState, Routing
from deployer.report import text as report
from deployer.rollout import run as rollout
from deployer.rollout.gate import Gate, gate_for
from deployer.rollout.guard import Guard
from deployer.rollout.notify import Notifier, Send
from deployer.rollout.surroundings import arm_done, put_away
from deployer.rollout.way_back import Patience, roll_back

# Waiting costs nothing here, so the way back is tried for a day, a minute in each look.
WAY_BACK_S = 86_400.0
WAY_BACK_OF_A_LOOK_S = 60.0

# What one look remembers for the next, and the durable execution keeps: JSON, and nothing the alias knows.
State = dict[str, Any]
START: State = {
    "conflicts": 0,
    "blind_since": None,
    "read_at": None,
    "unanswered": None,
    "seen": "",
    "giving_up": None,
    "next_s": 1,
    "outcome": None,
    "reason": "",
}


@dataclass(frozen=True)
class Drive:
    """What every look at one rollout needs.

    `tell` takes what happened as the JSON object of `--events`, `announce` a write that was carried out;
    `clear` puts away what a rollout that is over no longer needs. None of the three raises.
    """

    aws: Aws
    plan: RolloutPlan
    gate: Gate
    clock: Clock
    tell: Callable[[Mapping[str, Any]], None]
    announce: Callable[[AliasWrite, str, float], None]
    clear: Callable[[], None]
    poll_s: int


def look(state: State, drive: Drive) -> State:
    """Tick once and say when to look again, or how the rollout ended; never raises for an expected error.

    As in `rollout.run`, a conflict is read and decided again, and an AWS that does not answer for ten minutes
    or any other error rolls back; a write whose answer was lost is told once the alias shows it.
    """
    state = {**START, **state}
    if state["giving_up"] is not None:
        return _give_up(state, drive, state["giving_up"]["why"])
    plan = _remembering(drive.plan, state["seen"])
    drive.gate.read_at = state["read_at"]
    try:
        last = rollout.tick(drive.aws, plan, drive.gate, drive.clock)
    except (Conflict, Unavailable) as error:
        return _again(state, drive, error)
    except DeployerError as error:
        return _give_up(state, drive, error.what)
    unanswered = state["unanswered"]
    if unanswered is not None and last.alias.description == unanswered["write"]["description"]:
        _tell(drive, unanswered["event"], AliasWrite(**unanswered["write"]))
    _tell(drive, report.tick_event(last), last.written)
    wait_s = last.decision.seconds if isinstance(last.decision, Wait) else drive.poll_s
    return {
        **START,
        "read_at": drive.gate.read_at,
        "seen": _seen(rollout.remember(plan, last)),
        "next_s": max(1, min(math.ceil(wait_s), drive.poll_s)),
        "outcome": _outcome(last.decision),
        "reason": last.decision.reason,
    }


def _tell(drive: Drive, event: Mapping[str, Any], write: AliasWrite | None) -> None:
    drive.tell(event)
    if write is not None:
        drive.announce(write, event["reason"], event["at"])


def _again(state: State, drive: Drive, error: Conflict | Unavailable) -> State:
    """Look again soon, unless the alias has moved too often or AWS was silent for too long."""
    now = drive.clock.now()
    conflicts = state["conflicts"] + isinstance(error, Conflict)
    blind_since = state["blind_since"] or now
    if conflicts > rollout.CONFLICT_LIMIT or now - blind_since >= canary.BLIND_LIMIT_S:
        return _give_up(state, drive, error.what)
    unanswered = state["unanswered"]
    if error.attempted is not None and error.attempted.written is not None:
        unanswered = {"event": report.tick_event(error.attempted), "write": asdict(error.attempted.written)}
    return {
        **state,
        "conflicts": conflicts,
        "blind_since": blind_since,
        "unanswered": unanswered,
        "next_s": 1 if isinstance(error, Conflict) else min(drive.poll_s, int(rollout.POLL_S)),
    }


def _give_up(state: State, drive: Drive, why: str) -> State:
    """Roll back because of what went wrong; an AWS that does not answer is asked again, for a day."""
    now = drive.clock.now()
    giving_up = state["giving_up"] or {"why": why, "since": now}
    plan = _remembering(drive.plan, state["seen"])
    try:
        done = roll_back(
            drive.aws,
            reason=f"stopped by an error: {why}",
            only_owner=plan.known or plan.id,
            patience=Patience(drive.clock, WAY_BACK_OF_A_LOOK_S),
        )
    except DeployerError as second:
        if isinstance(second, Unavailable) and now - giving_up["since"] < WAY_BACK_S:
            return {**state, "giving_up": giving_up, "next_s": drive.poll_s}
        where = f"rolling back failed as well: {second.what}"
    else:
        where = f"all traffic is on version {done.version}" if done.version else done.reason
        if done.write is not None:
            drive.announce(done.write, done.reason, drive.clock.now())
    return {**state, "outcome": "failed", "reason": f"{why}; {where}"}


def _seen(plan: RolloutPlan) -> str:
    """Return what the alias showed last of the rollout, as JSON text; empty for nothing."""
    if plan.known is None:
        return ""
    return json.dumps([markers.render("", plan.known.marker), *astuple(plan.known.routing)])


def _remembering(plan: RolloutPlan, seen: str) -> RolloutPlan:
    """Return the plan with what an earlier look saw of it."""
    if not seen:
        return plan
    text, *routing = json.loads(seen)
    _, marker = markers.parse(text)
    return replace(plan, known=Known(marker, Routing(*routing)) if marker else None)


def _outcome(decision: Decision) -> str | None:
    """Return how the rollout ended, or None while it goes on."""
    match decision:
        case Promote():
            return RolloutState.DONE.value
        case Rollback():
            return RolloutState.ROLLED_BACK.value
        case Done(state, _):
            return state.value
        case Refuse():
            return "refused"
        case Wait() | SetWeight() | Resume() | Pause():
            return None


def _next_look(state: State, _attempt: int) -> WaitForConditionDecision:
    if state["outcome"] is not None:
        return WaitForConditionDecision.stop_polling()
    return WaitForConditionDecision.continue_waiting(Duration.from_seconds(state["next_s"]))


def drive_for(handed: Handover, config: Config, aws: Aws, clock: Clock, say: Callable[[str], None]) -> Drive:
    """Return what each look at a rollout that was handed over needs; `say` writes a line to the log."""
    settings = config.environment(handed.environment)
    plan = settings.rollout_plan(
        handed.rollout_id, handed.version, handed.places, armed_s=handed.armed_s, proves=handed.proves
    )
    guard = Guard(aws.cloudwatch, aws.function_name, handed.topic) if handed.topic else None

    def publish(subject: str, text: str) -> None:
        aws.sns.publish(TopicArn=handed.topic, Subject=subject, Message=text)

    sends: dict[str, Send] = {"the rollout topic": publish} if handed.topic else {}

    def clear() -> None:
        has_provisioned = config.function.provisioned_concurrency > 0
        try:
            alias = aws.alias()
            marker = alias.marker
            is_done = marker is not None and marker.state is RolloutState.DONE and not plan.only_observes
            if is_done:
                arm_done(aws, guard, alias, plan.armed_s, say)
            keep = plan.target if is_done else None
            put_away(aws, guard, alias, has_provisioned=has_provisioned, keep=keep)
        except DeployerError as error:
            say(f"left over  {error.what}; the next rollout tries again")

    return Drive(
        aws=aws,
        plan=replace(plan, is_forced=handed.is_forced, is_begun=True),
        gate=gate_for(settings, handed.alarms),
        clock=clock,
        tell=lambda event: say(report.json_line(event)),
        announce=Notifier(aws.function_name, sends, say).announce,
        clear=clear,
        poll_s=handed.poll_s,
    )


def make_handler(connect: AwsFactory, clock: Clock) -> Callable[[Any, Any], Any]:
    """Return the Lambda handler that reaches AWS and the time in that way.

    It returns {"outcome", "reason", "version"} when the version serves all traffic. Anything else fails the
    execution, so that its status in the console and in EventBridge says so too.
    """

    def drive_rollout(event: Any, context: DurableContext) -> dict[str, Any]:
        handed = Handover.parse(event)
        config = Config.model_validate_json(handed.settings)
        aws = connect(config, handed.environment)

        def check(state: State, check_context: WaitForConditionCheckContext) -> State:
            drive = drive_for(handed, config, aws, clock, check_context.logger.info)
            after = look(state, drive)
            if after["outcome"] is not None:
                drive.clear()
            return after

        last = context.wait_for_condition(
            check, WaitForConditionConfig(wait_strategy=_next_look, initial_state=START), name="rollout"
        )
        if last["outcome"] != RolloutState.DONE.value:
            raise DeployerError(
                f"version {handed.version} was not promoted: {last['outcome']}",
                found=f"found {last['reason']}, expected all traffic on version {handed.version}",
                hint=f"deployer status --env {handed.environment}; docs/runbook.md",
            )
        return {"outcome": last["outcome"], "reason": last["reason"], "version": handed.version}

    made: Callable[[Any, Any], Any] = durable_execution(drive_rollout)
    return made


handler = make_handler(connect, SystemClock())
