"""The alarms' evaluation, as tables."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rehearsal.alarms import Alarm, evaluate

TWO_OF_THREE = Alarm(
    name="image-resizer-production-errors",
    metric="Errors",
    dimensions={"FunctionName": "image-resizer-production"},
    period_s=60,
    evaluation_periods=3,
    datapoints_to_alarm=2,
    threshold=1.0,
    comparison="GreaterThanOrEqualToThreshold",
)


def points(text: str) -> dict[int, float]:
    """Turn a word per minute into data: `-` none, `0` zero, `x` beyond the threshold; the oldest first."""
    return {60 * index: 5.0 if word == "x" else 0.0 for index, word in enumerate(text.split()) if word != "-"}


@pytest.mark.parametrize(
    ("history", "state"),
    [
        pytest.param("0 0 0 0 0", "OK", id="no minute breaches"),
        pytest.param("0 0 x 0 0", "OK", id="one of three breaches"),
        pytest.param("0 0 x 0 x", "ALARM", id="two of three breach"),
        pytest.param("x x 0 0 0", "OK", id="the breaches are over"),
        pytest.param("- - - - -", "INSUFFICIENT_DATA", id="there is no data"),
        pytest.param("- - - - 0", "OK", id="the first data are good"),
        pytest.param("- - - - x", "OK", id="one breach of one is not two"),
        pytest.param("x x - - 0", "ALARM", id="older data stand in for missing ones"),
    ],
)
def test_alarm_is_m_of_n_closed_minutes(history: str, state: str) -> None:
    """An alarm is ALARM when M of the last N minutes breach, and never OK without data."""
    assert evaluate(TWO_OF_THREE, points(history), now=300.0, current="OK") == state


@pytest.mark.parametrize(
    ("missing", "state"),
    [("missing", "INSUFFICIENT_DATA"), ("ignore", "ALARM"), ("breaching", "ALARM"), ("notBreaching", "OK")],
)
def test_missing_data_are_treated_as_the_alarm_says(missing: str, state: str) -> None:
    """Without any data the alarm's own rule decides; `ignore` keeps the current state."""
    assert evaluate(replace(TWO_OF_THREE, missing_data=missing), {}, now=300.0, current="ALARM") == state


def test_the_open_minute_does_not_count() -> None:
    """Errors of the minute that still runs change nothing until it is over."""
    assert evaluate(TWO_OF_THREE, points("0 0 0 x x"), now=299.0, current="OK") == "OK"
    assert evaluate(TWO_OF_THREE, points("0 0 0 x x"), now=300.0, current="OK") == "ALARM"


def test_an_alarm_is_read_as_cloudwatch_describes_it() -> None:
    """M defaults to N and missing data to `missing`, as in CloudWatch."""
    description = {
        "AlarmName": "a",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    alarm = Alarm.from_description(description)
    assert (alarm.datapoints_to_alarm, alarm.missing_data) == (3, "missing")


SHARE: dict[str, Any] = {
    "AlarmName": "after a release",
    "Metrics": [
        {"Id": "share", "Expression": "100 * errors / calls", "ReturnData": True},
        *(
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": metric,
                        "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
                    },
                    "Period": 300,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for name, metric in (("errors", "Errors"), ("calls", "Invocations"))
        ),
    ],
    "EvaluationPeriods": 3,
    "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "ignore",
}


def test_an_alarm_on_a_share_divides_sums_of_its_period() -> None:
    """Errors in percent of calls, each summed over the period; one without calls has no data."""
    counts = {"Errors": {0: 1.0, 240: 1.0, 300: 0.0}, "Invocations": {0: 5.0, 240: 5.0, 300: 4.0, 900: 0.0}}
    alarm = Alarm.from_description(SHARE)
    found = alarm.points(lambda metric, version: {} if version else counts[metric])
    assert found == {0: 20.0, 300: 0.0}
    assert evaluate(alarm, dict.fromkeys((0, 300, 600), 10.0), now=900.0, current="OK") == "ALARM"
    assert evaluate(alarm, {0: 10.0, 300: 9.9, 600: 10.0}, now=900.0, current="OK") == "OK"


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(
            lambda alarm: alarm["Metrics"][0].update(Expression="errors / calls"), id="another expression"
        ),
        pytest.param(lambda alarm: alarm["Metrics"][1]["MetricStat"].update(Period=60), id="two periods"),
        pytest.param(lambda alarm: alarm["Metrics"][1]["MetricStat"].update(Stat="Average"), id="no sum"),
        pytest.param(lambda alarm: alarm["Metrics"][2].update(ReturnData=True), id="two answers"),
        pytest.param(lambda alarm: alarm["Metrics"].pop(), id="a series that is not there"),
    ],
)
def test_other_metric_math_is_refused(alter: Callable[[dict[str, Any]], Any]) -> None:
    """An expression that the rehearsal does not evaluate is an error, not an alarm that is always OK."""
    description = copy.deepcopy(SHARE)
    alter(description)
    with pytest.raises(ValueError, match="the rehearsal evaluates sums and shares of sums"):
        Alarm.from_description(description)


def test_an_alarm_that_cannot_be_evaluated_is_refused() -> None:
    """An alarm of a kind the rehearsal does not know is an error, not one that is always OK."""
    description = {"AlarmName": "slow", "Statistic": "Average", "ComparisonOperator": "GreaterThanThreshold"}
    with pytest.raises(ValueError, match="alarm `slow`: the rehearsal evaluates sums"):
        Alarm.from_description(description)
