"""The stories of what happens to a release that is live: drift, a vulnerability that became known, old versions."""

from __future__ import annotations

from typing import Any

from engine.image import trivy_fixture
from workflows.github.event import Event
from workflows.stories.account import PRODUCTION
from workflows.stories.story import all_well, decided, explained, nothing_denied
from workflows.stories.world import World

WATCH = "watch.yml"


def drift(world: World) -> None:
    """Somebody changes the function by hand: the daily watch tells it in one issue, and closes it when it is mended."""
    before, name = decided(world), world.config.function_name(PRODUCTION)
    client = world.client("lambda")
    asked = client.get_function_configuration(FunctionName=name)["MemorySize"]
    world.say(f"by hand    {name} gets {2 * asked} MB instead of {asked}")
    client.update_function_configuration(FunctionName=name, MemorySize=2 * asked)
    try:
        record = world.play(WATCH, Event("schedule"))
    finally:
        client.update_function_configuration(FunctionName=name, MemorySize=asked)
    assert record.results[PRODUCTION] == "failure", explained(record)
    assert record.results["staging"] == record.results["tell"] == "success", explained(record)
    [issue] = _open_issues(world)
    assert PRODUCTION in issue["body"]
    all_well(world.play(WATCH, Event("schedule")))
    assert _open_issues(world) == []
    nothing_denied(world, before)


def vulnerability_that_became_known(world: World) -> None:
    """A vulnerability becomes known in what is live: the daily watch finds it in the inventory that was kept."""
    before = decided(world)
    trivy_fixture.write_database(world.folder / "trivy", openssl_fixed_in="99")
    try:
        record = world.play(WATCH, Event("schedule"))
    finally:
        trivy_fixture.write_database(world.folder / "trivy", openssl_fixed_in="0")
    assert record.results["rescan"] == "failure", explained(record)
    assert trivy_fixture.SYSTEM in record.job("rescan").summary
    [issue] = _open_issues(world)
    assert "rescan" in issue["body"]
    all_well(world.play(WATCH, Event("schedule")))
    assert _open_issues(world) == []
    nothing_denied(world, before)


def prune(world: World) -> None:
    """Pruning says what would go, then removes it; what is live, and the way back, stay."""
    before, name = decided(world), world.config.function_name(PRODUCTION)
    live, versions = world.alias()[0], _versions(world, name)
    all_well(world.play("prune.yml", Event("workflow_dispatch")))
    assert _versions(world, name) == versions, "it removed something without being asked to"
    all_well(world.play("prune.yml", Event("workflow_dispatch", inputs={"delete": True})))
    assert live in _versions(world, name)
    assert world.alias()[:2] == (live, {})
    nothing_denied(world, before)


def _open_issues(world: World) -> list[dict[str, Any]]:
    return [issue for issue in world.hub.read().get("issues", []) if issue["state"] == "open"]


def _versions(world: World, name: str) -> set[str]:
    listed = world.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
    return {each["Version"] for each in listed}
