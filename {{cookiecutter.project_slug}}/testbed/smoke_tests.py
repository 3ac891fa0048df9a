"""Run the owner's smoke tests against one target, and say in one sentence what came of them. Shell.

The tests run in a process of their own: what they import and leave behind is theirs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import DeployerError, Exit
from testbed import fixtures, outcome

FOLDER = "smoke"
CODE = Path(__file__).resolve().parents[1]  # where `testbed` is imported from
DONE_WITHIN_S = 900
_SAID_LINES = 14
_PAGE = "docs/your-own-function.md, section What it must do"


@dataclass(frozen=True)
class Found:
    """What pytest found and did, as `testbed.outcome` kept it; `printed` is for people."""

    collected: tuple[str, ...]
    tests: Sequence[Mapping[str, str]] = ()
    broken: Sequence[Mapping[str, str]] = ()
    status: int = 0
    printed: str = ""


@dataclass(frozen=True)
class SmokeReport:
    """Which tests passed, and which were skipped with what reason."""

    passed: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        count = len(self.passed)
        lines = [f"{count} test{'s' * (count != 1)} passed: {', '.join(map(_short, self.passed))}"]
        lines += [f"left out {_short(name)}: {reason}" for name, reason in self.skipped]
        return "\n".join(lines)


def run(
    root: Path,
    target: Mapping[str, Any],
    *,
    say: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
) -> SmokeReport:
    """Run pytest on `smoke/` of the repository at `root` and return what passed.

    `target` is SMOKE_TARGET as data; `environ` replaces this process's environment. A target with another
    endpoint than ours gets none of our AWS settings. Raises DeployerError for a test that fails, for a folder
    that is missing or has no test, for a test that cannot be read, and when every test was skipped.
    """
    say(f"testing    {target['kind']} with {FOLDER}/")
    found = _pytest(root, _environment(os.environ if environ is None else environ, target))
    return judge(found)


def collect(root: Path, *, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the names of the smoke tests without running one.

    Raises DeployerError for a folder that is missing or has no test, and for a test that cannot be read.
    """
    ours = os.environ if environ is None else environ
    found = _pytest(root, {**ours, "PYTHONPATH": _path(ours)}, "--collect-only")
    _check(found)
    return found.collected


def judge(found: Found) -> SmokeReport:
    """Return the report of what pytest found. Raises DeployerError unless a test passed and none failed."""
    _check(found)
    failed = [test for test in found.tests if test["outcome"] == "failed"]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        place, _, message = failed[0]["said"].partition("\n")
        raise DeployerError(
            f"smoke test `{_short(failed[0]['name'])}` failed{more}",
            found=_begin(message or place),
            hint=f"read {_place(place) or failed[0]['name'].partition('::')[0]}",
        )
    passed = tuple(test["name"] for test in found.tests if test["outcome"] == "passed")
    skipped = tuple((test["name"], test["said"]) for test in found.tests if test["outcome"] == "skipped")
    if skipped and not passed:
        raise _all_skipped(*skipped[0])
    if found.status or not passed:
        raise _wrong("pytest did not end well", _end(found.printed))
    return SmokeReport(passed, skipped)


