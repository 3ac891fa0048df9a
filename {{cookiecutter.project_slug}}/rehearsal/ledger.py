"""What traffic counted, and how Lambda publishes it. Pure but for the ledger's lock."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.judge.counts import BLOCK_S
from deployer.report.page.timeline import Served

ALIAS = "live"
MINUTE_S = 60
WEEK_S = 7 * 24 * 3600
MOST_DATA = 1000  # of one PutMetricData
MOST_VALUES = 150  # of one datum of PutMetricData


@dataclass
class Ledger:
    """What was counted, by minute and version: requests, errors, throttles, and how long each took (ms).

    Safe for several threads.
    """

    counts: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    took_ms: dict[tuple[int, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, at: float, version: str, outcome: str, took_ms: int = 0) -> None:
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
                self.took_ms[(minute, version)].append(took_ms)

    def rows(self) -> dict[tuple[int, str], tuple[int, int, int]]:
        """Return a copy of everything counted."""
        with self.lock:
            return {key: (row[0], row[1], row[2]) for key, row in self.counts.items()}

    def durations(self, minute: int, version: str) -> list[int]:
        """Return how long each request of one minute took, in milliseconds."""
        with self.lock:
            return list(self.took_ms.get((minute, version), ()))

    def points(self, metric: str, version: str | None = None) -> dict[int, float]:
        """Return the sums per minute of one of Lambda's metrics, of one version or of the whole alias."""
        column = {"Invocations": 0, "Errors": 1, "Throttles": 2}[metric]
        sums: dict[int, float] = {}
        for (minute, of), row in self.rows().items():
            if version in (None, of):
                sums[minute] = sums.get(minute, 0.0) + row[column]
        return sums

    def served(self, since: float, until: float) -> tuple[Served, ...]:
        """Return the counts of the minutes between two moments; a throttled request failed for its caller."""
        return tuple(
            Served(float(minute), version, requests + throttles, errors + throttles)
            for (minute, version), (requests, errors, throttles) in sorted(self.rows().items())
            if since - MINUTE_S < minute < until
        )


@dataclass(frozen=True)
class Counted:
    """One minute of one version: requests, errors, throttles, and how long the requests took (ms)."""

    minute: int
    version: str
    row: tuple[int, int, int]
    took_ms: Sequence[int] = ()


def metric_data(function: str, counted: Counted) -> list[dict[str, Any]]:
    """Return one minute of one version as Lambda publishes it: for the alias and for the version."""
    requests, errors, throttles = counted.row
    alias = [
        {"Name": "FunctionName", "Value": function},
        {"Name": "Resource", "Value": f"{function}:{ALIAS}"},
    ]
    of_version = [*alias, {"Name": "ExecutedVersion", "Value": counted.version}]
    # 1 for each request it happened to and 0 for the others, so that sum and sample count are right.
    values = [
        (name, "Count", [(1.0, yes), (0.0, max(requests - yes, 0))])
        for name, yes in (("Invocations", requests), ("Errors", errors), ("Throttles", throttles))
    ]
    durations = sorted(Counter(counted.took_ms).items())
    parts = [durations[start : start + MOST_VALUES] for start in range(0, len(durations), MOST_VALUES)]
    values += [("Duration", "Milliseconds", [(float(took), times) for took, times in part]) for part in parts]
    return [
        {
            "MetricName": name,
            "Dimensions": dimensions,
            "Timestamp": counted.minute,
            "Unit": unit,
            "Values": [value for value, _ in seen],
            "Counts": [float(times) for _, times in seen],
        }
        for name, unit, seen in values
        for dimensions in (alias, of_version)
    ]


def week_before(function: str, now: float, per_s: float) -> list[list[dict[str, Any]]]:
    """Return a week of calm traffic of the alias as parts of one PutMetricData each, without any error.

    A rollout measures on it how errors come; a function without a past would be judged more carefully.
    """
    names = {"FunctionName": function, "Resource": f"{function}:{ALIAS}"}
    dimensions = [{"Name": name, "Value": value} for name, value in names.items()]
    end = int(now) // BLOCK_S * BLOCK_S
    data: list[dict[str, Any]] = [
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Unit": "Count", "Value": value}
        for at in range(end - WEEK_S, end, BLOCK_S)
        for name, value in (("Invocations", per_s * BLOCK_S), ("Errors", 0.0))
    ]
    return [data[start : start + MOST_DATA] for start in range(0, len(data), MOST_DATA)]
