"""`python -m rehearsal`: play the acts, print a summary, write the report. Shell."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deployer.errors import DeployerError, Exit
from deployer.report.page.html import render
from deployer.report.page.timeline import Act, Timeline
from rehearsal import denials
from rehearsal.acts import ACTS
from rehearsal.preparation import ContainersUnusable
from rehearsal.stage import Options, Stage, set_up
from rehearsal.view import View


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when every act ended as it should, 1 when one did not, 130 after Ctrl-C."""
    options = parse(argv)
    view = View()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started this with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        try:
            return _rehearse(options, view)
        except ContainersUnusable as reason:
            view.say(f"starting again without containers: {reason}", "yellow")
            return _rehearse(replace(options, without_docker=str(reason)), view)
    except DeployerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; nothing is left behind", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def parse(argv: Sequence[str] | None) -> Options:
    """Read the command line."""
    defaults = Options()
    parser = argparse.ArgumentParser(
        prog="python3 dev.py rehearse", description="Practise a release on a local AWS."
    )
    parser.add_argument(
        "--speed", type=float, default=defaults.speed, help="how many times faster than real time, at most"
    )
    parser.add_argument(
        "--docker",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="use real containers if possible",
    )
    parser.add_argument(
        "--act",
        action="append",
        choices=["all", *map(str, sorted(ACTS))],
        help="only this act, after the first; repeatable; `all` plays every one",
    )
    parser.add_argument(
        "--per-second", type=float, default=defaults.per_s, help="requests in each real second"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the router's draws")
    parser.add_argument("--report", type=Path, default=defaults.report, help="where the page is written")
    found = parser.parse_args(argv)
    if found.speed < 0 or not 0 < found.per_second <= 100:
        parser.error("--speed must not be negative, --per-second must be above 0 and at most 100")
    chosen = sorted(ACTS) if found.act and "all" in found.act else map(int, found.act or ())
    acts = tuple(sorted({1, *chosen})) if found.act else defaults.acts
    without = "" if found.docker else "asked for with --no-docker"
    return Options(acts, found.speed, without, found.per_second, found.seed, found.report)


def _rehearse(options: Options, view: View) -> int:
    """Play the acts and write the report, also about acts that stopped in the middle."""
    started = time.monotonic()
    acts: list[Act] = []
    with set_up(options, view) as stage:
        try:
            for number in options.acts:
                acts.append(ACTS[number](stage))
            acts += _lacking(stage)
        except DeployerError as error:
            view.say(str(error), "bold red")
            acts.append(_stopped(stage, error))
        finally:
            timeline = Timeline(
                title=f"Rehearsal of {stage.config.function.name}",
                speed=stage.speed,
                wall_s=time.monotonic() - started,
                acts=tuple(acts),
                left_out=tuple(stage.left_out),
                facts=tuple(stage.facts),
            )
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text(render(timeline), encoding="utf-8")
    _summarise(timeline, view, options.report)
    return Exit.DONE if timeline.is_as_expected and len(acts) == len(options.acts) else Exit.FAILED


def _lacking(stage: Stage) -> list[Act]:
    """Return one act that failed when a role lacked a right although every act ended as it should."""
    lines = denials.explained(denials.of_the_machinery(stage.local_aws.decisions()))
    if not lines:
        return []
    for line in lines:
        stage.view.say(line, "bold red")
    return [_stopped(stage, DeployerError("a role lacks a right", found="; ".join(lines)))]


def _stopped(stage: Stage, error: DeployerError) -> Act:
    """Return the act that could not be played to its end."""
    now = stage.clock.now()
    return Act(f"Stopped: {error.what}", error.found or "", "played", "stopped", now, now)


def _summarise(timeline: Timeline, view: View, report: Path) -> None:
    """Print the end of a rehearsal."""
    view.say("")
    for act in timeline.acts:
        mark = "as it should" if act.is_as_expected else f"expected {act.expected}"
        lost = f", {act.requests} requests, {act.errors} lost" if act.requests else ""
        view.say(f"{act.title}: {act.outcome} ({mark}){lost}", "green" if act.is_as_expected else "bold red")
    view.say(
        f"{timeline.requests} requests, {timeline.errors} lost; "
        f"{timeline.wall_s:.0f} s in all, releases compressed up to {timeline.speed:g} times"
    )
    view.say(f"report: {report.resolve()}")


def _interrupt(*_: object) -> None:
    """Treat a polite kill like Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
