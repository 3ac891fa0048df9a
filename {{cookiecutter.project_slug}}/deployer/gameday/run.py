"""`deployer gameday`: both trials, from the refusals before to what is put back after. Shell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from deployer import github
from deployer.aws import credentials
from deployer.aws.client import Aws, reach
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.gameday import calm, record, trial, versions
from deployer.gameday import plan as plans
from deployer.gameday.background import Background, in_thread
from deployer.gameday.plan import Result
from deployer.model import RolloutPlan, Step
from deployer.rollout import preflight
from deployer.rollout import sample as samples
from deployer.rollout.alarms import all_alarms
from deployer.rollout.signals import Stop, signals_to
from deployer.rollout.surroundings import Surroundings

BADGE = "build/gameday.json"


@dataclass(frozen=True)
class How:
    """How a game day is begun: `force` is the reason for one in production; `only_repairs` tries nothing."""

    force: str | None = None
    only_repairs: bool = False


def run(context: Context, how: How, background: Background = in_thread) -> Exit:
    """Try the gate, then the guard, in the user's own account; returns DONE when both gave the traffic back.

    Raises DeployerError: exit 5 where nothing was tried, exit 1 when the net has a fault, exit 130 after a
    signal; in each case what was there before is put back, or the error says how.
    """
    _refuse_production(context, how)
    tried = replace(context, config=plans.tried(context.config, context.environment))
    aws = reach(tried)
    # It ends its rollouts itself, and tries the guard without any help.
    around = replace(Surroundings.of(tried, aws), schedule=None)
    say = context.output.say
    if how.only_repairs:
        if not versions.repair(around, say):
            say("nothing to repair: no game day left anything")
        return Exit.DONE
    if context.config.environment(context.environment).driver == "codedeploy":
        raise DeployerError(
            "there is neither gate nor guard to try",
            found='found driver = "codedeploy", expected one of ours',
            hint="docs/drivers.md: CodeDeploy has alarms alone",
            exit_code=Exit.REFUSED,
        )
    probe = samples.load_probe(context.root)
    _check_calm(aws)
    if versions.repair(around, say):
        say("repaired   what an earlier game day left")
    day = _prepared(tried, aws, around, probe, background)
    say(plans.outlook(aws.function_name))
    results: list[Result] = []
    names = all_alarms(tried, aws)
    before = aws.alarms(names)
    with signals_to(day.stop):
        for each in plans.TRIALS:
            results.append(trial.run(day, each))
            _tell(context, results[-1])
            if results[-1].is_disturbed:
                break
        else:
            calm.wait(day, names, before)
    return _end(context, aws.function_name, results)


def _refuse_production(context: Context, how: How) -> None:
    if context.environment != "production" or how.only_repairs:
        return
    if how.force is None:
        raise DeployerError(
            "a game day loses requests on purpose",
            found="found environment `production`, expected `staging`",
            hint="deployer gameday --env staging; --force REASON if production shall be tried",
            exit_code=Exit.REFUSED,
        )
    context.output.say(f"forced     {how.force}")
    context.output.summarize(f"Forced: {how.force}\n")


def _check_calm(aws: Aws) -> None:
    """Refuse (exit 5) while the alias shares its traffic, unless an earlier game day left it so."""
    alias, descriptions = aws.alias(), aws.versions().descriptions()
    ours = record.leftover(alias, {}, descriptions, {}).versions
    marker, routing = alias.marker, alias.routing
    if marker is not None and marker.is_active and marker.to_version not in ours:
        raise DeployerError(
            f"version {marker.to_version} is being rolled out",
            found=f"found rollout `{marker.id}`, expected none",
            hint="deployer status, and try again when it has ended",
            exit_code=Exit.REFUSED,
        )
    if routing.canary is not None and routing.canary not in ours:
        raise DeployerError(
            "the alias shares its traffic already",
            found=f"found {routing.weight_pct} % on version {routing.canary}, expected all on one version",
            hint=f"deployer rollback --to {routing.stable}",
            exit_code=Exit.REFUSED,
        )


def _prepared(
    context: Context, aws: Aws, around: Surroundings, probe: object, background: Background
) -> trial.GameDay:
    """Check what a game day needs before it changes anything. Raises DeployerError (exit 5)."""
    alias = aws.alias()
    record.written_down("00000000000.0-guard", alias)  # refuses a description without room
    if around.guard is None:
        raise DeployerError(
            "there is no guard to try",
            found="found no output RolloutTopicArn of the stack, expected the guard's topic",
            hint="deployer apply",
            exit_code=Exit.REFUSED,
        )
    longest = RolloutPlan("gameday", "", (Step(plans.WEIGHT_PCT, plans.LONGEST_S),), max_pause_s=0)
    credentials.check(longest, context.output.environ, context.clock.now())
    latest = versions.check_latest(aws, alias.routing.stable)
    preflight.send_probe(aws, alias.routing.stable, probe)
    rollout_id = github.rollout_id(context.output.environ)
    return trial.GameDay(
        context, aws, around, around.guard, rollout_id, probe, alias, latest, Stop(), background
    )


def _tell(context: Context, result: Result) -> None:
    for finding in result.findings:
        context.output.say(f"red        {finding}")
    context.output.say_decision(f"{'done' if not result.findings else 'red':<10} {result}")


def _end(context: Context, function: str, results: Sequence[Result]) -> Exit:
    """Say how the game day ended, to people, to the job and to the badge. Raises DeployerError when red."""
    line = plans.badge(results, context.clock.now())
    error = plans.verdict(results)
    context.output.summarize(plans.markdown(function, results, line))
    context.output.set_output("badge", line)
    path = context.root / BADGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plans.shield(line, is_green=error is None)) + "\n", encoding="utf-8")
    if error is not None:
        raise error
    return Exit.DONE
