"""What a rehearsal shows while it runs: a live table on a terminal, plain lines elsewhere. Shell."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rehearsal.clock import CompressedClock
from rehearsal.traffic import Route, Watch

PLAIN_EVERY_S = 5.0
# Every resource of a stack, every step of a Dockerfile, outputs for GitHub, every look of the engine: all of
# it is in the logs of a real release, and the live table shows the last.
_LEFT_OUT = re.compile(r"\s+\w+ \w+ AWS::|\[\S+ \d+/\d+\]|\w+=|now tell|\s+gh variable|wait  +step")
_COLOURS = {"OK": "green", "ALARM": "bold red", "INSUFFICIENT_DATA": "yellow"}


@dataclass
class View:
    """Prints what happens. `engine` is the last thing the deployer said."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    engine: str = ""
    _live: Live | None = None
    _told_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, line: str, style: str = "") -> None:
        """Print one line."""
        with self._lock:
            self.console.print(escape(line), style=style)

    def heading(self, title: str, story: str) -> None:
        """Print the beginning of an act."""
        with self._lock:
            self.console.print()
            self.console.print(escape(title), style="bold")
            self.console.print(escape(story), style="dim")

    def heard(self, line: str) -> None:
        """Take one line of the deployer's output; what a reader of a rehearsal need not see is left out."""
        self.engine = line.strip()
        if not _LEFT_OUT.match(line):
            style = "red" if line.startswith("error") else "dim" if line.startswith(("wait", " ")) else ""
            self.say(f"  | {line.rstrip()}", style)

    @contextlib.contextmanager
    def traffic(self) -> Iterator[None]:
        """Show the live table for the length of a `with` block, if this is a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=6, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def look(self, watch: Watch, clock: CompressedClock, since: float) -> None:
        """Show where the traffic goes now."""
        if self._live is not None:
            self._live.update(_table(watch, clock.now() - since, self.engine))
        elif time.monotonic() - self._told_at >= PLAIN_EVERY_S:
            self._told_at = time.monotonic()
            self.say(f"  {_line(watch, clock.now() - since)}")


def _totals(watch: Watch) -> dict[str, tuple[int, int]]:
    """Return requests and failures by version, the lowest version first."""
    totals: dict[str, tuple[int, int]] = {}
    for (_, version), (requests, errors, throttles) in watch.ledger.rows().items():
        before = totals.get(version, (0, 0))
        totals[version] = (before[0] + requests + throttles, before[1] + errors + throttles)
    return dict(sorted(totals.items(), key=lambda item: (len(item[0]), item[0])))


def _share(route: Route | None, version: str) -> int:
    """Return a version's share of the traffic in per cent."""
    if route is None:
        return 0
    canary = round(route.share * 100)
    if version == route.canary:
        return canary
    return 100 - canary if version == route.stable else 0


def _table(watch: Watch, elapsed_s: float, engine: str) -> Group:
    """Return the live table."""
    table = Table(title=f"minute {elapsed_s / 60:.1f} of the release", title_justify="left", min_width=64)
    for name in ("version", "weight"):
        table.add_column(name)
    for name in ("requests", "failed"):
        table.add_column(name, justify="right")
    totals = _totals(watch)
    route = watch.route
    versions = list(dict.fromkeys([*totals, *([route.stable] if route else [])]))
    if route and route.canary and route.canary not in versions:
        versions.append(route.canary)
    for version in versions:
        requests, failed = totals.get(version, (0, 0))
        share = _share(route, version)
        role = "canary" if route and version == route.canary else "stable" if share else "left"
        bar = Text("█" * round(share / 5), "cyan" if role == "canary" else "white") + Text(f" {share} %")
        table.add_row(
            f"{version} {role}", bar, str(requests), Text(str(failed), "bold red" if failed else "")
        )
    alarms = Text("alarms  ")
    for name, state in sorted(watch.alarms.items()):
        alarms += Text(f"{name} ") + Text(f"{state}  ", _COLOURS.get(state, ""))
    return Group(table, alarms, Text(f"engine  {engine}", "cyan"))


def count(requests: int) -> str:
    """Return a number of requests in words."""
    return f"{requests} request{'s' * (requests != 1)}"


def _line(watch: Watch, elapsed_s: float) -> str:
    """Return the same as one plain line."""
    route, totals = watch.route, _totals(watch)
    parts = [
        f"version {version}: {_share(route, version)} %, {count(requests)}, {failed} failed"
        for version, (requests, failed) in totals.items()
    ]
    states = [f"{name} {state}" for name, state in sorted(watch.alarms.items()) if state != "OK"]
    return f"minute {elapsed_s / 60:.1f}: " + "; ".join([*parts, *(states or ["alarms OK"])])
