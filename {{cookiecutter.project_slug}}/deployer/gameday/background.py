"""Calls through the alias while somebody else is busy, at a bounded rate and for a bounded time. Shell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from deployer.clock import Clock
from deployer.config import ALIAS
from deployer.errors import DeployerError
from deployer.gameday.plan import PER_MINUTE

Step = Callable[[], float | None]  # does one thing; returns the seconds until the next, None for no next
Background = Callable[[Step, Clock], AbstractContextManager[None]]
_EVERY_S = 60 / PER_MINUTE
_END_WITHIN_S = 3.0


@dataclass
class Calls:
    """The owner's probe, sent through the alias: at most `most` times, and not after `until` (epoch seconds).

    `problem` is an answer that no further call would change; the calls end with it.
    """

    aws: Aws
    event: object
    clock: Clock
    most: int
    until: float
    sent: int = 0
    lost: int = 0
    problem: DeployerError | None = None

    def __call__(self) -> float | None:
        """Send one; returns how long to wait for the next. What is late is not caught up with."""
        began = self.clock.now()
        if self.sent >= self.most or began >= self.until:
            return None
        self.sent += 1
        try:
            error, _ = self.aws.invoke(ALIAS, self.event)
            self.lost += error is not None
        except Unavailable:  # throttled, or no answer: lost for whoever called
            self.lost += 1
        except DeployerError as error:
            self.lost += 1
            self.problem = error
            return None
        return max(0.0, _EVERY_S - (self.clock.now() - began))


@contextmanager
def in_thread(step: Step, clock: Clock) -> Iterator[None]:
    """Repeat a step in a thread of its own for the length of a `with` block, and no longer."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            wait_s = step()
            if wait_s is None:
                return
            clock.sleep(wait_s)

    thread = threading.Thread(target=repeat, name="gameday calls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_END_WITHIN_S)
