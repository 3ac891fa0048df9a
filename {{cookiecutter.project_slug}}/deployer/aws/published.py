"""All versions of a function and whoever needs them; all images of a repository. Shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployer.aws.errors import translated
from deployer.aws.observed import AliasSeen, Published, PublishedVersion, StoredImage
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef
    from mypy_boto3_lambda import LambdaClient

_LATEST = "$LATEST"
_AT_ONCE = 100  # digests in one BatchDeleteImage


class PublishedVersions:
    """One function's versions and who needs them. Raises what AWS's own errors become."""

    def __init__(self, client: LambdaClient, cloudwatch: CloudWatchClient, function_name: str) -> None:
        self._client = client
        self._cloudwatch = cloudwatch
        self._name = function_name

    def read(self) -> Published:
        """Return everything; one call for each version besides the lists. Raises NotFound, DeployerError."""
        with translated(f"listing the versions of `{self._name}`"):
            pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self._name)
            texts = {
                found["Version"]: found.get("Description", "") for page in pages for found in page["Versions"]
            }
        digests = {number: self._digest(number) for number in {*texts, _LATEST}}
        aliases, armed = self.read_users()
        published = tuple(PublishedVersion(n, digests[n], texts[n]) for n in texts if n != _LATEST)
        return Published(published, digests[_LATEST], aliases, armed)

    def read_users(self) -> tuple[tuple[AliasSeen, ...], frozenset[str]]:
        """Return every alias, and the versions that a guard's alarm watches."""
        with translated(f"listing the aliases of `{self._name}`"):
            pages = self._client.get_paginator("list_aliases").paginate(FunctionName=self._name)
            aliases = tuple(
                AliasSeen(
                    found["Name"],
                    (
                        found["FunctionVersion"],
                        *((found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}),
                    ),
                    found.get("Description", ""),
                )
                for page in pages
                for found in page["Aliases"]
            )
        prefix = f"{self._name}-canary-"
        with translated("looking for canary alarms"):
            alarms = self._cloudwatch.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"]
            )
            names = [alarm["AlarmName"] for page in alarms for alarm in page["MetricAlarms"]]
        return aliases, frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    def delete(self, number: str) -> None:
        """Delete one version. Raises Conflict when something still needs it, as Lambda knows.

        The number is sent as the qualifier: without one Lambda deletes the whole function.
        Source: https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html
        """
        if not number.isdigit():
            raise ValueError(f"`{number}` is no version")
        with translated(f"deleting version {number} of `{self._name}`"):
            self._client.delete_function(FunctionName=self._name, Qualifier=number)

    def _digest(self, number: str) -> str:
        with translated(f"reading version {number}"):
            found = self._client.get_function(FunctionName=self._name, Qualifier=number)
        code = found["Code"]
        uri = code.get("ResolvedImageUri") or code.get("ImageUri", "")
        digest = uri.partition("@")[2]
        if uri and not digest:
            raise DeployerError(
                f"nobody knows which image version {number} runs",
                found=f"found `{uri}`, expected it by its digest",
                hint="deployer doctor; nothing is removed as long as this is so",
            )
        return digest


class Images:
    """One repository's images, those in the archive included."""

    def __init__(self, client: ECRClient, repository: str) -> None:
        self._client = client
        self._repository = repository

    def read(self) -> tuple[StoredImage, ...]:
        """Return every image, and what is attached to it.

        Source: without a filter what is archived is left out,
        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImagesFilter.html
        """
        with translated(f"listing the images of `{self._repository}`"):
            pages = self._client.get_paginator("describe_images").paginate(
                repositoryName=self._repository, filter={"imageStatus": "ANY"}
            )
            return tuple(
                StoredImage(
                    found["imageDigest"],
                    tuple(found.get("imageTags", ())),
                    found["imagePushedAt"].timestamp(),
                    found.get("subjectManifestDigest", ""),
                    found.get("imageStatus", "ACTIVE"),
                )
                for page in pages
                for found in page["imageDetails"]
            )

    def delete(self, digests: tuple[str, ...]) -> None:
        """Delete images by digest, with all their tags. Raises DeployerError when ECR keeps one."""
        for start in range(0, len(digests), _AT_ONCE):
            wanted: list[ImageIdentifierTypeDef] = [
                {"imageDigest": digest} for digest in digests[start : start + _AT_ONCE]
            ]
            with translated(f"deleting images of `{self._repository}`"):
                answer = self._client.batch_delete_image(repositoryName=self._repository, imageIds=wanted)
            kept = [
                f"{failure.get('imageId', {}).get('imageDigest', '?')}: {failure.get('failureCode', '?')}"
                for failure in answer.get("failures", [])
                if failure.get("failureCode") != "ImageNotFound"
            ]
            if kept:
                raise DeployerError(
                    "ECR did not delete every image",
                    found="\n".join(kept),
                    hint="deployer prune --images again; what is gone is gone",
                )
