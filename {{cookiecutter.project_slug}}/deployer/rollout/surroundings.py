"""What a rollout has around it: credentials that last, warm capacity, an armed guard, announcements. Shell.

All of it is put in place before any traffic moves, and may fail the rollout there; what is done afterwards
never does, since the traffic is where it should be by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deployer.aws import credentials, provisioned
from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from deployer.aws.schedule import Schedule
from deployer.aws.stack import stack_of
from deployer.context import Context
from deployer.errors import DeployerError
from deployer.model import AliasState, AliasWrite, RolloutPlan, Routing
from deployer.rollout.guard import Guard, armed_until
from deployer.rollout.notify import Notifier, Send, webhook

LONGEST_ARMED_S = 86_400  # where traffic proved nothing
MARGIN_S = 900  # so that whoever drives a rollout to its latest end is not overtaken


@dataclass(frozen=True)
class Surroundings:
    """Everything beside the alias that belongs to the rollouts of one environment.

    `guard` is None where the stack is older than the guard, and for the driver that has alarms of its own;
    `schedule` is None there too, and where nothing may end a rollout by itself. `outputs` are the stack's, by
    logical key.
    """

    context: Context
    aws: Aws
    guard: Guard | None
    notifier: Notifier
    outputs: Mapping[str, str] = field(default_factory=dict)
    schedule: Schedule | None = None

    @classmethod
    def of(cls, context: Context, aws: Aws) -> Surroundings:
        """Find what the stack offers: its rollout topic, in two calls."""
        state = stack_of(context, aws).read()
        topic = state.outputs.get("RolloutTopicArn", "") if state else ""
        sends: dict[str, Send] = webhook(context.output.environ)
        if topic:
            sends["the rollout topic"] = lambda subject, text: aws.sns.publish(
                TopicArn=topic, Subject=subject, Message=text
            )
        settings = context.config.environment(context.environment)
        has_guard = bool(topic) and settings.driver != "codedeploy"
        guard_arn, role = (
            state.outputs.get(name, "") if state else "" for name in ("GuardFunctionArn", "ScheduleRoleArn")
        )
        can_schedule = has_guard and bool(guard_arn and role)
        return cls(
            context,
            aws,
            Guard(aws.cloudwatch, aws.function_name, topic) if has_guard else None,
            Notifier(aws.function_name, sends, context.output.say),
            state.outputs if state else {},
            Schedule(aws.client("scheduler"), aws.function_name, guard_arn, role) if can_schedule else None,
        )

    def check_credentials(self, plan: RolloutPlan) -> None:
        """Refuse a plan this process may not be able to see through (exit 5)."""
        settings = self.context.config.environment(self.context.environment)
        if settings.driver == "runner":
            credentials.check(plan, self.context.output.environ, self.context.clock.now())

    def prepare(self, plan: RolloutPlan, alias: AliasState) -> None:
        """Put everything in place before any traffic; repeating it changes nothing.

        What is armed for a version that serves already stays. Raises DeployerError when a part of it cannot
        be had; no traffic has moved then.
        """
        self._clear(alias, keep=plan.target if alias.routing == Routing(plan.target) else None)
        clock, say = self.context.clock, self.context.output.say
        count = self.context.config.function.provisioned_concurrency
        if count:
            provisioned.make_ready(self.aws.provisioned(), plan.target, count, clock, say)
        self.arm(plan, alias)

    def arm(self, plan: RolloutPlan, alias: AliasState) -> None:
        """Put the canary's alarm, unless there will be no canary to watch or nothing may act on it."""
        is_watched = bool(plan.steps) and not plan.only_observes
        is_live = alias.routing.stable == plan.target and not (alias.marker and alias.marker.is_active)
        if self.guard is None or not is_watched or is_live:
            return
        stable = (
            alias.marker.from_version if alias.marker and alias.marker.is_active else alias.routing.stable
        )
        before = self.aws.metrics().baseline(stable, int(self.context.clock.now()))
        name = self.guard.arm(plan.target, before.counts, stable=stable)
        self.context.output.say(f"guard      alarm {name} gives the traffic back when nobody watches")
        self._end_at(plan, self.context.clock.now() + credentials.longest_s(plan) + MARGIN_S)

    def _end_at(self, plan: RolloutPlan, at: float) -> None:
        """Let the guard end what is left of the rollout at that moment."""
        if self.schedule is not None:
            event = {
                "rollout": plan.id,
                "version": plan.target,
                "until": int(at),
                "armed_s": plan.armed_s,  # for one that was done and did not move the schedule
            }
            self.schedule.put(at, event)

    def rearm(self, plan: RolloutPlan, alias: AliasState) -> None:
        """Put the alarm of a rollout that runs already; without it the rollout still is to be watched."""
        try:
            self.arm(plan, alias)
        except DeployerError as error:
            self.context.output.say(f"guard      none: {error.what}")

    def announce(self, write: AliasWrite, reason: str, at: float | None = None) -> None:
        """Tell of a write that was carried out."""
        self.notifier.announce(write, reason, self.context.clock.now() if at is None else at)

    def clear(self, plan: RolloutPlan | None = None) -> None:
        """Put away what a rollout, of `plan`, that is over or was refused no longer needs; else nothing.

        The alarm of a release that was done within a day stays.
        """
        if self.guard is None and not self.context.config.function.provisioned_concurrency:
            return
        try:
            alias = self.aws.alias()
            if plan is not None and not plan.only_observes and alias.marker and alias.marker.id == plan.id:
                arm_done(self.aws, self.guard, alias, plan.armed_s, self.context.output.say)
                end = armed_until(alias, plan.armed_s)
                if end is not None:
                    self._end_at(plan, end)
            until = armed_until(alias, LONGEST_ARMED_S)
            is_armed = until is not None and self.context.clock.now() < until
            keep = alias.marker.to_version if alias.marker and is_armed else None
            self._clear(alias, plan.target if plan is not None else None, keep)
        except DeployerError as error:
            self._left_over(error)

    def _clear(self, alias: AliasState, target: str | None = None, keep: str | None = None) -> None:
        has_provisioned = self.context.config.function.provisioned_concurrency > 0
        try:
            put_away(self.aws, self.guard, alias, has_provisioned=has_provisioned, keep=keep)
            if target is not None and has_provisioned and _is_idle(target, alias):
                self.aws.provisioned().remove(target)
        except DeployerError as error:
            self._left_over(error)

    def _left_over(self, error: DeployerError) -> None:
        self.context.output.say(f"left over  {error.what}; the next rollout tries again")


