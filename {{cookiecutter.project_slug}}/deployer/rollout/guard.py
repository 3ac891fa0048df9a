"""The alarm on a canary's own errors, which wakes the stack's guard function. Shell.

It is the third line of defence: put before any traffic moves, it works when nobody watches any more. The
alarm publishes to the rollout topic, and the guard (inline in infra/service.yaml) gives the traffic back.
When the release is done the alarm stays for a while, with what was usual last week for its threshold.

It is not among the alarms the gate watches. The gate judges the same errors by comparison, minute by minute;
a canary that is called rarely has minutes without data, and the alarm's INSUFFICIENT_DATA would then hold up
a release that the comparison has already measured. When it fires, the rollout reads in the marker that the
guard acted, whatever the gate saw.

Source: a version's errors behind an alias have the dimensions FunctionName, Resource and ExecutedVersion,
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployer.aws.errors import NotFound, translated
from deployer.aws.metrics import MINUTE_S, NAMESPACE
from deployer.config import ALIAS
from deployer.judge.armed import threshold as threshold_of_week
from deployer.judge.counts import Counts, Week
from deployer.model import AliasState, RolloutState, Routing

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

# Seven of eight: the alarm cannot compare, and an outage of five minutes that hits both versions spoils six.
# One bad event spoils three, since Lambda tries an asynchronous one three times.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
EVALUATED_MINUTES = 8
BAD_MINUTES = 7
_BUSIER = 2.0  # how much busier than the hour before a minute of the rollout may be


def threshold(before: Counts) -> int:
    """Return from how many errors on a minute of the canary counts as bad; at least 1.

    `before` is what the stable version did in the hour before. As many errors as it made, at twice the
    traffic, plus two standard deviations of a Poisson variable: a canary that is no worse passes even with
    all traffic. The chance of seven such minutes in eight is below 1 in 10 000 per hour.
    """
    expected = _BUSIER * before.errors / 60
    return max(1, math.ceil(expected + 2 * math.sqrt(expected)))


def alarm_name(function_name: str, version: str) -> str:
    """Return the name of a canary's alarm, by which the guard function knows the version."""
    return f"{function_name}-canary-{version}"


def armed_until(alias: AliasState, armed_s: int) -> float | None:
    """Return until when the alarm of a release that is done stays armed; None where nothing is.

    A release without places was never watched, and one whose traffic somebody moved since is not what it was.
    """
    marker = alias.marker
    if marker is None or marker.state is not RolloutState.DONE or not marker.weights:
        return None
    return marker.at + armed_s if alias.routing == Routing(marker.to_version) else None


@dataclass(frozen=True)
class Guard:
    """The alarms of one function's canaries; `topic_arn` is what they publish to.

    An alarm fires when `bad_minutes` of `evaluated_minutes` in a row are bad.
    """

    client: CloudWatchClient
    function_name: str
    topic_arn: str
    evaluated_minutes: int = EVALUATED_MINUTES
    bad_minutes: int = BAD_MINUTES

    def alarm_name(self, version: str) -> str:
        """Return the name by which the guard function knows the version."""
        return alarm_name(self.function_name, version)

    def arm(self, version: str, before: Counts, *, stable: str | None = None) -> str:
        """Put the version's alarm, whether it exists or not, and return its name.

        Its description names the version to go back to, for a guard that cannot read the rollout's marker.
        """
        what = "the guard gives the traffic back" + (f" to version {stable}" if stable else "")
        name = self.alarm_name(version)
        dimensions = {
            "FunctionName": self.function_name,
            "Resource": f"{self.function_name}:{ALIAS}",
            "ExecutedVersion": version,
        }
        with translated(f"putting alarm `{name}`"):
            self.client.put_metric_alarm(
                AlarmName=name,
                AlarmDescription=f"Version {version} failed as a canary: {what}",
                AlarmActions=[self.topic_arn],
                Namespace=NAMESPACE,
                MetricName="Errors",
                Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
                Statistic="Sum",
                Period=MINUTE_S,
                EvaluationPeriods=self.evaluated_minutes,
                DatapointsToAlarm=self.bad_minutes,
                Threshold=threshold(before),
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="missing",
            )
        return name

    def arm_done(self, version: str, stable: str, week: Week, until: float) -> str | None:
        """Put the version's alarm for the time after its release, and return when it fires; None: never.

        It counts the alias's calls whatever version, for all of them are the new version's. `until` is when
        it ends, in seconds since the epoch: the guard takes nothing back later, whoever deletes the alarm.
        """
        found = threshold_of_week(week)
        if found is None:
            return None
        name, alias = self.alarm_name(version), f"{self.function_name}:{ALIAS}"
        dimensions = [
            {"Name": "FunctionName", "Value": self.function_name},
            {"Name": "Resource", "Value": alias},
        ]
        series = [
            {
                "Id": name_of,
                "MetricStat": {
                    "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions},
                    "Period": found.period_s,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for name_of, metric in (("errors", "Errors"), ("calls", "Invocations"))
        ]
        share = {"Id": "share", "Expression": "100 * errors / calls", "Label": "failing calls in percent"}
        metrics: Any = [{**share, "ReturnData": True}, *series]
        with translated(f"putting alarm `{name}`"):
            self.client.put_metric_alarm(
                AlarmName=name,
                AlarmDescription=f"Version {version} failed after its release, armed until {until:.0f}: "
                f"the guard gives the traffic back to version {stable}",
                AlarmActions=[self.topic_arn],
                Metrics=metrics,
                EvaluationPeriods=found.periods,
                DatapointsToAlarm=found.periods,
                Threshold=found.share_pct,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="ignore",
            )
        return str(found)

    def disarm(self, *, keep: str | None = None) -> tuple[str, ...]:
        """Delete the alarms of all canaries but version `keep`, also of rollouts that were lost.

        Returns their names; none is left when it is repeated.
        """
        prefix = self.alarm_name("")
        with translated("looking for canary alarms"):
            pages = self.client.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"]
            )
            found = [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
        kept = self.alarm_name(keep) if keep is not None else None
        names = tuple(name for name in found if name.startswith(prefix) and name != kept)
        for start in range(0, len(names), 100):
            try:
                with translated("deleting canary alarms"):
                    self.client.delete_alarms(AlarmNames=list(names[start : start + 100]))
            except NotFound:
                continue  # somebody else was faster
        return names
