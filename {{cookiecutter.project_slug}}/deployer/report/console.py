"""Where output goes: the terminal, GitHub's files, and the `--events` file. Shell.

What draws on a terminal is imported with the first line that is said: a rollback moves the traffic before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployer.errors import DeployerError
from deployer.report import text as report

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"promote": "green", "done": "green", "roll back": "red", "refuse": "yellow", "set weight": "cyan"}


@dataclass(frozen=True)
class Output:
    """Speaks to people on stdout, to GitHub Actions through its files, and to programs as JSON lines."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    events: Path | None = None

    @staticmethod
    def _console(*, stderr: bool = False) -> Console:
        from rich.console import Console

        return Console(stderr=stderr, soft_wrap=True, highlight=False)

    def _print(self, text: str, style: str | None = None, *, stderr: bool = False) -> None:
        """Print a text as it is: what looks like markup in it is none."""
        self._console(stderr=stderr).print(text, style=style, markup=False)

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self._print(text)

    def say_decision(self, text: str) -> None:
        """Print a decision, coloured by its verb where the terminal has colours."""
        style = next((style for verb, style in _STYLES.items() if text.startswith(verb)), "")
        self._print(text, style)

    def fail(self, error: DeployerError) -> None:
        """Print an expected error in its three parts; in Actions as an annotation and in the summary too."""
        self._print(str(error), "red", stderr=True)
        for note in getattr(error, "__notes__", []):
            self._print(f"  note: {note}", stderr=True)
        if "GITHUB_ACTIONS" in self.environ:
            self._print(report.annotation(error))
            self.summarize(f"```\n{error}\n```\n")

    def set_output(self, name: str, value: str) -> None:
        """Hand a value to the next steps of a GitHub job; elsewhere it is just printed."""
        path = self.environ.get("GITHUB_OUTPUT")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{name}={value}\n")
        self.say(f"{name}={value}")

    def summarize(self, markdown: str) -> None:
        """Add to the summary page of a GitHub job; elsewhere nothing happens."""
        path = self.environ.get("GITHUB_STEP_SUMMARY")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(markdown + "\n")

    def event(self, event: Mapping[str, Any]) -> None:
        """Append one JSON line to the `--events` file, if there is one; it is complete when this returns."""
        if self.events is not None:
            self.events.parent.mkdir(parents=True, exist_ok=True)
            with self.events.open("a", encoding="utf-8") as file:
                file.write(report.json_line(event) + "\n")
