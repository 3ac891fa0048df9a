"""Four more acts, each about one thing a release may meet; `--act all` plays them as well. Shell."""

from __future__ import annotations

from dataclasses import replace

from deployer.model import RolloutState
from deployer.report.page.timeline import Act
from rehearsal import faults, objects
from rehearsal.ledger import MINUTE_S
from rehearsal.play import Scene, Traffic, begin, changed_for_now, judge_stable, play
from rehearsal.preparation import Script, command, release
from rehearsal.stage import ENVIRONMENT, Stage

DENSE = Traffic(per_minute=40)  # for what can only be told from many requests
# A version that waits answers few requests in a real second, however fast the clock is.
UNHURRIED = Traffic(per_s=15, per_minute=45)
SPARSE_PER_MINUTE = 2
NEEDED = ("rehearsal-outage", "needed")  # the object that is gone during the outage
OUTAGE_S = 2 * MINUTE_S  # three bad minutes at the most: the guard's alarm wants seven of eight


def slow_change(stage: Stage) -> Act:
    """Act 5: a change that only became slower is held, or rolled back, as `on_slow` says."""
    chosen = stage.config.environment(ENVIRONMENT).on_slow
    on_slow = "pause" if chosen == "off" else chosen
    after = "holds the rollout until a person aborts it" if on_slow == "pause" else "takes its traffic away"
    script = Script(
        "5. A slow change",
        f"Each request of the new version takes {faults.SLOWER_S:g} s longer and none fails; "
        f"the comparison of durations {after}.",
        "rolled back",
    )
    # Half of what is added: the usual duration of a busy machine's first requests says little here.
    begin(stage, script, {"on_slow": on_slow, "slow_ms": int(500 * faults.SLOWER_S)})
    undo = faults.make_change(stage.product.sources, "act 5", faults.SLOW, spared=stage.requests.spared)
    try:
        release(stage, script, "a slow change")

        def direct(scene: Scene) -> str:
            with scene.driven() as driver:
                if scene.until(lambda: scene.state() is RolloutState.PAUSE, driver):
                    scene.ask("abort", "a person saw that it is slower")
                return driver.outcome()

        act = play(stage, script, direct, UNHURRIED)
    finally:
        undo()
    return judge_stable(stage, act)


def outage_on_both(stage: Stage) -> Act:
    """Act 6: what hits both versions alike is no reason to take the new one back."""
    script = Script(
        "6. An outage that hits both versions",
        "Every third call of either version needs an object that is gone for two minutes, so that both fail "
        "alike; the comparison finds the new one no worse.",
        "promoted",
    )
    begin(stage, script)
    objects.put(stage.client("s3"), *NEEDED)
    objects.publish(stage.client("s3"), NEEDED[0])
    fault = faults.needing("/" + "/".join(NEEDED))
    undo = faults.make_change(stage.product.sources, "act 6", fault, spared=stage.requests.spared)
    try:
        release(stage, script, "a stable version that needs something outside")
        with changed_for_now(stage, {"steps": [], "final_bake_s": 0}):
            command(stage, script, "all at once", "rollout", "start", "--env", ENVIRONMENT)
        faults.make_healthy_change(stage.product.sources, "a healthy change before an outage")
        release(stage, script, "a healthy change before an outage")
        act = play(stage, script, _outage, DENSE)
    finally:
        undo()
    return _judge_both(stage, act)


def _outage(scene: Scene) -> str:
    """Let the outage happen in the last step, where both versions have most to lose."""
    clock, last = scene.stage.clock, scene.stage.config.environment(ENVIRONMENT).listed_steps()[-1]
    s3 = scene.stage.client("s3")
    with scene.driven() as driver:
        if scene.until(lambda: scene.weight_pct() == last.weight_pct, driver):
            clock.sleep(MINUTE_S)
            objects.remove(s3, *NEEDED)
            scene.tell("outage", "what every third call needs is gone", style="bold red")
            clock.sleep(OUTAGE_S)
            objects.put(s3, *NEEDED)
            scene.tell("all well again", "it is back")
        return driver.outcome()


def _judge_both(stage: Stage, act: Act) -> Act:
    """Say what the outage cost both versions; an act in which it hit neither shows nothing."""
    lost = {version: act.totals(version)[1] for version in act.versions()}
    note = "; ".join(f"version {version} failed {errors} requests" for version, errors in lost.items())
    stage.view.say(f"  {note}")
    outcome = act.outcome if act.errors else f"{act.outcome}, but nothing failed"
    return replace(act, outcome=outcome, notes=(*act.notes, note))


def low_traffic(stage: Stage) -> Act:
    """Act 7: a function that is hardly called ends promoted, without a person."""
    script = Script(
        "7. Hardly any traffic",
        "Two requests a minute: too few to tell much, and no reason to wait for a person.",
        "promoted",
    )
    begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "a change for a quiet hour")
    release(stage, script, "a change for a quiet hour")
    stage.clock.run_at(stage.speed)
    traffic = Traffic(SPARSE_PER_MINUTE * stage.speed / MINUTE_S, 0)
    return play(stage, script, lambda scene: scene.rollout("start"), traffic)


def guard_only(stage: Stage) -> Act:
    """Act 8: the rollout's process is lost for good, and the alarm's guard function rolls back."""
    script = Script(
        "8. Nobody but the guard",
        "The process of a broken rollout is killed with -9 and never comes back; "
        "the canary's own alarm wakes the guard function, which gives the traffic back.",
        "rolled back by the guard",
    )
    begin(stage, script)
    undo = faults.make_change(stage.product.sources, "act 8", faults.BROKEN, spared=stage.requests.spared)
    try:
        release(stage, script, "a change that is broken altogether")

        def direct(scene: Scene) -> str:
            with scene.driven() as driver:
                if not scene.until(lambda: scene.weight_pct() > 0, driver):
                    return driver.outcome()
                driver.kill()
                driver.outcome()
            scene.tell("killed", "the rollout's process was killed with -9 for good", style="bold red")
            scene.until(lambda: scene.weight_pct() == 0)
            if scene.state() is not RolloutState.ROLLED_BACK or not scene.why().startswith("guard:"):
                return "not rolled back"
            scene.tell("rolled back", scene.why())
            return "rolled back by the guard"

        act = play(stage, script, direct, DENSE)
    finally:
        undo()
    return judge_stable(stage, act)
