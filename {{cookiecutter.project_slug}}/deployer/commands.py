"""The commands about an environment; each returns its exit code. Shell."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from deployer import github, report, rollout
from deployer import plan as plans
from deployer.apply import Release, apply, observe
from deployer.aws import Aws, AwsFactory, NotFound
from deployer.clock import Clock
from deployer.config import Config
from deployer.console import Output
from deployer.errors import DeployerError, Exit
from deployer.model import Done, Finish, Promote, Refuse, Rollback, RolloutPlan, RolloutState, Tick, Wait
from deployer.stack import Stack

_QUIET_S = 60.0


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
    """Print what `apply` and the rollout would do."""
    aws = context.aws()
    made = plans.make(context.desired(_checked(image_uri)), observe(aws, context.stack(aws)))
    context.output.say(report.describe_plan(made))
    context.output.summarize(
        f"### Plan for `{aws.function_name}`\n\n```\n{report.describe_plan(made)}\n```\n"
    )
    return Exit.DONE


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


def start_rollout(context: Context, version: str | None, despite: tuple[str, ...]) -> Exit:
    """Roll a version out by the environment's steps, after checks that move no traffic."""
    aws = context.aws()
    target = version or aws.newest_version()
    alias = aws.alias()
    if alias.routing.stable != target and alias.routing.canary is None:
        _check_version(aws, alias.routing.stable, target)
        _probe(context, aws, target)
    settings = context.config.environment(context.environment)
    made = settings.rollout_plan(github.rollout_id(context.output.environ), target)
    return _run(context, aws, made, _watched(context, aws, despite))


def resume_rollout(context: Context, despite: tuple[str, ...]) -> Exit:
    """Go on with the rollout the alias says is running, from the step it is in."""
    aws = context.aws()
    marker = aws.alias().marker
    if marker is None or not marker.is_active:
        if marker is not None and marker.state is RolloutState.DONE:
            context.output.say(f"nothing to resume: version {marker.to_version} serves all traffic")
            return Exit.DONE
        raise DeployerError(
            "there is no rollout to resume",
            found=f"found {marker.state.value if marker else 'no marker'} on the alias, expected run or bake",
            hint="deployer rollout start",
            exit_code=Exit.REFUSED,
        )
    settings = context.config.environment(context.environment)
    made = replace(settings.rollout_plan(marker.id, marker.to_version), is_begun=True)
    return _run(context, aws, made, _watched(context, aws, despite))


def rollback(context: Context, reason: str, to: str | None, only_owner: str | None) -> Exit:
    """Give all traffic back to the stable version with one call."""
    aws = context.aws()
    if to is not None:
        aws.describe_version(to)
    done = rollout.roll_back(aws, reason=reason, only_owner=only_owner, to=to)
    if done.version is None or done.write is None:
        context.output.say(done.reason)
        return Exit.DONE
    context.output.event(report.rollback_event(context.clock.now(), done.write, reason))
    context.output.say_decision(f"roll back  all traffic is on version {done.version}: {reason}")
    return Exit.DONE


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
    context.output.say(report.describe_alarms(aws.alarms(_watched(context, aws, ()))))
    return Exit.DONE


def _run(context: Context, aws: Aws, made: RolloutPlan, alarms: tuple[str, ...]) -> Exit:
    ticks: list[Tick] = []

    def tell(tick: Tick) -> None:
        context.output.event(report.tick_event(tick))
        is_new = not ticks or not isinstance(tick.decision, Wait) or not isinstance(ticks[-1].decision, Wait)
        if is_new or tick.at - told[0] >= _QUIET_S:
            context.output.say_decision(report.describe_decision(tick.decision))
            told[0] = tick.at
        if not (ticks and isinstance(tick.decision, Wait) and isinstance(ticks[-1].decision, Wait)):
            ticks.append(tick)

    told = [0.0]
    stop = rollout.Stop()
    context.output.say(f"rollout    {made.id} of version {made.target}, watching {', '.join(alarms)}")
    started_at = context.clock.now()
    try:
        with _signals(stop):
            last = rollout.run(aws, rollout.Rollout(made, alarms, tell, stop), context.clock)
    finally:
        summary = report.rollout_summary(ticks, function=aws.function_name, started_at=started_at)
        context.output.summarize(summary)
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
        case Finish() | Promote() | Done():
            context.output.say_decision(f"done       version {made.target} serves all traffic")
    return Exit.DONE


@contextmanager
def _signals(stop: rollout.Stop) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a request to stop.

    GitHub sends SIGINT on cancel and SIGTERM 7.5 s later. Source:
    https://docs.github.com/actions/reference/workflow-cancellation-reference
    """

    def ask(number: int, _frame: FrameType | None) -> None:
        stop(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watched(context: Context, aws: Aws, despite: tuple[str, ...]) -> tuple[str, ...]:
    """Return the alarms to watch: the stack's and deploy.toml's, without those the user named."""
    state = context.stack(aws).read()
    listed = state.outputs.get("AlarmNames", "") if state else ""
    names = [name for name in listed.split(",") if name]
    names += context.config.environment(context.environment).alarms
    unknown = sorted(set(despite) - set(names))
    if unknown:
        raise DeployerError(
            f"`{unknown[0]}` is not a watched alarm",
            found=f"expected one of {', '.join(names)}",
            hint="deployer status",
            exit_code=Exit.USAGE,
        )
    return tuple(name for name in dict.fromkeys(names) if name not in despite)


def _check_version(aws: Aws, stable: str, target: str) -> None:
    """Refuse what Lambda would refuse after traffic moved, with a clearer message.

    Source: both versions of a weighted alias need the same role and dead-letter target,
    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    if target == "$LATEST":
        raise DeployerError(
            "`$LATEST` cannot be rolled out", found="expected a published version", exit_code=Exit.REFUSED
        )
    old, new = aws.describe_version(stable), aws.describe_version(target)
    for what in ("role", "dead_letter"):
        if old[what] != new[what]:
            raise DeployerError(
                f"versions {stable} and {target} differ in their {what.replace('_', '-')}",
                found=f"found `{new[what]}`, expected `{old[what]}`",
                hint="release that change all at once: steps = [] for one release",
                exit_code=Exit.REFUSED,
            )
    if new["state"] != "Active":
        raise DeployerError(
            f"version {target} cannot serve",
            found=f"found state {new['state']}, expected Active",
            hint="deployer apply",
            exit_code=Exit.REFUSED,
        )


def _probe(context: Context, aws: Aws, target: str) -> None:
    """Ask the new version directly, before any traffic: one that cannot even start is refused here."""
    error, answer = aws.invoke(target, S3_TEST_EVENT)
    if error is not None:
        message = answer.get("errorMessage", "") if isinstance(answer, dict) else str(answer)
        raise DeployerError(
            f"version {target} does not answer its trigger's test event",
            found=f"found {error}: {message[:300]}",
            hint=f"aws logs tail /aws/lambda/{aws.function_name}",
            exit_code=Exit.REFUSED,
        )
    context.output.say(f"probe      version {target} answers its trigger's test event")


S3_TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "1970-01-01T00:00:00.000Z",
    "Bucket": "probe",
    "RequestId": "probe",
    "HostId": "probe",
}


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
