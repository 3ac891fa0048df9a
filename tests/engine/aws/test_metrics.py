"""Both versions' numbers, call by call against botocore's own model of CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from deployer.aws.errors import Unavailable
from deployer.aws.metrics import Baseline, Metrics, Series
from deployer.judge.counts import Block, Counts, Minute

FN = "image-resizer-production"
MINUTE = 1_763_712_000


@pytest.fixture
def cloudwatch():
    """Return a client and its stub; nothing leaves this process."""
    client = boto3.client(
        "cloudwatch", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def moment(at):
    """Return seconds since the epoch as CloudWatch's timestamps come."""
    return datetime.fromtimestamp(at, tz=UTC)


def series(name, values, status="Complete"):
    """Return one series of an answer: {start of the minute: value}."""
    return {
        "Id": name,
        "Timestamps": [moment(at) for at in values],
        "Values": list(values.values()),
        "StatusCode": status,
    }


def query(name, metric, version, statistic, period=60):
    """Return one query as CloudWatch must get it: a version's own numbers behind the alias."""
    dimensions = {"FunctionName": FN, "Resource": f"{FN}:live", "ExecutedVersion": version}
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": period,
            "Stat": statistic,
        },
    }


def test_both_versions_are_read_in_one_call(cloudwatch):
    """Eight series with three dimensions each, from the first step's minute to the present one."""
    client, stub = cloudwatch
    wanted = []
    for role, version in (("stable", "41"), ("canary", "42")):
        wanted += [
            query(f"{role}_invocations", "Invocations", version, "Sum"),
            query(f"{role}_errors", "Errors", version, "Sum"),
            query(f"{role}_throttles", "Throttles", version, "Sum"),
            query(f"{role}_slow", "Duration", version, "TC(200:)"),
        ]
    stub.add_response(
        "get_metric_data",
        {
            "MetricDataResults": [
                series("stable_invocations", {MINUTE: 90.0, MINUTE + 60: 91.0}),
                series("stable_errors", {MINUTE: 0.0, MINUTE + 60: 1.0}),
                series("canary_invocations", {MINUTE: 10.0}),
                series("canary_errors", {MINUTE: 2.0}),
                series("canary_slow", {MINUTE: 3.0}),
                series("canary_throttles", {MINUTE: 4.0}),
            ]
        },
        {
            "MetricDataQueries": wanted,
            "StartTime": moment(MINUTE),
            "EndTime": moment(MINUTE + 120),
            "ScanBy": "TimestampAscending",
        },
    )
    assert Metrics(client, FN).minutes(("41", "42"), MINUTE + 7, MINUTE + 61.5, 200.0) == (
        Minute(MINUTE, canary=Counts(10, 2, 3, 4), stable=Counts(90)),
        Minute(MINUTE + 60, canary=Counts(), stable=Counts(91, 1)),
    )


def test_pages_are_put_together(cloudwatch):
    """A long answer comes in pages; a series that goes on in the next page is incomplete in the first."""
    client, stub = cloudwatch
    stub.add_response(
        "get_metric_data",
        {"MetricDataResults": [series("stable_invocations", {MINUTE: 1.0}, "PartialData")], "NextToken": "t"},
    )
    stub.add_response(
        "get_metric_data", {"MetricDataResults": [series("stable_invocations", {MINUTE + 60: 2.0})]}
    )
    found = Metrics(client, FN).minutes(("41", "42"), MINUTE, MINUTE + 60, None)
    assert [minute.stable.calls for minute in found] == [1, 2]


@pytest.mark.parametrize("status", ["InternalError", "Forbidden", "PartialData"])
def test_a_series_that_could_not_be_read_is_not_zero(cloudwatch, status):
    """CloudWatch answers 200 with an empty series and a status: that is no minute without errors."""
    client, stub = cloudwatch
    results = [series("canary_invocations", {MINUTE: 10.0}), series("canary_errors", {}, status)]
    stub.add_response("get_metric_data", {"MetricDataResults": results})
    with pytest.raises(Unavailable, match="canary_errors"):
        Metrics(client, FN).minutes(("41", "42"), MINUTE, MINUTE, None)


