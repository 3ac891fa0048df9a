"""The commands about a rollout: start, resume, and what a person may ask of it on the way. Shell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployer import github
from deployer.aws import provisioned
from deployer.aws.client import reach
from deployer.canary.decision import Done, Promote, Refuse, Rollback, Tick, Wait
from deployer.canary.moves import Wish
from deployer.cli import planning
from deployer.config import Environment
from deployer.context import Context
from deployer.drivers import start as driver_commands
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState, AliasWrite, Marker, RolloutPlan, RolloutState
from deployer.report import text as report
from deployer.rollout import preflight
from deployer.rollout import run as rollout
from deployer.rollout import sample as samples
from deployer.rollout.alarms import watched_alarms
from deployer.rollout.gate import gate_for
from deployer.rollout.sampling import Sampler
from deployer.rollout.signals import Stop, signals_to
from deployer.rollout.surroundings import Surroundings, after_write
from deployer.rollout.way_back import Patience, roll_back

_QUIET_S = 60.0
_KINDS = {"forced": "Forced", "skipped": "All steps skipped"}  # as the summary says it


@dataclass(frozen=True)
class Start:
    """How a rollout is begun.

    `force` is the reason for starting although something speaks against it, `skip_steps` the reason for
    giving all traffic at once; both None where there is none.
    """

    version: str | None = None
    force: str | None = None
    detach: bool = False
    skip_steps: str | None = None


def start(context: Context, how: Start) -> Exit:
    """Roll a version out by the environment's steps, after checks that move no traffic.

    With `detach` only the first step is taken: `resume` goes on, from any machine. Under the durable driver
    the durable function goes on, under the codedeploy driver CodeDeploy does everything.
    """
    aws = reach(context)
    settings = context.config.environment(context.environment)
    driver_commands.check_durable(context)
    probe, sample = samples.load_probe(context.root), samples.load(context.root)
    rollout_id = github.rollout_id(context.output.environ)
    target = how.version or aws.newest_version()
    around = Surroundings.of(context, aws)
    if _is_left_half_way(aws.alias().marker, rollout_id, target):
        context.output.say(f"rollout    of version {target} was left half-way by this run: going on with it")
        return resume(context, "the same run, again", detach=how.detach)
    made = planning.planned(context, aws, (rollout_id, target), context.clock.now())
    plan = replace(made, is_forced=how.force is not None, skip_reason=how.skip_steps or "")
    if not how.detach:
        around.check_credentials(plan)
    alias = _without_other_rollout(around, settings, rollout_id)
    if alias.routing.stable != target and alias.routing.canary is None:
        is_shared = bool(plan.steps) and not plan.skip_reason
        preflight.check_version(aws, alias.routing.stable, target, is_shared=is_shared)
        if how.force is None:
            preflight.check_way_back(aws, alias.routing.stable)
        preflight.check_alarms(aws, settings)
        preflight.send_probe(aws, target, probe)
        context.output.say(f"probe      version {target} answers {samples.PROBE}")
        if is_shared and not plan.proves:
            context.output.say(planning.before_nothing(plan))
            said = preflight.try_sample(aws, target, sample, (probe, around.outputs))
            context.output.say(f"sample     {said}")
    for kind, reason in (("forced", how.force), ("skipped", how.skip_steps)):
        if reason is not None:
            context.output.say(f"{kind:<10} {reason}")
            context.output.event(
                {"at": context.clock.now(), "kind": kind, "id": rollout_id, "reason": reason}
            )
            context.output.summarize(f"{_KINDS[kind]}: {reason}\n")
    around.prepare(plan, alias)
    if settings.driver == "codedeploy":
        return driver_commands.deploy(around, replace(plan, steps=()) if plan.skip_reason else plan)
    return _drive(around, plan, detach=how.detach)


def resume(context: Context, reason: str, *, detach: bool) -> Exit:
    """Go on with the rollout the alias says is running, from the step it is in; a paused one is resumed.

    With `detach` a paused rollout is resumed and left to the process that drives it.
    """
    aws = reach(context)
    _sample(context)  # one that is missing is said before anything is changed
    alias = aws.alias()
    around, marker = Surroundings.of(context, aws), alias.marker
    if marker is not None and marker.state is RolloutState.DONE:
        context.output.say(f"nothing to resume: version {marker.to_version} serves all traffic")
        around.clear()
        return Exit.DONE
    plan = planning.resumed(context, aws)
    around.rearm(plan, alias)
    if marker is not None and marker.state is RolloutState.PAUSE:
        write = rollout.wish(aws, plan, Wish.RESUME, context.clock, reason)
        around.announce(write, reason)
        context.output.event(_wish_event(context, Wish.RESUME, write, reason))
        context.output.summarize(report.wish_summary(aws.function_name, Wish.RESUME.value, write, reason))
        context.output.say(f"resume     the step's bake starts again: {reason}")
    if detach:
        return Exit.DONE
    if context.config.environment(context.environment).driver == "durable":
        return driver_commands.hand_over(around, plan)
    return _run(around, plan)


def _drive(around: Surroundings, plan: RolloutPlan, *, detach: bool) -> Exit:
    """Roll out here, or take the first step and leave the rest to the driver of the settings."""
    context, aws = around.context, around.aws
    if context.config.environment(context.environment).driver != "durable" or detach:
        return _run(around, plan, detach=detach)
    outcome = _run(around, plan, detach=True)
    marker = aws.alias().marker
    if marker is not None and marker.is_active and marker.id == plan.id:
        return driver_commands.hand_over(around, plan)
    return outcome


def ask(context: Context, wish: Wish, reason: str) -> Exit:
    """Carry out a person's wish with one UpdateAlias; whoever drives the rollout notices by itself."""
    aws = reach(context)
    plan = planning.of_the_marker(context, planning.running(aws))
    write = rollout.wish(aws, plan, wish, context.clock, reason)
    context.output.event(_wish_event(context, wish, write, reason))
    context.output.summarize(report.wish_summary(aws.function_name, wish.value, write, reason))
    after_write(context, aws, write, reason)
    shared = f", version {write.canary} {write.weight_pct} %" if write.canary else ""
    context.output.say_decision(
        f"{wish.value:<10} version {write.version} {100 - write.weight_pct} %{shared}: {reason}"
    )
    return Exit.DONE


