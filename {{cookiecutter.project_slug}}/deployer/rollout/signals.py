"""SIGINT and SIGTERM as a request to stop. Shell."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Interrupted(BaseException):
    """A signal came while AWS was only read from; whoever read has nothing to put in order."""


@dataclass
class Stop:
    """Set by a signal handler; looked at between calls, so that no write is torn apart.

    `at` is when the first signal came, by the clock `now`; None without one.
    """

    signal: str | None = None
    at: float | None = None
    now: Callable[[], float] | None = None
    _is_reading: bool = False

    def __call__(self, name: str) -> None:
        """Ask for an orderly end. Raises Interrupted out of `reading`."""
        self.signal = self.signal or name
        if self.at is None and self.now is not None:
            self.at = self.now()
        if self._is_reading:
            self._is_reading = False
            raise Interrupted

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let a signal end what is inside at once: a read that hangs must not use up a cancelled job's time.

        Raises Interrupted.
        """
        self._is_reading = True
        try:
            if self.signal:
                raise Interrupted
            yield
        finally:
            self._is_reading = False


@contextmanager
def signals_to(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a call of `stop` with the signal's name, for the length of a `with` block.

    GitHub sends SIGINT on cancel and SIGTERM 7.5 s later. Source:
    https://docs.github.com/actions/reference/workflow-cancellation-reference
    """

    def ask(number: int, _frame: FrameType | None) -> None:
        stop(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
