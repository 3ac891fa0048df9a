"""SIGINT and SIGTERM as a request to stop. Shell."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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
