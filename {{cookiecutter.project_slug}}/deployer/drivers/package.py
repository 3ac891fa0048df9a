"""The durable function's code as a Zip: this package with its locked dependencies. Shell: runs uv or pip.

A Zip that `apply` uploads with UpdateFunctionCode, as it does with the image's digest: no bucket, no second
image to build and scan. Each file has a fixed time, so the same sources make the same bytes, and an upload
that would change nothing is left out. Lambda takes up to 50 MB that way.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployerError

LEFT_OUT = (
    "deployer/cli/",
    "deployer/doctor/",
    "deployer/gameday/",
    "deployer/image/",
    "deployer/report/page/",
    "deployer/report/console.py",
)
RUNTIME = "3.13"  # what infra/service.yaml runs it with
LOCK = Path("requirements") / "driver.txt"
_WHEELS = {"arm64": "aarch64", "x86_64": "x86_64"}
# botocore describes every AWS service; these are the ones `deployer.aws` makes clients of.
_SERVICES = ("cloudformation", "cloudwatch", "codedeploy", "ecr", "lambda", "sns", "sts")
_BOTOCORE_DATA = re.compile(rf"botocore/data/(({'|'.join(_SERVICES)})/|[^/]+\.json$)")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_INSTALL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Package:
    """A Zip and the digest Lambda calls CodeSha256."""

    body: bytes

    @property
    def code_sha256(self) -> str:
        """Return the digest of the Zip as Lambda writes it."""
        return base64.b64encode(hashlib.sha256(self.body).digest()).decode()


def build(root: Path, architecture: str, *, python: str = RUNTIME) -> Package:
    """Pack deployer/ and what requirements/driver.txt locks, for Linux on that architecture.

    The result is kept in build/ and made again when a source, the lock or the target changes.
    Raises DeployerError when the dependencies cannot be installed.
    """
    sources = dict(_sources(root))
    recipe = hashlib.sha256(f"{architecture} {python}".encode())
    for name, body in [*sorted(sources.items()), (LOCK.as_posix(), (root / LOCK).read_bytes())]:
        recipe.update(f"{name} {len(body)}\n".encode() + body)
    kept = root / "build" / f"driver-{recipe.hexdigest()[:16]}.zip"
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            _install(root, Path(folder), architecture, python)
            packed = _pack({**dict(_dependencies(Path(folder))), **sources})
        kept.parent.mkdir(exist_ok=True)
        for old in kept.parent.glob("driver-*.zip"):
            old.unlink()
        kept.write_bytes(packed)
    return Package(kept.read_bytes())


def _pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, body)
    return buffer.getvalue()


def _sources(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the rooms that a rollout needs once it is under way: no commands, no image, no page."""
    for path in (root / "deployer").rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if not name.startswith(LEFT_OUT):
            yield name, path.read_bytes()


def _dependencies(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is worth carrying: no scripts, byte-code, stubs, or other services' data."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.startswith("bin/") or name.endswith((".pyc", ".pyi", ".lock")):
            continue
        if name.startswith("botocore/data/") and not _BOTOCORE_DATA.match(name):
            continue
        # Written by the installer, with paths and times of this machine.
        if re.search(r"\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$", name):
            continue
        yield name, path.read_bytes()


def _install(root: Path, folder: Path, architecture: str, python: str) -> None:
    """Put the locked wheels for Linux into a folder, with uv where it is on PATH and pip elsewhere."""
    target = ["--target", str(folder), "--require-hashes", "--no-deps", "-r", str(root / LOCK)]
    machine = _WHEELS[architecture]
    if uv := shutil.which("uv"):
        platform = ["--python-platform", f"{machine}-manylinux2014", "--python-version", python]
        command = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", *platform, *target]
    else:
        platform = ["--platform", f"manylinux2014_{machine}", "--python-version", python]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        command += [*platform, *target]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_INSTALL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_installed(str(error)) from error
    if done.returncode != 0:
        raise _not_installed(done.stderr.strip()[-800:] or "no message")


def _not_installed(found: str) -> DeployerError:
    return DeployerError(
        "the dependencies of the durable function cannot be installed",
        found=found,
        hint='check the package index in use, or driver = "runner"',
    )
