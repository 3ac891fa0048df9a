"""The ECR repository: what `push` needs of it, and what whoever deploys from it needs. Shell."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deployer.aws.errors import NotFound, translated
from deployer.errors import DeployerError, Exit

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


_ECR_HOST = re.compile(r"^(\d{12})\.dkr[.-]ecr[.-]")


@dataclass(frozen=True)
class Login:
    """What `docker login` needs; the password is never shown, not even by repr."""

    registry: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Manifest:
    """An image's manifest exactly as the registry keeps it. `digest` is what the registry itself calls it."""

    body: bytes
    media_type: str
    digest: str


class Registry:
    """One repository of the account's ECR."""

    def __init__(self, client: ECRClient, repository: str) -> None:
        self._client = client
        self._repository = repository

    def repository_uri(self) -> str:
        """Return HOST/NAME. Raises NotFound before `deployer bootstrap`.

        Behind an endpoint of the user's own (AWS_ENDPOINT_URL: a local AWS) the registry is at that
        endpoint, whatever account's host name the repository claims.
        """
        with translated(f"reading repository `{self._repository}`"):
            found = self._client.describe_repositories(repositoryNames=[self._repository])
        endpoint = urlsplit(self._client.meta.endpoint_url)
        if endpoint.hostname and not endpoint.hostname.endswith((".amazonaws.com", ".amazonaws.com.cn")):
            return f"{endpoint.netloc}/{self._repository}"
        return found["repositories"][0]["repositoryUri"]

    def login(self) -> Login:
        """Return a login for the repository's own registry, valid for twelve hours."""
        with translated("signing in to the registry"):
            token = self._client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        return Login(self.repository_uri().partition("/")[0], user, password)

    def manifest(self, tag: str) -> Manifest | None:
        """Return the manifest a tag points at, or None when there is no such tag."""
        try:
            with translated(f"reading the manifest of `{tag}`"):
                answer = self._client.batch_get_image(
                    repositoryName=self._repository,
                    imageIds=[{"imageTag": tag}],
                    acceptedMediaTypes=list(MANIFEST_TYPES),
                )
        except NotFound:
            return None
        if not answer.get("images"):
            failures = {f.get("failureCode", "") for f in answer.get("failures", [])}
            if failures - {"ImageNotFound"}:
                raise DeployerError(
                    f"the manifest of `{tag}` cannot be read",
                    found=f"found {', '.join(sorted(failures))}, expected the manifest",
                    hint=f"aws ecr batch-get-image --repository-name {self._repository} "
                    f"--image-ids imageTag={tag}",
                )
            return None
        image = answer["images"][0]
        body = image["imageManifest"].encode()
        media_type = image.get("imageManifestMediaType", "")
        return Manifest(body, media_type, image["imageId"].get("imageDigest", ""))


def require_pullable(client: ECRClient, image_uri: str) -> None:
    """Refuse an image that Lambda could not pull (exit 5): archived, being restored, or gone; one call.

    A name that is none of ECR's is not looked up. Without a filter DescribeImages leaves out the archive.
    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive_restore_image.html
    Raises what AWS's own errors become.
    """
    found = _named(client, image_uri)
    if found is None:
        return
    registry, repository, digest = found
    of_registry: Any = {"registryId": registry} if registry else {}
    try:
        with translated(f"reading image `{_short(digest)}` of `{repository}`"):
            details = client.describe_images(
                repositoryName=repository,
                imageIds=[{"imageDigest": digest}],
                filter={"imageStatus": "ANY"},
                **of_registry,
            )["imageDetails"]
    except NotFound:
        details = []
    status = details[0].get("imageStatus", "ACTIVE") if details else "none"
    if status == "ACTIVE":
        return
    sentence, way_on = _UNPULLABLE.get(status, _UNPULLABLE["ACTIVATING"])
    raise DeployerError(
        f"image `{_short(digest)}` {sentence}",
        found=f"found {status} in repository `{repository}`, expected ACTIVE: Lambda cannot pull it",
        hint=way_on.format(repository=repository, digest=digest),
        exit_code=Exit.REFUSED,
    )


_UNPULLABLE = {
    "ARCHIVED": (
        "is archived",
        "aws ecr update-image-storage-class --repository-name {repository} --image-id imageDigest={digest} "
        "--target-storage-class STANDARD; then again once it is ACTIVE, which takes up to 20 minutes",
    ),
    "ACTIVATING": ("is being restored from the archive", "try again in some minutes"),
    "none": ("is not in the registry", "push the commit again, or take another version's image"),
}


def _named(client: ECRClient, image_uri: str) -> tuple[str, str, str] | None:
    """Return account (empty: the caller's own), repository and digest; None for what is not in an ECR."""
    name, _, digest = image_uri.partition("@")
    host, _, repository = name.partition("/")
    account = _ECR_HOST.match(host)
    is_local = host == urlsplit(client.meta.endpoint_url).netloc
    if not digest or not (account or is_local):
        return None
    return account[1] if account else "", repository, digest


def _short(digest: str) -> str:
    return f"{digest[:19]}…"
