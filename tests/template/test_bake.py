"""A generated repository passes its own tests, linters and type checks.

`make test` first runs the tests of a fresh repository in build/bake, and names their results in BAKE_RESULTS;
each of them is a test here, so that the last summary counts all and no red test can hide above a green one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from generating import ROOT

REPOSITORY = ROOT / "build" / "bake" / "image-resizer"
RESULTS = os.environ.get("BAKE_RESULTS", "")


@dataclass(frozen=True)
class Result:
    """How one test of the generated repository ended: a message where it did not pass."""

    name: str
    outcome: str
    message: str


def read(results: Path) -> list[Result]:
    """Return the results of a JUnit file, sorted by name; none where there is no file."""
    if not results.is_file():
        return []
    found = []
    for case in ET.parse(results).iter("testcase"):  # noqa: S314 - written by our own pytest a moment ago
        ends = [part for part in case if part.tag in ("failure", "error", "skipped")]
        outcome = ends[-1].tag if ends else "passed"
        # A failure's text is its whole report; a skip's names the line, its message is the reason.
        message = "" if not ends else ends[-1].get("message" if outcome == "skipped" else "text")
        message = message or (ends[-1].text if ends else "") or ""
        found.append(Result(f"{case.get('classname')}::{case.get('name')}", outcome, message))
    return sorted(found, key=lambda result: result.name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each result of the generated repository."""
    if "result" in metafunc.fixturenames:
        results = read(Path(RESULTS)) if RESULTS else []
        metafunc.parametrize("result", results, ids=[result.name for result in results])


def test_repository_passes(result: Result) -> None:
    """The test of the generated repository passed there, or was skipped for the reason it gave."""
    if result.outcome == "skipped":
        pytest.skip(result.message)
    if result.outcome != "passed":
        pytest.fail(f"{result.name}\n{result.message}", pytrace=False)


@pytest.mark.skipif(not RESULTS, reason="only `make test` as a whole runs the generated repository's tests")
def test_results_are_there() -> None:
    """The generated repository's tests ran to their end."""
    assert len(read(Path(RESULTS))) > 100, f"no results in {RESULTS}: see the end of its own run above"


@pytest.mark.skipif(not RESULTS, reason="only `make test` as a whole sets the generated repository up")
@pytest.mark.parametrize("target", ["lint", "types"])
def test_repository_is_clean(target: str) -> None:
    """The generated repository passes its own linters and type checks on the first try."""
    command = [sys.executable, "dev.py", target]
    result = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_results_are_read_as_they_ended(tmp_path: Path) -> None:
    """Passed, failed, broken and skipped tests are told apart, and a missing file holds none."""
    results = tmp_path / "results.xml"
    results.write_text(
        """<testsuites><testsuite>
        <testcase classname="a" name="passed"/>
        <testcase classname="a" name="failed"><failure message="short">whole</failure></testcase>
        <testcase classname="a" name="broken"><error message="short">whole</error></testcase>
        <testcase classname="a" name="skipped"><skipped message="no Docker">line 7</skipped></testcase>
        </testsuite></testsuites>"""
    )
    assert read(results) == [
        Result("a::broken", "error", "whole"),
        Result("a::failed", "failure", "whole"),
        Result("a::passed", "passed", ""),
        Result("a::skipped", "skipped", "no Docker"),
    ]
    assert read(tmp_path / "none.xml") == []
