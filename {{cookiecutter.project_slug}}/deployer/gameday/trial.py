"""One trial: release a version that cannot answer, and see who gives the traffic back, and when. Shell."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.aws.versions import Configuration
from deployer.canary.decision import Done, Refuse, Rollback, SetWeight, Tick, Wait
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.gameday import chain, findings, links, versions
from deployer.gameday.background import Background, Calls
from deployer.gameday.findings import Line
from deployer.gameday.plan import Result, Trial
from deployer.model import AliasState, RolloutPlan, RolloutState
from deployer.report import text as report
from deployer.rollout import preflight
from deployer.rollout import run as rollout
from deployer.rollout.alarms import watched_alarms
from deployer.rollout.gate import Gate, gate_for
from deployer.rollout.guard import Guard
from deployer.rollout.signals import Stop
from deployer.rollout.surroundings import Surroundings
from deployer.rollout.way_back import Patience, roll_back

_LOOK_S = 5.0
_SLICE_S = 0.5
_QUIET_S = 60.0
_TIME_IS_UP = "the end of the trial's time"
_NO_CALLS = "calls that AWS refuses"


@dataclass(frozen=True)
class GameDay:
    """What both trials need: the settings of a game day, and how `alias` and `latest` were before."""

    context: Context
    aws: Aws
    around: Surroundings
    guard: Guard
    rollout_id: str
    probe: object
    alias: AliasState
    latest: Configuration
    stop: Stop
    background: Background

    def gate(self) -> Gate:
        """Return the gate of the environment, as a release with steps has it."""
        settings = self.context.config.environment(self.context.environment)
        return gate_for(settings, watched_alarms(self.context, self.aws))


@dataclass
class _Release:
    """The rollout of one trial, and the calls that go on beside it until `deadline` (epoch seconds)."""

    trial: Trial
    plan: RolloutPlan
    calls: Calls
    deadline: float
    result: Result
    began: float | None = None
    told_at: float = 0.0
    seen: str = "Nothing was measured."


def run(day: GameDay, trial: Trial) -> Result:
    """Play one trial and put everything back; what is not as it should be is a finding of the result.

    Raises DeployerError (exit 130) after a signal, and when something could not be put back.
    """
    result = Result(trial.line)
    known: dict[str, str] = {}
    try:
        _try(day, trial, result, known)
    except DeployerError as error:
        if error.exit_code == Exit.INTERRUPTED:
            raise
        result.findings.append(findings.Finding.of(trial.line, error))
    finally:
        versions.repair(day.around, day.context.output.say, known)
    _compare(day, result)
    return result


def _compare(day: GameDay, result: Result) -> None:
    """Find what is not as it was before."""
    alias, latest = day.aws.alias(), day.aws.versions().read()
    if (alias.routing, alias.description) != (day.alias.routing, day.alias.description):
        result.findings.append(findings.moved(result.line, day.alias.routing.stable))
        result.is_disturbed = True
    if (latest.code_sha256, latest.image_config) != (day.latest.code_sha256, day.latest.image_config):
        result.findings.append(findings.latest_changed(result.line))


def _try(day: GameDay, trial: Trial, result: Result, known: dict[str, str]) -> None:
    context, aws, clock = day.context, day.aws, day.context.clock
    identifier = trial.identifier(day.rollout_id)
    say = context.output.say
    _halt(day)
    version = versions.publish(aws, identifier, day.alias, clock)
    known[version] = day.alias.description
    say(f"{trial.line.value:<10} version {version} is published: its command names no handler")
    _halt(day)
    _expect_refusal(day, version, result)
    settings = context.config.environment(context.environment)
    plan = settings.rollout_plan(identifier, version, settings.listed_steps())
    replace(day.around, guard=_guard_of(day, trial)).prepare(plan, day.alias)
    deadline = clock.now() + trial.within_s
    calls = Calls(aws, day.probe, clock, trial.most_calls, deadline)
    release = _Release(trial, plan, calls, deadline, result)
    try:
        with day.background(calls, clock):
            if trial.line is Line.GATE:
                _by_gate(day, release)
            else:
                _by_guard(day, release)
    finally:
        result.sent, result.lost = calls.sent, calls.lost
    if calls.problem is not None:
        result.findings.append(findings.Finding.of(trial.line, calls.problem))
    elif result.sent and not result.lost:
        result.findings.append(findings.nothing_lost(trial.line, version, result.sent))


def _guard_of(day: GameDay, trial: Trial) -> Guard:
    """Return the guard a trial arms: where the gate is tried, one that waits as long as the trial takes.

    The gate and the guard of a release are often a minute apart, and which is first is a matter of chance.
    """
    if trial.line is Line.GUARD:
        return day.guard
    minutes = trial.within_s // 60
    return replace(day.guard, evaluated_minutes=minutes, bad_minutes=minutes - 1)


def _halt(day: GameDay) -> None:
    """Raise DeployerError (exit 130) once a signal has asked for the end."""
    if day.stop.signal:
        raise DeployerError(
            f"stopped by {day.stop.signal}, and everything is being put back",
            hint="deployer gameday --repair, then `deployer status`",
            exit_code=Exit.INTERRUPTED,
        )


def _expect_refusal(day: GameDay, version: str, result: Result) -> None:
    """Send the version the probe as every rollout does first, and go on although it must be refused."""
    try:
        preflight.send_probe(day.aws, version, day.probe)
    except DeployerError as error:
        if error.exit_code != Exit.REFUSED:
            raise
        day.context.output.say(f"refused    by the pre-flight, as it should be: {error.found}")
        return
    result.findings.append(findings.let_pass(result.line, version))


def _by_gate(day: GameDay, release: _Release) -> None:
    """Drive the rollout as a release does, until the gate ends it or the time is up."""

    def tell(tick: Tick) -> None:
        _heard(day, release, tick)

    wanted = rollout.Rollout(release.plan, day.gate(), tell, day.stop, tell_back=day.around.announce)
    try:
        last = rollout.run(day.aws, wanted, day.context.clock)
    except DeployerError as error:
        if error.exit_code != Exit.INTERRUPTED or day.stop.signal not in (_TIME_IS_UP, _NO_CALLS):
            raise
        day.stop.signal = None
        if release.calls.problem is None:
            release.result.findings.append(_not_seen(day, release, "the trial's time is up"))
        return
    match last.decision:
        case Rollback(reason) if release.began is not None:
            release.result.took_s, release.result.reason = last.at - release.began, reason
        case Done(RolloutState.ROLLED_BACK, reason) if "guard:" in reason:
            release.result.findings.append(_not_seen(day, release, "the guard was faster"))
        case Done(RolloutState.ROLLED_BACK, reason) | Refuse(reason, _):
            release.result.findings.append(findings.by_another(Line.GATE, reason))
        case decision:
            raise AssertionError(f"a rollout of a game day cannot end with {decision}")


def _not_seen(day: GameDay, release: _Release, end: str) -> findings.Finding:
    """Return that the gate did not act, with what it saw last."""
    lost = f"{release.calls.lost} of {release.calls.sent} calls failed until {end}"
    return findings.not_seen((day.aws.function_name, release.plan.target), f"{lost}. {release.seen}")


def _heard(day: GameDay, release: _Release, tick: Tick) -> None:
    """Take in one look of the gate, and end the rollout when its time is up or no call gets through."""
    _say(day, release, tick)
    release.seen = "; ".join(verdict.sentence for verdict in tick.evidence.verdicts) or release.seen
    if isinstance(tick.decision, SetWeight):
        release.began = tick.at
    if tick.written is not None:
        day.around.announce(tick.written, tick.decision.reason, tick.at)
    if day.stop.signal:
        return
    if release.calls.problem is not None:
        day.stop(_NO_CALLS)
    elif tick.at >= release.deadline:
        day.stop(_TIME_IS_UP)


def _by_guard(day: GameDay, release: _Release) -> None:
    """Take the first step, drive the rollout no further, and wait for the guard."""
    context, clock, result = day.context, day.context.clock, release.result
    fault = chain.definition(links.read(day.aws, day.guard, release.plan.target))
    if fault is not None:  # nothing would come of waiting
        result.findings.append(fault)
        return
    wanted = rollout.Rollout(release.plan, day.gate(), lambda _tick: None, day.stop)
    first = rollout.begin(day.aws, wanted, clock)
    _say(day, release, first)
    if first.written is None:
        result.findings.append(findings.by_another(Line.GUARD, first.decision.reason))
        return
    day.around.announce(first.written, first.decision.reason, first.at)
    context.output.say("undriven   nobody looks at this rollout any more but the canary's alarm")
    alias = _wait_for_guard(day, release)
    marker, ended = alias.marker, clock.now()
    if marker is None or marker.id != release.plan.id:
        result.findings.append(findings.by_another(Line.GUARD, "the alias no longer shows the rollout"))
    elif marker.state is RolloutState.ROLLED_BACK and marker.why.startswith("guard:"):
        result.took_s, result.reason = ended - first.at, marker.why
        context.output.say_decision(f"roll back  {marker.why}")
    elif marker.state is RolloutState.ROLLED_BACK:
        result.findings.append(findings.by_another(Line.GUARD, marker.why or "no reason kept"))
    else:
        back = roll_back(
            day.aws,
            reason="the guard did not act",
            only_owner=release.plan.id,
            patience=Patience(clock),
        )
        if back.write is not None:
            day.around.announce(back.write, back.reason)
        _halt(day)
        if release.calls.problem is None:
            result.findings.append(chain.broken_link(links.read(day.aws, day.guard, release.plan.target)))


def _wait_for_guard(day: GameDay, release: _Release) -> AliasState:
    """Look at the alias until the rollout has ended, the time is up, or a signal came."""
    clock = day.context.clock
    alias = day.aws.alias()
    while clock.now() < release.deadline and not day.stop.signal and release.calls.problem is None:
        marker = alias.marker
        if marker is None or not marker.is_active or marker.id != release.plan.id:
            break
        until = clock.now() + _LOOK_S
        while not day.stop.signal and (left := until - clock.now()) > 0:
            clock.sleep(min(left, _SLICE_S))
        with suppress(Unavailable, Conflict):  # looked at again
            alias = day.aws.alias()
    return alias


def _say(day: GameDay, release: _Release, tick: Tick) -> None:
    """Print a decision; of those that only wait, one in a minute."""
    if isinstance(tick.decision, Wait) and tick.at - release.told_at < _QUIET_S:
        return
    release.told_at = tick.at
    day.context.output.say_decision(report.describe_decision(tick.decision))
