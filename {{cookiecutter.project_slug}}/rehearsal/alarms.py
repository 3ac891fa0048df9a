"""CloudWatch's alarm evaluation, which the local AWS does without dimensions and missing data. Pure.

The definitions are the stack's own, as DescribeAlarms returns them; the data points are what the traffic
counted. `rehearsal/traffic.py` sets the resulting states.
"""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# How many periods CloudWatch looks back beyond the ones it needs when some have no data. AWS publishes that
# it does, not the number. Source:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
EXTRA_PERIODS = 2

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_SHARE = re.compile(r"100 \* (\w+) / (\w+)")
# What was counted per minute of a metric, and of a version or (None) of all: seconds since the epoch -> sum.
Counted = Callable[[str, str | None], Mapping[int, float]]


@dataclass(frozen=True)
class Share:
    """A metric in percent of another, both of the same calls: the one expression that our alarms have."""

    part: str
    whole: str


@dataclass(frozen=True)
class Alarm:
    """What decides an alarm's state: M (`datapoints_to_alarm`) of N (`evaluation_periods`) breach.

    It counts `metric`, or `share` where that is one.
    """

    name: str
    metric: str
    dimensions: Mapping[str, str]
    period_s: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    missing_data: str = "missing"
    share: Share | None = None

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Alarm:
        """Read one of DescribeAlarms' metric alarms; raise ValueError for a kind not evaluated here."""
        what = _Counts.of_share(description) if description.get("Metrics") else _Counts.of_sum(description)
        if what is None or description.get("ComparisonOperator") not in _COMPARISONS:
            found = f"{description.get('Statistic')} {description.get('ComparisonOperator')}"
            raise ValueError(
                f"alarm `{description['AlarmName']}`: the rehearsal evaluates sums and shares of sums, "
                f"found {found}"
            )
        periods = int(description["EvaluationPeriods"])
        return cls(
            name=description["AlarmName"],
            metric=what.metric,
            dimensions=what.dimensions,
            period_s=what.period_s,
            share=what.share,
            evaluation_periods=periods,
            datapoints_to_alarm=int(description.get("DatapointsToAlarm") or periods),
            threshold=float(description["Threshold"]),
            comparison=description["ComparisonOperator"],
            missing_data=description.get("TreatMissingData") or "missing",
        )

    def points(self, counted: Counted) -> dict[int, float]:
        """Return what the alarm compares with its threshold, by the start of each period with data."""
        version = self.dimensions.get("ExecutedVersion")
        if self.share is None:
            return self._by_period(counted(self.metric, version))
        part = self._by_period(counted(self.share.part, version))
        whole = self._by_period(counted(self.share.whole, version))
        return {at: 100 * part.get(at, 0.0) / calls for at, calls in whole.items() if calls}

    def _by_period(self, minutes: Mapping[int, float]) -> dict[int, float]:
        sums: dict[int, float] = defaultdict(float)
        for at, value in minutes.items():
            sums[at // self.period_s * self.period_s] += value
        return dict(sums)


@dataclass(frozen=True)
class _Counts:
    """What an alarm counts."""

    metric: str
    dimensions: Mapping[str, str]
    period_s: int
    share: Share | None = None

    @classmethod
    def of_sum(cls, description: Mapping[str, Any]) -> _Counts | None:
        """Return the sum of one metric; None for another statistic."""
        if description.get("Statistic") != "Sum":
            return None
        return cls(description["MetricName"], _dimensions(description), int(description["Period"]))

    @classmethod
    def of_share(cls, description: Mapping[str, Any]) -> _Counts | None:
        """Return a share in percent of two sums with the same dimensions and period; None for another."""
        queries = {query["Id"]: query for query in description["Metrics"]}
        answers = [query for query in queries.values() if query.get("ReturnData", True)]
        match = _SHARE.fullmatch(answers[0].get("Expression", "")) if len(answers) == 1 else None
        if match is None or set(queries) != {answers[0]["Id"], match[1], match[2]}:
            return None
        part, whole = (queries[name].get("MetricStat", {}) for name in (match[1], match[2]))
        same = [
            (stat.get("Stat"), stat.get("Period"), _dimensions(stat.get("Metric", {})))
            for stat in (part, whole)
        ]
        if same[0] != same[1] or same[0][0] != "Sum":
            return None
        share = Share(part["Metric"]["MetricName"], whole["Metric"]["MetricName"])
        return cls("", same[0][2], int(part["Period"]), share)


def _dimensions(description: Mapping[str, Any]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in description.get("Dimensions", [])}


def evaluate(alarm: Alarm, points: Mapping[int, float], now: float, current: str) -> str:
    """Return the alarm's state: `OK`, `ALARM` or `INSUFFICIENT_DATA`.

    `points` maps the start of a period (seconds since the epoch) to its sum; a period without a point has no
    data. Only closed periods count. `current` is kept where missing data are to be ignored.
    """
    last_start = int(now // alarm.period_s) * alarm.period_s - alarm.period_s
    looked_at = alarm.evaluation_periods + EXTRA_PERIODS
    starts = [last_start - index * alarm.period_s for index in range(looked_at)]
    found = [points[start] for start in starts if start in points][: alarm.evaluation_periods]
    absent = alarm.evaluation_periods - len(found)
    breaches = _COMPARISONS[alarm.comparison]
    breaching = sum(breaches(value, alarm.threshold) for value in found)
    match alarm.missing_data:
        case "breaching":
            breaching += absent
        case "ignore" if absent and breaching < alarm.datapoints_to_alarm:
            return current
        case "missing" if not found:
            return "INSUFFICIENT_DATA"
    return "ALARM" if breaching >= alarm.datapoints_to_alarm else "OK"
