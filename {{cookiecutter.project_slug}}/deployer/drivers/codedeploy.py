"""A rollout as AWS CodeDeploy understands it: AppSpec, deployment configuration, alarms; or why not. Pure.

CodeDeploy knows three ways to shift a Lambda alias: all at once, one share and then everything (canary), and
equal shares at equal intervals (linear). It watches alarms and compares nothing. What a plan asks for beyond
that is refused, never approximated.
Source: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.config import ALIAS, Environment
from deployer.errors import DeployerError, Exit
from deployer.model import Ends, RolloutPlan, Routing, Step

# Source: https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
MAX_SHIFT_MIN = 2880
MAX_ALARMS = 10
ALL_AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"

# What belongs to the comparison of the two versions, and the one value, if any, that switches it off.
_COMPARISON: Mapping[str, Any] = {
    "alpha": None,
    "error_floor_pct": None,
    "errors_from": "lambda",
    "max_error_pct": None,
    "settle_s": None,
    "slow_ms": 0,
    "on_slow": "off",
    "sample_every_s": 0,
}


@dataclass(frozen=True)
class Traffic:
    """How CodeDeploy shifts: `name` of the deployment configuration, `routing` None for AWS's own one."""

    name: str
    routing: Mapping[str, Any] | None


@dataclass(frozen=True)
class Deployment:
    """One CreateDeployment. Application and group have the function's name; infra/service.yaml makes them."""

    function_name: str
    stable: str
    target: str
    traffic: Traffic
    alarms: tuple[str, ...]
    description: str

    def config_request(self) -> dict[str, Any] | None:
        """Return the arguments of CreateDeploymentConfig, None when AWS's own configuration does it."""
        if self.traffic.routing is None:
            return None
        return {
            "deploymentConfigName": self.traffic.name,
            "computePlatform": "Lambda",
            "trafficRoutingConfig": dict(self.traffic.routing),
        }

    def request(self) -> dict[str, Any]:
        """Return the arguments of CreateDeployment.

        An alarm that cannot be read stops the deployment: missing data never reads as healthy.
        """
        return {
            "applicationName": self.function_name,
            "deploymentGroupName": self.function_name,
            "deploymentConfigName": self.traffic.name,
            "description": self.description,
            "revision": {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": appspec(self.function_name, self.stable, self.target)},
            },
            "autoRollbackConfiguration": {
                "enabled": True,
                "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
            },
            "overrideAlarmConfiguration": {
                "enabled": True,
                "ignorePollAlarmFailure": False,
                "alarms": [{"name": name} for name in self.alarms],
            },
        }


