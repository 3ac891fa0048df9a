"""From a change to a version without traffic, by the product's own commands. Shell."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, field

from deployer.errors import DeployerError, Exit
from deployer.report.page.timeline import Stage as Done
from rehearsal import denials, objects, zip_function
from rehearsal.product import Finished
from rehearsal.stage import ENVIRONMENT, Stage


class CommandFailed(DeployerError):
    """A command of the product that should have ended well did not; `output` is all it said."""

    def __init__(self, what: str, *, output: str, found: str, hint: str) -> None:
        super().__init__(what, found=found, hint=hint)
        self.output = output


class ContainersUnusable(Exception):  # it says what is the case, and is not an error
    """A Docker engine answers, but the function's image cannot be used with it; why, in a few words."""


@dataclass
class Script:
    """What one act is called, and how it should end."""

    title: str
    story: str
    expected: str
    stages: list[Done] = field(default_factory=list)


def prepare(stage: Stage, script: Script, change: str, *, scan: bool) -> str:
    """Make what is deployed, from build to push, and return its name by digest."""
    sha = stage.product.commit(f"{change} ({os.getpid()}, {time.time_ns()})")
    if stage.docker is None:
        started = time.monotonic()
        uri, body = zip_function.packed(stage.product.sources)
        objects.put(stage.client("s3"), zip_function.CODE_FOLDER, uri, body)
        took_s = time.monotonic() - started
        script.stages.append(Done("pack", "done", took_s, f"{len(body) / 1e6:.0f} MB as a Zip, no image"))
        stage.view.say(f"packed     {len(body) / 1e6:.0f} MB as a Zip in {took_s:.1f} s")
        return uri
    stage.local_aws.remove_image_at_end(f"{stage.config.function.name}:candidate-{sha or 'untracked'}")
    try:
        command(stage, script, "build", "build")
    except CommandFailed as error:
        if scan and "the base image cannot be pulled" in error.output:
            raise ContainersUnusable(_why_not_pulled(_reason(error.output))) from error
        raise
    command(stage, script, "smoke", "smoke")
    unscanned = [] if scan and _scan(stage, script) else ["--allow-unscanned"]
    tag = f"{sha or 'untracked'}-rehearsal-{time.time_ns()}"
    try:
        return command(stage, script, "push", "push", "--tag", tag, *unscanned).value("image_uri")
    except CommandFailed as error:
        # Docker Desktop's engine lives in a virtual machine, whose loopback is not this machine's.
        if scan and not sys.platform.startswith("linux"):
            raise ContainersUnusable("this Docker engine cannot push to the local AWS") from error
        raise


def _why_not_pulled(reason: str) -> str:
    """Return in a few words which base image cannot be pulled and why, without digests and addresses."""
    name = re.search(r"`([^`@]+)", reason)
    causes = [part for part in reason.split(": ") if part]
    return f"the base image {name[1] if name else ''} cannot be pulled: {causes[-1] if causes else reason}"


def _reason(output: str) -> str:
    """Return what a failed command found, in one line."""
    lines = [line.strip() for line in output.splitlines()]
    index = next((number for number, line in enumerate(lines) if line.startswith("error: ")), -1)
    return lines[index + 1] if 0 <= index < len(lines) - 1 else "no reason given"


def _scan(stage: Stage, script: Script) -> bool:
    """Scan the image; returns False when it could not be, or is vulnerable, and says which."""
    started = time.monotonic()
    done = stage.product.run("scan")
    took_s = time.monotonic() - started
    status = str(stage.product.read_json("scan.json").get("status") or "not-scanned")
    if done.status == Exit.DONE and status == "clean":
        script.stages.append(Done("scan", "done", took_s, "clean"))
        return True
    if status == "vulnerable":
        script.stages.append(Done("scan", "failed", took_s, "vulnerable: a real release stops here"))
        stage.leave_out("scan: vulnerable; a real release stops here, the rehearsal goes on")
        (stage.product.sources / "build" / "scan.json").unlink(missing_ok=True)
    else:
        why = _reason(done.output)
        script.stages.append(Done("scan", "left out", took_s, f"not scanned: {why}"))
        stage.leave_out("scan: the image was not scanned; a real release stops here, the rehearsal goes on")
    return False


def command(stage: Stage, script: Script, name: str, *words: str) -> Finished:
    """Run one command that has to end well, and note how long it took."""
    started, before = time.monotonic(), len(stage.local_aws.decisions())
    done = stage.product.run(*words)
    if done.status != Exit.DONE:
        denied = denials.explained(stage.local_aws.decisions()[before:])
        raise CommandFailed(
            f"`deployer {' '.join(words[:2])}` ended with {done.status} in {script.title.lower()}",
            output=done.output,
            found="; ".join([done.last_line, *denied]),
            hint=f"read what it said above, and {stage.local_aws.log_path}",
        )
    script.stages.append(Done(name, "done", time.monotonic() - started, _detail(stage, name, done)))
    return done


def _detail(stage: Stage, name: str, done: Finished) -> str:
    """Return what is worth knowing about a command that ended well."""
    match name:
        case "build":
            image = stage.product.read_json("image.json")
            base = os.environ.get("BASE_IMAGE")
            named = f" on the base image {base} (BASE_IMAGE), not the pinned one" if base else ""
            return f"{image.get('reference')} for {image.get('platform')}{named}"
        case "push":
            return done.value("image_uri").partition("@")[2]
        case "bootstrap":
            return "roles for GitHub and the image repository, in three stacks"
        case "apply":
            return f"version {done.value('version')}"
        case "smoke":
            said = [
                line.strip() for line in done.output.splitlines() if line.startswith(("smoke ", "sample "))
            ]
            return "; ".join(" ".join(line.split()[1:]) for line in said) or done.last_line
    return done.last_line


def release(stage: Stage, script: Script, change: str) -> None:
    """Prepare a change and publish it as a version that has no traffic yet."""
    uri = prepare(stage, script, change, scan=False)
    command(stage, script, "apply", "apply", "--env", ENVIRONMENT, "--image", uri)
