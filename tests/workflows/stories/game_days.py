"""The story of a game day: the safety net is tried in staging, every week, by a role that may do nothing else."""

from __future__ import annotations

import json

from rehearsal.settings import COMMON
from workflows.github.artifacts import folder_of
from workflows.github.event import Event
from workflows.stories.story import all_well, decided, nothing_denied
from workflows.stories.world import World

GAMEDAY, STAGING = "gameday.yml", "staging"
# A version that cannot start costs the local AWS a process for each call, so minutes are longer here.
SPEED, PER_S = 12.0, 4.0


def game_day(world: World) -> None:
    """Every week, where it is switched on, a version that cannot answer loses its traffic twice, and is gone again."""
    skipped = world.play(GAMEDAY, Event("schedule"))
    assert skipped.results == {"gameday": "skipped"}
    world.hub.write(variables={**world.hub.read()["variables"], "GAMEDAY": "weekly"})
    world.settings(STAGING, **COMMON)
    world.push("Try the net in a minute of this clock")
    before, alias, versions = decided(world), world.alias(STAGING), _versions(world)
    speed = world.clock.speed
    world.clock.run_at(SPEED)
    try:
        run = world.run(GAMEDAY, Event("schedule"))
        workspace = run.host.folder / "work" / world.hub.name / world.hub.name
        with world.traffic(STAGING, per_s=PER_S, beside=workspace):
            record = world.execute(run)
    finally:
        world.clock.run_at(speed)
    all_well(record)
    kept = folder_of(world.folder / "artifacts", run.github["run_id"]) / "gameday" / "gameday.json"
    badge = json.loads(kept.read_text(encoding="utf-8"))
    assert badge["color"] == "green", badge
    assert badge["message"].startswith("gate "), badge
    assert (world.alias(STAGING), _versions(world)) == (alias, versions)
    nothing_denied(world, before)


def _versions(world: World) -> dict[str, object]:
    """Return what is in staging: versions, `$LATEST` included, and how the image of each is started."""
    name = world.config.function_name(STAGING)
    listed = world.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
    configured = {each["Version"]: each.get("ImageConfigResponse") or {} for each in listed}
    return {version: found.get("ImageConfig") or {} for version, found in configured.items()}