def arm_done(
    aws: Aws, guard: Guard | None, alias: AliasState, armed_s: int, say: Callable[[str], None]
) -> None:
    """Put the alarm of a release that has just been done, for `armed_s` seconds from then.

    Where last week cannot be read, or would have fired every alarm, the canary's own stays. Raises
    DeployerError.
    """
    until, marker = armed_until(alias, armed_s), alias.marker
    if guard is None or marker is None or until is None:
        return
    try:
        week = aws.metrics().history(marker.starts[0])
    except Unavailable as error:
        say(f"guard      the canary's alarm stays as it was: {error.what}")
        return
    when = guard.arm_done(marker.to_version, marker.from_version, week, until)
    if when is None:
        say("guard      the canary's alarm stays as it was: last week would have fired every other")
        return
    back = f"the traffic goes back to version {marker.from_version}"
    say(f"guard      for {armed_s // 60} min: {back} when {when}")


def put_away(
    aws: Aws, guard: Guard | None, alias: AliasState, *, has_provisioned: bool, keep: str | None = None
) -> None:
    """Remove canary alarms, but that of `keep`, and the idle version's capacity, unless a rollout runs.

    Raises DeployerError.
    """
    marker = alias.marker
    if marker is not None and marker.is_active:
        return
    if guard is not None:
        guard.disarm(keep=keep)
    if marker is not None and has_provisioned:
        for version in (marker.from_version, marker.to_version):
            if _is_idle(version, alias):
                aws.provisioned().remove(version)


def _is_idle(version: str, alias: AliasState) -> bool:
    """Tell whether a version serves nobody, and no rollout is about to change that."""
    is_active = alias.marker is not None and alias.marker.is_active
    return not is_active and version not in (alias.routing.stable, alias.routing.canary)


def after_write(context: Context, aws: Aws, write: AliasWrite, reason: str) -> None:
    """Announce what a command wrote, and clear when that ended the rollout; never raises."""
    try:
        around = Surroundings.of(context, aws)
    except DeployerError as error:
        context.output.say(f"left over  {error.what}; the next rollout tries again")
        return
    around.announce(write, reason)
    around.clear()
