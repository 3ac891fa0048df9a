"""`deployer bootstrap`: registry and roles in the AWS account, and what GitHub needs for them. Shell."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployer import github
from deployer.aws.client import Aws, reach
from deployer.aws.errors import translated
from deployer.aws.observed import StackState
from deployer.aws.stack import ChangeSet, Stack
from deployer.cli import github_setup
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.release import bootstrap as pure
from deployer.release import merge, repository, sources
from deployer.release import template as templates
from deployer.release.bootstrap import Part, Variable

AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True)
class Wanted:
    """What `bootstrap` is told: the repository, the account's OIDC provider if known, which part alone.

    With `prints_github` the calls of `gh` are printed, for somebody else to run.
    """

    subject: github.Subject
    oidc_provider_arn: str = ""
    part: str | None = None
    prints_github: bool = False


@dataclass
class Proposal:
    """One part's stack as it is, and what would change; `change_set` is None where nothing would."""

    part: Part
    stack: Stack
    state: StackState | None
    change_set: ChangeSet | None


def bootstrap(context: Context, wanted: Wanted, *, confirm: Callable[[], bool]) -> Exit:
    """Create or update registry and roles, and set GitHub up: show every change first, do it when confirmed.

    Repeating it changes nothing. Returns exit 5 when the change was not confirmed, exit 1 when GitHub refused
    a part of it.
    """
    say = context.output.say
    aws = reach(context)
    identity = aws.identity()
    holder = pure.holder(identity)
    say(f"account    {identity} in {aws.region}")
    parts = pure.chosen(context.config, holder.account, wanted.part)
    proposals = _propose(context, aws, holder, wanted, parts)
    changes = [proposal for proposal in proposals if proposal.change_set is not None]
    variables = _variables(context, holder, proposals)
    setup = github_setup.look(
        wanted.subject.name, repository.environments(variables), prints_only=wanted.prints_github
    )
    for proposal in proposals:
        _tell(context, proposal)
    planned = setup.plan(variables, say)
    if (changes or planned) and not confirm():
        _discard(changes)
        say("nothing was changed")
        return Exit.REFUSED
    for number, proposal in enumerate(changes):
        _execute(context, proposal, left=changes[number + 1 :])
    done = setup.carry_out(_variables(context, holder, proposals), say)
    left = [part for part in pure.parts(context.config, holder.account) if part not in parts]
    for part in left if wanted.part is None else []:
        say(f"\nstill to do with credentials of account {part.account}: deployer bootstrap {part.option}")
    return done


def _propose(
    context: Context, aws: Aws, holder: pure.Holder, wanted: Wanted, parts: tuple[Part, ...]
) -> list[Proposal]:
    """Ask CloudFormation what it would do for each part; nothing is changed by that."""
    existing = _provider(aws, holder, wanted.oidc_provider_arn)
    about = {"GitHubSubject": wanted.subject.claim, "GitHubRepositoryId": wanted.subject.repository_id}
    planned, proposals = "", list[Proposal]()
    try:
        for part in parts:
            stack = Stack(aws.cloudformation, part.stack_name(context.config), context.clock)
            state = stack.read()
            provider = pure.provider(state, existing, planned=planned)
            planned = planned or provider or holder.provider_arn
            values = pure.parameters(context.config, part, holder.account, about, provider)
            is_first = state is None and not part.environment
            body = _body(context, part)
            change_set = stack.propose(body, values, exists=state is not None, takes_over=is_first)
            proposals.append(Proposal(part, stack, state, change_set))
    except DeployerError:
        _discard(proposals)
        raise
    return proposals


def _body(context: Context, part: Part) -> str:
    """Return the template of a part as CloudFormation gets it."""
    if part.environment:
        return templates.render(sources.bootstrap(context.root), name=merge.BOOTSTRAP)
    return templates.render(sources.registry(context.root, context.config), name=merge.REGISTRY)


def _provider(aws: Aws, holder: pure.Holder, given: str) -> str:
    """Return the ARN of the account's provider for GitHub, or an empty text. At most two calls.

    Raises DeployerError when the given one is another account's (exit 2), or when the account's was made for
    another audience than AWS.
    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html
    """
    if given:
        if given != holder.provider_arn:
            raise DeployerError(
                "the OIDC provider is not the one that this account can have for GitHub",
                found=f"found `{given}`, expected `{holder.provider_arn}`",
                hint="leave --oidc-provider out: the account is asked",
                exit_code=Exit.USAGE,
            )
        return given
    iam = aws.client("iam")
    try:
        with translated("listing the account's OIDC providers"):
            found = [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    except DeployerError as error:
        hint = "name the account's own: --oidc-provider ARN"
        raise DeployerError(error.what, found=error.found, hint=hint) from error
    if holder.provider_arn not in found:
        return ""
    with translated("reading the account's OIDC provider"):
        about = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=holder.provider_arn)
    if AUDIENCE not in about["ClientIDList"]:
        raise DeployerError(
            "the account's OIDC provider for GitHub does not know AWS as audience",
            found=f"found {', '.join(about['ClientIDList']) or 'none'}, expected {AUDIENCE}",
            hint="aws iam add-client-id-to-open-id-connect-provider "
            f"--open-id-connect-provider-arn {holder.provider_arn} --client-id {AUDIENCE}",
        )
    return holder.provider_arn


def _tell(context: Context, proposal: Proposal) -> None:
    if proposal.change_set is None:
        context.output.say(f"stack {proposal.stack.name}: nothing to change")
        return
    context.output.say(f"stack {proposal.stack.name} will change:")
    for line in proposal.change_set.changes:
        context.output.say(f"  {line}")


def _execute(context: Context, proposal: Proposal, *, left: list[Proposal]) -> None:
    """Carry one part's change out. Raises DeployerError that also names the parts that are `left`."""
    assert proposal.change_set is not None  # noqa: S101 - only those with a change are carried out
    try:
        proposal.state = proposal.stack.execute(proposal.change_set, say=context.output.say)
    except DeployerError as error:
        _discard(left)
        names = ", ".join(one.part.name for one in left)
        raise DeployerError(
            error.what,
            found="\n".join(filter(None, (error.found, f"not tried: {names}" if names else ""))),
            hint=f"{error.hint or 'correct it'}; then `deployer bootstrap` again: what is done stays done",
            exit_code=error.exit_code,
        ) from error


def _discard(proposals: list[Proposal]) -> None:
    """Delete what was proposed and is not to be carried out; one that cannot be deleted harms nobody."""
    for proposal in proposals:
        if proposal.change_set is not None:
            with contextlib.suppress(DeployerError):
                proposal.stack.discard(proposal.change_set)


def _variables(context: Context, holder: pure.Holder, proposals: list[Proposal]) -> list[Variable]:
    """Return what GitHub is told, the push role last; of a stack yet to be made by the names it will give."""

    def outputs(proposal: Proposal) -> Mapping[str, str]:
        expected = pure.expected_outputs(context.config, proposal.part, holder)
        return {**expected, **(proposal.state.outputs if proposal.state else {})}

    return [
        variable
        for proposal in reversed(proposals)
        for variable in pure.variables(proposal.part, outputs(proposal))
    ]
