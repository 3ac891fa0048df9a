"""Make an environment what the repository asks for, up to a published version. Shell; moves no traffic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from deployer.aws import stack_states
from deployer.aws.client import Aws
from deployer.aws.errors import NotFound
from deployer.aws.observed import Observed
from deployer.aws.stack import ChangeSet, Stack
from deployer.errors import DeployerError, Exit
from deployer.release import keep
from deployer.release import plan as plans
from deployer.release import template as templates

Say = Callable[[str], None]


@dataclass(frozen=True)
class Applied:
    """How `apply` ended: the version to roll out, and whether it is live already."""

    version: str
    is_live: bool


def observe(aws: Aws, stack: Stack) -> Observed:
    """Read everything a plan compares (four calls at most); what does not exist is None."""
    state = stack.read()
    if state is None:
        return Observed(stack=None)
    if isinstance(state.template, str):
        # Not ours to correct: a text that cannot be read differs from what is wanted, and is replaced.
        with contextlib.suppress(DeployerError):
            state = replace(state, template=templates.parse(state.template, name=stack.name))
    try:
        function, alias = aws.function(), aws.alias()
    except NotFound:
        return Observed(stack=state)
    return Observed(
        stack=state, function=function, alias=alias, live_image_uri=aws.image_of(alias.routing.stable)
    )


@dataclass(frozen=True)
class Release:
    """One `apply`: what is wanted, what it is called in the version's description, who may do it."""

    desired: plans.Desired
    description: str
    stack_role_arn: str | None = None


def apply(aws: Aws, stack: Stack, release: Release, *, say: Say) -> Applied:
    """Carry out the plan in its order: stack, code, version. Repeating it changes nothing.

    The alias is not written. Raises DeployerError: exit 5 while traffic is being shifted or when the stack
    takes no change, exit 1 when AWS refuses or somebody moved the alias meanwhile.
    """
    observed = observe(aws, stack)
    if observed.stack and (refused := stack_states.refusal(stack.name, observed.stack.status)):
        raise refused
    plan = plans.make(release.desired, observed)
    running = _running_version(aws, release, observed)
    if running is not None:
        say(f"version {running} has this image and is being rolled out")
        return Applied(running, is_live=False)
    _require_ready(plan, observed)
    if observed.stack is None:
        return _create(aws, stack, release, say)
    is_changed = False
    for action in plan.actions:
        match action:
            case plans.UpdateStack():
                _change_stack(aws, stack, release, observed, say)
                is_changed = True
            case plans.RepairFunction(changes):
                raise DeployerError(
                    "the function was changed outside this repository",
                    found="\n".join(changes),
                    hint="put it back in the console, or change deploy.toml to a third value and apply",
                )
            case plans.UpdateCode(_, wanted):
                aws.wait_updated()
                keep.require_unmoved(aws, observed.alias, since="during the apply", is_changed=is_changed)
                say(f"updating $LATEST to {wanted[:19]}…")
                assert release.desired.image_uri is not None  # noqa: S101 - UpdateCode exists only with it
                aws.update_code(release.desired.image_uri, revision=aws.function().revision)
            case plans.CreateStack() | plans.ClearWeights() | plans.ReleaseVersion():
                pass
    return _publish(aws, release, observed, changed=bool(plan.actions), say=say)


def _require_ready(plan: plans.Plan, observed: Observed) -> None:
    """Raise DeployerError (exit 5) while something moves, and where the stack lost what it made."""
    if plan.blocked:
        raise DeployerError(
            "nothing was changed, because traffic is being shifted or the stack is being changed",
            found=f"found that {plan.blocked}, expected all traffic on one version and a stack at rest",
            hint="deployer status, then `deployer rollout resume` or `deployer rollback`",
            exit_code=Exit.REFUSED,
        )
    if observed.stack is not None and observed.alias is None:
        raise DeployerError(
            "the stack exists without its function or alias",
            found="found one of them missing, expected both, as the stack made them",
            hint="docs/runbook.md, section Stack",
            exit_code=Exit.REFUSED,
        )


def _running_version(aws: Aws, release: Release, observed: Observed) -> str | None:
    """Return the version a running rollout is for, if it runs the wanted image: a job that is run again."""
    alias, wanted = observed.alias, release.desired.image_digest
    if alias is None or alias.marker is None or not alias.marker.is_active or wanted is None:
        return None
    version = alias.marker.to_version
    return version if aws.image_of(version).partition("@")[2] == wanted else None


def _create(aws: Aws, stack: Stack, release: Release, say: Say) -> Applied:
    if release.desired.image_uri is None:
        raise DeployerError(
            f"stack `{stack.name}` does not exist, and the first deployment needs an image",
            hint="deployer apply --image REPOSITORY@sha256:…",
        )
    if stack.is_under_review:
        say(
            f"stack {stack.name} is REVIEW_IN_PROGRESS: an earlier change of it was refused, this one goes on"
        )
    _change_stack(aws, stack, release, Observed(stack=None), say)
    version = aws.alias().routing.stable
    say(f"first release: alias live points at version {version}")
    return Applied(version, is_live=True)


def _change_stack(aws: Aws, stack: Stack, release: Release, observed: Observed, say: Say) -> None:
    """Propose and carry out a change that leaves the alias alone, unless the template itself changes it."""
    change_set = _propose(stack, release, observed)
    is_touched = (
        change_set is not None and observed.alias is not None and keep.RESOURCE in change_set.resources
    )
    if change_set is not None and is_touched:
        stack.discard(change_set)
        change_set = _propose(stack, release, observed, is_alias_touched=True)
    if change_set is None:
        say(f"stack {stack.name}: CloudFormation finds nothing to change")
        return
    for line in change_set.changes:
        say(f"  {line}")
    before = observed.alias
    try:
        keep.require_unmoved(aws, before, since="while the change was prepared", is_changed=False)
    except DeployerError:
        stack.discard(change_set)
        raise
    if is_touched:
        _execute_watched(aws, stack, change_set, observed, say)
    else:
        stack.execute(change_set, say=say)
    keep.require_unmoved(aws, before, since="while the stack was changed", is_changed=True)


def _execute_watched(aws: Aws, stack: Stack, change_set: ChangeSet, observed: Observed, say: Say) -> None:
    watch = keep.Watch(aws, observed)
    try:
        stack.execute(change_set, say=say, meanwhile=watch.look)
    finally:
        watch.restore(say)


def _propose(
    stack: Stack, release: Release, observed: Observed, *, is_alias_touched: bool = False
) -> ChangeSet | None:
    desired = release.desired
    live = plans.live_parameters(observed, desired.image_uri or "", is_alias_touched=is_alias_touched)
    return stack.propose(
        templates.render(desired.template, name="infra/service.yaml"),
        {**desired.parameters, **live},
        exists=observed.stack is not None,
        role_arn=release.stack_role_arn,
    )


def _publish(aws: Aws, release: Release, observed: Observed, *, changed: bool, say: Say) -> Applied:
    """Publish `$LATEST`; when nothing is to do the live version is the answer."""
    assert observed.alias is not None  # noqa: S101 - `apply` refuses a stack without one
    stable = observed.alias.routing.stable
    if not changed:
        say(f"nothing to apply: version {stable} is live and as wanted")
        return Applied(stable, is_live=True)
    aws.wait_updated()
    version = aws.publish(code_sha256=aws.function().code_sha256, description=release.description)
    is_live = version == stable
    say(f"version {version} is {'live already' if is_live else 'published, with no traffic yet'}")
    return Applied(version, is_live=is_live)
