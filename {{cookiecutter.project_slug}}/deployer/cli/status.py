"""`deployer status`: where the traffic goes, once or until no rollout runs; returns its exit code. Shell."""

from __future__ import annotations

from datetime import UTC, datetime

from deployer.aws.client import reach
from deployer.aws.errors import NotFound
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.report import text as report
from deployer.rollout.alarms import all_alarms

_WATCH_S = 5.0


def watch(context: Context) -> Exit:
    """Print every change of the alias until no rollout is running; Ctrl-C only ends the watching."""
    aws = reach(context)
    shown = ""
    while True:
        alias = aws.alias()
        text = report.describe_alias(alias)
        if text != shown:
            moment = datetime.fromtimestamp(context.clock.now(), tz=UTC)
            context.output.say(f"{moment:%H:%M:%S} UTC\n{text}")
            shown = text
        if alias.marker is None or not alias.marker.is_active:
            return Exit.DONE
        context.clock.sleep(_WATCH_S)


def status(context: Context) -> Exit:
    """Print where the traffic goes, what the rollout is doing, and the alarms."""
    aws = reach(context)
    try:
        alias = aws.alias()
    except NotFound as error:
        raise DeployerError(
            f"`{aws.function_name}` has not been deployed",
            found=error.found,
            hint="docs/release.md, First release",
        ) from error
    context.output.say(f"function   {aws.function_name} in {aws.region}")
    context.output.say(report.describe_alias(alias))
    for version in filter(None, (alias.routing.stable, alias.routing.canary)):
        about = aws.describe_version(version)
        context.output.say(f"version    {version}: {about['description'] or 'no description'}")
    names = all_alarms(context, aws)
    context.output.say(report.describe_alarms(aws.alarms(names)))
    return Exit.DONE
