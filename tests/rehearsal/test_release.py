"""The port to the local AWS: the times of alarms are the compressed clock's."""

from datetime import UTC, datetime

from rehearsal.release import use_evaluated_times


def test_an_alarm_has_the_time_it_was_evaluated_for() -> None:
    """The compressed time in StateReasonData becomes the time of the transition; without one nothing changes."""
    real = datetime(2026, 1, 1, tzinfo=UTC)
    alarms = [
        {"AlarmName": name, "StateUpdatedTimestamp": real, "StateReasonData": data}
        for name, data in (
            ("evaluated", '{"queryDate": "2026-01-01T03:00:00+00:00"}'),
            ("made by the stack", ""),
            ("of another kind", '{"version": "1.0"}'),
            ("no object", "[]"),
        )
    ]
    use_evaluated_times({"MetricAlarms": alarms}, operation_name="DescribeAlarms")
    assert [alarm.get("StateTransitionedTimestamp") for alarm in alarms] == [
        datetime(2026, 1, 1, 3, tzinfo=UTC), None, None, None,
    ]  # fmt: skip


def test_an_answer_without_alarms_is_left_alone() -> None:
    """An answer that has no alarms in it, as an error has none, is no trouble."""
    use_evaluated_times({"Error": {"Code": "Throttling"}})
