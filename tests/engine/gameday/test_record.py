"""What a game day writes down, and what the next start makes of it."""

from __future__ import annotations

import pytest

from deployer.canary import marker as markers
from deployer.errors import DeployerError, Exit
from deployer.gameday import record
from deployer.gameday.record import Leftover
from deployer.model import AliasState, AliasWrite, Routing

DONE = "mine [lc1 id=9.1 from=40 to=41 step=1/0 at=1763700000 plan=9c1e st=done]"
OURS = "mine [lc1 id=77.1-gate from=41 to=42 step=1/1 at=1763712000 plan=9c1e st=run]"


def alias(description: str, stable: str = "41", canary: str | None = None, weight_pct: int = 0) -> AliasState:
    """Return an alias with that description and traffic."""
    text, marker = markers.parse(description)
    return AliasState(Routing(stable, canary, weight_pct), "r1", text, marker, description)


def made(description: str = DONE) -> dict[str, str]:
    """Return the versions' descriptions while a game day's version exists."""
    return {"41": "commit of 41", "42": record.written_down("77.1-gate", alias(description))}


@pytest.mark.parametrize(
    ("found", "back"),
    [
        (alias(DONE), None),
        (alias(OURS, canary="42", weight_pct=25), AliasWrite("41", DONE)),
        (alias(OURS.replace("st=run", "st=rolled-back why=guard: x")), AliasWrite("41", DONE)),
        (alias(OURS.replace("run", "bake"), stable="42"), AliasWrite("41", DONE)),
        (alias("their words", canary="42", weight_pct=25), AliasWrite("41", DONE)),
        (alias(DONE.replace("to=41", "to=43"), stable="43"), None),
        (alias(DONE, canary="40", weight_pct=10), None),
    ],
    ids=[
        "not begun",
        "killed while it was split",
        "rolled back, the description not yet",
        "somebody promoted it",
        "somebody removed the marker",
        "somebody released another version",
        "weights of somebody else",
    ],
)
def test_only_what_a_game_day_wrote_is_put_back(found: AliasState, back: AliasWrite | None) -> None:
    """Traffic and description go back where a game day changed them, and nowhere else."""
    left = record.leftover(found, {}, made(), {})
    assert left == Leftover(back, False, ("42",))


def test_traffic_without_a_way_back_is_said() -> None:
    """When all traffic is on its version and no marker says where it was, a person must decide."""
    with pytest.raises(DeployerError, match="all traffic is on version 42") as caught:
        record.leftover(alias("", stable="42"), {}, made(), {})
    assert caught.value.exit_code == Exit.REFUSED


def test_nothing_of_somebody_else_is_a_leftover() -> None:
    """A command and a description that only look alike are not a game day's."""
    looks = {"Command": ["app.deployer-gameday.handler"]}
    left = record.leftover(alias(DONE), looks, {"41": "about deployer-gameday 1.1 | x"}, {})
    assert not left
    assert record.is_ours({"Command": record.command("77.1-gate")})


def test_only_the_reason_is_shortened() -> None:
    """A description that does not fit is kept without its marker's reason; with room, as it is."""
    reason = "v42 served 9.1 % of 700 requests but produced 4 of the 4 errors and so on, at length, " * 3
    whole = markers.parse(DONE)[1]
    assert whole is not None
    long = markers.render("w" * 80, type(whole)(**{**vars(whole), "why": reason}))
    assert len(long) >= 255
    kept = record.leftover(alias(OURS), {}, made(long), {}).back
    assert kept is not None
    text, marker = markers.parse(kept.description)
    assert (text, marker) == ("w" * 80, whole)
    known = record.leftover(alias(OURS), {}, made(long), {"42": long}).back
    assert known is not None
    assert known.description == long


def test_its_command_names_no_handler() -> None:
    """The module's name cannot be one, whatever the id, and two game days never have the same."""
    (first,), (second,) = record.command("77.1-gate"), record.command("77.1-guard")
    assert not first.partition(".")[0].isidentifier()
    assert first.count(".") == 1
    assert first != second
