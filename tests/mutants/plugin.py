"""What pytest is told in a mutant's process: the mutant, which tests, and to remember nothing. Shell."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

from mutants.sources import Source


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets one module be imported from another text. No file changes, so no byte-code of it can be left behind."""

    def __init__(self, source: Source, text: str) -> None:
        self._source = source
        self._text = text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the mutated module alone."""
        if fullname != self._source.imported:
            return None
        return importlib.util.spec_from_file_location(fullname, self._source.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's text as the module."""
        exec(compile(self._text, str(self._source.path), "exec"), module.__dict__)  # noqa: S102 - that is the mutant


class Chosen:
    """Runs these tests only, in this order; all that are found when it is given none."""

    def __init__(self, tests: Sequence[str] = (), guard: str | None = None) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self._guard = guard

    def pytest_configure(self, config: pytest.Config) -> None:
        """Let hypothesis draw the same examples each time and keep none, and give the guard's tests its text."""
        from hypothesis import settings

        settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
        settings.load_profile("mutants")

    def pytest_sessionstart(self) -> None:
        """Replace the text that the guard's tests run."""
        if self._guard is not None:
            from infra import guard_source

            text = self._guard
            guard_source.source = lambda: text

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what was not chosen."""
        if self._order:
            items[:] = sorted(
                (i for i in items if i.nodeid in self._order), key=lambda i: self._order[i.nodeid]
            )
        else:
            items[:] = [i for i in items if "docker" not in getattr(i, "fixturenames", ())]


WATCHED_CALLS = 2000


class Reach:
    """Notes which lines each test reaches, and how long it takes while it is watched.

    In one test the first two thousand calls of each function are watched. A test that fails already without a mutant is
    left out: watching is too slow for those that measure time.
    """

    def __init__(self, files: Collection[str], written: Path) -> None:
        self._names = set(files)
        self._written = written
        self._known: dict[CodeType, str | None] = {}
        self._lines: set[tuple[str, int]] = set()
        self._calls: Counter[CodeType] = Counter()
        self._found: dict[str, Any] = {}
        self.failed: set[str] = set()

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in self._known:
            name = code.co_filename
            self._known[code] = name if name in self._names else None
        if self._known[code] is None:
            return None
        self._lines.add((code.co_filename, frame.f_lineno))
        self._calls[code] += 1
        return self._step if self._calls[code] <= WATCHED_CALLS else None

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._step

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch one test from its set-up to its tear-down."""
        self._lines = set()
        self._calls.clear()
        began = time.process_time()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            if self._lines and item.nodeid not in self.failed:
                reached: dict[str, list[int]] = {}
                for name, line in sorted(self._lines):
                    reached.setdefault(name, []).append(line)
                self._found[item.nodeid] = {"s": round(time.process_time() - began, 3), "lines": reached}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what failed."""
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was found."""
        self._written.write_text(json.dumps(self._found), encoding="utf-8")
