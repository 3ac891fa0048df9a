"""The stories every repository has once: before bootstrap, bootstrap, first release."""

from __future__ import annotations

from workflows.stories.story import CHECKS, all_well, decided, nothing_denied
from workflows.stories.world import World


def first_push(world: World) -> None:
    """The first push, before anything is set up: green, and a notice says that nothing is deployed."""
    world.push("Start from the template")
    record = world.play()
    all_well(record)
    assert {job.result for job in record.jobs if job.environment or job.permissions.get("id-token")} == set()
    assert "skipped" in record.results.values()
    titles = [note.title for job in record.jobs for note in job.annotations if note.level == "notice"]
    assert titles == ["Nothing is deployed yet"]
    # What a release checks again, and what each later story would repeat.
    world.left_out[CHECKS] = "played in the story of the first push"


def bootstrap(world: World) -> None:
    """An administrator runs `deployer bootstrap` and does what it still says."""
    said = world.deployer("bootstrap", "--yes")
    world.hub.obey(said, world.administrator())
    github = world.hub.read()
    assert github["variables"]
    # A person's choice: a private repository's plan may have no attestations.
    world.hub.write(variables={**github["variables"], "ATTESTATIONS": "true"})
    for name, environment in github["environments"].items():
        assert environment["variables"], f"environment {name} has no variable"
        assert environment["branches"] == ["main"], f"environment {name} takes other branches"
    assert github["rulesets"], "nothing is required of main"


def first_release(world: World) -> None:
    """The next push deploys: staging, its smoke tests, production; every role has the rights it needs."""
    before = decided(world)
    world.push("First release")
    run = world.run()
    record = world.execute(run)
    all_well(record)
    assert set(record.results.values()) == {"success"}
    assert run.repository.made_by_jobs == [], "a job names an environment that bootstrap does not make"
    nothing_denied(world, before)
    for environment in ("staging", "production"):
        version, weights, _ = world.alias(environment)
        assert (version, weights) == ("1", {})


def second_bootstrap(world: World) -> None:
    """An administrator runs `deployer bootstrap` again: it changes nothing in AWS or on GitHub."""
    github = world.hub.read()
    assert "will change" not in world.deployer("bootstrap", "--yes")
    after = world.hub.read()
    for name in ("variables", "environments", "rulesets"):
        assert after[name] == github[name], name
