"""What a command holds: settings, environment, and the ports to the world. Pure: it names no room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deployer.clock import Clock
from deployer.config import Config


class Output(Protocol):
    """Where a command speaks; `deployer.report.console` has the one that people and GitHub hear."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the environment of the process, which in a GitHub job says which run this is."""

    def say(self, text: str) -> None:
        """Print a line as it is."""

    def say_decision(self, text: str) -> None:
        """Print a decision."""

    def set_output(self, name: str, value: str) -> None:
        """Hand a value to the next steps of a GitHub job."""

    def summarize(self, markdown: str) -> None:
        """Add to the summary page of a GitHub job."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Keep one event of the rollout."""


@dataclass(frozen=True)
class Context:
    """What every command needs.

    `root` is the folder of the settings file: all that the repository owns is looked up in it. `connect`
    reaches AWS; `deployer.aws.client.reach` calls it, so that this module need not know what it returns.
    """

    config: Config
    root: Path
    environment: str
    output: Output
    clock: Clock
    connect: Callable[[Config, str], Any]
