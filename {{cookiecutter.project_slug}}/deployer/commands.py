"""The commands about an environment; each returns its exit code. Shell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployer import codedeploy, costs, github, report, rollout
from deployer import estimate as estimates
from deployer import plan as plans
from deployer.apply import Release, apply, observe
from deployer.aws import Aws, AwsFactory
from deployer.aws_errors import NotFound
from deployer.clock import Clock
from deployer.config import Config, Environment
from deployer.console import Output
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState
from deployer.observed import StackState
from deployer.stack import Stack
from deployer.surroundings import after_write

_WATCH_S = 5.0


@dataclass(frozen=True)
class Context:
    """What every command needs: the settings, the environment, and the ports to the world."""

    config: Config
    root: Path
    environment: str
    output: Output
    clock: Clock
    connect: AwsFactory

    def aws(self) -> Aws:
        """Connect to the environment's function."""
        self.config.environment(self.environment)
        return self.connect(self.config, self.environment)

    def stack(self, aws: Aws) -> Stack:
        """Return the environment's stack; it has the function's name."""
        return Stack(aws.cloudformation, self.config.function_name(self.environment), self.clock)

    def desired(self, image_uri: str | None) -> plans.Desired:
        """Return what the checkout asks for."""
        template = (self.root / "infra" / "service.yaml").read_text(encoding="utf-8")
        return plans.Desired(template, plans.parameters(self.config, self.environment), image_uri)


def plan(context: Context, image_uri: str | None) -> Exit:
    """Print what `apply` and the rollout would do, and what the rollout can prove with the traffic."""
    aws = context.aws()
    observed = observe(aws, context.stack(aws))
    text = report.describe_plan(plans.make(context.desired(_checked(image_uri)), observed))
    if observed.alias is not None:
        text += f"\n\n{_outlook(context, aws, observed.alias)}"
    context.output.say(text)
    context.output.summarize(f"### Plan for `{aws.function_name}`\n\n```\n{text}\n```\n")
    return Exit.DONE


def _outlook(context: Context, aws: Aws, alias: AliasState) -> str:
    """Say what the steps can prove with last week's traffic, and what they cost; one GetMetricData."""
    settings = context.config.environment(context.environment)
    calls, error_rate = aws.metrics().week(alias.routing.stable, context.clock.now())
    rollout_plan = settings.rollout_plan("plan", "next")
    found = estimates.estimate(rollout_plan, settings.gate_settings(), calls, error_rate)
    lines = [estimates.describe_estimate(found)]
    if rollout_plan.steps:
        lines.append(costs.describe(settings.driver, found.shortest_s))
    if settings.driver == "codedeploy":
        problems = codedeploy.refusals(settings, rollout_plan, watched_alarms(context, aws))
        lines += [f"refused    {problem}" for problem in problems]
    return "\n".join(lines)


def drift(context: Context) -> Exit:
    """Print what is live but not asked for; exit 3 when there is anything."""
    aws = context.aws()
    made = plans.make(context.desired(None), observe(aws, context.stack(aws)))
    context.output.say(report.describe_plan(made))
    return Exit.DRIFT if made.actions else Exit.DONE


def apply_plan(context: Context, image_uri: str | None, stack_role_arn: str | None) -> Exit:
    """Change stack and code, publish a version; outputs `version` and `is_live`."""
    aws = context.aws()
    uri = _checked(image_uri)
    environ = context.output.environ
    description = " ".join(
        part
        for part in (environ.get("GITHUB_SHA", "")[:12] or github.commit(), github.run_url(environ))
        if part
    )
    release = Release(context.desired(uri), description, stack_role_arn)
    applied = apply(aws, context.stack(aws), release, say=context.output.say)
    context.output.set_output("version", applied.version)
    context.output.set_output("is_live", str(applied.is_live).lower())
    return Exit.DONE


def rollback(context: Context, reason: str, to: str | None, only_owner: str | None) -> Exit:
    """Give all traffic back to the stable version with one call."""
    aws = context.aws()
    if only_owner is not None and context.config.environment(context.environment).on_cancel == "hold":
        context.output.say("hold       the traffic stays as it is (on_cancel = hold)")
        return Exit.DONE
    if to is not None:
        aws.describe_version(to)
    done = rollout.roll_back(aws, reason=reason, only_owner=only_owner, to=to)
    if done.version is None or done.write is None:
        context.output.say(done.reason)
        return Exit.DONE
    context.output.event(report.rollback_event(context.clock.now(), done.write, reason))
    context.output.say_decision(f"roll back  all traffic is on version {done.version}: {reason}")
    after_write(context, aws, done.write, reason)
    return Exit.DONE


def watch(context: Context) -> Exit:
    """Print every change of the alias until no rollout is running; Ctrl-C only ends the watching."""
    aws = context.aws()
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
    aws = context.aws()
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
    names = _alarms(context.stack(aws).read(), context.config.environment(context.environment))
    context.output.say(report.describe_alarms(aws.alarms(names)))
    return Exit.DONE


def watched_alarms(context: Context, aws: Aws) -> tuple[str, ...]:
    """Return the alarms to watch: the stack's and deploy.toml's.

    The stack's alarm on the errors of all versions together is left out where they are compared: it would
    end a good release in a bad hour. Named in deploy.toml, it is watched all the same.
    """
    settings = context.config.environment(context.environment)
    state = context.stack(aws).read()
    compares = bool(settings.steps) and settings.driver != "codedeploy"
    left_out = {state.outputs.get("ErrorsAlarmName")} if compares and state else set()
    left_out -= set(settings.alarm_names())
    return tuple(name for name in _alarms(state, settings) if name not in left_out)


def _alarms(state: StackState | None, settings: Environment) -> tuple[str, ...]:
    """Return every alarm of the environment, watched by a rollout or not."""
    listed = state.outputs.get("AlarmNames", "") if state else ""
    names = [name for name in listed.split(",") if name]
    return tuple(dict.fromkeys((*names, *settings.alarm_names())))


def _checked(image_uri: str | None) -> str | None:
    """Refuse an image named by tag: what is deployed must be what was scanned."""
    if image_uri is not None and "@sha256:" not in image_uri:
        raise DeployerError(
            "the image is not named by its digest",
            found=f"found `{image_uri}`, expected REPOSITORY@sha256:…",
            hint="deployer push prints it, and writes it to build/push.json",
            exit_code=Exit.USAGE,
        )
    return image_uri
