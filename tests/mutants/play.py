"""Plays mutants, each in a process of its own that is a copy of this one. Shell: forks, so not on Windows.

What costs most at the start of a test run is importing libraries. It is done once, here; a copy imports only the
deployer, with the mutant in it, and the tests. Limits are seconds of processor time, so that a busy machine kills none.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from mutants.generate import Mutant
from mutants.plugin import Chosen, Instead, Reach
from mutants.sources import ROOT, Source

# What plays releases as a whole is left out: it takes minutes, and reaches nothing that these do not.
_ROOMS = ("judge", "canary", "rollout", "drivers", "proof", "cli", "report")
TESTS = (*(f"tests/engine/{room}" for room in _ROOMS), "tests/infra/test_guard_function.py")
MOST_TESTS_S = 40.0  # of the tests that reach a line, the quickest that together take so long
START_S = 20.0  # to import and collect
SLOWER = 4.0  # a mutant that takes so many times as long goes round in circles
WALL = 10.0  # times its processor time, for one that sleeps
MEMORY = 6 * 1024**3
_OPTIONS = [
    "-q",
    "-p",
    "no:cacheprovider",
    "--no-header",
    "--tb=line",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
]
_BROKEN = 70
_FAILED = (1, 2)  # a test failed; a test file could not be imported


class Fate(Enum):
    """What became of a mutant."""

    KILLED = "killed"  # a test fails with it
    TIMED_OUT = "timed out"  # its tests do not end
    SURVIVED = "survived"  # all tests that reach it pass
    NO_TEST = "no test"  # no test reaches its line


@dataclass(frozen=True)
class Played:
    """One mutant and what became of it; `by` is how many tests it was shown to."""

    mutant: Mutant
    fate: Fate
    by: int = 0


@dataclass
class _Running:
    mutant: Mutant
    batches: list[list[str]]
    shown: int
    until: float


def import_libraries() -> None:
    """Import what every copy needs and no mutant changes."""
    import boto3  # noqa: F401
    import botocore.session
    import botocore.stub
    import hypothesis.strategies  # noqa: F401
    import pydantic  # noqa: F401
    import rich.console
    import rich.table  # noqa: F401
    import typer  # noqa: F401
    import yaml  # noqa: F401

    botocore.session.get_session()
    if any(name.partition(".")[0] == "deployer" for name in sys.modules):
        raise SystemExit("mutants: the deployer was imported before the mutants were made")


def measure(tests: Sequence[str], sources: Sequence[Source], written: Path) -> None:
    """Write which tests reach which lines. Raises SystemExit when they cannot be run."""
    code = _in_a_copy(
        lambda: [*tests], [Chosen(), Reach({s.reached_as for s in sources}, written)], sys.stdout.fileno()
    )
    if code not in (0, 1):  # 1: those that measure time fail while they are watched, and are left out
        raise SystemExit(f"mutants: the tests cannot be run as they are: pytest ended with {code}")


def batches(mutant: Mutant, source: Source, reach: Mapping[str, Any]) -> list[list[str]]:
    """Return the tests that reach the mutant, quickest first: those of one file, then all others.

    What is outside of functions acts when it is imported: then every test counts that reaches any line of the text.
    """
    lines = range(mutant.line - source.offset, mutant.line - source.offset + mutant.before.count("\n") + 1)
    found: dict[str, float] = {}
    for test, seen in reach.items():
        reached = seen["lines"].get(source.reached_as, ())
        if reached and (not mutant.function or any(line in lines for line in reached)):
            found[test] = seen["s"]
    quickest = sorted(found, key=found.__getitem__)
    taken, total_s = [], 0.0
    for test in quickest:
        total_s += found[test]
        if taken and total_s > MOST_TESTS_S:
            break
        taken.append(test)
    own = _own_file(taken, source)
    parts = (
        [t for t in taken if t.partition("::")[0] == own],
        [t for t in taken if t.partition("::")[0] != own],
    )
    return [part for part in parts if part]


def _own_file(tests: Sequence[str], source: Source) -> str | None:
    """Return the file that is about this text if it is among them, or else the one with most of the tests."""
    files = [test.partition("::")[0] for test in tests]
    about = f"test_{Path(source.name).stem}.py" if source.imported else "test_guard_function.py"
    own = next((file for file in files if file.endswith(f"/{about}")), None)
    return own or (max(sorted(set(files)), key=files.count) if files else None)


def play(
    mutants: Iterable[Mutant],
    sources: Mapping[str, Source],
    reach: Mapping[str, Any],
    at_once: int,
    log: Path,
) -> Iterator[Played]:
    """Yield each mutant's fate as soon as it is known, `at_once` of them at a time."""
    waiting = iter(mutants)
    running: dict[int, _Running] = {}
    seconds = {test: seen["s"] for test, seen in reach.items()}
    try:
        while True:
            while len(running) < at_once and (mutant := next(waiting, None)) is not None:
                parts = batches(mutant, sources[mutant.module], reach)
                if not parts:
                    yield Played(mutant, Fate.NO_TEST)
                    continue
                _begin(_Running(mutant, parts, 0, 0.0), sources[mutant.module], seconds, running, log)
            if not running:
                return
            for process, status in _ended(running):
                one = running.pop(process)
                fate = _fate(status, one, log / f"{process}.txt")
                if fate is Fate.SURVIVED and one.batches:
                    _begin(one, sources[one.mutant.module], seconds, running, log)
                else:
                    yield Played(one.mutant, fate, one.shown)
    finally:
        for process in running:
            _end(process)


