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
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from deployer.aws.client import Aws
from deployer.aws.errors import translated
from deployer.aws.observed import FunctionState
from deployer.config import Config
from deployer.errors import DeployerError

CODE_BUCKET = "rehearsal-code"
_IMAGE_CODE = """      PackageType: Image
      Code:
        ImageUri: !Ref ImageUri
"""
_ZIP_CODE = """      PackageType: Zip
      Runtime: {runtime}
      Handler: app.handler.handler
      Code:
        S3Bucket: {bucket}
        S3Key: !Ref ImageUri
"""
# botocore describes every AWS service; the function talks to one.
_BOTOCORE_DATA = re.compile(r"botocore/data/(s3|sts)/|botocore/data/[^/]+\.json$")


class ZipAws(Aws):
    """The port to AWS for a Zip function whose code is named like an image: `zip/NAME@sha256:…`."""

    def update_code(self, image_uri: str, *, revision: str) -> None:
        """Put the code into `$LATEST` from the bucket it was uploaded to, and wait."""
        with translated("updating the function's code"):
            self._lambda.update_function_code(
                FunctionName=self.function_name,
                S3Bucket=CODE_BUCKET,
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

    def image_of(self, version: str) -> str:
        """Return the name of the code a version runs."""
        with translated(f"reading version {version}"):
            found = self._lambda.get_function(FunctionName=self.function_name, Qualifier=version)
        return _uri(found["Configuration"]["CodeSha256"])


def connect_zip(config: Config, environment: str) -> Aws:
    """Return the port to one environment's Zip function."""
    return ZipAws(config.function_name(environment), config.function.region)


def transformed(template: str) -> str:
    """Return `infra/service.yaml` with a Zip function; raise DeployerError when it has none to replace."""
    if template.count(_IMAGE_CODE) != 1:
        raise DeployerError(
            "infra/service.yaml cannot be rehearsed without Docker",
            found="found no `PackageType: Image` followed by `Code: ImageUri: !Ref ImageUri`",
            hint="start Docker and run the rehearsal again",
        )
    major, minor, _ = platform.python_version_tuple()
    code = _ZIP_CODE.format(runtime=f"python{major}.{minor}", bucket=CODE_BUCKET)
    return template.replace(_IMAGE_CODE, code)


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


def _files(sources: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file of the archive with its name there."""
    for path in (sources / "app").rglob("*.py"):
        yield path.relative_to(sources).as_posix(), path
    for package in re.findall(r"^([a-zA-Z0-9_.-]+)==", _locked(sources), re.MULTILINE):
        try:
            found = distribution(package).files or []
        except PackageNotFoundError as error:
            raise DeployerError(
                f"`{package}` is not installed here, and the function needs it",
                found="found it in requirements/app.txt, not in this environment",
                hint="make setup (python3 dev.py setup)",
            ) from error
        for file in found:
            name = file.as_posix()
            if _is_needed(name):
                yield name, Path(str(file.locate()))


def _locked(sources: Path) -> str:
    """Return the lock file of what runs in the function."""
    return (sources / "requirements" / "app.txt").read_text(encoding="utf-8")


def _is_needed(name: str) -> bool:
    """Tell whether a package's file is worth carrying: not scripts, byte-code or other services' data."""
    if name.startswith("..") or "__pycache__" in name or name.endswith((".pyc", ".pyi")):
        return False
    return not name.startswith("botocore/data/") or bool(_BOTOCORE_DATA.match(name))


def _uri(code_sha256: str) -> str:
    """Return the name of the code with that digest; Lambda gives it in base64."""
    return f"zip/app@sha256:{base64.b64decode(code_sha256).hex()}"
