"""The one ECR repository, as `push` needs it. Shell: talks through the client `aws` made."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deployer.aws.errors import NotFound, translated
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Login:
    """What `docker login` needs; the password is never shown, not even by repr."""

    registry: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Manifest:
    """An image's manifest exactly as the registry keeps it. `digest` is `sha256:…` of `body`."""

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
                    f"the manifest of `{tag}` cannot be read", found=", ".join(sorted(failures))
                )
            return None
        image = answer["images"][0]
        body = image["imageManifest"].encode()
        media_type = image.get("imageManifestMediaType", "")
        return Manifest(body, media_type, f"sha256:{hashlib.sha256(body).hexdigest()}")
