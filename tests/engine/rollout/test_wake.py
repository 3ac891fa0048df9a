"""A rollback to a version that sleeps, is Failed, is broken or is gone: where the traffic ends, and what is said."""

from __future__ import annotations

import pytest

from deployer.aws.errors import Unavailable
from deployer.errors import DeployerError
from deployer.model import Routing
from deployer.rollout import preflight, wake
from deployer.rollout.way_back import Patience, roll_back
from engine.fakes import FakeAws, VirtualClock

DONE = "[lc1 id=99.1 from=41 to=43 step=1/0 at=1763712000 plan=aaaa st=done]"


def world() -> FakeAws:
    """Return a function whose version 43 serves, and whose version before it was 41."""
    return FakeAws(VirtualClock(), stable="43", versions={"39", "40", "41", "42", "43"}, description=DONE)


def back(aws: FakeAws) -> tuple[Routing, list[str]]:
    """Roll back and settle; return where the traffic is and what was said."""
    said: list[str] = []
    patience = Patience(aws.clock)
    done = roll_back(aws, reason="by hand", patience=patience)  # type: ignore[arg-type]
    waking = wake.Waking(aws, {"a": 1}, patience, said.append)  # type: ignore[arg-type]
    wake.settle(waking, done, reason="by hand")
    return aws.routing, said


def test_the_traffic_moves_first() -> None:
    """The write comes before the state is read and the version is woken by one harmless call."""
    aws = world()
    assert back(aws) == (Routing("41"), ["awake      version 41 serves"])
    assert (
        aws.calls.index("UpdateAlias")
        < aws.calls.index("GetFunctionConfiguration")
        < aws.calls.index("Invoke")
    )
    assert aws.events == [{"a": 1}]


def test_a_version_that_sleeps_is_woken() -> None:
    """An Inactive version refuses its first call, and has the traffic once it is Active again."""
    aws = world().given_state("41", "Inactive")
    assert back(aws) == (Routing("41"), ["awake      version 41 serves"])
    assert 20 <= aws.clock.slept <= 30


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda aws: aws.given_state("41", "Failed"), "is Failed: Lambda cannot make it ready again"),
        (
            lambda aws: setattr(aws, "wakes_in_s", 1e9) or aws.given_state("41", "Inactive"),
            "is still Pending after 120 s",
        ),
    ],
)
def test_the_next_best_version_serves_instead(spoil, problem: str) -> None:
    """A version that cannot serve is named with the reason, and the version before it has the traffic."""
    aws = world()
    spoil(aws)
    routing, said = back(aws)
    assert routing == Routing("40")
    assert said == [
        f"no way back: version 41 {problem}",
        "awake      version 40 serves",
        "next best  version 40 has the traffic instead",
    ]
    assert problem[:30] in aws.description


def test_an_error_is_an_answer() -> None:
    """A version that is older than the probe may answer with an error: it is told, and keeps the traffic."""
    aws = world()
    aws.broken_versions.add("41")
    routing, said = back(aws)
    assert (routing, len(aws.writes)) == (Routing("41"), 1)
    assert said == ["awake      version 41 answers the probe with Unhandled: broken"]


def test_what_served_until_now_is_the_last_choice() -> None:
    """When no version before can serve, the traffic returns to where it came from, and that is said."""
    aws = world()
    for version in ("39", "40", "41"):
        aws.given_state(version, "Failed")
    routing, said = back(aws)
    assert routing == Routing("43")
    assert said[-1] == "next best  version 43 has the traffic instead"


def test_none_can_serve() -> None:
    """When nothing can serve, the error lists every version that was tried."""
    aws = world()
    for version in aws.versions:
        aws.given_state(version, "Failed")
    with pytest.raises(DeployerError, match="nor can another") as caught:
        back(aws)
    assert [line.split()[1] for line in caught.value.found.splitlines()] == ["41", "40", "39", "43"]
    assert aws.routing == Routing("41")


def test_a_version_that_was_deleted_is_passed_over() -> None:
    """Where the version before is gone, UpdateAlias is refused, and the next best one has the traffic."""
    aws = world()
    aws.versions = aws.versions - {"41"}
    patience = Patience(aws.clock)
    with pytest.raises(DeployerError, match="not found"):
        roll_back(aws, reason="by hand", patience=patience)  # type: ignore[arg-type]


def test_an_aws_that_is_away_says_nothing_about_the_version() -> None:
    """An outage just after the write leaves the traffic where it went; nobody jumps to another version."""
    aws = world().given_outage(4, 3600)
    routing, said = back(aws)
    assert routing == Routing("41")
    assert said[0].startswith("not known")


@pytest.mark.parametrize("state", ["Active", "Inactive"])
def test_a_way_back_is_there(state: str) -> None:
    """A stable version that serves, or can be woken, is a way back."""
    preflight.check_way_back(world().given_state("41", state), "41")  # type: ignore[arg-type]


def test_a_start_without_a_way_back_is_refused() -> None:
    """A stable version that is Failed, or whose image is archived, is no way back: exit 5 before any traffic."""
    aws = world().given_state("41", "Failed")
    with pytest.raises(DeployerError, match="there is no way back: version 41 is Failed") as caught:
        preflight.check_way_back(aws, "41")  # type: ignore[arg-type]
    assert caught.value.exit_code == 5
    aws = world()
    digest = "sha256:" + "a" * 64
    aws._images = {"41": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/image-resizer@{digest}"}
    aws.ecr.statuses[digest] = "ARCHIVED"
    with pytest.raises(DeployerError, match=r"no way back to version 41: image .* is archived") as caught:
        preflight.check_way_back(aws, "41")  # type: ignore[arg-type]
    assert "--force" in caught.value.hint


def test_a_way_back_that_nobody_can_see_is_not_assumed() -> None:
    """An AWS that does not answer starts no rollout."""
    with pytest.raises(Unavailable):
        preflight.check_way_back(world().given_outage(1, 60), "41")  # type: ignore[arg-type]
