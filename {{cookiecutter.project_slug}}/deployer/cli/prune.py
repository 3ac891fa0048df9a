"""`deployer prune`: old versions of one environment, then the images that no environment uses. Shell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from deployer.aws.client import Aws, reach
from deployer.aws.errors import Conflict
from deployer.aws.observed import Published, PublishedVersion
from deployer.aws.published import Images, PublishedVersions
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.release import prune as pruning

ENVIRONMENTS = ("staging", "production")


@dataclass(frozen=True)
class How:
    """What `prune` is asked for: whether it deletes or only says what it would, and how many it keeps."""

    delete: bool = False
    keep: int | None = None


def versions(context: Context, how: How, out: Path | None = None) -> Exit:
    """Remove versions nobody needs, and write down which images the environment uses.

    Who uses a version is read again right before it is deleted. Raises NotFound where nothing was deployed.
    """
    aws = reach(context)
    port = PublishedVersions(aws.client("lambda"), aws.cloudwatch, aws.function_name)
    newest = how.keep or context.config.prune.keep_versions
    found = port.read()
    kept = pruning.kept_versions(found, newest)
    for number in sorted(kept, key=int, reverse=True):
        context.output.say(f"keep       version {number}: {kept[number]}")
    removable = pruning.removable_versions(found, newest)
    gone: list[str] = []
    for number in removable:
        if not how.delete:
            context.output.say(f"would go   version {number}")
        elif _delete(context, port, replace(found, versions=_without(found, gone)), number, newest):
            gone.append(number)
    left = replace(found, versions=_without(found, gone))
    path = out or context.root / "build" / f"in-use-{context.environment}.json"
    used = pruning.in_use(
        left, environment=context.environment, function=aws.function_name, at=context.clock.now()
    )
    _write(path, used.to_json())
    context.output.say(f"in use     {len(used.digests)} images: {path}")
    _tell(context, f"versions of `{aws.function_name}`", len(kept), gone if how.delete else removable, how)
    return Exit.DONE


def images(context: Context, how: How, files: list[Path]) -> Exit:
    """Remove the images that no version of any environment uses.

    Raises DeployerError (exit 5) unless every environment has said within the last hour what it uses.
    """
    read = [pruning.parse_in_use(_read(path), name=str(path)) for path in files]
    functions = {name: context.config.function_name(name) for name in ENVIRONMENTS}
    used = pruning.check_in_use(read, functions, context.clock.now())
    aws: Aws = reach(context)
    repository = context.config.function.name
    port = Images(aws.ecr, repository)
    newest = how.keep or context.config.prune.keep_images
    found = port.read()
    kept = pruning.kept_images(found, used, newest)
    for image in found:
        if image.digest in used and image.status != "ACTIVE":
            context.output.say(
                f"warning    {image.digest} is in use and {image.status}: Lambda cannot pull it. "
                f"aws ecr update-image-storage-class --repository-name {repository} "
                f"--image-id imageDigest={image.digest} --target-storage-class STANDARD"
            )
    for digest in sorted(kept):
        context.output.say(f"keep       {digest[:19]}…: {kept[digest]}")
    removable = pruning.removable_images(found, used, newest)
    for image in removable:
        verb = "removing" if how.delete else "would go"
        context.output.say(f"{verb:<10} {image.digest[:19]}… {', '.join(image.tags)}".rstrip())
    if how.delete:
        port.delete(tuple(image.digest for image in removable))
    _tell(context, f"images of `{repository}`", len(kept), [i.digest[:19] for i in removable], how)
    return Exit.DONE


def _delete(context: Context, port: PublishedVersions, found: Published, number: str, newest: int) -> bool:
    """Delete one version unless somebody needs it by then; return whether it is gone."""
    aliases, armed = port.read_users()
    why = pruning.kept_versions(replace(found, aliases=aliases, armed=armed), newest).get(number)
    if why is None:
        try:
            port.delete(number)
        except Conflict as error:
            why = f"Lambda refuses: {error.found}"
    context.output.say(f"keep       version {number}: {why}" if why else f"removed    version {number}")
    return why is None


def _without(found: Published, gone: list[str]) -> tuple[PublishedVersion, ...]:
    return tuple(version for version in found.versions if version.number not in gone)


def _tell(context: Context, what: str, kept: int, gone: list[str] | tuple[str, ...], how: How) -> None:
    verb = "removed" if how.delete else "would be removed; nothing was changed, --delete does it"
    text = f"{what}: {kept} kept, {len(gone)} {verb}"
    context.output.say(f"done       {text}")
    context.output.summarize(f"### Prune\n\n{text}\n\n{', '.join(gone) or 'none'}\n")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeployerError(
            f"`{path}` cannot be read",
            found=str(error),
            hint="deployer prune --env staging, then --env production: each writes its file",
            exit_code=Exit.USAGE,
        ) from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "name another place: --out PATH"
        raise DeployerError(f"`{path}` cannot be written", found=str(error), hint=hint) from error
