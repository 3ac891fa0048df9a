"""CloudWatch's alarm evaluation, which the local AWS does without dimensions and missing data. Pure.

The definitions are the stack's own, as DescribeAlarms returns them; the data points are what the traffic
counted. `rehearsal/traffic.py` sets the resulting states.
"""

from __future__ import annotations

import operator
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


@dataclass(frozen=True)
class Alarm:
    """What decides an alarm's state: M (`datapoints_to_alarm`) of N (`evaluation_periods`) breach."""

    name: str
    metric: str
    dimensions: Mapping[str, str]
    period_s: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    missing_data: str = "missing"

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Alarm:
        """Read one of DescribeAlarms' metric alarms; raise ValueError for a kind not evaluated here."""
        if description.get("Statistic") != "Sum" or description.get("ComparisonOperator") not in _COMPARISONS:
            found = f"{description.get('Statistic')} {description.get('ComparisonOperator')}"
            raise ValueError(
                f"alarm `{description['AlarmName']}`: the rehearsal evaluates sums, found {found}"
            )
        periods = int(description["EvaluationPeriods"])
        return cls(
            name=description["AlarmName"],
            metric=description["MetricName"],
            dimensions={pair["Name"]: pair["Value"] for pair in description.get("Dimensions", [])},
            period_s=int(description["Period"]),
            evaluation_periods=periods,
            datapoints_to_alarm=int(description.get("DatapointsToAlarm") or periods),
            threshold=float(description["Threshold"]),
            comparison=description["ComparisonOperator"],
            missing_data=description.get("TreatMissingData") or "missing",
        )


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
