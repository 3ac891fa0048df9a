"""What the drivers other than the runner do for `apply`, `rollout start` and `rollout resume`. Shell."""

from __future__ import annotations

from deployer.aws.client import Aws, reach
from deployer.aws.errors import Conflict
from deployer.canary import marker
from deployer.context import Context
from deployer.drivers import codedeploy, deployments, handover, package
from deployer.drivers.deployments import Deployments
from deployer.drivers.handover import Handover
from deployer.errors import DeployerError, Exit
from deployer.model import AliasWrite, Marker, RolloutPlan, RolloutState
from deployer.rollout import run as rollout
from deployer.rollout.alarms import watched_alarms
from deployer.rollout.signals import Stop, signals_to
from deployer.rollout.surroundings import Surroundings
from deployer.rollout.way_back import Patience, roll_back


def deliver(context: Context) -> None:
    """Give the durable function this package's code; nothing to do for the other drivers."""
    if context.config.environment(context.environment).driver != "durable":
        return
    aws = reach(context)
    made = package.build(context.root, context.config.function.architecture)
    name = handover.function_name(aws.function_name)
    is_new = aws.put_code(name, made.body, code_sha256=made.code_sha256)
    size_mb = len(made.body) / 1e6
    context.output.say(
        f"driver     {name} has {'new code' if is_new else 'this code already'}, {size_mb:.1f} MB"
    )


def check_durable(context: Context) -> None:
    """Refuse, before any traffic, what only a process that stays can do (exit 5)."""
    settings = context.config.environment(context.environment)
    if settings.driver == "durable" and settings.sample_every_s:
        raise DeployerError(
            "the durable driver cannot send samples",
            found=f"found sample_every_s = {settings.sample_every_s}, which only a runner can keep",
            hint='sample_every_s = 0, or driver = "runner"',
            exit_code=Exit.REFUSED,
        )


def hand_over(around: Surroundings, plan: RolloutPlan) -> Exit:
    """Leave a rollout whose first step is taken to the durable function.

    Two executions of one rollout do no harm, since the alias's revision lets one of them write. When nobody
    takes the rollout over it is rolled back. Raises DeployerError (exit 1).
    """
    context, aws = around.context, around.aws
    name = handover.function_name(aws.function_name)
    handed = Handover(
        settings=context.config.model_dump_json(),
        environment=context.environment,
        rollout_id=plan.id,
        version=plan.target,
        alarms=watched_alarms(context, aws),
        places=plan.steps,
        is_forced=plan.is_forced,
        armed_s=plan.armed_s,
        proves=plan.proves,
        topic=around.guard.topic_arn if around.guard else "",
    )
    execution = handover.execution_name(plan.id, context.clock.now())
    try:
        aws.invoke_later(name, handed.event(), execution_name=execution)
    except DeployerError as error:
        done = roll_back(
            aws,
            reason=f"nobody took over: {error.what}",
            only_owner=plan.id,
            patience=Patience(context.clock),
        )
        where = f"all traffic is on version {done.version}" if done.version else done.reason
        if done.write is not None:
            around.announce(done.write, done.reason)
        around.clear()
        raise DeployerError(
            f"`{name}` did not take the rollout over, {where}",
            found=error.found or error.what,
            hint="deployer apply, then `deployer rollout start`",
        ) from error
    context.output.say(f"handed     to {name} as {execution}; `deployer status --watch` shows it")
    return Exit.DONE


def deploy(around: Surroundings, plan: RolloutPlan) -> Exit:
    """Roll out by CodeDeploy, watch it, and leave the marker that `deployer rollback` goes by.

    Raises DeployerError: exit 5 for a plan CodeDeploy cannot express, exit 4 when it was rolled back.
    """
    context, aws = around.context, around.aws
    settings = context.config.environment(context.environment)
    alias = aws.alias()
    if (alias.routing.stable, alias.routing.canary) == (plan.target, None):
        context.output.say_decision(f"done       version {plan.target} serves all traffic already")
        return Exit.DONE
    if alias.routing.canary is not None:
        raise DeployerError(
            "traffic is being shifted already",
            found=f"found {alias.routing.weight_pct} % on version {alias.routing.canary}",
            hint="deployer status, then wait for it or `deployer rollback`",
            exit_code=Exit.REFUSED,
        )
    alarms = watched_alarms(context, aws)
    deployment = codedeploy.translate(aws.function_name, settings, plan, alias.routing, alarms)
    port = Deployments(aws.codedeploy, brisk=aws.brisk.codedeploy)
    stop = Stop(now=context.clock.now)
    began = int(context.clock.now())
    with signals_to(stop):
        ended = deployments.run(port, deployment, stop, context.clock, context.output.say)
    deployments.settle(aws, port, deployment, ended, context.clock)
    done = Marker(
        id=plan.id,
        from_version=deployment.stable,
        to_version=plan.target,
        weights=plan.weights,
        starts=(began,),
        state=RolloutState.DONE,
        why=plan.skip_reason,
    )
    around.announce(_record(aws, done), f"deployment {ended.deployment_id} succeeded")
    around.clear()
    context.output.say_decision(f"done       version {plan.target} serves all traffic")
    return Exit.DONE


def _record(aws: Aws, done: Marker) -> AliasWrite:
    """Write how it ended next to the traffic, which is where it should be already. Raises Conflict."""
    for attempt in range(rollout.CONFLICT_LIMIT):
        now = aws.alias()
        write = AliasWrite(done.to_version, marker.render(now.text, done))
        try:
            aws.update_alias(write, revision=now.revision)
        except Conflict:
            if attempt == rollout.CONFLICT_LIMIT - 1:
                raise
            continue
        return write
    raise AssertionError("the loop returns or raises")
