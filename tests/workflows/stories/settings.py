"""The stories of settings that need rights of their own: watched alarms, provisioned concurrency, durable driver."""

from __future__ import annotations

from rehearsal import faults
from workflows.stories.account import PRODUCTION
from workflows.stories.story import all_well, decided, nothing_denied
from workflows.stories.world import World

WARM, COLD = "provisioned_concurrency = 1", "provisioned_concurrency = 0"


def watched_alarms_and_provisioned_concurrency(world: World) -> None:
    """A release that watches an alarm by name, and keeps versions warm, has the rights for both."""
    before, (stable, _, _) = decided(world), world.alias()
    name = world.config.function_name(PRODUCTION)
    world.change("deploy.toml", COLD, WARM)
    world.settings(alarms=[f"{name}-errors"])
    faults.make_healthy_change(world.edit, "a warm change")
    world.push("Watch an alarm, and be warm")
    try:
        with world.traffic():
            record = world.play()
    finally:
        world.change("deploy.toml", WARM, COLD)
        world.settings(alarms=[])
    all_well(record)
    version, weights, _ = world.alias()
    assert int(version) > int(stable)
    assert weights == {}
    # Raises where there is none.
    world.client("lambda").get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    nothing_denied(world, before)


def durable_driver(world: World) -> None:
    """A release hands its canary over to the durable function and ends; a person then takes it back.

    The local AWS never ends an asynchronous durable execution, so what the function does next is not played
    here: `tests/engine/drivers/test_durable_live.py` does. It sees no change of a stack in a condition alone
    either, so this push changes the memory as well.
    """
    before, (stable, _, _) = decided(world), world.alias()
    world.settings(driver="durable")
    world.change("deploy.toml", "memory_mb = 1024", "memory_mb = 1152")
    faults.make_healthy_change(world.edit, "a change that waits by itself")
    world.push("Wait in a durable function")
    try:
        with world.traffic():
            record = world.play()
        all_well(record)
        assert "handed " in record.job(PRODUCTION).text
        assert world.alias()[1], "no canary has traffic"
        nothing_denied(world, before)
    finally:
        world.deployer("rollback", "--env", PRODUCTION, "--reason", "the story is over")
        world.settings(driver="runner")
    assert world.alias()[:2] == (stable, {})
