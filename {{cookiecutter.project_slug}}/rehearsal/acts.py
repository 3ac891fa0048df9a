"""The four acts of a rehearsal, each a release driven by the product's own commands. Shell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deployer.errors import DeployerError, Exit
from deployer.timeline import Act, Event, from_engine
from deployer.timeline import Stage as Done
from rehearsal import faults
from rehearsal.local_aws import ACCOUNT_ID
from rehearsal.preparation import Script, command, prepare, release
from rehearsal.product import finish, kill
from rehearsal.stage import (
    ENVIRONMENT,
    PHOTO_KEY,
    TRAFFIC_KEYS,
    Stage,
    photo,
    picture,
    wait_for_object,
)
from rehearsal.traffic import MINUTE_S, Watch, flowing

LEAD_IN_S = 3 * MINUTE_S  # traffic before and after a release, so that the charts show what it changed
LEAD_OUT_S = 2 * MINUTE_S
REQUESTS_PER_MINUTE = 10
SLOWEST = 15  # slower, and a rehearsal takes too long to be watched
MEASURED_REQUESTS, MEASURED_WITHIN_S = 15, 6.0
# The local AWS has no OIDC providers, so the account is one that has got one already.
PROVIDER = f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/token.actions.githubusercontent.com"
CALM_WITHIN_S = 30 * MINUTE_S


def first_release(stage: Stage) -> Act:
    """Act 1: both stacks, the image from build to push, and a photo through the real notification."""
    script = Script(
        "1. First release",
        "Both stacks are created, the function is released, and a photo is put into the source bucket.",
        "photo resized",
    )
    _begin(stage, script)
    started = stage.clock.now()
    owner = f"rehearsal@1/{stage.config.function.name}@2"
    command(stage, script, "bootstrap", "bootstrap", "--subject", owner, "--oidc-provider", PROVIDER, "--yes")
    uri = prepare(stage, script, "the first release", scan=True)
    applied = command(stage, script, "apply", "apply", "--env", ENVIRONMENT, "--image", uri)
    s3, outputs, original = stage.client("s3"), stage.outputs(), photo()
    s3.put_object(Bucket=outputs["SourceBucket"], Key=PHOTO_KEY, Body=original, ContentType="image/jpeg")
    resized, took_s = wait_for_object(s3, outputs["ResizedBucket"], PHOTO_KEY)
    before, after = picture(original, "put into the source bucket"), picture(resized, "came out")
    is_half = (after.width, after.height) == (before.width // 2, before.height // 2)
    half = "half the size" if is_half else "another size than half"
    detail = f"{half}, through the S3 notification and alias live (version {applied.value('version')})"
    script.stages.append(Done("photo", "done" if is_half else "failed", took_s, detail))
    stage.view.say(f"photo      {detail}, {took_s:.1f} s after the upload")
    for key in TRAFFIC_KEYS:
        body = photo(is_portrait=key.startswith("portrait"))
        s3.put_object(Bucket=outputs["SourceBucket"], Key=key, Body=body, ContentType="image/jpeg")
        wait_for_object(s3, outputs["ResizedBucket"], key)
    return Act(
        title=script.title,
        story=script.story,
        expected=script.expected,
        outcome="photo resized" if is_half or stage.config.resize.fit_px else "photo not resized",
        started_at=started,
        ended_at=stage.clock.now(),
        stages=tuple(script.stages),
        pictures=(before, after),
    )


def healthy_change(stage: Stage) -> Act:
    """Act 2: a change that works is promoted step by step under traffic."""
    script = Script(
        "2. A healthy change", "The steps of deploy.toml under traffic, then promotion.", "promoted"
    )
    _begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "a healthy change")
    release(stage, script, "a healthy change")
    return _play(stage, script, lambda _watch, events: [_rollout(stage, "start", events)])


def broken_change(stage: Stage) -> Act:
    """Act 3: a change that raises is rolled back by an alarm while the stable version serves on."""
    script = Script(
        "3. A broken change",
        "The new version raises on every portrait, half of its requests; the alarm takes its traffic away.",
        "rolled back",
    )
    _begin(stage, script)
    undo = faults.make_broken_change(stage.product.sources, "act 3")
    try:
        release(stage, script, "a broken change")
        act = _play(stage, script, lambda _watch, events: [_rollout(stage, "start", events)])
    finally:
        undo()
    return _judge_stable(stage, act)


def _judge_stable(stage: Stage, act: Act) -> Act:
    """Say how the stable version served; an act in which it failed is not as it should."""
    stable = act.samples[0].stable
    requests, errors = act.totals(stable)
    note = f"stable version {stable} answered {requests} requests meanwhile, {errors} failed"
    stage.view.say(f"  {note}; {act.errors} requests of {act.requests} were lost")
    outcome = f"{act.outcome}, but version {stable} failed too" if errors else act.outcome
    return replace(act, outcome=outcome, notes=(*act.notes, note))


def killed_release(stage: Stage) -> Act:
    """Act 4: the rollout's process is killed half-way; another one goes on from the alias."""
    script = Script(
        "4. Killed half-way, then resumed",
        "The process of a healthy rollout is killed with -9; `deployer rollout resume` goes on with it.",
        "promoted",
    )
    _begin(stage, script)
    faults.make_healthy_change(stage.product.sources, "another healthy change")
    release(stage, script, "another healthy change")

    def direct(watch: Watch, events: Path) -> list[Event]:
        return [*_kill_half_way(stage, watch, events), _rollout(stage, "resume", events)]

    return _play(stage, script, direct)


def _begin(stage: Stage, script: Script) -> None:
    """Announce an act."""
    stage.view.heading(script.title, script.story)


