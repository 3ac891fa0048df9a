"""What `$LATEST` and the versions are made from, and how a version is removed. Shell: talks through a client.

A published version never changes; what it is made from is what `$LATEST` was at that moment.
Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployer.aws.errors import NotFound, translated
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LATEST = "$LATEST"
_UPDATED: Any = {"Delay": 1, "MaxAttempts": 300}
_ACTIVE: Any = {"Delay": 1, "MaxAttempts": 1560}


@dataclass(frozen=True)
class Configuration:
    """One version, or `$LATEST`: what its image is started with, its code, and the lock.

    `image_config` holds what overrides the image's own ENTRYPOINT, CMD and WORKDIR; empty when nothing does.
    """

    image_config: Mapping[str, Any]
    code_sha256: str
    revision: str


@dataclass(frozen=True)
class Versions:
    """The versions of one function. Every method is one call unless it says otherwise."""

    client: LambdaClient
    function_name: str

    def read(self, qualifier: str = LATEST) -> Configuration:
        """Read a version's configuration. Raises NotFound."""
        with translated(f"reading the configuration of version {qualifier}"):
            found = self.client.get_function_configuration(
                FunctionName=self.function_name, Qualifier=qualifier
            )
        return Configuration(self._image_config(found), found["CodeSha256"], found["RevisionId"])

    def set_image_config(self, image_config: Mapping[str, Any], *, revision: str) -> None:
        """Let `$LATEST` be started with that, and wait (several calls) until Lambda has taken it.

        An empty one removes every override; one that is left out of the call would keep them.
        Source: https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html and
        https://github.com/fujiwara/lambroll/pull/307
        Raises Conflict when `$LATEST` is no longer at `revision`, or another update is in progress.
        """
        with translated("updating the function's configuration"):
            self.client.update_function_configuration(
                FunctionName=self.function_name, RevisionId=revision, **self._arguments(image_config)
            )
        self.wait_updated()

    def wait_updated(self) -> None:
        """Wait, at most 5 minutes, until no update of the function is in progress."""
        with translated("waiting for the function's update"):
            self.client.get_waiter("function_updated_v2").wait(
                FunctionName=self.function_name, WaiterConfig=_UPDATED
            )

    def publish(self, latest: Configuration, *, description: str) -> str:
        """Publish `$LATEST` as it was read, and return the number; the version may not be active yet.

        Raises Conflict when it changed since.
        """
        with translated("publishing a version"):
            return self.client.publish_version(
                FunctionName=self.function_name,
                CodeSha256=latest.code_sha256,
                RevisionId=latest.revision,
                Description=description,
            )["Version"]

    def wait_active(self, version: str) -> None:
        """Wait, at most 26 minutes, until a version can be invoked."""
        with translated(f"waiting for version {version}"):
            self.client.get_waiter("published_version_active").wait(
                FunctionName=self.function_name, Qualifier=version, WaiterConfig=_ACTIVE
            )

    def descriptions(self) -> dict[str, str]:
        """Return the description of every published version; several calls when there are many."""
        with translated("listing the versions"):
            pages = self.client.get_paginator("list_versions_by_function").paginate(
                FunctionName=self.function_name
            )
            found = [version for page in pages for version in page["Versions"]]
        return {each["Version"]: each.get("Description", "") for each in found if each["Version"] != LATEST}

    def delete(self, version: str) -> None:
        """Delete one published version; one that is gone already is no error.

        Without a qualifier the same call deletes the whole function, so anything but a number is refused.
        Source: https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html
        """
        if not version.isdigit():
            raise DeployerError(
                f"`{version}` is no published version",
                found=f"found `{version}`, expected the number of a version to delete",
                hint="deployer prune, which names them",
            )
        try:
            with translated(f"deleting version {version}"):
                self.client.delete_function(FunctionName=self.function_name, Qualifier=version)
        except NotFound:
            return

    def _image_config(self, found: Any) -> dict[str, Any]:
        """Return the overrides of an answer; Lambda says some of those that are not there as empty."""
        config = (found.get("ImageConfigResponse") or {}).get("ImageConfig") or {}
        return {name: value for name, value in config.items() if value}

    def _arguments(self, image_config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what UpdateFunctionConfiguration is asked for."""
        return {"ImageConfig": dict(image_config)}
