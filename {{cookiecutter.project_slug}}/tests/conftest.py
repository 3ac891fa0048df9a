"""What holds for all tests: those that need Docker share one worker."""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put a test that asks for Docker into the group that one worker runs, one after the other.

    The engine merges equal builds that run at the same time, although their secrets differ.
    """
    if "docker" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.xdist_group("docker"))
