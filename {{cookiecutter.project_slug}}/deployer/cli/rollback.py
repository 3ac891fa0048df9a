"""`deployer rollback`: gives all traffic back with one call; returns its exit code. Shell.

Alone in its module: whoever runs it waits for what is imported here.
"""

from __future__ import annotations

from deployer.aws.client import Aws, reach
from deployer.aws.errors import NotFound
from deployer.aws.registry import require_pullable
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.report import text as report
from deployer.rollout import sample as samples
from deployer.rollout import wake
from deployer.rollout.surroundings import after_write
from deployer.rollout.way_back import Patience, RolledBack, earlier_version, roll_back


def rollback(context: Context, reason: str, to: str | None, only_owner: str | None) -> Exit:
    """Give all traffic back to the stable version with one call."""
    aws = reach(context)
    if only_owner is not None and context.config.environment(context.environment).on_cancel == "hold":
        context.output.say("hold       the traffic stays as it is (on_cancel = hold)")
        return Exit.DONE
    if to is not None:
        aws.describe_version(to)
    if only_owner is None:
        _require_way_back(context, aws, to)
    patience = Patience(context.clock)
    waking = wake.Waking(aws, _harmless(context), patience, context.output.say)
    try:
        done = roll_back(aws, reason=reason, only_owner=only_owner, to=to, patience=patience)
    except NotFound:
        alias = aws.alias()
        gone = RolledBack(to or earlier_version(alias), reason, before=alias)
        _tell_rolled_back(context, aws, wake.next_best(waking, gone, reason=reason, problem="does not exist"))
        return Exit.DONE
    if done.version is None or done.write is None:
        context.output.say(done.reason)
        return Exit.DONE
    _tell_rolled_back(context, aws, done)
    settled = wake.settle(waking, done, reason=reason)
    if settled is not done:
        _tell_rolled_back(context, aws, settled)
    return Exit.DONE


def _tell_rolled_back(context: Context, aws: Aws, done: RolledBack) -> None:
    """Say, keep and announce a rollback that was carried out."""
    if done.write is None:
        return
    context.output.event(report.rollback_event(context.clock.now(), done.write, done.reason))
    context.output.summarize(report.wish_summary(aws.function_name, "roll back", done.write, done.reason))
    context.output.say_decision(f"roll back  all traffic is on version {done.version}: {done.reason}")
    after_write(context, aws, done.write, done.reason)


def _harmless(context: Context) -> object:
    """Return the owner's harmless event; a rollback does without one that cannot be read."""
    try:
        return samples.load_probe(context.root)
    except DeployerError as error:
        context.output.say(f"probe      an empty event instead: {error.what}")
        return {}


def _require_way_back(context: Context, aws: Aws, to: str | None) -> None:
    """Refuse a version whose image cannot be pulled any more (exit 5).

    Not one that serves already, and not because it could not be found out: a rollback is for bad times.
    """
    try:
        alias = aws.alias()
        version = to or earlier_version(alias)
        if version is None or version in (alias.routing.stable, alias.routing.canary):
            return
        image_uri = aws.image_of(version)
    except DeployerError as error:
        context.output.say(f"not checked whether the image can be pulled: {error.what}")
        return
    try:
        require_pullable(aws.ecr, image_uri)
    except DeployerError as error:
        if error.exit_code == Exit.REFUSED:
            error.hint = f"{error.hint}; or deployer rollback --to ANOTHER VERSION"
            raise
        context.output.say(f"not checked whether the image can be pulled: {error.what}")
