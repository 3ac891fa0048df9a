"""Small workflow files, played by the runner in `github/` or by a mutant of it."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generating import commit, git
from workflows.github.expressions import Expressions

PACKAGE = "workflows.github"
SOURCE = Path(__file__).parent / "github"
SHORT_LADDER = ((signal.SIGINT, 0.5), (signal.SIGTERM, 0.5))


class Tokens:
    """An issuer that issues nothing, and knows what it was asked for."""

    def __init__(self) -> None:
        self.allowed: list[Mapping[str, str]] = []

    url = "http://127.0.0.1:9/token?"

    def grant(self, claims: Mapping[str, str]) -> str:
        """Note the claims."""
        self.allowed.append(claims)
        return f"right-{len(self.allowed)}"

    def revoke(self, right: str) -> None:
        """Do nothing."""


@dataclass
class Player:
    """Plays files; `package` is the runner's, or a mutant's."""

    folder: Path
    expressions: Expressions
    package: str = PACKAGE
    tokens: Tokens = field(default_factory=Tokens)
    count: int = 0

    def module(self, name: str) -> Any:
        """Return a module of the runner."""
        return importlib.import_module(f"{self.package}.{name}")

    def repository(self, files: Mapping[str, str], **about: Any) -> Any:
        """Return a repository with these files on main."""
        self.count += 1
        source = self.folder / f"repository-{self.count}"
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(source, "init", "--quiet", "--initial-branch=main")
        commit(source, "First")
        return self.module("repository").Repository(source, **about)

    def run(self, repository: Any, event: Mapping[str, Any] | None = None, **host: Any) -> Any:
        """Return a run of `w.yml` that has not begun; `host` overrides what its runner is."""
        standins = self.module("standins").STAND_INS
        settings = {"actions": standins, "minute_s": 0.5, "ladder": SHORT_LADDER, **host}
        where = self.folder / f"runner-{self.count}"
        environment = {"PATH": "/usr/bin:/bin"}
        made = self.module("state").Host(
            where, environment, self.expressions, self.tokens, artifacts=where / "artifacts", **settings
        )
        where.mkdir(exist_ok=True)
        return self.module("run").Run("w.yml", repository, made, self.module("event").Event(**(event or {})))

    def play(
        self, jobs: str, *, top: str = "on: push", event: Mapping[str, Any] | None = None, **about: Any
    ) -> Any:
        """Play the jobs of one file to the end and return the record; `about` is the repository's."""
        files = {".github/workflows/w.yml": f"{top}\njobs:\n{jobs}", **about.pop("files", {})}
        return self.run(self.repository(files, **about), event).execute()

    def cancelled(self, jobs: str, word: str = "ready", **about: Any) -> Any:
        """Play the jobs, and cancel the run when a step says the word."""
        runs: list[Any] = []

        def hear(_job: Any, _step: Any, line: str) -> None:
            if line == word:  # a moment later, when the step does what comes after the word
                threading.Timer(0.3, runs[0].cancel).start()

        files = {".github/workflows/w.yml": f"on: push\njobs:\n{jobs}"}
        runs.append(self.run(self.repository(files, **about), hear=hear))
        return runs[0].execute()


def mutant(folder: Path, module: str, old: str, new: str) -> str:
    """Write a copy of the runner with one edit, and return its package, ready to be imported."""
    name = f"mutant_{abs(hash((module, old, new))):x}"
    target = folder / name
    target.mkdir()
    for path in SOURCE.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.stem == module:
            assert text.count(old) == 1, f"{module}.py has `{old}` {text.count(old)} times"
            text = text.replace(old, new)
        (target / path.name).write_text(text.replace(PACKAGE, name), encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return name


def forget(package: str, folder: Path) -> None:
    """Undo what importing a mutant left behind."""
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


Check = Callable[[Player], None]