def _wish_event(context: Context, wish: Wish, write: AliasWrite, reason: str) -> dict[str, object]:
    return {
        "at": context.clock.now(),
        "kind": "wish",
        "decision": wish.value,
        "stable": write.version,
        "canary": write.canary,
        "weight_pct": write.weight_pct,
        "reason": reason,
    }


def _is_left_half_way(marker: Marker | None, rollout_id: str, target: str) -> bool:
    """Tell whether an earlier attempt of the same GitHub run began this very rollout and was lost."""
    if marker is None or not marker.is_active or marker.to_version != target:
        return False
    return github.is_same_run(marker.id, rollout_id)


def _without_other_rollout(around: Surroundings, settings: Environment, rollout_id: str) -> AliasState:
    """Return the alias; a rollout of somebody else's on it is rolled back first where the settings say so."""
    context, aws = around.context, around.aws
    alias = provisioned.settled(aws.alias, context.clock, context.output.say)
    marker = alias.marker
    if marker is None or not marker.is_active or marker.id == rollout_id:
        return alias
    if settings.second_rollout == "supersede":
        back = roll_back(
            aws, reason=f"superseded by {rollout_id}", only_owner=marker.id, patience=Patience(context.clock)
        )
        if back.write is not None:
            around.announce(back.write, back.reason)
        context.output.say(f"superseded {marker.id} of version {marker.to_version}")
        return aws.alias()
    about = aws.describe_version(marker.to_version)["description"]
    raise DeployerError(
        f"version {marker.to_version} is being rolled out already",
        found=f"found rollout `{marker.id}` ({about or 'no description'})",
        hint="wait for it, `deployer rollout abort`, or second_rollout = supersede",
        exit_code=Exit.REFUSED,
    )


def _run(around: Surroundings, made: RolloutPlan, *, detach: bool = False) -> Exit:
    context, aws = around.context, around.aws
    ticks: list[Tick] = []

    def tell(tick: Tick) -> None:
        context.output.event(report.tick_event(tick))
        is_new = not ticks or not isinstance(tick.decision, Wait) or not isinstance(ticks[-1].decision, Wait)
        if is_new or tick.at - told[0] >= _QUIET_S:
            context.output.say_decision(report.describe_decision(tick.decision))
            told[0] = tick.at
        if not (ticks and isinstance(tick.decision, Wait) and isinstance(ticks[-1].decision, Wait)):
            ticks.append(tick)
        if tick.written is not None:
            around.announce(tick.written, tick.decision.reason, tick.at)

    told = [0.0]
    settings = context.config.environment(context.environment)
    gate = gate_for(settings, watched_alarms(context, aws), _sampler(around))
    stop = Stop()
    context.output.say(f"rollout    {made.id} of version {made.target}, watching {', '.join(gate.alarms)}")
    wanted = rollout.Rollout(made, gate, tell, stop, settings.on_cancel == "hold", around.announce)
    started_at = context.clock.now()
    try:
        with signals_to(stop):
            last = (
                rollout.begin(aws, wanted, context.clock)
                if detach
                else rollout.run(aws, wanted, context.clock)
            )
    except DeployerError:
        around.clear(made)
        raise
    finally:
        summary = report.rollout_summary(ticks, function=aws.function_name, started_at=started_at)
        context.output.summarize(summary)
    around.clear(made)
    match last.decision:
        case Rollback(reason) | Done(RolloutState.ROLLED_BACK, reason):
            raise DeployerError(
                f"version {made.target} was rolled back",
                found=reason,
                hint="docs/runbook.md, section Rolled back",
                exit_code=Exit.ROLLED_BACK,
            )
        case Refuse(reason, hint):
            raise DeployerError("the rollout was refused", found=reason, hint=hint, exit_code=Exit.REFUSED)
        case Promote() | Done():
            context.output.say_decision(f"done       version {made.target} serves all traffic")
            if made.steps and not made.proves and settings.driver != "codedeploy":
                context.output.say_decision(planning.after_nothing(made, last))
        case _:
            context.output.say("detached   `deployer rollout resume` goes on from here")
    return Exit.DONE


def _sampler(around: Surroundings) -> Sampler | None:
    """Return what sends the owner's sample at intervals, where the settings ask for it."""
    sample = _sample(around.context)
    say = around.context.output.say
    every_s = around.context.config.environment(around.context.environment).sample_every_s
    return Sampler(every_s, sample, around.outputs, say) if sample is not None else None


def _sample(context: Context) -> samples.Sample | None:
    """Return the sample that the settings send at intervals. Raises DeployerError (exit 2) without one."""
    if not context.config.environment(context.environment).sample_every_s:
        return None
    found = samples.load(context.root)
    if found is None:
        raise DeployerError(
            f"there is no `{samples.SAMPLE}` to send at intervals",
            found="found sample_every_s in deploy.toml, expected a real sample as data",
            hint="write one (docs/your-own-function.md, section What it must do), or sample_every_s = 0",
            exit_code=Exit.USAGE,
        )
    return found
