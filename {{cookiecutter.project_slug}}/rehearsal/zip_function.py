"""The function without containers: its code as a Zip, run by the local AWS in a subprocess. Shell.

For machines without Docker. The stack's template gets a Zip function instead of an image function, and of
the deployer's port to AWS only what names the code is different; everything else is the product's own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import platform
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from deployer.aws.client import Aws
from deployer.aws.errors import translated
from deployer.aws.observed import FunctionState
from deployer.aws.versions import Versions
from deployer.config import Config
from deployer.errors import DeployerError
from rehearsal.dockerfile import Handler, services_of
from testbed.enforcement.settings import Excuse

CODE_FOLDER = "rehearsal-code"
# An image function's stack role reads no bucket for code.
EXCUSE = Excuse(
    r"AWS::Lambda::Function", r".*:GetObject(Version)?", "without Docker the rehearsal's code is in a folder"
)
# What makes it an image function, each on a line of its own, and what stands there for a Zip.
_PACKAGE = re.compile(r"(?m)^( +)PackageType: Image$")
_CODE = re.compile(r"(?m)^( +)ImageUri: !Ref ImageUri$")
# The service is a folder; the files beside them are needed by every client.
_BOTOCORE_DATA = re.compile(r"botocore/data/(?:([^/]+)/|[^/]+$)")
_BOTOCORE_ALWAYS = frozenset({"sts"})
_LOCKED = re.compile(r"(?m)^([a-zA-Z0-9_.-]+)(?:\[[^]]*\])?==[^\s;\\]+[ \t]*(;?)")


class ZipAws(Aws):
    """The port to AWS for a Zip function whose code is named like an image: `zip/NAME@sha256:…`."""

    def update_code(self, image_uri: str, *, revision: str) -> None:
        """Put the code into `$LATEST` from where it was uploaded to, and wait."""
        with translated("updating the function's code"):
            self._lambda.update_function_code(
                FunctionName=self.function_name,
                S3Bucket=CODE_FOLDER,
                S3Key=image_uri,
                RevisionId=revision,
                Publish=False,
            )
        self.wait_updated()

    def function(self) -> FunctionState:
        """Read `$LATEST`, with its code named as `zip/NAME@sha256:…`."""
        found = super().function()
        uri = _uri(found.code_sha256)
        return replace(found, image_uri=uri, image_digest=uri.partition("@")[2])

    def versions(self) -> Versions:
        """Return what the versions are made from, with the handler in place of an image's command."""
        return ZipVersions(self._lambda, self.function_name)

    def image_of(self, version: str) -> str:
        """Return the name of the code a version runs."""
        with translated(f"reading version {version}"):
            found = self._lambda.get_function(FunctionName=self.function_name, Qualifier=version)
        return _uri(found["Configuration"]["CodeSha256"])


class ZipVersions(Versions):
    """The versions of a Zip function, whose handler is called what an image's command is."""

    def _image_config(self, found: Any) -> dict[str, Any]:
        return {"Command": [found["Handler"]]}

    def _arguments(self, image_config: Mapping[str, Any]) -> dict[str, Any]:
        return {"Handler": image_config["Command"][0]}


def connect_zip(config: Config, environment: str) -> Aws:
    """Return the port to one environment's Zip function."""
    return ZipAws(config.function_name(environment), config.function.region)


def transformed(template: str, handler: Handler) -> str:
    """Return `infra/service.yaml` with a Zip function; raise DeployerError when it has none to replace."""
    if any(len(pattern.findall(template)) != 1 for pattern in (_PACKAGE, _CODE)):
        raise DeployerError(
            "infra/service.yaml cannot be rehearsed without Docker",
            found="expected `PackageType: Image` and `ImageUri: !Ref ImageUri`, each once, on its own line",
            hint="start Docker and run the rehearsal again",
        )
    major, minor, _ = platform.python_version_tuple()
    package = rf"\1PackageType: Zip\n\1Runtime: python{major}.{minor}\n\1Handler: {handler}"
    code = rf"\1S3Bucket: {CODE_FOLDER}\n\1S3Key: !Ref ImageUri"
    return _CODE.sub(code, _PACKAGE.sub(package, template))


def packed(sources: Path) -> tuple[str, bytes]:
    """Return the name `zip/NAME@sha256:…` and the bytes of the function's code with what it needs.

    The packages are this environment's, at the versions of requirements/app.txt when `make setup` made it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(_files(sources)):
            # A fixed time: the same code must have the same digest.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), path.read_bytes())
    body = buffer.getvalue()
    return f"zip/app@sha256:{hashlib.sha256(body).hexdigest()}", body


def locked(requirements: str) -> list[tuple[str, bool]]:
    """Return the packages of a lock file; True for one that only some platforms need."""
    return [(name, bool(marker)) for name, marker in _LOCKED.findall(requirements)]


def is_needed(name: str, services: frozenset[str] | None) -> bool:
    """Tell whether a package's file is worth carrying: not scripts, byte-code or other services' data.

    `services` are the AWS services the function calls, None for all of them.
    """
    if name.startswith("..") or "__pycache__" in name or name.endswith((".pyc", ".pyi")):
        return False
    found = _BOTOCORE_DATA.match(name)
    return services is None or not found or not found[1] or found[1] in services | _BOTOCORE_ALWAYS


def _files(sources: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file of the archive with its name there."""
    for path in (sources / "app").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(sources).as_posix(), path
    services = services_of((sources / "Dockerfile").read_text(encoding="utf-8"))
    requirements = (sources / "requirements" / "app.txt").read_text(encoding="utf-8")
    for package, is_for_some in locked(requirements):
        try:
            found = distribution(package).files or []
        except PackageNotFoundError as error:
            if is_for_some:
                continue
            raise DeployerError(
                f"`{package}` is not installed here, and the function needs it",
                found="found it in requirements/app.txt, not in this environment",
                hint="make setup (python3 dev.py setup)",
            ) from error
        for file in found:
            name = file.as_posix()
            if is_needed(name, services):
                yield name, Path(str(file.locate()))


def _uri(code_sha256: str) -> str:
    """Return the name of the code with that digest; Lambda gives it in base64."""
    return f"zip/app@sha256:{base64.b64decode(code_sha256).hex()}"
