"""`deployer bootstrap`: registry and roles in the AWS account, and what GitHub is told of them. Shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from deployer.aws.client import Aws, reach
from deployer.aws.errors import translated
from deployer.aws.observed import StackState
from deployer.aws.stack import ChangeSet, Stack
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.github import Subject
from deployer.release import bootstrap as pure
from deployer.release import merge, sources
from deployer.release import template as templates
from deployer.release.bootstrap import Part

AUDIENCE = "sts.amazonaws.com"


@dataclass(frozen=True)
class Wanted:
    """What `bootstrap` is told: the repository, the account's OIDC provider if known, which part alone."""

    subject: Subject
    oidc_provider_arn: str = ""
    part: str | None = None


@dataclass
class Proposal:
    """One part's stack as it is, and what would change; `change_set` is None where nothing would."""

    part: Part
    stack: Stack
    state: StackState | None
    change_set: ChangeSet | None
    notes: list[str] = field(default_factory=list)


def bootstrap(context: Context, wanted: Wanted, *, confirm: Callable[[], bool]) -> Exit:
    """Create or update registry and roles: show every change, do it when confirmed, say what GitHub needs.

    Repeating it changes nothing. Returns exit 5 when the change was not confirmed.
    """
    aws = reach(context)
    identity = aws.identity()
    holder = pure.holder(identity)
    context.output.say(f"account    {identity} in {aws.region}")
    parts = pure.chosen(context.config, holder.account, wanted.part)
    proposals = _propose(context, aws, holder, wanted, parts)
    for proposal in proposals:
        _tell(context, proposal)
    changes = [proposal for proposal in proposals if proposal.change_set is not None]
    if changes and not confirm():
        context.output.say("nothing was changed")
        return Exit.REFUSED
    for proposal in changes:
        _execute(context, proposal)
    _tell_github(context, proposals)
    left = [part for part in pure.parts(context.config, holder.account) if part not in parts]
    for part in left if wanted.part is None else []:
        context.output.say(f"\nstill to do with credentials of account {part.account}: {part.name}")
        context.output.say(f"  deployer bootstrap {part.option}")
    return Exit.DONE


def _propose(
    context: Context, aws: Aws, holder: pure.Holder, wanted: Wanted, parts: tuple[Part, ...]
) -> list[Proposal]:
    """Ask CloudFormation what it would do for each part; nothing is changed by that."""
    existing = wanted.oidc_provider_arn or _account_provider(aws, holder)
    planned, proposals = "", []
    github = {"GitHubSubject": wanted.subject.claim, "GitHubRepositoryId": wanted.subject.repository_id}
    for part in parts:
        name = merge.BOOTSTRAP if part.environment else merge.REGISTRY
        template = sources.bootstrap(context.root) if part.environment else sources.registry(context.root)
        stack = Stack(aws.cloudformation, part.stack_name(context.config), context.clock)
        state = stack.read()
        provider = pure.provider(state, existing, planned=planned)
        planned = planned or provider or holder.provider_arn
        values = pure.parameters(context.config, part, holder.account, github, provider)
        body = templates.render(template, name=name)
        is_first = state is None and not part.environment
        change_set = stack.propose(body, values, exists=state is not None, takes_over=is_first)
        proposals.append(Proposal(part, stack, state, change_set))
    return proposals


def _account_provider(aws: Aws, holder: pure.Holder) -> str:
    """Return the ARN of the account's provider for GitHub, or an empty text. One or two calls.

    Raises DeployerError when it exists and was made for another audience than AWS.
    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListOpenIDConnectProviders.html
    """
    iam = aws.client("iam")
    try:
        with translated("listing the account's OIDC providers"):
            found = [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    except DeployerError as error:
        raise DeployerError(
            error.what, found=error.found, hint="name the account's own: --oidc-provider ARN"
        ) from error
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


def _execute(context: Context, proposal: Proposal) -> None:
    """Carry one part's change out. Raises DeployerError that says what happens to the other parts."""
    assert proposal.change_set is not None  # noqa: S101 - only those with a change are carried out
    proposal.state = proposal.stack.execute(proposal.change_set, say=context.output.say)


def _tell_github(context: Context, proposals: list[Proposal]) -> None:
    """Print the variables to set, the push role's last."""
    found = [
        variable
        for proposal in reversed(proposals)
        for variable in pure.variables(proposal.part, proposal.state.outputs if proposal.state else {})
    ]
    context.output.say("\nnow tell GitHub, once:")
    for variable in found:
        where = f" --env {variable.environment}" if variable.environment else ""
        context.output.say(f"  gh variable set {variable.name}{where} --body {variable.value}")
