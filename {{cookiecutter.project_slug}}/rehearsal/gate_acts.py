"""Acts about what happens around a rollout while it is judged; `--act all` plays them as well. Shell."""

from __future__ import annotations

from dataclasses import replace

from deployer.report.page.timeline import Act
from rehearsal import away, faults
from rehearsal.ledger import MINUTE_S
from rehearsal.play import Scene, begin, judge_stable, play
from rehearsal.preparation import Script, release
from rehearsal.stage import ENVIRONMENT, Stage

AWAY_S = 2 * MINUTE_S


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
