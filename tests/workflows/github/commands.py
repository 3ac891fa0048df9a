"""How a step talks to the runner: commands in its output, files it writes, values that are hidden. Pure.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from workflows.github.errors import WorkflowError
from workflows.github.records import Annotation

FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")
# Whoever could set these would run code in every later step.
NEVER_SET = ("NODE_OPTIONS",)
_COMMAND = re.compile(r"\s*::([a-z-]+)((?: [^:]*?)?)::(.*)$")
_LEVELS = ("notice", "warning", "error")


@dataclass
class Masks:
    """Values that no output may show."""

    values: set[str] = field(default_factory=set)

    def add(self, value: str) -> None:
        """Hide the value, and each of its lines."""
        self.values |= {part for part in [value, *value.splitlines()] if part.strip()}

    def hide(self, text: str) -> str:
        """Return the text with every hidden value replaced, the longest first."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def touch(self, text: str) -> bool:
        """Tell whether the text holds a hidden value."""
        return self.hide(text) != text


@dataclass
class Listener:
    """Reads a step's output line by line; `::stop-commands::` makes it deaf until its word comes again."""

    masks: Masks
    deaf_until: str = ""

    def hear(self, line: str) -> Annotation | None:
        """Obey the command in the line, if there is one; returns the annotation it makes."""
        if self.deaf_until:
            self.deaf_until = "" if line.strip() == f"::{self.deaf_until}::" else self.deaf_until
            return None
        found = _COMMAND.match(line)
        if not found:
            return None
        name, properties, message = found[1], _properties(found[2]), _decoded(found[3])
        if name == "add-mask":
            self.masks.add(message)
        if name == "stop-commands":
            self.deaf_until = message
        if name not in _LEVELS:
            return None
        return Annotation(name, self.masks.hide(message), self.masks.hide(properties.get("title", "")))


def _properties(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.strip().split(",") if "=" in part)
    return {key.strip(): _decoded(value).replace("%3A", ":").replace("%2C", ",") for key, _, value in pairs}


def _decoded(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def assignments(text: str) -> dict[str, str]:
    """Read GITHUB_OUTPUT or GITHUB_ENV: NAME=VALUE, or NAME<<END, lines, END. Raises WorkflowError."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        # Whichever of the two comes first in the line says which form it is.
        if several := re.match(r"([^=<]+)<<(.+)$", line):
            found[several[1]] = "\n".join(_until(lines, several[2]))
        elif "=" in line and not line.startswith("="):
            name, _, value = line.partition("=")
            found[name] = value
        elif line.strip():
            raise WorkflowError(f"invalid format `{line}`")
    return found


def _until(lines: Iterable[str], end: str) -> Iterator[str]:
    for line in lines:
        if line == end:
            return
        yield line
    raise WorkflowError(f"matching delimiter not found `{end}`")
