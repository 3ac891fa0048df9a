"""`deployer doctor`: settings, machine, credentials and environment, whenever in doubt. Shell."""

from __future__ import annotations

import shutil

from deployer.aws.client import reach
from deployer.aws.stack import stack_of
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.image import docker
from deployer.release import sources


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
    return "infra", "service.yaml, bootstrap.yaml, registry.yaml, permissions.yaml", None


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
