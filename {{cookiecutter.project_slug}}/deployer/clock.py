"""The clock as an argument: real time in production, compressed or virtual time in rehearsals and tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from and how waiting is done."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock's time; a signal handler may end it early by raising."""


class SystemClock:
    """Real time."""

    def now(self) -> float:
        """Return the system's time in seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        time.sleep(seconds)
