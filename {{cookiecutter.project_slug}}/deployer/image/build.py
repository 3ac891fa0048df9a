"""Build the container image and save it as one tarball. Shell."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployer.config import Config
from deployer.errors import DeployerError
from deployer.image.docker import Say, ca_bundle, find_docker, has_buildx, must, run, stream, tail

_BASE_STAGE = re.compile(r"(?im)^(FROM[ \t]+)\S+([ \t]+AS[ \t]+base[ \t]*)$")


class BaseImageUnavailable(DeployerError):
    """The image named after `FROM` cannot be pulled and is not there either."""


@dataclass(frozen=True)
class BuiltImage:
    """An image and its tarball. `config_digest` names its content, `reference` is only its label."""

    reference: str
    config_digest: str
    platform: str
    tar: Path
    created_at: str


def build(config: Config, *, context: Path, out: Path, base_image: str | None = None, say: Say) -> BuiltImage:
    """Build the Dockerfile in `context` into `out/image.tar`, with its digest in `out/image.json`.

    What an earlier build left in `out` about another image is removed first. Raises BaseImageUnavailable,
    DockerUnavailable or DeployerError.
    """
    docker = find_docker()
    platform = config.platform()
    reference = f"{config.function.name}:candidate-{_revision(context)}"
    out.mkdir(parents=True, exist_ok=True)
    for stale in ("image.json", "image.tar", "scan.json", "push.json", "manifest.json"):
        (out / stale).unlink(missing_ok=True)

    if has_buildx(docker):
        # Attestations would make the pushed manifest an index, which Lambda refuses.
        command = [*docker, "buildx", "build", "--provenance=false", "--sbom=false", "--load"]
    else:
        command = [*docker, "build"]
    command += ["--platform", platform, "--progress", "plain", "--tag", reference, *_secrets()]
    say(f"building {reference} for {platform}")
    with tempfile.TemporaryDirectory(prefix="dockerfile-") as folder:
        if base_image:
            changed = Path(folder, "Dockerfile")
            text = (context / "Dockerfile").read_text(encoding="utf-8")
            changed.write_text(on_base(text, base_image), encoding="utf-8")
            command += ["--file", str(changed)]
        code, output = stream([*command, str(context)], say)
    if code != 0:
        raise _build_error(output)

    tar = out / "image.tar"
    say(f"saving {tar}")
    must(run([*docker, "save", "--output", str(tar), reference], timeout_s=900), "the image cannot be saved")
    tar.chmod(0o644)  # the scanner reads it as another user
    digest, built_for = inspect_tar(tar)
    if built_for != platform:
        raise DeployerError(
            "the image is for another architecture",
            found=f"found `{built_for}`, expected `{platform}`",
            hint="pin the base image by the digest of its index, not of one platform",
        )
    image = BuiltImage(reference, digest, platform, tar, datetime.now(UTC).isoformat(timespec="seconds"))
    text = json.dumps(asdict(image), indent=2, default=Path.as_posix)
    (out / "image.json").write_text(text + "\n", encoding="utf-8")
    return image


def on_base(dockerfile: str, base_image: str) -> str:
    """Return a Dockerfile's text with another image below its stage `base`. Raises DeployerError without one.

    The text is changed, because named build contexts, made for this, need BuildKit 0.10 or newer.
    Source: https://docs.docker.com/reference/cli/docker/buildx/build/#build-context
    """
    text, found = _BASE_STAGE.subn(lambda match: f"{match[1]}{base_image}{match[2]}", dockerfile, count=1)
    if not found:
        raise DeployerError(
            "BASE_IMAGE cannot be used",
            found="found no line `FROM IMAGE AS base` in the Dockerfile",
            hint="name the stage of the base image `base`, or unset BASE_IMAGE",
        )
    return text


def load(out: Path) -> BuiltImage:
    """Read what `build` wrote. Raises DeployerError when there is no image, or the tarball is another one."""
    try:
        found = json.loads((out / "image.json").read_text(encoding="utf-8"))
        # Not the recorded path: a release pushes on another machine than it builds on.
        image = BuiltImage(**{**found, "tar": out / "image.tar"})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DeployerError(
            "there is no built image", found=f"found no usable `{out / 'image.json'}`", hint="deployer build"
        ) from error
    digest, _ = inspect_tar(image.tar)
    if digest != image.config_digest:
        raise DeployerError(
            f"`{image.tar}` is not the image that was built",
            found=f"found `{digest}`, expected `{image.config_digest}`",
            hint="deployer build",
        )
    return image


def ensure_loaded(docker: Sequence[str], image: BuiltImage, say: Say) -> None:
    """Load the tarball unless the engine's image of that label is the very same.

    A label moves with every build, and in another job there is none. With the containerd store an image's
    id is not its config digest, so there the tarball is always loaded.
    """
    local = run([*docker, "image", "inspect", "--format", "{{.Id}}", image.reference], timeout_s=60)
    if local.stdout.strip() != image.config_digest:
        say(f"loading {image.tar}")
        must(run([*docker, "load", "--input", str(image.tar)], timeout_s=900), "the image cannot be loaded")


def inspect_tar(tar: Path) -> tuple[str, str]:
    """Return the config digest and the platform of the one image in a `docker save` archive.

    The digest is computed from the config's bytes: engines name it differently (`HEX.json`,
    `blobs/sha256/HEX`), and with the containerd store the image's own id is something else.
    """
    try:
        with tarfile.open(tar) as archive:
            [entry] = json.loads(_member(archive, "manifest.json"))
            text = _member(archive, entry["Config"])
        settings = json.loads(text)
        platform = f"{settings['os']}/{settings['architecture']}"
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise DeployerError(
            f"`{tar}` is not an archive of one image", found=f"{error!r}", hint="deployer build"
        ) from error
    digest = hashlib.sha256(text).hexdigest()
    named = re.search(r"[0-9a-f]{64}", entry["Config"])
    if named and named[0] != digest:
        raise DeployerError(
            f"`{tar}` is damaged",
            found=f"found config `{digest}`, expected `{named[0]}`",
            hint="deployer build",
        )
    return f"sha256:{digest}", platform


def verify_layers(tar: Path) -> None:
    """Raise DeployerError unless each layer is the one that the config names; the config has its digest.

    Some engines load a layer from a tarball without comparing it, or keep one they have under the same name.
    Source: https://github.com/opencontainers/image-spec/blob/main/config.md
    """
    try:
        with tarfile.open(tar) as archive:
            [entry] = json.loads(_member(archive, "manifest.json"))
            expected = json.loads(_member(archive, entry["Config"]))["rootfs"]["diff_ids"]
            found = [_layer_digest(archive, name) for name in entry["Layers"]]
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise DeployerError(
            f"`{tar}` is not an archive of one image", found=f"{error!r}", hint="deployer build"
        ) from error
    if found != expected:
        wrong = next((f for f, e in itertools.zip_longest(found, expected) if f != e), None)
        raise DeployerError(
            f"`{tar}` holds another layer than the image that was built",
            found=f"found `{wrong or 'one layer less'}`, expected what the config `{entry['Config']}` names",
            hint="deployer build",
        )


def _layer_digest(archive: tarfile.TarFile, name: str) -> str:
    """Return `sha256:…` of a layer's tar, unpacked where it is compressed."""
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    is_packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    whole: Any = gzip.GzipFile(fileobj=file) if is_packed else file
    return f"sha256:{hashlib.file_digest(whole, 'sha256').hexdigest()}"


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _revision(context: Path) -> str:
    """Return the commit's first 12 digits, with `-dirty` if files differ; `untracked` outside git."""
    git = ["git", "-C", str(context)]
    try:
        commit = run([*git, "rev-parse", "--verify", "HEAD"], timeout_s=30)
        changed = run([*git, "status", "--porcelain", "--", "."], timeout_s=60)
    except DeployerError:
        return "untracked"
    if commit.returncode != 0:
        return "untracked"
    return commit.stdout.strip()[:12] + ("-dirty" if changed.stdout.strip() else "")


def _secrets() -> list[str]:
    """Return the build mounts that leave no trace in the image: a CA bundle, the user's own package index."""
    options = []
    if bundle := ca_bundle():
        options += ["--secret", f"id=ca-bundle,src={bundle}"]
    pip_config = os.environ.get("PIP_CONFIG_FILE", "")
    if Path(pip_config).is_file():  # `/dev/null` is how pip is told to read none
        options += ["--secret", f"id=pip-config,src={Path(pip_config).resolve()}"]
    return options


def _build_error(output: str) -> DeployerError:
    """Tell a base image that cannot be pulled from every other reason a build fails."""
    bases = dict(re.findall(r"^#(\d+) \[(?:internal\] load metadata for|[^\]]*\] FROM) (\S+)", output, re.M))
    for step, reason in re.findall(r"^#(\d+) ERROR: (.*)$", output, re.M):
        if step in bases:
            return BaseImageUnavailable(
                "the base image cannot be pulled",
                found=f"`{bases[step]}`: {reason}",
                hint="check the network, or set BASE_IMAGE to an image that is there",
            )
    return DeployerError(
        "the image cannot be built", found=tail(output, 20), hint="read the step that failed"
    )
