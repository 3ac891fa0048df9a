"""The four acts of every rehearsal, each a release driven by the product's own commands. Shell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from deployer.report.page.timeline import Act
from deployer.report.page.timeline import Stage as Done
from rehearsal import faults, further_acts, gate_acts
from rehearsal.gameday import game_day
from rehearsal.ledger import ALIAS, MINUTE_S
from rehearsal.play import Scene, begin, judge_stable, play
from rehearsal.preparation import Script, command, prepare, release
from rehearsal.stage import ENVIRONMENT, Stage
from testbed import smoke_tests
from testbed.smoke_tests import SmokeReport


def first_release(stage: Stage) -> Act:
    """Act 1: roles, stack, the image from build to push, and the owner's smoke tests through the alias."""
    script = Script(
        "1. First release",
        "The account is set up, the function is released, and the tests of smoke/ call its alias.",
        "smoke tests passed",
    )
    begin(stage, script)
    started = stage.clock.now()
    jobs = stage.product.jobs
    about = ("--subject", jobs.subject, "--print-github", "--yes")
    jobs.obey(command(stage, script, "bootstrap", "bootstrap", *about).output)
    uri = prepare(stage, script, "the first release", scan=True)
    applied = command(stage, script, "apply", "apply", "--env", ENVIRONMENT, "--image", uri)
    report = _smoke_tests(stage, script, applied.value("version"))
    stage.give_past()
    stage.set_traffic()
    return Act(
        title=script.title,
        story=script.story,
        expected=script.expected,
        outcome="smoke tests passed",
        started_at=started,
        ended_at=stage.clock.now(),
        stages=tuple(script.stages),
        notes=_endings(report),
    )


def _smoke_tests(stage: Stage, script: Script, version: str) -> SmokeReport:
    """Run the owner's smoke tests against the alias on the local AWS. Raises DeployerError if one fails."""
    started = time.monotonic()
    target = {
        "kind": "alias",
        "function": stage.function,
        "alias": ALIAS,
        "endpoint": stage.local_aws.endpoint,
        "region": stage.config.function.region,
        "resources": stage.outputs(),
    }
    environ = {**os.environ, **stage.local_aws.environment()}
    report = smoke_tests.run(stage.product.sources, target, say=lambda _: None, environ=environ)
    took_s = time.monotonic() - started
    through = f"{len(report.passed)} passed through alias {ALIAS} (version {version})"
    script.stages.append(Done("smoke tests", "done", took_s, through))
    stage.view.say(f"smoke      {through} in {took_s:.1f} s")
    for line in _endings(report):
        stage.view.say(f"  {line}")
    return report


def _endings(report: SmokeReport) -> tuple[str, ...]:
    """Return how each smoke test ended, in one line each."""
    passed = (f"{name} passed" for name in report.passed)
    return (*passed, *(f"{name} was left out: {reason}" for name, reason in report.skipped))


def healthy_change(stage: Stage) -> Act:
    """Act 2: a change that works is promoted step by step under traffic."""
    script = Script(
        "2. A healthy change",
        "The steps of deploy.toml under traffic, then promotion; at last the button takes it back.",
        "promoted",
    )
    begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "a healthy change")
    release(stage, script, "a healthy change")
    act = play(stage, script, lambda scene: scene.rollout("start"))
    return _press_the_button(stage, script, act)


def _press_the_button(stage: Stage, script: Script, act: Act) -> Act:
    """Give all traffic back as rollback.yml does, whose role may do nothing else."""
    started = time.monotonic()
    command(stage, script, "rollback", "rollback", "--env", ENVIRONMENT, "--reason", "the rehearsal tries it")
    took_s = time.monotonic() - started
    note = f"the button gave all traffic back to version {act.samples[0].stable} in {took_s:.1f} s"
    stage.view.say(f"  {note}")
    return replace(act, notes=(*act.notes, note), stages=tuple(script.stages))


def broken_change(stage: Stage) -> Act:
    """Act 3: a change that raises is rolled back while the stable version serves on."""
    script = Script(
        "3. A broken change",
        "The new version raises in every other call it gets; a gate takes its traffic away.",
        "rolled back",
    )
    begin(stage, script, {"alarms": [f"{stage.function}-errors"]})
    undo = faults.make_change(
        stage.product.sources, "act 3", faults.HALF_BROKEN, spared=stage.requests.spared
    )
    try:
        release(stage, script, "a broken change")
        act = play(stage, script, lambda scene: scene.rollout("start"))
    finally:
        undo()
    return judge_stable(stage, act)


def killed_release(stage: Stage) -> Act:
    """Act 4: the rollout's process is killed half-way; another one goes on from the alias."""
    script = Script(
        "4. Killed half-way, then resumed",
        "The process of a healthy rollout is killed with -9; `deployer rollout resume` goes on with it.",
        "promoted",
    )
    begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "another healthy change")
    release(stage, script, "another healthy change")

    def direct(scene: Scene) -> str:
        _kill_half_way(scene)
        return scene.rollout("resume")

    return play(stage, script, direct)


def _kill_half_way(scene: Scene) -> None:
    """Start a rollout, kill its process in the middle of the second step (or of the only one)."""
    clock = scene.stage.clock
    steps = scene.stage.config.environment(ENVIRONMENT).listed_steps()
    step = steps[min(1, len(steps) - 1)]
    with scene.driven() as driver:
        scene.until(lambda: scene.weight_pct() == step.weight_pct, driver)
        reached_at = clock.now()
        scene.until(lambda: clock.now() - reached_at > step.bake_s / 2, driver)
        driver.kill()
        driver.outcome()
    where = f"half-way through the step of {step.weight_pct} %"
    scene.tell("killed", f"the rollout's process was killed with -9 {where}", style="bold red")
    clock.sleep(2 * MINUTE_S)
    scene.tell("resume", "a new process went on from the marker on the alias")


ACTS: dict[int, Callable[[Stage], Act]] = {
    1: first_release,
    2: healthy_change,
    3: broken_change,
    4: killed_release,
    5: further_acts.slow_change,
    6: further_acts.outage_on_both,
    7: further_acts.low_traffic,
    8: further_acts.guard_only,
    9: game_day,
    10: gate_acts.aws_away,
    11: gate_acts.late_failure,
    12: gate_acts.rare_calls,
}