def _pytest(root: Path, environment: dict[str, str], *arguments: str) -> Found:
    """Run pytest on `smoke/` in a process of its own. Raises DeployerError when there is nothing to run."""
    folder = root / FOLDER
    if not folder.is_dir() or not any(folder.iterdir()):
        raise _wrong(
            f"`{FOLDER}/` is {'empty' if folder.is_dir() else 'missing'}",
            "found no file, expected a test of what the shipped function must do",
        )
    with tempfile.TemporaryDirectory(prefix="smoke-") as own:
        written = Path(own, "outcome.json")
        argv = [sys.executable, "-m", "pytest", FOLDER, "-p", fixtures.__name__, "-p", outcome.__name__]
        argv += ["-p", "no:cacheprovider", "--quiet", "--color=no", "--rootdir", str(root), *arguments]
        try:
            done = subprocess.run(
                argv,
                cwd=root,
                env={**environment, outcome.VARIABLE: str(written)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=DONE_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeployerError(
                "the smoke tests did not end",
                found=f"waited {DONE_WITHIN_S} s",
                hint=f"give each wait in {FOLDER}/ an end",
            ) from error
        printed = done.stdout + done.stderr
        if not written.is_file():
            said = _end(printed) or f"found no word of pytest, which ended with {done.returncode}"
            raise _wrong("pytest could not run the smoke tests", said)
        kept = json.loads(written.read_text(encoding="utf-8"))
    return Found(tuple(kept["collected"]), kept["tests"], kept["broken"], done.returncode, printed)


def _check(found: Found) -> None:
    """Raise DeployerError unless every file can be read and there is a test."""
    if found.broken:
        raise _unreadable(found.broken[0])
    if not found.collected and found.status not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise _wrong("pytest could not run the smoke tests", _end(found.printed))
    if not found.collected and not found.tests:
        raise _wrong(
            f"`{FOLDER}/` has no test",
            f"found no function `test_…` in {FOLDER}/test_*.py, expected at least one",
        )
    if not found.collected:
        raise _all_skipped(found.tests[0]["name"], found.tests[0]["said"])


def _environment(ours: Mapping[str, str], target: Mapping[str, Any]) -> dict[str, str]:
    """Return the tests' environment.

    AWS itself gets our credentials, and so does the local AWS they came with; another one gets dummies.
    """
    kept = {name: value for name, value in ours.items() if name != "PYTEST_ADDOPTS"}  # meant for other tests
    if target.get("endpoint") and target["endpoint"] != ours.get("AWS_ENDPOINT_URL"):
        kept = {name: value for name, value in kept.items() if not name.startswith("AWS_")}
        kept |= {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": target["endpoint"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    region = {"AWS_REGION": target["region"], "AWS_DEFAULT_REGION": target["region"]}
    return kept | region | {"PYTHONPATH": _path(ours), fixtures.VARIABLE: json.dumps(dict(target))}


def _path(ours: Mapping[str, str]) -> str:
    """Return the tests' PYTHONPATH: ours, with the code's folder in front."""
    return os.pathsep.join(filter(None, [str(CODE), ours.get("PYTHONPATH", "")]))


def _all_skipped(name: str, reason: str) -> DeployerError:
    return _wrong(
        "every smoke test was skipped, so nothing was tried",
        f"found `{_short(name)}` skipped: {reason}, expected a test that runs here",
    )


def _unreadable(broken: Mapping[str, str]) -> DeployerError:
    """Return the error of a test file that cannot be imported."""
    missing = re.search(r"(?:ModuleNotFoundError|ImportError): (.*)", broken["said"])
    if missing:
        return _wrong(
            f"`{broken['name']}` imports what is not there",
            f"found {missing[1].strip()}, expected what requirements/smoke.in names",
        )
    lines = [line.removeprefix("E").strip() for line in broken["said"].splitlines() if line.startswith("E ")]
    return _wrong(f"`{broken['name']}` cannot be read", _end("\n".join(lines) or broken["said"]))


def _short(name: str) -> str:
    """Return a test's own name: `test_x` of `smoke/test_a.py::test_x`."""
    return name.rpartition("::")[2]


def _place(place: str) -> str:
    """Return `smoke/test_a.py:12` of an absolute path and a line; nothing for another file."""
    matched = re.search(rf"(?:^|[/\\])({FOLDER}[/\\][^:]*\.py:\d+)$", place)
    return matched[1].replace("\\", "/") if matched else ""


def _begin(text: str) -> str:
    """Return the beginning of an assertion; of a long one also the end, which is the log's."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) <= 2 * _SAID_LINES:
        return "\n".join(lines)
    return "\n".join([*lines[:_SAID_LINES], "…", *lines[-_SAID_LINES:]])


def _end(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-_SAID_LINES:])


def _wrong(what: str, found: str) -> DeployerError:
    return DeployerError(what, found=found, hint=_PAGE, exit_code=Exit.FAILED)