def _rollout(stage: Stage, verb: str, events: Path) -> Event:
    """Run `deployer rollout start` or `resume` to its end; returns how it ended."""
    at = stage.clock.now()
    done = stage.product.run("rollout", verb, "--env", ENVIRONMENT, "--events", str(events))
    names = {Exit.DONE: "promoted", Exit.ROLLED_BACK: "rolled back", Exit.REFUSED: "refused"}
    try:
        outcome = names.get(Exit(done.status), f"ended with {done.status}")
    except ValueError:
        outcome = f"ended with {done.status}"
    return Event(at, verb, outcome, done.last_line)


def _kill_half_way(stage: Stage, watch: Watch, events: Path) -> list[Event]:
    """Start a rollout, kill its process in the middle of the second step (or of the only one)."""
    steps = stage.config.environment(ENVIRONMENT).steps
    index = min(1, len(steps) - 1)
    weight, bake_s = steps[index].weight_pct, steps[index].bake_s
    words = ("rollout", "start", "--env", ENVIRONMENT, "--events", str(events))
    with stage.product.started(*words) as process:
        reader = threading.Thread(target=finish, args=(process, stage.view.heard), daemon=True)
        reader.start()
        reached_at = None
        while process.poll() is None:
            now = stage.clock.now()
            if watch.route and round(watch.route.share * 100) == weight:
                reached_at = reached_at or now
            if reached_at and now - reached_at > bake_s / 2:
                break
            time.sleep(0.05)
        kill(process)
        reader.join(timeout=10)
    at = stage.clock.now()
    stage.view.say(f"  killed the rollout's process with -9 at {weight} %", "bold red")
    stage.clock.sleep(2 * MINUTE_S)
    reason = f"the process was killed with -9 half-way through the step of {weight} %"
    resumed = "a new process went on from the marker on the alias"
    return [
        Event(at, "note", "killed", reason),
        Event(stage.clock.now(), "note", "resume", resumed),
    ]


def _play(stage: Stage, script: Script, direct: Callable[[Watch, Path], list[Event]]) -> Act:
    """Let traffic flow, wait for calm alarms, let `direct` do the release, collect what happened."""
    events = stage.product.sources / f"events-{len(script.title)}-{time.time_ns()}.jsonl"
    view, clock, seed = stage.view, stage.clock, f"{stage.options.seed}/{script.title}"
    started = clock.now()
    with (
        view.traffic(),
        flowing(
            stage.target(),
            per_s=stage.options.per_s,
            seed=seed,
            look=lambda watch: view.look(watch, clock, started),
        ) as watch,
    ):
        _wait_for_calm(stage, watch)
        started = clock.now() - LEAD_IN_S
        told = direct(watch, events)
        clock.sleep(LEAD_OUT_S)
    ended = clock.now()
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    _, decided = from_engine(lines)
    notes = [event for event in told if event.kind == "note"]
    outcome = next((event.what for event in reversed(told) if event.kind != "note"), "nothing")
    begin = int(started // MINUTE_S) * MINUTE_S
    act = Act(
        title=script.title,
        story=script.story,
        expected=script.expected,
        outcome=outcome,
        started_at=begin,
        ended_at=ended,
        bucket_s=MINUTE_S,
        samples=tuple(sample for sample in watch.samples),
        served=watch.ledger.served(begin, ended),
        events=tuple(sorted([*decided, *notes], key=lambda event: event.at)),
        stages=tuple(script.stages),
    )
    _summarise(stage, act)
    return act


def _fit_speed(stage: Stage, watch: Watch) -> None:
    """Slow the clock down on a machine that cannot serve enough requests in one of its minutes.

    With too few, a canary at 10 % is not asked often enough for anything to be seen.
    """
    started = time.monotonic()
    while time.monotonic() - started < MEASURED_WITHIN_S and _answered(watch) < MEASURED_REQUESTS:
        time.sleep(0.05)
    per_s = _answered(watch) / (time.monotonic() - started)
    speed = max(round(per_s * MINUTE_S / REQUESTS_PER_MINUTE), SLOWEST)
    if speed < stage.clock.speed and not stage.options.speed:
        was = stage.clock.speed
        stage.clock.run_at(speed)
        stage.tell(f"{per_s:.0f} requests per second are served here: compressed {speed} times, not {was:g}")


def _answered(watch: Watch) -> int:
    """Return how many requests were answered so far."""
    return sum(row[0] + row[2] for row in watch.ledger.rows().values())


def _wait_for_calm(stage: Stage, watch: Watch) -> None:
    """Wait until every alarm is OK and the lead-in is over: a rollout is refused while one is in ALARM."""
    _fit_speed(stage, watch)
    started = stage.clock.now()
    while stage.clock.now() - started < CALM_WITHIN_S:
        is_calm = watch.alarms and all(state == "OK" for state in watch.alarms.values())
        if is_calm and stage.clock.now() - started >= LEAD_IN_S:
            return
        time.sleep(0.05)
    raise DeployerError(
        "the alarms did not become calm under traffic to the stable version",
        found=", ".join(f"{name} {state}" for name, state in sorted(watch.alarms.items())) or "no alarms",
        hint=f"read {stage.local_aws.log_path}; {watch.problem}",
    )


def _summarise(stage: Stage, act: Act) -> None:
    """Say how an act ended and what it cost."""
    style = "bold green" if act.is_as_expected else "bold red"
    stage.view.say(f"{act.outcome}: {act.requests} requests, {act.errors} lost", style)
    for version in act.versions():
        requests, errors = act.totals(version)
        stage.view.say(f"  version {version}: {requests} requests, {errors} failed")


ACTS: dict[int, Callable[[Stage], Act]] = {
    1: first_release,
    2: healthy_change,
    3: broken_change,
    4: killed_release,
}
