"""`deployer watch …`: what watch.yml asks each day about what is live. Shell."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deployer import github
from deployer.cli.options import PRODUCTION, SETTINGS, ConfigPath, Env, context_of
from deployer.errors import DeployerError, Exit
from deployer.report import watch as report

LABEL = "watch"

watch_app = typer.Typer(help="Ask each day whether what is live is still good.", no_args_is_help=True)


@watch_app.command("live")
def watch_live(ctx: typer.Context, env: Env = PRODUCTION, config: ConfigPath = SETTINGS) -> int:
    """Output which image serves: the SHA-256 of its manifest."""
    from deployer.aws.client import reach

    context = context_of(ctx, env, config)
    aws = reach(context)
    version = aws.alias().routing.stable
    context.output.say(f"live       version {version}")
    context.output.set_output("image_sha256", aws.image_of(version).rpartition("@sha256:")[2])
    return Exit.DONE


@watch_app.command("find")
def watch_find(
    ctx: typer.Context,
    image_sha256: Annotated[str, typer.Option(help="Which image, as `watch live` printed it.")],
    config: ConfigPath = SETTINGS,
) -> int:
    """Output the newest run that kept manifest and inventory of an image."""
    context = context_of(ctx, PRODUCTION, config)
    path = f"repos/{{owner}}/{{repo}}/actions/artifacts?name=release-{image_sha256}&per_page=100"
    found = json.loads(github.ask("api", path))["artifacts"]
    kept = [artifact for artifact in found if not artifact["expired"]]
    if not kept:
        raise DeployerError(
            "the inventory of the live image is gone",
            found=f"found {len(found)} expired artifacts `release-{image_sha256}`, expected one that is kept",
            hint="release again: each release keeps its own for 90 days, and the watch renews it each day",
        )
    newest = max(kept, key=lambda artifact: str(artifact["created_at"]))
    context.output.set_output("run_id", str(newest["workflow_run"]["id"]))
    return Exit.DONE


@watch_app.command("rescan")
def watch_rescan(
    ctx: typer.Context,
    image_sha256: Annotated[str, typer.Option(help="Which image, as `watch live` printed it.")],
    max_age_days: Annotated[int, typer.Option(min=1, help="How old the live image may be.")] = 60,
    config: ConfigPath = SETTINGS,
) -> int:
    """Scan the inventory that was kept of the live image; exit 1 when it is no longer clean, or old."""
    from deployer.image import findings, scan
    from deployer.image.scanner import Options

    context = context_of(ctx, PRODUCTION, config)
    cache_dir = os.environ.get("TRIVY_CACHE_DIR")
    options = Options(
        root=context.root,
        image=os.environ.get("TRIVY_IMAGE") or None,
        cache_dir=Path(cache_dir) if cache_dir else None,
        repository=os.environ.get("TRIVY_DB_REPOSITORY") or None,
    )
    now = datetime.now(UTC)  # real time, as the database ages in real time
    kept = scan.Kept(context.root / "build", image_sha256)
    result, made_at = scan.rescan(context.config, kept, options=options, now=now, say=context.output.say)
    context.output.summarize(findings.summary(result))
    findings.require_clean(result)
    context.output.say(f"rescan     {result.status}: {result.reason}")
    if (now - made_at).days > max_age_days:
        raise DeployerError(
            "the live image is old: what was mended in its base image since is not in it",
            found=f"found an image of {made_at:%d %B %Y}, expected at most {max_age_days} days",
            hint="take the bot's pull request for the Dockerfile, or push anything: each release builds anew",
        )
    return Exit.DONE


@watch_app.command("gameday")
def watch_gameday(ctx: typer.Context, config: ConfigPath = SETTINGS) -> int:
    """Say how the last game day ended; exit 1 unless it was green.

    A run that was skipped is none: the schedule makes one every week, also before game days are switched on.
    """
    context = context_of(ctx, PRODUCTION, config)
    of = ("--workflow", "gameday.yml", "--status", "completed", "--limit", "20")
    listed = json.loads(github.ask("run", "list", *of, "--json", "conclusion,url"))
    found = [run for run in listed if run["conclusion"] != "skipped"]
    if found and found[0]["conclusion"] != "success":
        raise DeployerError(
            "the last game day was not green",
            found=f"found `{found[0]['conclusion']}`: {found[0]['url']}",
            hint="read what it found there: docs/gameday.md",
        )
    context.output.say(f"gameday    {found[0]['url'] if found else 'there was none yet'}")
    return Exit.DONE


@watch_app.command("tell")
def watch_tell(
    ctx: typer.Context,
    results: Annotated[str, typer.Option(envvar="RESULTS", help="The jobs of the run: toJSON(needs).")],
    config: ConfigPath = SETTINGS,
) -> int:
    """Open the one issue of the watch, bring it up to date, or close it."""
    context = context_of(ctx, PRODUCTION, config)
    red = report.red_jobs(results)
    github.ask("label", "create", LABEL, "--force", "--description", "what the daily watch found")
    found = json.loads(
        github.ask("issue", "list", "--state", "open", "--label", LABEL, "--json", "number,body")
    )
    before = report.Issue(found[0]["number"], found[0]["body"]) if found else None
    told = report.tell(red, github.run_url(context.output.environ), before)
    _carry_out(told, before)
    context.output.say(f"watch      red: {', '.join(red) or 'nothing'}")
    return Exit.DONE


def _carry_out(told: report.Tell, before: report.Issue | None) -> None:
    """Ask `gh` for what was decided, one call after the other."""
    if before is None:
        if told.body:
            github.ask("issue", "create", "--title", report.TITLE, "--label", LABEL, "--body", told.body)
        return
    number = str(before.number)
    if not told.body:
        github.ask("issue", "close", number, "--comment", told.comment)
        return
    github.ask("issue", "edit", number, "--body", told.body)
    if told.comment:
        github.ask("issue", "comment", number, "--body", told.comment)
