"""Act 9: the product's own game day. Its calls are routed by `rehearsal/release.py`. Shell."""

from __future__ import annotations

import json

from deployer.errors import Exit
from deployer.report.page.timeline import Act
from rehearsal.play import Scene, Traffic, begin, play
from rehearsal.preparation import Script
from rehearsal.stage import ENVIRONMENT, Stage

# As slow as the clock gets: the local AWS starts a process for each call of a version that cannot start, and
# the guard's alarm wants one in seven of eight minutes.
BESIDE = Traffic(per_s=8, per_minute=40)


def game_day(stage: Stage) -> Act:
    """Act 9: a version that cannot answer is released twice; the gate, then the guard alone, end it."""
    script = Script(
        "9. A game day",
        "`deployer gameday` releases a version that cannot answer, and calls the alias itself: "
        "the gate gives the traffic back, then the guard alone does.",
        "the net held",
    )
    begin(stage, script)

    def direct(scene: Scene) -> str:
        words = ("--env", ENVIRONMENT, "--force", "the rehearsal has no other environment")
        done = stage.product.run("gameday", *words)
        scene.tell("game day", done.value("badge") or done.last_line)
        left = _left(stage)
        if left:
            return f"left behind: {left}"
        return "the net held" if done.status == Exit.DONE else f"ended with {done.status}"

    return play(stage, script, direct, BESIDE)


def _left(stage: Stage) -> str:
    """Return what of a game day is still there, empty if nothing is."""
    found = stage.client("lambda").list_versions_by_function(FunctionName=stage.function)["Versions"]
    versions = [
        each["Version"] for each in found if each.get("Description", "").startswith("deployer-gameday")
    ]
    latest = next(each for each in found if each["Version"] == "$LATEST")
    changed = ["$LATEST"] if "deployer-gameday" in json.dumps(latest) else []
    return ", ".join([*(f"version {version}" for version in versions), *changed])
