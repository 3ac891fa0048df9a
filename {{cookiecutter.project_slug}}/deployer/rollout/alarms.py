"""Which alarms belong to an environment, and which of them a rollout watches. Shell."""

from __future__ import annotations

from deployer.aws.client import Aws
from deployer.aws.observed import StackState
from deployer.aws.stack import stack_of
from deployer.config import Environment
from deployer.context import Context


def all_alarms(context: Context, aws: Aws) -> tuple[str, ...]:
    """Return every alarm of the environment, watched by a rollout or not."""
    return _names(stack_of(context, aws).read(), context.config.environment(context.environment))


def watched_alarms(context: Context, aws: Aws) -> tuple[str, ...]:
    """Return the alarms to watch: the stack's and deploy.toml's.

    The stack's alarm on the errors of all versions together is left out where they are compared: it would
    end a good release in a bad hour. Named in deploy.toml, it is watched all the same.
    """
    settings = context.config.environment(context.environment)
    state = stack_of(context, aws).read()
    compares = bool(settings.steps) and settings.driver != "codedeploy"
    left_out = {state.outputs.get("ErrorsAlarmName")} if compares and state else set()
    left_out -= set(settings.alarm_names())
    return tuple(name for name in _names(state, settings) if name not in left_out)


def _names(state: StackState | None, settings: Environment) -> tuple[str, ...]:
    listed = state.outputs.get("AlarmNames", "") if state else ""
    names = [name for name in listed.split(",") if name]
    return tuple(dict.fromkeys((*names, *settings.alarm_names())))
