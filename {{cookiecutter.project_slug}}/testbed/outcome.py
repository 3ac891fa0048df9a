"""What became of each smoke test, as JSON in the file that SMOKE_OUTCOME names. A pytest plugin. Shell.

It needs pytest and the standard library alone, like the fixtures. Without SMOKE_OUTCOME it does nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "SMOKE_OUTCOME"

_collected: list[str] = []
_tests: list[dict[str, Any]] = []
_broken: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a test did; set-up and clean-up count only when they fail or skip."""
    if report.when == "call" or report.outcome != "passed":
        _tests.append(
            {"name": report.nodeid, "outcome": report.outcome, "when": report.when, "said": _said(report)}
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep which tests there are."""
    _collected.extend(item.nodeid for item in session.items)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Keep what could not be read, and a file that is skipped as a whole."""
    if report.outcome == "failed":
        _broken.append({"name": report.nodeid, "said": _said(report)})
    elif report.outcome == "skipped":
        _tests.append({"name": report.nodeid, "outcome": "skipped", "when": "collect", "said": _said(report)})


def pytest_sessionfinish() -> None:
    """Write what was kept."""
    kept = {"collected": _collected, "tests": _tests, "broken": _broken}
    if path := os.environ.get(VARIABLE):
        Path(path).write_text(json.dumps(kept), encoding="utf-8")


def _said(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why a test was skipped, or the assertion that failed and where it stands."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{crash.path}:{crash.lineno}\n{crash.message}"
    return str(report.longrepr or "")