def appspec(function_name: str, stable: str, target: str) -> str:
    """Return the AppSpec that moves the alias from one version to the other, as JSON.

    Source: https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-example.html
    """
    properties = {
        "Name": function_name,
        "Alias": ALIAS,
        "CurrentVersion": stable,
        "TargetVersion": target,
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
    return json.dumps({"version": 0.0, "Resources": [{"function": resource}]}, separators=(",", ":"))


def translate(
    function_name: str, settings: Environment, plan: RolloutPlan, routing: Routing, alarms: tuple[str, ...]
) -> Deployment:
    """Return the deployment that is exactly this plan.

    Raises DeployerError (exit 5) with one line for each thing CodeDeploy cannot do.
    """
    problems = list(refusals(settings, plan, alarms))
    if problems:
        raise DeployerError(
            "CodeDeploy cannot carry out this plan",
            found="\n".join(problems),
            hint='driver = "runner" or "durable" keeps it; see docs/drivers.md',
            exit_code=Exit.REFUSED,
        )
    return Deployment(
        function_name=function_name,
        stable=routing.stable,
        target=plan.target,
        traffic=_traffic(function_name, plan.steps),
        alarms=alarms,
        description=f"rollout {plan.id} of version {plan.target}",
    )


def refusals(settings: Environment, plan: RolloutPlan, alarms: tuple[str, ...]) -> Iterator[str]:
    """Yield one sentence for each thing this plan asks for and CodeDeploy cannot do; none means it can."""
    if settings.steps == "auto":
        yield 'steps = "auto": its steps end by the clock, expected [{ weight_pct = 10, bake_s = 300 }]'
    else:
        yield from _about_steps(plan.steps)
    yield from _about_settings(settings)
    if plan.is_forced:
        yield "--force: a deployment stops on an alarm that is red already"
    if not alarms:
        yield "no alarm: without one it would promote any version"
    if len(alarms) > MAX_ALARMS:
        yield f"{len(alarms)} alarms: a deployment watches at most {MAX_ALARMS}"


def _about_settings(settings: Environment) -> Iterator[str]:
    if settings.final_bake_s and "final_bake_s" in settings.model_fields_set:
        yield f"final_bake_s = {settings.final_bake_s}: it watches nothing after the last shift, expected 0"
    if settings.mode == "observe":
        yield 'mode = "observe": it always acts on its alarms, expected "act"'
    if settings.on_cancel == "hold":
        yield 'on_cancel = "hold": a deployment goes on or goes back, expected "rollback"'
    if settings.second_rollout == "supersede":
        yield 'second_rollout = "supersede": it refuses a second deployment, expected "refuse"'
    for key, off in _COMPARISON.items():
        value = getattr(settings, key)
        if key in settings.model_fields_set and (off is None or value != off):
            yield f"{key} = {json.dumps(value)}: it does not compare versions, {_instead(off)}"


def _instead(off: Any) -> str:
    return "leave the key out" if off is None else f"expected {json.dumps(off)}"


def _about_steps(steps: tuple[Step, ...]) -> Iterator[str]:
    odd = [step.bake_s for step in steps if step.bake_s % 60]
    for bake_s in odd:
        yield f"bake_s = {bake_s}: it waits in whole minutes"
    for step in steps:
        if step.weight_pct != int(step.weight_pct):
            yield f"weight_pct = {step.weight_pct:g}: it shifts whole percentages, expected {_whole(step)}"
        if step.ends is not Ends.TIME:
            yield f"a step of {step.weight_pct:g} % that ends by what was seen: it waits for the clock alone"
    total_min = sum(step.bake_s for step in steps) // 60
    if total_min > MAX_SHIFT_MIN:
        yield f"steps of {total_min} min in all: at most {MAX_SHIFT_MIN} min lie between first and last shift"
    if len(steps) > 1 and not _is_linear(steps):
        shares = ", ".join(f"{step.weight_pct} % for {step.bake_s} s" for step in steps)
        yield f"steps {shares}: it knows one share, or equal shares at equal intervals up to 100 %"


def _whole(step: Step) -> int:
    return max(1, round(step.weight_pct))


def _is_linear(steps: tuple[Step, ...]) -> bool:
    """Tell whether the steps are p, 2p, … up to 100 % at one interval, with p a divisor of 100."""
    share = steps[0].weight_pct
    wanted = itertools.takewhile(lambda weight: weight < 100, itertools.count(share, share))
    is_even = [step.weight_pct for step in steps] == list(wanted)
    return is_even and 100 % share == 0 and len({step.bake_s for step in steps}) == 1


def _traffic(function_name: str, steps: tuple[Step, ...]) -> Traffic:
    """Return the traffic of a plan without refusals; the name says what is in it, since it cannot change."""
    if not steps:
        return Traffic(ALL_AT_ONCE, None)
    share, minutes = steps[0].weight_pct, steps[0].bake_s // 60
    if len(steps) == 1:
        canary = {"canaryPercentage": share, "canaryInterval": minutes}
        routing = {"type": "TimeBasedCanary", "timeBasedCanary": canary}
        return Traffic(f"{function_name}-canary-{share}pct-{minutes}min", routing)
    linear = {"linearPercentage": share, "linearInterval": minutes}
    routing = {"type": "TimeBasedLinear", "timeBasedLinear": linear}
    return Traffic(f"{function_name}-linear-{share}pct-{minutes}min", routing)
