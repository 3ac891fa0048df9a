"""The router's draws, the ledger, and what is published."""

import random

from deployer.judge.counts import Block, Dispersion
from deployer.judge.dispersion import dispersion
from rehearsal.ledger import MOST_VALUES, Counted, Ledger, metric_data, week_before
from rehearsal.traffic import Route


def test_router_follows_the_weights() -> None:
    """Over many independent draws the canary gets its share, within the chance that has."""
    route, chance = Route("1", "2", 0.1), random.Random(7)  # noqa: S311  # traffic, not a secret
    drawn = [route.draw(chance) for _ in range(20_000)]
    assert 0.09 < drawn.count("2") / len(drawn) < 0.11
    assert set(drawn) == {"1", "2"}


def test_router_without_canary_sends_everything_to_stable() -> None:
    """An alias without weights has one version only."""
    chance = random.Random(1)  # noqa: S311  # traffic, not a secret
    assert {Route("7").draw(chance) for _ in range(100)} == {"7"}


def test_throttled_requests_are_neither_invocations_nor_errors() -> None:
    """A throttled request counts as Throttles only, and as lost for who sent it."""
    ledger = Ledger()
    for outcome in ("ok", "error", "throttled"):
        ledger.add(125.0, "3", outcome)
    assert ledger.points("Invocations") == {120: 2.0}
    assert ledger.points("Errors") == {120: 1.0}
    assert ledger.points("Throttles") == {120: 1.0}
    [served] = ledger.served(100.0, 200.0)
    assert (served.requests, served.errors) == (3, 2)


def test_alarms_see_all_versions_of_the_alias() -> None:
    """A minute's sum is over both versions, as the alias's own metric is."""
    ledger = Ledger()
    ledger.add(60.0, "1", "error")
    ledger.add(61.0, "2", "error")
    assert ledger.points("Errors") == {60: 2.0}


def test_the_canarys_alarm_sees_one_version() -> None:
    """An alarm on a version counts that version's errors only."""
    ledger = Ledger()
    ledger.add(60.0, "1", "error")
    ledger.add(61.0, "2", "error")
    ledger.add(62.0, "2", "ok")
    assert ledger.points("Errors", "2") == {60: 1.0}
    assert ledger.points("Invocations", "2") == {60: 2.0}


def test_metrics_have_lambdas_dimensions() -> None:
    """Each metric is published for the alias and for the version behind it, with sum and sample count right."""
    data = metric_data("fn", Counted(120, "3", (10, 4, 1)))
    errors = [datum for datum in data if datum["MetricName"] == "Errors"]
    assert [[pair["Name"] for pair in datum["Dimensions"]] for datum in errors] == [
        ["FunctionName", "Resource"],
        ["FunctionName", "Resource", "ExecutedVersion"],
    ]
    assert {pair["Value"] for pair in errors[1]["Dimensions"]} == {"fn", "fn:live", "3"}
    for datum in errors:
        sums = sum(v * c for v, c in zip(datum["Values"], datum["Counts"], strict=True))
        assert (sums, sum(datum["Counts"]), datum["Timestamp"]) == (4.0, 10.0, 120)


def test_durations_are_published_one_by_one() -> None:
    """Each duration is there as often as it occurred, so that percentiles and counts above a limit are right."""
    ledger = Ledger()
    for took_ms in (20, 20, 900):
        ledger.add(125.0, "3", "ok", took_ms)
    data = metric_data("fn", Counted(120, "3", (3, 0, 0), ledger.durations(120, "3")))
    durations = [datum for datum in data if datum["MetricName"] == "Duration"]
    assert len(durations) == 2
    for datum in durations:
        assert (datum["Values"], datum["Counts"], datum["Unit"]) == (
            [20.0, 900.0],
            [2.0, 1.0],
            "Milliseconds",
        )


def test_many_durations_fit_what_one_datum_may_hold() -> None:
    """More different durations than one datum may have are spread over several."""
    data = metric_data("fn", Counted(120, "3", (400, 0, 0), range(400)))
    durations = [datum for datum in data if datum["MetricName"] == "Duration"]
    assert all(len(datum["Values"]) <= MOST_VALUES for datum in durations)
    assert sum(sum(datum["Counts"]) for datum in durations) == 2 * 400


def test_the_past_is_calm_and_a_week_long():
    """A rollout that reads it finds a measured history in which errors came each by itself."""
    parts = week_before("fn", 10_000_000.0, 20.0)
    assert all(len(part) <= 1000 for part in parts)
    calls = {d["Timestamp"]: d["Value"] for part in parts for d in part if d["MetricName"] == "Invocations"}
    assert (len(calls), min(calls), max(calls)) == (672, 9_999_900 - 604_800, 9_999_000)
    assert dispersion([Block(value, 0.0) for value in calls.values()], exposure_min=8.0) == Dispersion()
