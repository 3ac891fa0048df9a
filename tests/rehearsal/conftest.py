"""What the rehearsal's tests share: a checkout that can be rehearsed."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkout(repository: Path) -> Path:
    """Return a repository generated with the default answers."""
    return repository
