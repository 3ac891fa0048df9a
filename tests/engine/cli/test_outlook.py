"""What `plan` prints about the rollout to come, literally."""

from __future__ import annotations

from deployer.cli.outlook import describe
from deployer.config import Environment
from deployer.drivers import costs
from deployer.judge.auto import Places, Route
from deployer.judge.counts import Dispersion
from deployer.judge.estimate import Choice, Estimate, duration_s, estimate
from deployer.judge.forecast import Forecast
from deployer.judge.planned import Outlook
from deployer.judge.power import Traffic
from deployer.model import Ends, Step
from generating import GENERATED

AUTO = Environment(steps="auto")
FOUND = Forecast(found=1.0, found_min=5.0, failed=25.4, search_min=0, total_min=5)
MISSED = Forecast(found=0.0, found_min=None, failed=0.06, search_min=0, total_min=31)


def test_the_whole_text_with_traffic():
    """The places, what they find and at what price, how long it takes, and what another goal would cost."""
    found = Estimate(
        outlook=Outlook(Traffic(100, 0.001), Dispersion(2.4), has_calls=True),
        places=Places(
            Route.SEARCH,
            (Step(0.5, 720, Ends.SHOWN), Step(50, 1200, Ends.SIMILAR, 5.0), Step(95, 600)),
            5.0,
            2,
            11,
        ),
        healthy=Forecast(found=0.0, found_min=None, failed=1.6, search_min=17.2, total_min=30.2),
        longest_min=54,
        detections=((100.0, FOUND), (2.0, MISSED)),
        smallest_pct=3,
        frontier=(Choice(2.0, 60, 48.3, FOUND), Choice(5.0, 30, 30.2, FOUND)),
    )
    assert describe(AUTO, found).splitlines() == [
        "last week, at this time of day: 100 calls per minute or more; 0.1 % of all calls failed",
        "errors came in runs last week: 2.4 count as one",
        "",
        "place   weight   judged for        over",
        "    1    0.5 %   up to 12 min      as soon as a version that fails every call would have been found",
        "    2     50 %   up to 20 min      as soon as the new version is at most 5 points worse, with 95 %",
        "    3     95 %   10 min            after that time",
        "find_pct = 2 takes longer than within_s = 1800 with this traffic: it searches for 5 points",
        "",
        "canary fails   found    after   failed requests",
        "       100 %   100 %    5 min                25",
        "         2 %     0 %        -              0.06",
        "",
        "19 of 20 releases that fail 3 % of their calls or more are found",
        "searching ends after 17 min, done after 30 min, at most 54 min without a pause; 31 runner minutes",
        'driver = "durable" waits without a runner; it is recommended above 30 minutes',
        "",
        "find_pct   within_s   done after   found   failed requests of a release that is that much worse",
        "       2       3600       48 min   100 %                25",
        "       5       1800       30 min   100 %                25 *",
    ]


def test_the_example_of_the_docs_is_what_plan_prints():
    """docs/release.md shows what `plan` prints with the settings of a new repository and 100 calls a minute."""
    found = estimate(AUTO, Outlook(Traffic(100, 0.001), has_calls=True))
    said = f"{describe(AUTO, found)}\n{costs.describe('runner', duration_s(found))}"
    shown = "\n".join(f"    {line}".rstrip() for line in said.splitlines())
    assert shown in (GENERATED / "docs" / "release.md").read_text(encoding="utf-8")


def test_the_whole_text_without_traffic():
    """Where traffic proves nothing, that is said in capitals, with what is done instead."""
    found = Estimate(
        outlook=Outlook(),
        places=Places(Route.NONE, (Step(50, 600),)),
        healthy=Forecast(found=0.0, found_min=None, failed=0.0, search_min=0.0, total_min=13.0),
        longest_min=14,
        detections=((100.0, MISSED),),
        smallest_pct=None,
    )
    assert describe(AUTO, found).splitlines() == [
        "last week: no calls in the metrics",
        "",
        "place   weight   judged for        over",
        "    1     50 %   10 min            after that time",
        "",
        "canary fails   found    after   failed requests",
        "       100 %     0 %        -              0.06",
        "",
        "THIS TRAFFIC PROVES NOTHING: a version that fails every call may not be noticed. The sample "
        "(smoke/sample.toml) is sent to it three times before any traffic, and its alarm stays armed for a day "
        "after it is done",
        "done after 13 min, at most 14 min without a pause; 13 runner minutes",
    ]
