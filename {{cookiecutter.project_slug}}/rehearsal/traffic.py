"""Requests through the alias, with Lambda's router, its metrics and CloudWatch's alarms played. Shell.

The local AWS ignores an alias's weights, publishes metrics by function name only and evaluates alarms
without their dimensions. So the router reads the alias, draws a version by its weights and invokes that
version; what it counted is published as Lambda would publish it, late as Lambda does, and the function's
alarms, the canary's included, are evaluated on it and set.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from deployer.report.page.timeline import Sample
from rehearsal.alarms import Alarm, evaluate
from rehearsal.clock import CompressedClock
from rehearsal.ledger import ALIAS, MINUTE_S, Counted, Ledger, metric_data

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient

WORKERS = 3
LATE_S = 30  # how long after its end a minute is published: what the engine's settling time is for
LOOK_EVERY_REAL_S = 0.2
MAX_REQUESTS = 20_000
# The key of StateReasonData in which CloudWatch says when it evaluated an alarm.
QUERY_DATE = "queryDate"
# Where a command of the product writes down the calls it made through the alias, one JSON list a line.
CALLS = "events-of-calls.jsonl"


@dataclass(frozen=True)
class Route:
    """Where an alias sends its traffic; `share` is the canary's, 0 to 1."""

    stable: str
    canary: str | None = None
    share: float = 0.0

    def draw(self, chance: random.Random) -> str:
        """Return the version that gets one request, by the weights, as Lambda does: independent draws."""
        return self.canary if self.canary and chance.random() < self.share else self.stable


@dataclass(frozen=True)
class Target:
    """The function under traffic, the event it is sent, and the clients to reach it.

    `calls` is the file in which others write down theirs.
    """

    function: str
    event: Any
    lambda_client: LambdaClient
    cloudwatch: CloudWatchClient
    clock: CompressedClock
    calls: Path


@dataclass
class Watch:
    """What is known while traffic runs; the live view reads it. `description` is the alias's own."""

    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list)
    route: Route | None = None
    alarms: dict[str, str] = field(default_factory=dict)
    description: str = ""
    problem: str = ""
    calls_read: int = 0


@contextlib.contextmanager
def flowing(target: Target, *, per_s: float, seed: str, look: Callable[[Watch], None]) -> Iterator[Watch]:
    """Send `per_s` requests in each real second for the length of a `with` block.

    `look` is called after each look at the alias and the alarms, about five times a second. On leaving,
    everything counted has been published.
    """
    watch, stop = Watch(), threading.Event()
    target.calls.unlink(missing_ok=True)
    published: set[tuple[int, str]] = set()
    _look(target, watch, published)
    threads = [
        threading.Thread(
            target=_send,
            args=(target, watch, stop, (per_s / WORKERS, random.Random(f"{seed}/{number}"))),
            daemon=True,
        )
        for number in range(WORKERS)
    ]

    def observe() -> None:
        while not stop.wait(LOOK_EVERY_REAL_S):
            try:
                _look(target, watch, published)
            except (BotoCoreError, ClientError) as error:
                watch.problem = str(error)
            look(watch)

    threads.append(threading.Thread(target=observe, daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
        _publish(target, watch.ledger, float("inf"), published)


def _send(target: Target, watch: Watch, stop: threading.Event, pace: tuple[float, random.Random]) -> None:
    """Send one worker's requests, evenly, until told to stop."""
    per_s, chance = pace
    payload = json.dumps(target.event).encode()
    due = time.monotonic()
    for _ in range(MAX_REQUESTS // WORKERS):
        # A worker that is late does not catch up: a burst would only queue.
        due = max(due + chance.uniform(0.5, 1.5) / per_s, time.monotonic())
        if stop.wait(due - time.monotonic()) or watch.route is None:
            return
        version = watch.route.draw(chance)
        asked = time.monotonic()
        outcome = _invoke(target, version, payload)
        took_ms = round(1000 * (time.monotonic() - asked))
        # Lambda stamps a request's start. Here a minute takes about a second, so a request of a second would
        # be counted in a minute that closed long ago: its end is stamped instead.
        watch.ledger.add(target.clock.now(), version, outcome, took_ms)


def _invoke(target: Target, version: str, payload: bytes) -> str:
    """Invoke one version; returns `ok`, `error` or `throttled`."""
    try:
        answer = target.lambda_client.invoke(FunctionName=target.function, Qualifier=version, Payload=payload)
        answer["Payload"].read()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        return "throttled" if code == "TooManyRequestsException" else "error"
    except BotoCoreError:
        return "error"
    return "error" if answer.get("FunctionError") else "ok"


def _definitions(target: Target) -> list[Alarm]:
    """Read the alarms on this function; a rollout adds one for its canary."""
    found = target.cloudwatch.describe_alarms(AlarmNamePrefix=f"{target.function}-")["MetricAlarms"]
    return [Alarm.from_description(description) for description in found]


def _look(target: Target, watch: Watch, published: set[tuple[int, str]]) -> None:
    """Read the alias, publish the minutes that closed, evaluate the alarms, take a sample."""
    alias = target.lambda_client.get_alias(FunctionName=target.function, Name=ALIAS)
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    canary, share = next(iter(weights.items()), (None, 0.0))
    watch.route = Route(alias["FunctionVersion"], canary, share)
    watch.description = alias.get("Description", "")
    now = target.clock.now()
    _take_in(target, watch)
    _publish(target, watch.ledger, now, published)
    definitions = _definitions(target)
    for alarm in definitions:
        points = alarm.points(watch.ledger.points)
        state = evaluate(alarm, points, now, watch.alarms.get(alarm.name, "INSUFFICIENT_DATA"))
        if watch.alarms.get(alarm.name) != state:
            evaluated = json.dumps({QUERY_DATE: datetime.fromtimestamp(now, UTC).isoformat()})
            change: Any = {"AlarmName": alarm.name, "StateValue": state, "StateReasonData": evaluated}
            target.cloudwatch.set_alarm_state(**change, StateReason="evaluated by the rehearsal")
            watch.alarms[alarm.name] = state
    for name in set(watch.alarms) - {alarm.name for alarm in definitions}:
        del watch.alarms[name]
    sample = Sample(now, watch.route.stable, canary, round(share * 100), dict(watch.alarms))
    if not watch.samples or _differs(watch.samples[-1], sample):
        watch.samples.append(sample)


def _take_in(target: Target, watch: Watch) -> None:
    """Count the calls that others wrote down since the last time; half a line waits for its end."""
    if not target.calls.exists():
        return
    lines = target.calls.read_text(encoding="utf-8").split("\n")[:-1]
    for line in lines[watch.calls_read :]:
        at, version, outcome, took_ms = json.loads(line)
        watch.ledger.add(at, version, outcome, took_ms)
    watch.calls_read = len(lines)


def _publish(target: Target, ledger: Ledger, now: float, published: set[tuple[int, str]]) -> None:
    """Put the metrics of every minute that closed, and is due, since the last time."""
    for (minute, version), row in ledger.rows().items():
        if minute + MINUTE_S + LATE_S <= now and (minute, version) not in published:
            published.add((minute, version))
            counted = Counted(minute, version, row, ledger.durations(minute, version))
            data: Any = metric_data(target.function, counted)
            target.cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=data)


def _differs(before: Sample, after: Sample) -> bool:
    """Tell whether anything but the time changed."""
    return (before.stable, before.canary, before.weight_pct, before.alarms) != (
        after.stable, after.canary, after.weight_pct, after.alarms,
    )  # fmt: skip
