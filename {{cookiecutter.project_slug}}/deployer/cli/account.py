"""The commands about account and machine: `bootstrap`, once, and `doctor`, whenever in doubt. Shell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from deployer import github
from deployer.aws.client import reach
from deployer.aws.stack import Stack, stack_of
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.image import docker
from deployer.release import sources
from deployer.release import template as templates

_OUTPUTS = {
    "PushRoleArn": ("AWS_PUSH_ROLE_ARN", None),
    "StagingDeployRoleArn": ("AWS_DEPLOY_ROLE_ARN", "staging"),
    "StagingStackRoleArn": ("AWS_STACK_ROLE_ARN", "staging"),
    "StagingSmokeRoleArn": ("AWS_SMOKE_ROLE_ARN", "staging"),
    "ProductionDeployRoleArn": ("AWS_DEPLOY_ROLE_ARN", "production"),
    "ProductionStackRoleArn": ("AWS_STACK_ROLE_ARN", "production"),
}


@dataclass(frozen=True)
class Account:
    """What `bootstrap` is told about the account and the repository on GitHub."""

    subject: github.Subject
    oidc_provider_arn: str = ""


def bootstrap(context: Context, account: Account, *, confirm: Callable[[], bool]) -> Exit:
    """Create or update roles and repository: show the change first, do it when confirmed, print what to set.

    Repeating it changes nothing. Returns exit 5 when the change was not confirmed.
    """
    template = templates.render(sources.bootstrap(context.root), name="infra/bootstrap.yaml")
    aws = reach(context)
    context.output.say(f"account    {aws.identity()} in {aws.region}")
    stack = Stack(aws.cloudformation, f"{context.config.function.name}-bootstrap", context.clock)
    before = stack.read()
    kept_provider = before.parameters.get("ExistingOidcProviderArn", "") if before else ""
    values = {
        "FunctionName": context.config.function.name,
        "GitHubSubject": account.subject.claim,
        "GitHubRepositoryId": account.subject.repository_id,
        "ExistingOidcProviderArn": account.oidc_provider_arn or kept_provider,
    }
    change_set = stack.propose(template, values, exists=before is not None)
    state = before
    if change_set is None:
        context.output.say(f"stack {stack.name}: nothing to change")
    else:
        context.output.say(f"stack {stack.name} will change:")
        for line in change_set.changes:
            context.output.say(f"  {line}")
        if not confirm():
            context.output.say("nothing was changed")
            return Exit.REFUSED
        state = stack.execute(change_set, say=context.output.say)
    context.output.say("\nnow tell GitHub, once:")
    for output, (name, environment) in _OUTPUTS.items():
        value = state.outputs.get(output, "") if state else ""
        where = f" --env {environment}" if environment else ""
        context.output.say(f"  gh variable set {name}{where} --body {value}")
    return Exit.DONE


def doctor(context: Context, *, offline: bool) -> Exit:
    """Check settings, tools, credentials and the environment; every line says what to do when it is red."""
    results = [("settings", "deploy.toml", None), _infra(context), *_tools()]
    if not offline:
        results += _account(context)
    for name, found, hint in results:
        mark = "ok  " if hint is None else "FAIL"
        context.output.say(f"{mark} {name:<12} {found}" + (f"\n     hint: {hint}" if hint else ""))
    return Exit.DONE if all(hint is None for _, _, hint in results) else Exit.FAILED


Result = tuple[str, str, str | None]


def _infra(context: Context) -> Result:
    """Merge settings and rights into the templates, as `apply` and `bootstrap` will."""
    try:
        sources.check(context.root, context.config)
    except DeployerError as error:
        return "infra", f"{error.what}: {error.found}", error.hint
    return "infra", "service.yaml, bootstrap.yaml, permissions.yaml", None


def _tools() -> list[Result]:
    results: list[Result] = []
    git = shutil.which("git")
    results.append(("git", git or "not on PATH", None if git else "install git"))
    try:
        results.append(("docker", " ".join(docker.find_docker()), None))
    except DeployerError as error:
        results.append(("docker", error.what, error.hint or "install Docker"))
    return results


def _account(context: Context) -> list[Result]:
    results: list[Result] = []
    try:
        aws = reach(context)
        results.append(("credentials", aws.identity(), None))
    except DeployerError as error:
        return [("credentials", error.what, error.hint or "sign in")]
    stack = stack_of(context, aws)
    state = stack.read()
    if state is None:
        hint = "the first deployment creates it: docs/release.md"
        return [*results, ("stack", f"`{stack.name}` does not exist", hint)]
    results.append(("stack", f"{stack.name} is {state.status}", None))
    try:
        results.append(("alias", f"live -> version {aws.alias().routing.stable}", None))
    except DeployerError as error:
        results.append(("alias", error.what, error.hint or "deployer apply"))
    return results
