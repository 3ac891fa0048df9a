"""CloudWatch's alarms as the deployer reads them. Shell: talks through the client it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deployer.aws.errors import translated
from deployer.model import AlarmReading, AlarmState

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


def states(client: CloudWatchClient, names: tuple[str, ...]) -> dict[str, AlarmReading]:
    """Return each named alarm's state and since when; one that does not exist is MISSING.

    Composite alarms are asked for explicitly, since DescribeAlarms omits them otherwise.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    """
    states = dict.fromkeys(names, AlarmReading(AlarmState.MISSING))
    for start in range(0, len(names), 100):
        with translated("reading the alarms"):
            found = client.describe_alarms(
                AlarmNames=list(names[start : start + 100]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=100,
            )
        for alarm in [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]:
            if alarm.get("AlarmName") in states:
                since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
                state = AlarmState(alarm["StateValue"])
                states[alarm["AlarmName"]] = AlarmReading(state, since.timestamp() if since else None)
    return states


def without_data(client: CloudWatchClient, names: tuple[str, ...]) -> list[str]:
    """Return those of the alarms whose metric had no data point in two weeks (one call more for each).

    A misspelt dimension looks like this: the alarm exists and will never say anything. Composite alarms
    and metric math are not looked into.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
    """
    if not names:
        return []
    with translated("reading the alarms"):
        found = client.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm"])
    silent = []
    for alarm in found.get("MetricAlarms", []):
        if not alarm.get("MetricName"):
            continue
        wanted: Any = [{"Name": d["Name"], "Value": d["Value"]} for d in alarm.get("Dimensions", [])]
        with translated("looking for an alarm's metric"):
            known = client.list_metrics(
                Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=wanted
            )
        if not known.get("Metrics"):
            silent.append(alarm["AlarmName"])
    return silent
