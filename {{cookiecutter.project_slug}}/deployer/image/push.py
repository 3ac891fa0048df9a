"""Push the image that was scanned, and prove that the registry holds that one. Shell."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from deployer.aws import denied
from deployer.errors import DeployerError, Exit
from deployer.image.attestation import MANIFEST
from deployer.image.build import BuiltImage, ensure_loaded, verify_layers
from deployer.image.docker import Say, find_docker, must, private_docker_config, run

if TYPE_CHECKING:
    from deployer.aws.registry import Login, Manifest

# The only two media types Lambda takes; an index (a list of manifests) is refused.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs
SINGLE_PLATFORM = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistryPort(Protocol):
    """The ECR repository, as `push` needs it."""

    def repository_uri(self) -> str:
        """Return HOST/NAME."""

    def login(self) -> Login:
        """Return user and password."""

    def manifest(self, tag: str) -> Manifest | None:
        """Return what the tag points at, None when there is no such tag."""


@dataclass(frozen=True)
class Order:
    """What is to be pushed: under which tag, which image, and whether it may be one no scanner has seen.

    `config_digest` is what another job says was scanned: the tarball and `scan.json`, which came a longer
    way, must agree with it. None where nobody says.
    """

    tag: str
    config_digest: str | None = None
    allow_unscanned: bool = False


@dataclass(frozen=True)
class PushedImage:
    """An image in the registry. `scan` is `clean`, or `not-scanned` where that was allowed."""

    image_uri: str
    manifest_digest: str
    config_digest: str
    tag: str
    scan: str


def push(image: BuiltImage, order: Order, *, ecr: RegistryPort, say: Say) -> PushedImage:
    """Push the scanned image and prove that the registry holds that one; writes `push.json` next to it.

    Pushing the same image under the same tag again changes nothing. An image that could not be scanned may be
    allowed, never a vulnerable one. Raises DeployerError; exit 5 when the tag names another image.
    """
    tag = order.tag
    _require_digest(image, order.config_digest)
    scan = _scan_status(image, allow_unscanned=order.allow_unscanned)
    verify_layers(image.tar)
    if scan != "clean":
        say(f"pushing an image that was NOT SCANNED: {image.reference}")
    uri = ecr.repository_uri()
    there = ecr.manifest(tag)
    if there is None:
        _push_new(image, ecr.login(), f"{uri}:{tag}", say)
    else:
        _require_same(there, image, tag)
        say(f"{uri}:{tag} is there already")
    found = ecr.manifest(tag)
    if found is None:
        raise DeployerError(
            f"the registry does not know `{tag}` after the push",
            found=f"asked `{uri}`",
            hint="re-run the job",
        )
    pushed = PushedImage(
        image_uri=f"{uri}@{_checked_digest(found, image, tag)}",
        manifest_digest=found.digest,
        config_digest=image.config_digest,
        tag=tag,
        scan=scan,
    )
    (image.tar.parent / MANIFEST).write_bytes(found.body)  # what an attestation of its digest is about
    text = json.dumps(asdict(pushed), indent=2)
    (image.tar.parent / "push.json").write_text(text + "\n", encoding="utf-8")
    return pushed


def _require_digest(image: BuiltImage, expected: str | None) -> None:
    """Refuse a tarball that is not what the job that scanned says it scanned."""
    if expected is None:
        return
    if not _DIGEST.fullmatch(expected):
        raise DeployerError(
            "the digest of the scanned image is not known",
            found=f"found --config-digest `{expected}`, expected sha256: and 64 hexadecimal digits",
            hint="hand on the output `config_digest` of `deployer scan`",
            exit_code=Exit.USAGE,
        )
    if image.config_digest != expected:
        raise DeployerError(
            "the image is not the one that was scanned",
            found=f"found `{image.config_digest}` in `{image.tar}`, expected `{expected}`",
            hint="re-run all jobs: what was scanned was replaced on its way",
        )


def _scan_status(image: BuiltImage, *, allow_unscanned: bool) -> str:
    path = image.tar.parent / "scan.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        status, digest = str(found["status"]), str(found["config_digest"])
    except FileNotFoundError:
        status, digest = "not-scanned", image.config_digest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeployerError(f"`{path}` cannot be read", found=f"{error!r}", hint="deployer scan") from error
    if digest != image.config_digest:
        raise DeployerError(
            "the image that was scanned is not the one to push",
            found=f"found `{digest}`, expected `{image.config_digest}`",
            hint="deployer scan",
        )
    if status == "clean" or (status == "not-scanned" and allow_unscanned):
        return status
    raise DeployerError(
        "the image is not pushed, because its scan is not clean",
        found=f"found `{status}`, expected `clean`",
        hint="deployer scan",
    )


def _push_new(image: BuiltImage, login: Login, target: str, say: Say) -> None:
    """Sign in, push, and forget the password."""
    docker = find_docker()
    ensure_loaded(docker, image, say)
    must(run([*docker, "tag", image.reference, target], timeout_s=60), "the image cannot be tagged")
    host = target.partition("/")[0]
    with private_docker_config(host) as env:
        say(f"pushing {target}")
        sign_in = [*docker, "login", "--username", login.user, "--password-stdin", host]
        must(run(sign_in, stdin=login.password, env=env, timeout_s=120), f"signing in to `{host}` failed")
        done = run([*docker, "push", target], env=env, timeout_s=3600)
        what = f"`{target}` cannot be pushed"
        if done.returncode and (mended := denied.mends(done.stderr)):
            raise DeployerError(what, found=mended[0], hint=mended[1])
        must(done, what)


def _require_same(found: Manifest, image: BuiltImage, tag: str) -> None:
    """Refuse a tag that names another image already. One for several platforms is judged later, as it is."""
    config = json.loads(found.body).get("config", {}).get("digest")
    if config in (None, image.config_digest):
        return
    raise DeployerError(
        f"tag `{tag}` exists already, and names another image",
        found=f"found config `{config}`, expected `{image.config_digest}`",
        hint="a tag is never moved: deployer push --tag ANOTHER; nothing was pushed",
        exit_code=Exit.REFUSED,
    )


def _checked_digest(found: Manifest, image: BuiltImage, tag: str) -> str:
    """Return the manifest's digest after proving that it is this image, for one platform, unchanged."""
    digest = f"sha256:{hashlib.sha256(found.body).hexdigest()}"
    manifest = json.loads(found.body)
    media_type = manifest.get("mediaType", found.media_type)
    config = manifest.get("config", {}).get("digest")
    for what, value, expected in (
        ("the pushed manifest's media type", found.media_type, " or ".join(SINGLE_PLATFORM)),
        ("the pushed manifest's own media type", media_type, " or ".join(SINGLE_PLATFORM)),
        ("the digest that the registry names", found.digest, digest),
        (f"the image tagged `{tag}`", config, image.config_digest),
    ):
        if value not in expected.split(" or "):
            raise DeployerError(
                f"{what} is not the one expected",
                found=f"found `{value}`, expected `{expected}`",
                hint="push under a new tag; nothing was deployed",
            )
    return digest