def test_the_hour_before(cloudwatch):
    """Calls, errors and durations of the hour that ends with the minute before the rollout."""
    client, stub = cloudwatch
    stub.add_response(
        "get_metric_data",
        {
            "MetricDataResults": [
                series("calls", {MINUTE - 3600: 1000.0}),
                series("errors", {MINUTE - 3600: 3.0}),
                series("p50", {MINUTE - 3600: 180.5}),
                series("p99", {MINUTE - 3600: 900.0}),
            ]
        },
        {
            "MetricDataQueries": [
                query("calls", "Invocations", "41", "Sum", 3600),
                query("errors", "Errors", "41", "Sum", 3600),
                query("p50", "Duration", "41", "p50", 3600),
                query("p99", "Duration", "41", "p99", 3600),
            ],
            "StartTime": moment(MINUTE - 3600),
            "EndTime": moment(MINUTE),
            "ScanBy": "TimestampAscending",
        },
    )
    assert Metrics(client, FN).baseline("41", MINUTE + 59) == Baseline(Counts(1000, 3), 180.5, 900.0)


def test_throttling_is_not_an_answer(cloudwatch):
    """A throttled read is Unavailable, never an empty rollout."""
    client, stub = cloudwatch
    stub.add_client_error("get_metric_data", "Throttling", "Rate exceeded", http_status_code=400)
    with pytest.raises(Unavailable):
        Metrics(client, FN).baseline("41", MINUTE)


def test_the_apps_own_failures_take_the_place_of_errors():
    """With errors_from = "app" only that one series changes: the app's metric, by its own version dimension."""
    asked = Metrics(None, FN, counts_failures=True)
    failures = asked._query("canary_errors", Series("42", "Errors", "Sum"), 60)["MetricStat"]["Metric"]
    assert (failures["Namespace"], failures["MetricName"]) == (FN, "Failures")
    assert failures["Dimensions"] == [{"Name": "service", "Value": FN}, {"Name": "version", "Value": "42"}]
    calls = asked._query("canary_invocations", Series("42", "Invocations", "Sum"), 60)
    assert calls == query("canary_invocations", "Invocations", "42", "Sum")


def test_the_week_of_the_alias(cloudwatch):
    """Each minute's calls, errors and throttles, whatever version, up to the last full hour ten minutes ago."""
    client, stub = cloudwatch
    hour = MINUTE // 3600 * 3600
    stub.add_response(
        "get_metric_data",
        {
            "MetricDataResults": [
                series("calls", {hour - 60: 9.0, hour - 900: 1.0}),
                series("errors", {hour - 60: 2.0}),
                series("throttles", {hour - 7 * 24 * 3600: 3.0}),
            ]
        },
        {
            "MetricDataQueries": [
                {
                    "Id": name,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/Lambda",
                            "MetricName": metric,
                            "Dimensions": [
                                {"Name": "FunctionName", "Value": FN},
                                {"Name": "Resource", "Value": f"{FN}:live"},
                            ],
                        },
                        "Period": 60,
                        "Stat": "Sum",
                    },
                }
                for name, metric in (
                    ("errors", "Errors"),
                    ("throttles", "Throttles"),
                    ("calls", "Invocations"),
                )
            ],
            "StartTime": moment(hour - 7 * 24 * 3600),
            "EndTime": moment(hour),
            "ScanBy": "TimestampAscending",
        },
    )
    metrics = Metrics(client, FN)
    found = metrics.history(hour + 600)
    assert metrics.history(hour + 4199) is found, "one call for the plan, the gate and the alarm"
    assert (found.until, len(found.calls), found.calls[-1], found.errors[-1]) == (hour, 7 * 24 * 60, 9, 2)
    assert (found.throttles[0], sum(found.throttles)) == (3, 3)
    assert (len(found.blocks), found.blocks[-1], found.blocks[0]) == (7 * 24 * 4, Block(10, 2), Block())


def test_an_app_metric_has_no_errors_of_the_week(cloudwatch):
    """The app's own metric has no series of all versions together: calls are known, how errors came is not."""
    client, stub = cloudwatch
    found = {"MetricDataResults": [series("calls", {MINUTE // 3600 * 3600 - 3660: 9.0})]}
    stub.add_response("get_metric_data", found)
    week = Metrics(client, FN, counts_failures=True).history(MINUTE)
    assert (sum(week.calls), week.blocks) == (9, ())
