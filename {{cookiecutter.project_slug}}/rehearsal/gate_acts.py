"""Acts about what happens around a rollout while it is judged; `--act all` plays them as well. Shell."""

from __future__ import annotations

from dataclasses import replace

from deployer.model import RolloutState
from deployer.report.page.timeline import Act
from rehearsal import away, faults, objects
from rehearsal.ledger import MINUTE_S, WEEK_S
from rehearsal.play import Scene, Traffic, begin, judge_stable, play
from rehearsal.preparation import Script, release
from rehearsal.settings import Value
from rehearsal.stage import ENVIRONMENT, Stage

AWAY_S = 2 * MINUTE_S
NEEDED = ("rehearsal-late", "needed")  # the object without which the new version fails each call
HALF_PCT, LAST_S, SETTLE_S = 50, 180, 60
STEPS: list[dict[str, float]] = [{"weight_pct": HALF_PCT, "bake_s": 120}]
LATE: dict[str, Value] = {
    "steps": STEPS,
    "final_bake_s": LAST_S,
    "settle_s": SETTLE_S,
}
RARE_PER_MINUTE = 2


def aws_away(stage: Stage) -> Act:
    """Act 10: AWS does not answer the release's process for two minutes, and harms nobody."""
    script = Script(
        "10. AWS is away for two minutes",
        "In the middle of a healthy release AWS answers each call of its process with a bare 503, for two "
        "minutes; the traffic flows on, and so does the release afterwards.",
        "promoted",
    )
    begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "a healthy change while AWS is away")
    release(stage, script, "a healthy change while AWS is away")
    refused: list[int] = []
    act = judge_stable(stage, play(stage, script, lambda scene: _away(scene, refused)))
    note = f"{sum(refused)} calls to AWS were answered with a bare 503"
    stage.view.say(f"  {note}")
    outcome = act.outcome if sum(refused) else f"{act.outcome}, but AWS was never away"
    return replace(act, outcome=outcome, notes=(*act.notes, note))


def _away(scene: Scene, refused: list[int]) -> str:
    """Let AWS be away in the middle of the first step."""
    stage = scene.stage
    first = stage.config.environment(ENVIRONMENT).listed_steps()[0]
    with scene.driven() as driver:
        if scene.until(lambda: scene.weight_pct() == first.weight_pct, driver):
            stage.clock.sleep(MINUTE_S)
            away.go_away(stage.product.sources)
            scene.tell("away", "AWS answers nobody but the traffic", style="bold red")
            stage.clock.sleep(AWAY_S)
            refused.append(away.come_back(stage.product.sources))
            scene.tell("back", f"AWS answers again; it refused {refused[-1]} calls")
        return driver.outcome()


def late_failure(stage: Stage) -> Act:
    """Act 11: a version turns bad in the last minute before it is done, too late for the gate."""
    script = Script(
        "11. Bad in the last minute",
        "The new version is sound until a minute before it is done, and then fails every call: its last "
        "minutes are judged by nobody, and the alarm that stays armed wakes the guard.",
        "rolled back by the guard after it was done",
    )
    begin(stage, script, LATE)
    objects.put(stage.client("s3"), *NEEDED)
    objects.publish(stage.client("s3"), NEEDED[0])
    fault = faults.needing("/" + "/".join(NEEDED), every=1)
    undo = faults.make_change(stage.product.sources, "act 11", fault, spared=stage.requests.spared)
    try:
        release(stage, script, "a change that turns bad late")
        act = play(stage, script, _turn_bad)
    finally:
        undo()
    return judge_stable(stage, act)


def _turn_bad(scene: Scene) -> str:
    """Let the new version fail from a minute before it is done on, and wait for the guard."""
    stage = scene.stage
    with scene.driven() as driver:
        if scene.until(lambda: scene.weight_pct() > HALF_PCT, driver):
            stage.clock.sleep(LAST_S + SETTLE_S)
            objects.remove(stage.client("s3"), *NEEDED)
            scene.tell("turned bad", "the new version fails every call from here on", style="bold red")
        if (ended := driver.outcome()) != "promoted":
            return ended
    scene.tell("done", "nobody drives, and nothing is compared any more")
    scene.until(lambda: scene.state() is RolloutState.ROLLED_BACK)
    if not scene.why().startswith("guard:"):
        return "not rolled back"
    scene.tell("rolled back", scene.why())
    return "rolled back by the guard after it was done"


def rare_calls(stage: Stage) -> Act:
    """Act 12: a function with two calls a minute is released to its end, and nobody has to be asked."""
    script = Script(
        "12. Two calls a minute",
        "Last week had two calls a minute: the steps are chosen so that a version which fails every call is "
        "found, and the release ends by itself.",
        "promoted",
    )
    # What traffic there was in the acts before is more than a week ago for this one.
    stage.clock.skip(WEEK_S + 3600)
    stage.give_past(RARE_PER_MINUTE / MINUTE_S)
    begin(stage, script, {"steps": "auto"})
    faults.make_healthy_change(stage.product.sources, "a change of a function that is hardly called")
    release(stage, script, "a change of a function that is hardly called")
    stage.clock.run_at(stage.speed)
    traffic = Traffic(RARE_PER_MINUTE * stage.speed / MINUTE_S, 0)
    return play(stage, script, lambda scene: scene.rollout("start"), traffic)
