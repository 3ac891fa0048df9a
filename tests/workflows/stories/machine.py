"""A runner's machine: what GitHub's image has that the workflows use, and what leaks from this one. Shell."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from workflows.stories import compressed

# What reaches package indexes, certificates and the engine from here: a runner of GitHub needs none of it.
_KEPT = (
    "BASE_IMAGE", "BUILD_CA_BUNDLE", "DOCKER", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "LANG",
    "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
)  # fmt: skip
_PREFIXES = ("PIP_", "UV_")
_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")


def environment(folder: Path, gh: Path | None = None) -> dict[str, str]:
    """Return what every process of a runner inherits; programs of ours are put below `folder`.

    uv is not among them: GitHub's images have none, so a workflow has to set it up. Caches of packages are
    this machine's.
    """
    tools = folder / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    _script(tools / "python3", f'exec "{Path(sys.base_prefix) / "bin" / python}" "$@"')
    if gh:
        program = Path(__file__).with_name("gh")
        _script(tools / "gh", f'exec "{tools / "python3"}" -B "{program}" "{gh}" "$@"')
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_PREFIXES)}
    home = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    kept.setdefault("UV_CACHE_DIR", str(cache / "uv"))
    kept.setdefault("PIP_CACHE_DIR", str(cache / "pip"))
    settings = home / ".config" / "pip" / "pip.conf"
    if settings.is_file():
        kept.setdefault("PIP_CONFIG_FILE", str(settings))
    places = [place for place in _SYSTEM if shutil.which("uv", path=place) is None]
    return {**kept, "PATH": os.pathsep.join([str(tools), *places])}


def first_on_path(folder: Path) -> Path:
    """Make the folder whose `deployer` keeps the compressed clock, and return it."""
    compressed.write(folder / "first")
    return folder / "first"


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
