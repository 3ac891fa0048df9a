"""After a game day: go on calling until the alarms it set off are quiet again. Shell; changes nothing.

A release of staging without steps is refused while one of its alarms is in ALARM. Where nobody else calls, an
alarm that gets no more data stays as it is for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from deployer.aws.errors import Unavailable
from deployer.gameday.background import Calls
from deployer.gameday.plan import CALM_CALLS, CALM_WITHIN_S
from deployer.gameday.trial import GameDay
from deployer.model import AlarmReading, AlarmState

_LOOK_S = 5.0


def wait(day: GameDay, names: tuple[str, ...], before: Mapping[str, AlarmReading]) -> None:
    """Wait, a few minutes at most, until no alarm is in ALARM that was not before; say which still is.

    A signal ends it at once: everything has been put back by then.
    """
    clock, ours = day.context.clock, [name for name in names if before[name].state is not AlarmState.ALARM]
    until = clock.now() + CALM_WITHIN_S
    calls = Calls(day.aws, day.probe, clock, CALM_CALLS, until)
    firing = _firing(day, ours)
    if not firing:
        return
    day.context.output.say(f"calming    {', '.join(firing)}: calling the live version until it is quiet")
    with day.background(calls, clock):
        while firing and clock.now() < until and not day.stop.signal and calls.problem is None:
            clock.sleep(_LOOK_S)
            with suppress(Unavailable):
                firing = _firing(day, ours)
    if firing:
        day.context.output.say(
            f"left over  {', '.join(firing)} still in ALARM: a release without steps is refused meanwhile"
        )


def _firing(day: GameDay, names: list[str]) -> list[str]:
    found = day.aws.alarms(tuple(names))
    return sorted(name for name, reading in found.items() if reading.state is AlarmState.ALARM)
