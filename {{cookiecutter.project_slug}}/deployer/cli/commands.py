"""The commands about an environment; each returns its exit code. Shell."""

from __future__ import annotations

from deployer import github
from deployer.aws.client import Aws, reach
from deployer.aws.registry import require_pullable
from deployer.aws.stack import stack_of
from deployer.cli import outlook
from deployer.context import Context
from deployer.drivers import codedeploy, costs
from deployer.errors import DeployerError, Exit
from deployer.judge import estimate as estimates
from deployer.judge.planned import Outlook, rollout_plan
from deployer.release import plan as plans
from deployer.release import sources
from deployer.release.apply import Release, apply, observe
from deployer.report import text as report
from deployer.rollout import sample as samples
from deployer.rollout.alarms import watched_alarms

_WATCH_S = 5.0


def desired(context: Context, image_uri: str | None) -> plans.Desired:
    """Return what the checkout asks for."""
    return sources.desired(context.root, context.config, context.environment, image_uri)


def plan(context: Context, image_uri: str | None) -> Exit:
    """Print what `apply` and the rollout would do, and what the rollout can prove with the traffic."""
    wanted = desired(context, _checked(image_uri))
    aws = reach(context)
    _require_pullable(aws, wanted)
    observed = observe(aws, stack_of(context, aws))
    text = report.describe_plan(plans.make(wanted, observed))
    text += f"\n\n{samples.outlook(samples.load(context.root))}"
    if observed.alias is not None:
        text += f"\n{_outlook(context, aws)}"
    context.output.say(text)
    context.output.summarize(f"### Plan for `{aws.function_name}`\n\n```\n{text}\n```\n")
    return Exit.DONE


def _outlook(context: Context, aws: Aws) -> str:
    """Say what the steps can prove with last week's traffic, and what they cost; one GetMetricData."""
    settings = context.config.environment(context.environment)
    if not settings.is_shared:
        return outlook.NOTHING_SHARED
    now = context.clock.now()
    week = aws.metrics().history(now)
    found = estimates.estimate(settings, Outlook.of(week, now, settings.gate_settings().attempts))
    lasts_s = estimates.duration_s(found, settings.driver)
    lines = [outlook.describe(settings, found), costs.describe(settings.driver, lasts_s)]
    if settings.driver == "codedeploy":
        made = rollout_plan(settings, "plan", "next", found.places)
        problems = codedeploy.refusals(settings, made, watched_alarms(context, aws))
        lines += [f"refused    {problem}" for problem in problems]
    return "\n".join(lines)


def drift(context: Context) -> Exit:
    """Print what is live but not asked for; exit 3 when there is anything."""
    wanted = desired(context, None)
    aws = reach(context)
    made = plans.make(wanted, observe(aws, stack_of(context, aws)))
    context.output.say(report.describe_plan(made))
    return Exit.DRIFT if made.actions else Exit.DONE


def apply_plan(context: Context, image_uri: str | None, stack_role_arn: str | None) -> Exit:
    """Change stack and code, publish a version; outputs `version` and `is_live`."""
    environ = context.output.environ
    _require_stack_role(context, stack_role_arn)
    wanted = desired(context, _checked(image_uri))
    aws = reach(context)
    _require_pullable(aws, wanted)
    description = " ".join(
        part
        for part in (environ.get("GITHUB_SHA", "")[:12] or github.commit(), github.run_url(environ))
        if part
    )
    release = Release(wanted, description, stack_role_arn)
    applied = apply(aws, stack_of(context, aws), release, say=context.output.say)
    context.output.set_output("version", applied.version)
    context.output.set_output("is_live", str(applied.is_live).lower())
    return Exit.DONE


def _require_stack_role(context: Context, stack_role_arn: str | None) -> None:
    """Refuse a job with a token of GitHub's and without the role that CloudFormation acts with (exit 5).

    Without it CloudFormation would use the deploy role's own rights, and stop half-way for want of most.
    """
    is_job = "ACTIONS_ID_TOKEN_REQUEST_URL" in context.output.environ
    if is_job and not stack_role_arn:
        raise DeployerError(
            "the variable AWS_STACK_ROLE_ARN is not set in this job",
            found="found no role for CloudFormation, expected the stack role of the environment",
            hint=f"deployer bootstrap --env {context.environment}, which sets it or prints the command",
            exit_code=Exit.REFUSED,
        )


def _require_pullable(aws: Aws, wanted: plans.Desired) -> None:
    """Refuse an image that Lambda could not pull (exit 5), before anything is changed."""
    if wanted.image_uri is not None:
        require_pullable(aws.ecr, wanted.image_uri)


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
