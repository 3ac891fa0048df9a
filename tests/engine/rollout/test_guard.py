"""The canary's alarm: what is asked of CloudWatch, when it would fire, and that none is left behind."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from botocore.session import Session
from botocore.stub import Stubber

from deployer.errors import DeployerError
from deployer.judge.counts import Counts
from deployer.rollout.guard import BAD_MINUTES, EVALUATED_MINUTES, Guard, threshold

FN = "image-resizer-production"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:image-resizer-production-rollouts"


@pytest.fixture
def guard() -> Guard:
    """Return a guard whose client can only be called through a stub."""
    client = Session().create_client(
        "cloudwatch", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return Guard(client, FN, TOPIC)


@pytest.fixture
def cloudwatch(guard: Guard) -> Iterator[Stubber]:
    """Return the stub; every queued answer must have been asked for."""
    with Stubber(guard.client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def test_alarm_watches_the_canary_alone(guard: Guard, cloudwatch: Stubber) -> None:
    """The alarm sees the errors of one version behind the alias, and publishes to the topic."""
    cloudwatch.add_response(
        "put_metric_alarm",
        {},
        {
            "AlarmName": f"{FN}-canary-42",
            "AlarmDescription": "Version 42 failed as a canary: the guard gives the traffic back",
            "AlarmActions": [TOPIC],
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [
                {"Name": "FunctionName", "Value": FN},
                {"Name": "Resource", "Value": f"{FN}:live"},
                {"Name": "ExecutedVersion", "Value": "42"},
            ],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 8,
            "DatapointsToAlarm": 7,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "missing",
        },
    )
    assert guard.arm("42", Counts()) == f"{FN}-canary-42"


def test_alarm_that_cannot_be_put_stops_the_start(guard: Guard, cloudwatch: Stubber) -> None:
    """A role without the right to put it is told so, before any traffic."""
    cloudwatch.add_client_error("put_metric_alarm", "AccessDenied", "not allowed to PutMetricAlarm")
    with pytest.raises(
        DeployerError, match="putting alarm `image-resizer-production-canary-42`: not allowed"
    ):
        guard.arm("42", Counts())


def queue_alarms(cloudwatch: Stubber, *names: str) -> None:
    """Let CloudWatch list these alarms."""
    cloudwatch.add_response(
        "describe_alarms",
        {"MetricAlarms": [{"AlarmName": name} for name in names]},
        {"AlarmNamePrefix": f"{FN}-canary-", "AlarmTypes": ["MetricAlarm"]},
    )


def test_alarms_of_lost_rollouts_are_deleted_too(guard: Guard, cloudwatch: Stubber) -> None:
    """Every canary's alarm goes, whichever rollout put it, but the one that is still needed."""
    names = [f"{FN}-canary-{version}" for version in (40, 41, 42)]
    queue_alarms(cloudwatch, *names)
    cloudwatch.add_response("delete_alarms", {}, {"AlarmNames": names[:2]})
    assert guard.disarm(keep="42") == tuple(names[:2])


def test_deleting_again_changes_nothing(guard: Guard, cloudwatch: Stubber) -> None:
    """Without an alarm nothing is deleted."""
    queue_alarms(cloudwatch)
    assert guard.disarm() == ()


def test_somebody_else_may_delete_first(guard: Guard, cloudwatch: Stubber) -> None:
    """An alarm that is gone between the two calls is what was wanted."""
    queue_alarms(cloudwatch, f"{FN}-canary-42")
    cloudwatch.add_client_error("delete_alarms", "ResourceNotFound", "no such alarm")
    assert guard.disarm() == (f"{FN}-canary-42",)


def test_one_bad_event_or_a_short_outage_never_fires_it() -> None:
    """Three attempts of an asynchronous event, and five minutes that hit both versions, are too few minutes."""
    attempts, outage = 3, 5 + 1  # five minutes touch six on the clock
    assert max(attempts, outage) < BAD_MINUTES <= EVALUATED_MINUTES


@pytest.mark.parametrize(
    ("errors", "expected"),
    [(0, 1), (1, 1), (6, 2), (60, 5), (600, 29), (12_000, 440)],
    ids=str,
)
def test_threshold_grows_with_what_is_usual(errors: int, expected: int) -> None:
    """It is what the stable version did in the hour before, for twice the traffic, and some chance."""
    assert threshold(Counts(calls=1_000_000, errors=errors)) == expected


def chance_per_minute(mean: float, limit: int) -> float:
    """Return P(X >= limit) of a Poisson variable."""
    below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(limit))
    return max(0.0, 1.0 - below)


@pytest.mark.parametrize("per_minute", [10, 100, 1000, 10_000])
@pytest.mark.parametrize("rate", [0.001, 0.005, 0.02])
def test_healthy_canary_does_not_fire_it(per_minute: int, rate: float) -> None:
    """With all traffic for an hour, a canary that is no worse fires it in less than one release of 10 000."""
    per_hour = round(60 * per_minute * rate)
    limit = threshold(Counts(calls=60 * per_minute, errors=per_hour))
    bad = chance_per_minute(per_minute * rate, limit)
    windows = sum(
        math.comb(EVALUATED_MINUTES, m) * bad**m * (1 - bad) ** (EVALUATED_MINUTES - m)
        for m in range(BAD_MINUTES, EVALUATED_MINUTES + 1)
    )
    assert 60 * windows < 0.0001


@pytest.mark.parametrize("per_minute", [10, 100, 1000, 10_000])
@pytest.mark.parametrize("weight", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.0, 0.005])
def test_total_failure_fires_it(per_minute: int, weight: float, rate: float) -> None:
    """A canary that fails every call is beyond the threshold each minute, if it gets two calls in one."""
    limit = threshold(Counts(calls=60 * per_minute, errors=round(60 * per_minute * rate)))
    assert per_minute * weight >= limit or per_minute * weight < 2
