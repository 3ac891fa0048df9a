"""`deployer prune`: reads its options and calls one function. Shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployer.cli.options import PRODUCTION, SETTINGS, ConfigPath, Env, context_of


def prune(
    ctx: typer.Context,
    env: Env = PRODUCTION,
    images: Annotated[
        bool, typer.Option("--images", help="Images of the repository, instead of an environment's versions.")
    ] = False,
    in_use: Annotated[
        list[Path] | None, typer.Option("--in-use", help="Each environment's file, for --images.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the images in use are written; default: build/in-use-ENV.json.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="How many of the newest to keep; default: deploy.toml.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", "--yes", help="Do it; without this only say what would go.")
    ] = False,
    config: ConfigPath = SETTINGS,
) -> int:
    """Remove old versions, then images that no version uses; without --delete nothing is changed."""
    from deployer.cli import prune as pruning

    context, how = context_of(ctx, env, config), pruning.How(delete, keep)
    return pruning.images(context, how, in_use or []) if images else pruning.versions(context, how, out)
