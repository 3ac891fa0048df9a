"""What holds for all tests: those that need Docker share one worker."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that ask for Docker one after the other.

    The engine merges equal builds that run at the same time, although their secrets differ.
    """
    for item in items:
        if "docker" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("docker"))
