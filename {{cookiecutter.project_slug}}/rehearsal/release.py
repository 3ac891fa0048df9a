"""The door to the product: one `deployer` command in a process of its own, on the compressed clock. Shell.

    python -m rehearsal.release CLOCK PACKAGE COMMAND…

CLOCK is `CompressedClock.to_text`, PACKAGE `image` or `zip`. A process of its own, so that a rehearsal can
kill it with -9 as a lost runner would be. When its standard input closes it ends as after Ctrl-C.

The local AWS stamps an alarm's state with real time, while the engine compares it with the compressed clock:
DescribeAlarms' answers are given the time at which `rehearsal/traffic.py` evaluated the alarm instead. It
also ignores an alias's weights and counts nothing by version: a command that calls the alias draws the
version itself and writes the call down, which `rehearsal/traffic.py` counts and publishes with the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from deployer.aws.client import Aws, AwsFactory, connect
from deployer.cli import main as cli
from deployer.config import ALIAS, Config
from rehearsal.away import may_be_away
from rehearsal.clock import CompressedClock
from rehearsal.traffic import CALLS, QUERY_DATE, Route
from rehearsal.zip_function import connect_zip

ORDERLY_END_S = 10.0


def main(argv: list[str]) -> int:
    """Run the command and return the deployer's exit code."""
    clock, package, *command = argv
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    own = CompressedClock.from_text(clock)
    return cli.main(command, clock=own, aws=factory(package, own))


def factory(package: str, clock: CompressedClock) -> AwsFactory:
    """Return what connects the deployer to the local AWS for a function packaged as `image` or `zip`."""
    make = connect_zip if package == "zip" else connect

    def connected(config: Config, environment: str) -> Aws:
        aws = make(config, environment)
        aws.cloudwatch.meta.events.register("after-call.cloudwatch.DescribeAlarms", use_evaluated_times)
        route_calls(aws, clock, Path.cwd())
        may_be_away(aws, Path.cwd())
        return aws

    return connected


def route_calls(aws: Aws, clock: CompressedClock, folder: Path) -> None:
    """Let each call of the alias reach the version that its weights say, and be written down."""
    invoke, chance = aws.invoke, random.Random()

    def routed(version: str, event: object) -> tuple[str | None, Any]:
        if version != ALIAS:
            return invoke(version, event)
        routing = aws.alias().routing
        drawn = Route(routing.stable, routing.canary, routing.weight_pct / 100).draw(chance)
        began = clock.now()
        answer = invoke(drawn, event)
        ended = clock.now()
        call = [ended, drawn, "error" if answer[0] else "ok", round(1000 * (ended - began))]
        with (folder / CALLS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(call) + "\n")
        return answer

    aws.invoke = routed  # type: ignore[method-assign]


def use_evaluated_times(parsed: dict[str, Any], **_: object) -> None:
    """Give each alarm of DescribeAlarms' answer the time its state was evaluated for, where it is known."""
    for alarm in parsed.get("MetricAlarms", []):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            evaluated = json.loads(alarm.get("StateReasonData", ""))[QUERY_DATE]
            alarm["StateTransitionedTimestamp"] = datetime.fromisoformat(evaluated)


def _end_with_stdin() -> None:
    """Wait for the end of standard input, then interrupt the command, and at last kill it."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORDERLY_END_S)
    os._exit(130)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
