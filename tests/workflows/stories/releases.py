"""The stories of a release: healthy, broken, cancelled, rolled back by the button while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deployer.rollout import sample as samples
from rehearsal import faults
from workflows.github.event import Event
from workflows.github.records import JobRecord, RunRecord, StepRecord
from workflows.stories.account import PRODUCTION
from workflows.stories.story import all_well, decided, explained, nothing_denied
from workflows.stories.world import World

ROLL_OUT = "Roll out"
# Staging's smoke tests would find a fault that acts there.
IN_PRODUCTION = faults.Fault(
    "Every other call in production fails",
    """
if call % 2 == 0 and _rehearsal_os.environ["AWS_LAMBDA_FUNCTION_NAME"].endswith("-production"):
    raise RuntimeError("this release is broken on purpose")
""",
)


def healthy_release(world: World) -> None:
    """A change that works is promoted by canary, under traffic."""
    before, (stable, _, _) = decided(world), world.alias()
    faults.make_healthy_change(world.edit, "a healthy change")
    world.push("Work as well as before")
    with world.traffic():
        record = world.play()
    all_well(record)
    version, weights, _ = world.alias()
    assert int(version) > int(stable)
    assert weights == {}
    assert "50 %" in record.job(PRODUCTION).step(ROLL_OUT).text
    nothing_denied(world, before)


def broken_release(world: World) -> None:
    """A change that fails in production is rolled back, and the job says so."""
    before, (stable, _, _) = decided(world), world.alias()
    with broken(world), world.traffic():
        world.push("Break half of the calls")
        record = world.play()
    assert record.results["staging"] == "success", explained(record)
    assert record.results[PRODUCTION] == "failure"
    roll_out = record.job(PRODUCTION).step(ROLL_OUT)
    assert roll_out.outcome == "failure"
    assert "% of traffic" in roll_out.text, "it was refused before it had any"
    assert "was rolled back" in roll_out.text
    assert world.alias()[:2] == (stable, {})
    nothing_denied(world, before)


def cancelled_release(world: World) -> None:
    """A run cancelled at its first step gives the traffic back within the seconds that GitHub leaves it."""
    before, (stable, _, _) = decided(world), world.alias()
    faults.make_healthy_change(world.edit, "a change that is cancelled")
    world.push("Be cancelled")
    with world.traffic():
        record = _cancelled(world)
    job = record.job(PRODUCTION)
    assert job.result == "cancelled", explained(record)
    assert job.step(ROLL_OUT).outcome == "cancelled"
    assert world.alias()[:2] == (stable, {})
    nothing_denied(world, before)


def cancelled_release_whose_shell_hears_nothing(world: World) -> None:
    """Without `exec` the signals end at the shell: after ten seconds the last step gives the traffic back."""
    stable = world.alias()[0]
    workflow = ".github/workflows/deploy.yml"
    world.change(workflow, "run: exec deployer rollout start", "run: deployer rollout start")
    faults.make_healthy_change(world.edit, "another change that is cancelled")
    world.push("Be cancelled, and hear nothing")
    try:
        with world.traffic():
            record = _cancelled(world)
    finally:
        world.change(workflow, "run: deployer rollout start", "run: exec deployer rollout start")
    job = record.job(PRODUCTION)
    assert job.result == "cancelled", explained(record)
    last = job.step("Roll back what this run left unfinished")
    assert last.outcome == "success"
    assert world.alias()[:2] == (stable, {})


def rollback_while_a_release_runs(world: World) -> None:
    """Somebody presses the button while a canary has traffic: two runs at once, and the release is not promoted."""
    before, (stable, _, _) = decided(world), world.alias()
    faults.make_healthy_change(world.edit, "a change that somebody takes back")
    world.push("Be taken back")
    pressed: list[RunRecord] = []

    def press() -> None:
        inputs = {"environment": PRODUCTION}
        pressed.append(world.play("rollback.yml", Event("workflow_dispatch", inputs=inputs)))

    button = threading.Thread(target=press)
    with world.traffic():
        record = world.play(hear=once_shifted(button.start))
        button.join()
    all_well(pressed[0])
    assert record.results[PRODUCTION] == "failure", explained(record)
    assert world.alias()[:2] == (stable, {})
    nothing_denied(world, before)


def controlled_release(world: World) -> None:
    """Somebody pauses a release and then promotes it, each by a run of its own, which says who and why."""
    before, (stable, _, _) = decided(world), world.alias()
    faults.make_healthy_change(world.edit, "a change that somebody promotes")
    world.push("Be promoted by hand")
    pressed: list[RunRecord] = []

    def press() -> None:
        for wish in ("pause", "status", "promote"):
            inputs = {"wish": wish, "environment": PRODUCTION, "reason": f"the story wants to {wish}"}
            run = world.run("control.yml", Event("workflow_dispatch", inputs=inputs))
            assert run.title == f"{wish} {PRODUCTION} by octocat: the story wants to {wish}"
            pressed.append(world.execute(run))

    button = threading.Thread(target=press)
    with world.traffic():
        record = world.play(hear=once_shifted(button.start))
        button.join()
    for each in pressed:
        all_well(each)
    assert len(pressed) == 3
    all_well(record)
    assert "pause" in pressed[1].text, pressed[1].text
    version, weights, _ = world.alias()
    assert int(version) > int(stable)
    assert weights == {}
    nothing_denied(world, before)


@contextmanager
def broken(world: World) -> Iterator[None]:
    """Let production's calls fail, every other one, but for the probe, for the length of a `with` block."""
    undo = faults.make_change(
        world.edit, "the story", IN_PRODUCTION, spared=(samples.load_probe(world.edit),)
    )
    try:
        yield
    finally:
        undo()


def _cancelled(world: World) -> RunRecord:
    """Play a release and cancel it as soon as production's canary has traffic."""
    shifted = threading.Event()
    run = world.run(hear=once_shifted(shifted.set))

    def cancel() -> None:
        shifted.wait()
        run.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    return world.execute(run)


def once_shifted(act: Callable[[], None]) -> Callable[[JobRecord, StepRecord, str], None]:
    """Return what acts when production's rollout says for the first time that traffic was shifted."""
    done = threading.Event()

    def hear(job: JobRecord, step: StepRecord, line: str) -> None:
        is_production = job.environment == PRODUCTION and step.name == ROLL_OUT
        if is_production and "set weight" in line and not done.is_set():
            done.set()
            act()

    return hear
