"""A clock that runs faster than real time, the same in every process of a rehearsal. Shell."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class CompressedClock:
    """Implements `deployer.clock.Clock`; both origins are seconds since the epoch.

    At the real time `real_origin` it shows `origin`, and from then on `speed` seconds pass in each real one.
    """

    origin: float
    real_origin: float
    speed: float

    @classmethod
    def starting_now(cls, speed: float) -> CompressedClock:
        """Return a clock that shows the real time now and runs ahead of it from then on."""
        now = time.time()
        return cls(now, now, speed)

    @classmethod
    def from_text(cls, text: str) -> CompressedClock:
        """Return the clock another process wrote with `to_text`; raise ValueError for anything else."""
        origin, real_origin, speed = (float(part) for part in text.split("/"))
        if speed <= 0:
            raise ValueError(f"a clock must run forwards, found speed {speed:g}")
        return cls(origin, real_origin, speed)

    def to_text(self) -> str:
        """Return what `from_text` turns into an equal clock."""
        return f"{self.origin!r}/{self.real_origin!r}/{self.speed!r}"

    def now(self) -> float:
        """Return this clock's seconds since the epoch."""
        return self.origin + (time.time() - self.real_origin) * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""
        time.sleep(max(seconds, 0.0) / self.speed)

    def skip(self, seconds: float) -> None:
        """Go on from so much later; only while no other process uses the clock."""
        self.origin += seconds

    def run_at(self, speed: float) -> None:
        """Go on from the time it shows at another speed; only while no other process uses the clock."""
        real = time.time()
        # Never backwards for a thread that reads in between: the new origin lies on the old line.
        self.origin, self.real_origin, self.speed = self.now(), real, speed