def _begin(
    one: _Running, source: Source, seconds: Mapping[str, float], running: dict[int, _Running], log: Path
) -> None:
    tests = one.batches.pop(0)
    one.shown += len(tests)
    limit_s = START_S + SLOWER * sum(seconds[test] for test in tests)
    one.until = time.monotonic() + WALL * limit_s
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    sys.stdout.flush()
    process = os.fork()
    if process:
        running[process] = one
        return
    code = _BROKEN
    try:
        os.setsid()
        out = os.open(log / f"{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if source.imported:
            sys.meta_path.insert(0, Instead(source, one.mutant.text))
        chosen = Chosen(tests, None if source.imported else one.mutant.text)
        code = _pytest(["-x", *files], [chosen], out)
    finally:
        os._exit(code)


def _end(process: int) -> None:
    with suppress(ProcessLookupError):  # it has no group of its own yet, or is gone
        os.killpg(process, signal.SIGKILL)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _ended(running: Mapping[int, _Running]) -> Iterator[tuple[int, int]]:
    """Yield the processes that ended since, and end those that ran too long."""
    while True:
        for process, one in list(running.items()):
            if time.monotonic() > one.until:
                os.killpg(process, signal.SIGKILL)
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                yield process, status
                return
        time.sleep(0.02)


def _fate(status: int, one: _Running, said: Path) -> Fate:
    code = os.waitstatus_to_exitcode(status)  # negative: the signal that ended it
    if code <= 0 or code in _FAILED:
        said.unlink()
        return Fate.TIMED_OUT if code < 0 else Fate.KILLED if code else Fate.SURVIVED
    raise SystemExit(f"mutants: pytest ended with {code} for `{one.mutant.key}`; see {said}")


def _in_a_copy(arguments: Callable[[], list[str]], plugins: Sequence[object], out: int) -> int:
    sys.stdout.flush()
    process = os.fork()
    if process:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        except BaseException:
            _end(process)
            raise
    code = _BROKEN
    try:
        os.setsid()
        code = _pytest(arguments(), plugins, out)
    finally:
        os._exit(code)


def _pytest(arguments: list[str], plugins: Sequence[object], out: int) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(ROOT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        return int(pytest.main([*_OPTIONS, *arguments], plugins=list(plugins)))
    except Exception:
        traceback.print_exc()  # the process ends without a word of its own
        return _BROKEN
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
