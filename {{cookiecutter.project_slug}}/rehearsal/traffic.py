"""Requests through the alias, with Lambda's router, its metrics and CloudWatch's alarms played. Shell.

The local AWS ignores an alias's weights, publishes metrics by function name only and evaluates alarms
without their dimensions. So the router reads the alias, draws a version by its weights and invokes that
version; what it counted is published as Lambda would publish it, and the stack's own alarms are evaluated on
it and set.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from deployer.timeline import Sample, Served
from rehearsal.alarms import Alarm, evaluate
from rehearsal.clock import CompressedClock

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient

ALIAS = "live"
MINUTE_S = 60
WORKERS = 3
LOOK_EVERY_REAL_S = 0.2
MAX_REQUESTS = 20_000


@dataclass(frozen=True)
class Route:
    """Where an alias sends its traffic; `share` is the canary's, 0 to 1."""

    stable: str
    canary: str | None = None
    share: float = 0.0

    def draw(self, chance: random.Random) -> str:
        """Return the version that gets one request, by the weights, as Lambda does: independent draws."""
        return self.canary if self.canary and chance.random() < self.share else self.stable


@dataclass
class Ledger:
    """What was counted, by minute and version: requests, errors, throttles. Safe for several threads."""

    counts: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, at: float, version: str, outcome: str) -> None:
        """Count one request at the time `at`; a throttled one is neither an invocation nor an error.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        minute = int(at // MINUTE_S) * MINUTE_S
        with self.lock:
            row = self.counts[(minute, version)]
            if outcome == "throttled":
                row[2] += 1
            else:
                row[0] += 1
                row[1] += outcome == "error"

    def rows(self) -> dict[tuple[int, str], tuple[int, int, int]]:
        """Return a copy of everything counted."""
        with self.lock:
            return {key: (row[0], row[1], row[2]) for key, row in self.counts.items()}

    def points(self, metric: str) -> dict[int, float]:
        """Return the sums per minute of one of Lambda's metrics over all versions of the alias."""
        column = {"Invocations": 0, "Errors": 1, "Throttles": 2}[metric]
        sums: dict[int, float] = {}
        for (minute, _), row in self.rows().items():
            sums[minute] = sums.get(minute, 0.0) + row[column]
        return sums

    def served(self, since: float, until: float) -> tuple[Served, ...]:
        """Return the counts of the minutes between two moments; a throttled request failed for its caller."""
        return tuple(
            Served(float(minute), version, requests + throttles, errors + throttles)
            for (minute, version), (requests, errors, throttles) in sorted(self.rows().items())
            if since - MINUTE_S < minute < until
        )


def s3_event(bucket: str, key: str, region: str) -> dict[str, Any]:
    """Return the event S3 sends for a created object (its fields a handler may rely on)."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 1024, "sequencer": "0"},
        },
    }
    return {"Records": [record]}


def metric_data(function: str, minute: int, version: str, row: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Return one minute of one version as Lambda publishes it: for the alias and for the version."""
    requests, errors, throttles = row
    alias = [
        {"Name": "FunctionName", "Value": function},
        {"Name": "Resource", "Value": f"{function}:{ALIAS}"},
    ]
    of_version = [*alias, {"Name": "ExecutedVersion", "Value": version}]
    totals = {
        "Invocations": (requests, requests),
        "Errors": (errors, requests),
        "Throttles": (throttles, requests),
    }
    return [
        {
            "MetricName": name,
            "Dimensions": dimensions,
            "Timestamp": minute,
            "Unit": "Count",
            # 1 for each request it happened to and 0 for the others, so that sum and sample count are right.
            "Values": [1.0, 0.0],
            "Counts": [float(yes), float(max(of - yes, 0))],
        }
        for name, (yes, of) in totals.items()
        for dimensions in (alias, of_version)
    ]


@dataclass(frozen=True)
class Target:
    """The function under traffic, what it is sent (each event as often), and the clients to reach it."""

    function: str
    events: Sequence[Mapping[str, Any]]
    lambda_client: LambdaClient
    cloudwatch: CloudWatchClient
    clock: CompressedClock


@dataclass
class Watch:
    """What is known while traffic runs; the live view reads it."""

    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list)
    route: Route | None = None
    alarms: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@contextlib.contextmanager
def flowing(target: Target, *, per_s: float, seed: str, look: Callable[[Watch], None]) -> Iterator[Watch]:
    """Send `per_s` requests in each real second for the length of a `with` block.

    `look` is called after each look at the alias and the alarms, about five times a second. On leaving,
    everything counted has been published.
    """
    watch, stop = Watch(), threading.Event()
    definitions = _definitions(target)
    published: set[tuple[int, str]] = set()
    _look(target, watch, definitions, published)
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
                _look(target, watch, definitions, published)
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


def _send(target: Target, watch: Watch, stop: threading.Event, pace: tuple[float, random.Random]) -> None:
    """Send one worker's requests, evenly, until told to stop."""
    per_s, chance = pace
    payloads = [json.dumps(event).encode() for event in target.events]
    due = time.monotonic()
    for _ in range(MAX_REQUESTS // WORKERS):
        # A worker that is late does not catch up: a burst would only queue.
        due = max(due + chance.uniform(0.5, 1.5) / per_s, time.monotonic())
        if stop.wait(due - time.monotonic()) or watch.route is None:
            return
        version = watch.route.draw(chance)
        outcome = _invoke(target, version, chance.choice(payloads))
        # Lambda stamps a request's start. Here a minute takes about a second, so a request of a second would
        # be counted in a minute that closed long ago: its end is stamped instead.
        watch.ledger.add(target.clock.now(), version, outcome)


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
    """Read the stack's alarms on this function's alias."""
    found = target.cloudwatch.describe_alarms(AlarmNamePrefix=f"{target.function}-")["MetricAlarms"]
    return [Alarm.from_description(description) for description in found]


def _look(target: Target, watch: Watch, definitions: list[Alarm], published: set[tuple[int, str]]) -> None:
    """Read the alias, publish the minutes that closed, evaluate the alarms, take a sample."""
    alias = target.lambda_client.get_alias(FunctionName=target.function, Name=ALIAS)
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    canary, share = next(iter(weights.items()), (None, 0.0))
    watch.route = Route(alias["FunctionVersion"], canary, share)
    now = target.clock.now()
    _publish(target, watch.ledger, now, published)
    for alarm in definitions:
        state = evaluate(alarm, watch.ledger.points(alarm.metric), now, watch.alarms.get(alarm.name, ""))
        if watch.alarms.get(alarm.name) != state:
            change: Any = {"AlarmName": alarm.name, "StateValue": state}
            target.cloudwatch.set_alarm_state(**change, StateReason="evaluated by the rehearsal")
            watch.alarms[alarm.name] = state
    sample = Sample(now, watch.route.stable, canary, round(share * 100), dict(watch.alarms))
    if not watch.samples or _differs(watch.samples[-1], sample):
        watch.samples.append(sample)


def _publish(target: Target, ledger: Ledger, now: float, published: set[tuple[int, str]]) -> None:
    """Put the metrics of every minute that closed since the last time."""
    for (minute, version), row in ledger.rows().items():
        if minute + MINUTE_S <= now and (minute, version) not in published:
            published.add((minute, version))
            data: Any = metric_data(target.function, minute, version, row)
            target.cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=data)


def _differs(before: Sample, after: Sample) -> bool:
    """Tell whether anything but the time changed."""
    return (before.stable, before.canary, before.weight_pct, before.alarms) != (
        after.stable, after.canary, after.weight_pct, after.alarms,
    )  # fmt: skip
