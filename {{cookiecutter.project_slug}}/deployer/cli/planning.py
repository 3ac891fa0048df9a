"""The plan of a rollout from deploy.toml and last week, and words for one that nothing proves. Shell."""

from __future__ import annotations

from dataclasses import replace

from deployer.aws.client import Aws
from deployer.canary.decision import Tick
from deployer.canary.moves import no_rollout
from deployer.context import Context
from deployer.judge.planned import Outlook, places, rollout_plan
from deployer.judge.power import Traffic
from deployer.model import Marker, RolloutPlan


def planned(context: Context, aws: Aws, named: tuple[str, str], at: float) -> RolloutPlan:
    """Return the plan of a rollout (its id, its version) that begins at `at`; with steps one GetMetricData.

    Whoever resumes it plans from the same week. CodeDeploy goes by the clock alone, and needs no week.
    """
    settings = context.config.environment(context.environment)
    traffic = Traffic(0.0)
    if settings.is_shared and settings.driver != "codedeploy":
        traffic = Outlook.of(aws.metrics().history(at), at, settings.gate_settings().attempts).traffic
    return rollout_plan(settings, *named, places(settings, traffic))


def running(aws: Aws) -> Marker:
    """Return the marker of the rollout on the alias. Raises DeployerError (exit 5) when there is none."""
    marker = aws.alias().marker
    if marker is None or not marker.is_active:
        raise no_rollout(marker)
    return marker


def resumed(context: Context, aws: Aws) -> RolloutPlan:
    """Return the plan of the rollout on the alias, as it was when it began. Raises DeployerError (exit 5)."""
    marker = running(aws)
    began_at = marker.starts[0] if marker.starts else int(context.clock.now())
    made = planned(context, aws, (marker.id, marker.to_version), began_at)
    # Also where the settings have no steps any more: what has none is neither judged nor watched.
    return replace(made.following(marker.weights), is_begun=True)


def of_the_marker(context: Context, marker: Marker) -> RolloutPlan:
    """Return what a person's wish needs of the plan: the marker has the weights, and metrics may be away."""
    settings = context.config.environment(context.environment)
    plan = settings.rollout_plan(marker.id, marker.to_version, settings.listed_steps())
    return replace(plan, is_begun=True)


def before_nothing(plan: RolloutPlan) -> str:
    """Say before any traffic that none will prove the release."""
    return (
        f"proof      none: too few calls to prove anything about version {plan.target}. "
        f"It gets {plan.steps[0].weight_pct:g} % for {plan.steps[0].bake_s // 60} minutes, then everything; "
        f"its alarm stays armed for {plan.armed_s // 3600} h"
    )


def after_nothing(plan: RolloutPlan, last: Tick) -> str:
    """Say behind a release that no traffic proved it, and what its few calls were."""
    seen = next((verdict.sentence for verdict in last.evidence.verdicts), "")
    return f"proof      no traffic proved version {plan.target}. {seen}".rstrip()
