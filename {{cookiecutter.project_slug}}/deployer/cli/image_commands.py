"""The commands about the image: build, scan, push, and what workflows must know first. Shell."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from deployer.aws.client import reach
from deployer.aws.registry import Registry
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.github import commit
from deployer.image import attestation, findings
from deployer.image import build as image
from deployer.image import push as pushing
from deployer.image import scan as scanner
from deployer.image.scanner import Options

_RUNNERS = {"arm64": "ubuntu-24.04-arm", "x86_64": "ubuntu-24.04"}


def settings(context: Context) -> Exit:
    """Output name, region, architecture and the runner whose processor it is."""
    function = context.config.function
    context.output.set_output("name", function.name)
    context.output.set_output("region", function.region)
    context.output.set_output("architecture", function.architecture)
    context.output.set_output("runner", _RUNNERS[function.architecture])
    return Exit.DONE


def build(context: Context) -> Exit:
    """Build the image and output its config digest."""
    base_image = os.environ.get("BASE_IMAGE") or None
    if base_image:
        context.output.say(f"base image {base_image} (from BASE_IMAGE, not the one pinned in the Dockerfile)")
    built = image.build(
        context.config, context=context.root, out=_out(context), base_image=base_image, say=context.output.say
    )
    context.output.say(f"built      {built.reference} for {built.platform}")
    context.output.set_output("config_digest", built.config_digest)
    return Exit.DONE


def scan(context: Context, *, download: bool) -> Exit:
    """Scan the saved image and output its config digest; exit 1 unless the scanner found it clean."""
    cache_dir = os.environ.get("TRIVY_CACHE_DIR")
    options = Options(
        image=os.environ.get("TRIVY_IMAGE") or None,
        cache_dir=Path(cache_dir) if cache_dir else None,
        download=download,
        root=context.root,
        repository=os.environ.get("TRIVY_DB_REPOSITORY") or None,
    )
    built = image.load(_out(context))
    now = datetime.now(UTC)  # real time, also in a rehearsal: the database ages in real time
    result = scanner.scan(context.config, built, options=options, now=now, say=context.output.say)
    context.output.summarize(findings.summary(result))
    findings.require_clean(result)
    context.output.set_output("config_digest", result.config_digest)
    context.output.say(f"scan       {result.status}: {result.reason}")
    return Exit.DONE


def push(
    context: Context, tag: str | None, *, config_digest: str | None = None, allow_unscanned: bool
) -> Exit:
    """Push the scanned image; outputs `image_uri`, the one value the release goes on with, and its parts."""
    aws = reach(context)
    registry = Registry(aws.ecr, context.config.function.name)
    environ = context.output.environ
    run, attempt = environ.get("GITHUB_RUN_ID", "local"), environ.get("GITHUB_RUN_ATTEMPT", "1")
    label = tag or f"{environ.get('GITHUB_SHA', '')[:12] or commit()}-{run}-{attempt}"
    pushed = pushing.push(
        image.load(_out(context)),
        pushing.Order(label, config_digest, allow_unscanned),
        ecr=registry,
        say=context.output.say,
    )
    repository, _, digest = pushed.image_uri.partition("@sha256:")
    context.output.set_output("image_uri", pushed.image_uri)
    context.output.set_output("image_repository", repository)
    context.output.set_output("image_sha256", digest)  # also in names, where no colon is allowed
    return Exit.DONE


def verify_attestation(context: Context, image_uri: str) -> Exit:
    """Demand that this repository's release of this commit built and pushed the image."""
    origin = attestation.origin(context.output.environ)
    attestation.verify(image_uri, context.root / "build" / attestation.MANIFEST, origin)
    context.output.say(f"attested   {image_uri} was pushed by {attestation.WORKFLOW} of {origin.repository}")
    return Exit.DONE


def _out(context: Context) -> Path:
    out = context.root / "build"
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        hint = f"ls -ld {out}: remove what is there unless it is a folder, or make its parent yours"
        raise DeployerError(
            f"`{out}` cannot be written", found=f"found {error}, expected a folder", hint=hint
        ) from error
    return out
