"""`deployer doctor`: each link between checkout, GitHub and AWS, in doubt. Shell; changes nothing."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

from deployer import github
from deployer.aws.client import reach
from deployer.cli import github_setup
from deployer.context import Context
from deployer.doctor import account, links
from deployer.doctor.account import Place
from deployer.doctor.links import Line, Mark
from deployer.errors import DeployerError, Exit
from deployer.image import docker, scanner
from deployer.release import bootstrap, repository, sources


def doctor(context: Context, *, offline: bool) -> Exit:
    """Compare each link with what it should be; every red line has the command that mends it.

    Returns exit 1 when a line is red; one that could not be looked at is not.
    """
    lines = [Line("settings", "deploy.toml"), _infra(context), *_machine(context)]
    for line in lines:
        context.output.say(str(line))
    if not offline:
        for line in _online(context):
            context.output.say(str(line))
            lines.append(line)
    return Exit.FAILED if any(line.mark is Mark.FAIL for line in lines) else Exit.DONE


def _infra(context: Context) -> Line:
    """Merge settings and rights into the templates, as `apply` and `bootstrap` will."""
    try:
        sources.check(context.root, context.config)
    except DeployerError as error:
        return links.failed("infra", error)
    return Line("infra", "service.yaml, bootstrap.yaml, registry.yaml, permissions.yaml")


def _machine(context: Context) -> list[Line]:
    git = shutil.which("git")
    lines = [Line("git", git) if git else links.red("git", "not on PATH", "git", "install git")]
    try:
        lines.append(Line("docker", " ".join(docker.find_docker())))
    except DeployerError as error:
        lines.append(links.failed("docker", error, "install Docker"))
    made_at = scanner.database_made_at(context.root)
    now = datetime.fromtimestamp(context.clock.now(), tz=UTC)
    age_h = None if made_at is None else (now - made_at).total_seconds() / 3600
    return [*lines, links.database(age_h, context.config.scan.max_database_age_h)]


def _online(context: Context) -> list[Line]:
    try:
        aws = reach(context)
        identity = aws.identity()
    except DeployerError as error:
        return [links.failed("credentials", error, "sign in")]
    holder = bootstrap.holder(identity)
    place = Place(context, aws, holder)
    expected = context.config.accounts.of(context.environment)
    subject, lines = _subject()
    lines = [
        Line("credentials", identity),
        links.account(holder.account, expected, context.environment),
        *lines,
    ]
    if subject is not None:
        lines += _github(context, holder, subject)
    lines += account.bootstrapped(place, subject)
    return lines + (account.deployed(place) if lines[1].mark is Mark.OK else [])


def _subject() -> tuple[github.Subject | None, list[Line]]:
    """Ask GitHub how its tokens name this repository, where `gh` can."""
    reason = github.Gh().unusable()
    if reason:
        return None, [Line("github", f"not asked: {reason}", Mark.UNSEEN, hint="gh auth login")]
    try:
        return github.subject(None), []
    except DeployerError as error:
        return None, [links.failed("github", error, "gh auth status")]


def _github(context: Context, holder: bootstrap.Holder, subject: github.Subject) -> list[Line]:
    """Compare environments, variables and the rule for `main` with what this account's roles need."""
    parts = [
        part for part in bootstrap.parts(context.config, holder.account) if part.account == holder.account
    ]
    variables = [
        variable
        for part in reversed(parts)
        for variable in bootstrap.variables(part, bootstrap.expected_outputs(context.config, part, holder))
    ]
    setup = github_setup.look(subject.name, repository.environments(variables), prints_only=False)
    if setup.by_hand:
        return [Line("github", f"not looked at: {setup.by_hand}", Mark.UNSEEN)]
    left = repository.calls(subject.name, variables, setup.found)
    if not left:
        return [Line("github", f"{subject.name} has its environments, variables and rule")]
    return [
        links.red("github", f"missing: {call.does}", "what `deployer bootstrap` sets up", call.text)
        for call in left
    ]
