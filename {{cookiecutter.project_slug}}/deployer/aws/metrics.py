"""Both versions' own numbers per minute, read from CloudWatch. Shell: talks through the client `aws` made.

Behind an alias Lambda publishes each version's numbers under three dimensions: FunctionName, Resource
(`fn:alias`) and ExecutedVersion; direct invocations of a version appear under another Resource.
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deployer.aws.errors import Unavailable, translated
from deployer.config import ALIAS
from deployer.judge.counts import Counts, Minute, Week

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

MINUTE_S = 60
HOUR_S = 3600
KNOWN_AFTER_S = 600  # the last errors of an hour may come late
WEEK_S = 7 * 24 * HOUR_S
NAMESPACE = "AWS/Lambda"


@dataclass(frozen=True)
class Baseline:
    """What the stable version did in the hour before the rollout; durations in milliseconds, 0 if unknown."""

    counts: Counts = field(default_factory=Counts)
    p50_ms: float = 0.0
    p99_ms: float = 0.0


@dataclass(frozen=True)
class Series:
    """One metric: which statistic of what. Without a version it is the alias's, both versions together."""

    version: str | None
    metric: str
    statistic: str


class Metrics:
    """The numbers of one alias. Each method is one GetMetricData call, whatever the length of the rollout.

    `weeks` keeps those that were read, by their end. With `counts_failures` the app's own metric `Failures`
    takes the place of Lambda's `Errors`: what the function handled, and answered without doing its work, is
    no error to Lambda.
    """

    def __init__(
        self,
        client: CloudWatchClient,
        function_name: str,
        weeks: dict[int, Week] | None = None,
        *,
        counts_failures: bool = False,
    ) -> None:
        self._client = client
        self._function_name = function_name
        self._counts_failures = counts_failures
        self._weeks = {} if weeks is None else weeks

    def baseline(self, stable: str, until: int) -> Baseline:
        """Return what the stable version did in the hour that ends at `until` (seconds since the epoch)."""
        wanted = {
            "calls": Series(stable, "Invocations", "Sum"),
            "errors": Series(stable, "Errors", "Sum"),
            "p50": Series(stable, "Duration", "p50"),
            "p99": Series(stable, "Duration", "p99"),
        }
        start = until // MINUTE_S * MINUTE_S - HOUR_S
        found = self._read(wanted, start, start + HOUR_S, HOUR_S)
        calls, errors = (sum(found[name].values()) for name in ("calls", "errors"))
        # The hour may come back in two parts: counts add up, percentiles do not.
        p50_ms, p99_ms = (max(found[name].values(), default=0.0) for name in ("p50", "p99"))
        return Baseline(Counts(calls=round(calls), errors=errors), p50_ms=p50_ms, p99_ms=p99_ms)

    def history(self, until: float) -> Week:
        """Return what the alias, both versions together, did in each minute of a week.

        The week ends with the last full hour at least 10 minutes before `until` (seconds since the epoch), so
        that whoever resumes a rollout reads the same. Its errors are Lambda's own, also where the gate
        compares the app's metric: that has no series of the alias. 30 240 points are one call, made once.
        Source: up to 100 800, https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
        """
        end = int(until - KNOWN_AFTER_S) // HOUR_S * HOUR_S
        if end not in self._weeks:
            self._weeks[end] = self._week(end)
        return self._weeks[end]

    def _week(self, end: int) -> Week:
        wanted = {name: Series(None, name.capitalize(), "Sum") for name in ("errors", "throttles")}
        wanted["calls"] = Series(None, "Invocations", "Sum")
        found = self._read(wanted, end - WEEK_S, end, MINUTE_S)
        minutes = range(end - WEEK_S, end, MINUTE_S)
        return Week(
            until=end,
            calls=tuple(found["calls"].get(at, 0.0) for at in minutes),
            errors=tuple(found["errors"].get(at, 0.0) for at in minutes),
            throttles=tuple(found["throttles"].get(at, 0.0) for at in minutes),
            counts_errors=not self._counts_failures,
        )

    def minutes(
        self, versions: tuple[str, str], since: int, until: float, slow_ms: float | None
    ) -> tuple[Minute, ...]:
        """Return what (stable, canary) did in each minute from `since` to `until`, oldest first.

        `slow_ms` is the duration beyond which a call counts as slow; None leaves durations out.
        A minute without a data point has zero calls: CloudWatch keeps none for a minute without any.
        """
        wanted: dict[str, Series] = {}
        for role, version in zip(("stable", "canary"), versions, strict=True):
            for metric in ("Invocations", "Errors", "Throttles"):
                wanted[f"{role}_{metric.lower()}"] = Series(version, metric, "Sum")
            if slow_ms is not None:
                wanted[f"{role}_slow"] = Series(version, "Duration", f"TC({slow_ms:.0f}:)")
        start = since // MINUTE_S * MINUTE_S
        end = (int(until) // MINUTE_S + 1) * MINUTE_S
        found = self._read(wanted, start, end, MINUTE_S)
        moments = sorted({at for values in found.values() for at in values})
        return tuple(
            Minute(at, canary=_counts(found, "canary", at), stable=_counts(found, "stable", at))
            for at in moments
        )

    def _read(
        self, wanted: Mapping[str, Series], start: int, end: int, period_s: int
    ) -> dict[str, dict[int, float]]:
        """Return each series as {start of the period: value}. Raises Unavailable.

        Source: the last page's StatusCode of a series is Complete unless its points are not all there,
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html
        """
        queries: Any = [self._query(name, series, period_s) for name, series in wanted.items()]
        found: dict[str, dict[int, float]] = {name: {} for name in wanted}
        status: dict[str, str] = {}
        with translated("reading the versions' metrics"):
            pages = self._client.get_paginator("get_metric_data").paginate(
                MetricDataQueries=queries,
                StartTime=datetime.fromtimestamp(start, tz=UTC),
                EndTime=datetime.fromtimestamp(end, tz=UTC),
                ScanBy="TimestampAscending",
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    values = found[result["Id"]]
                    status[result["Id"]] = result.get("StatusCode", "Complete")
                    for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                        values[int(moment.timestamp())] = value
        # A series CloudWatch could not read comes back empty, and empty would read as no errors.
        unread = sorted(name for name, code in status.items() if code != "Complete")
        if unread:
            raise Unavailable(f"CloudWatch could not read {', '.join(unread)}", found=status[unread[0]])
        return found

    def _query(self, name: str, series: Series, period_s: int) -> dict[str, Any]:
        dimensions = {
            "FunctionName": self._function_name,
            "Resource": f"{self._function_name}:{ALIAS}",
        }
        if series.version is not None:
            dimensions["ExecutedVersion"] = series.version
        namespace, metric_name = NAMESPACE, series.metric
        if series.metric == "Errors" and series.version is not None and self._counts_failures:
            namespace, metric_name = self._function_name, "Failures"
            dimensions = {"service": self._function_name, "version": series.version}
        metric = {
            "Namespace": namespace,
            "MetricName": metric_name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
        return {
            "Id": name,
            "MetricStat": {"Metric": metric, "Period": period_s, "Stat": series.statistic},
        }


def _counts(found: Mapping[str, Mapping[int, float]], role: str, at: int) -> Counts:
    def value(name: str) -> float:
        return found.get(f"{role}_{name}", {}).get(at, 0.0)

    return Counts(
        calls=round(value("invocations")),
        errors=value("errors"),
        slow=round(value("slow")),
        throttles=round(value("throttles")),
    )
