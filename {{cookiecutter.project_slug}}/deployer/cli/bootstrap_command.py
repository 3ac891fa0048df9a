"""`deployer bootstrap`: reads its options and calls one function. Shell."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from deployer.cli.options import PRODUCTION, SETTINGS, ConfigPath, context_of


def bootstrap(
    ctx: typer.Context,
    config: ConfigPath = SETTINGS,
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME on GitHub; default: this checkout's.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="OWNER@OWNER_ID/NAME@REPOSITORY_ID, without asking gh.")
    ] = None,
    oidc_provider: Annotated[
        str, typer.Option(help="ARN of the account's GitHub OIDC provider; default: looked up.")
    ] = "",
    env: Annotated[
        Literal["staging", "production"] | None,
        typer.Option("--env", help="Only the roles of this environment."),
    ] = None,
    registry: Annotated[
        bool, typer.Option("--registry", help="Only the image repository and its roles.")
    ] = False,
    older_subject: Annotated[
        bool, typer.Option("--older-subject", help="With --subject: GitHub's tokens name no ids.")
    ] = False,
    print_github: Annotated[
        bool, typer.Option("--print-github", help="Print the commands for GitHub, and run none.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing the account.")] = False,
) -> int:
    """Create image repository and roles in the AWS account, once (needs an administrator)."""
    from deployer import github
    from deployer.cli import bootstrap as bootstrapping

    if env and registry:
        raise typer.BadParameter("--env and --registry name different parts; run the command once for each")
    if older_subject and not subject:
        raise typer.BadParameter("--older-subject goes with --subject; without it GitHub is asked")
    named = github.parse_subject(subject, has_ids=not older_subject) if subject else None
    found = named or github.subject(repository)
    return bootstrapping.bootstrap(
        context_of(ctx, env or PRODUCTION, config),
        bootstrapping.Wanted(found, oidc_provider, "registry" if registry else env, print_github),
        confirm=lambda: yes or typer.confirm("change all of this?"),
    )
