"""One release under traffic: what every act after the first has in common. Shell."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployer.canary import marker as markers
from deployer.errors import DeployerError, Exit
from deployer.model import RolloutState
from deployer.report.page.timeline import Act, Event, from_engine
from rehearsal import settings
from rehearsal.ledger import MINUTE_S
from rehearsal.preparation import Script
from rehearsal.product import Finished, finish, kill
from rehearsal.stage import ENVIRONMENT, Stage
from rehearsal.traffic import WORKERS, Watch, flowing
from rehearsal.view import count

LEAD_IN_S = 3 * MINUTE_S  # traffic before and after a release, so that the charts show what it changed
LEAD_OUT_S = 2 * MINUTE_S
REQUESTS_PER_MINUTE = 10
SLOWEST = 15  # slower, and a rehearsal takes too long to be watched
MEASURED_REQUESTS, MEASURED_WITHIN_S = 15, 6.0
CALM_WITHIN_S = 30 * MINUTE_S
NEVER_WITHIN_S = 4 * 3600.0  # of the compressed clock: what takes longer has gone wrong
_LOOK_REAL_S = 0.05


@dataclass(frozen=True)
class Traffic:
    """How much traffic an act needs.

    `per_s` requests in each real second (0: what the command line says). The clock is slowed down until a
    minute of it has `per_minute` of them; 0 leaves it as it is.
    """

    per_s: float = 0.0
    per_minute: float = REQUESTS_PER_MINUTE


@dataclass
class Scene:
    """What an act directs: the traffic as it is seen, and the file the engine writes its events to."""

    stage: Stage
    watch: Watch
    events: Path
    told: list[Event] = field(default_factory=list)

    def tell(self, what: str, reason: str, *, style: str = "bold") -> None:
        """Note something that happened outside the engine; it is shown among the decisions."""
        self.told.append(Event(self.stage.clock.now(), "note", what, reason))
        self.stage.view.say(f"  {what}: {reason}", style)

    def rollout(self, verb: str) -> str:
        """Run `deployer rollout start` or `resume` to its end; returns how it ended."""
        return outcome_of(self.stage.product.run(*self._words(verb)))

    @contextlib.contextmanager
    def driven(self, verb: str = "start") -> Iterator[Driver]:
        """Run `deployer rollout VERB` in the background for the length of a `with` block."""
        with self.stage.product.started(*self._words(verb)) as process:
            driver = Driver()

            def listen() -> None:
                driver.finished = finish(process, self.stage.view.heard)

            reader = threading.Thread(target=listen, daemon=True)
            driver.reader, driver.kill = reader, lambda: kill(process)
            reader.start()
            yield driver

    def ask(self, wish: str, reason: str) -> None:
        """Do what a person would: run `deployer rollout WISH` on another machine."""
        words = ("rollout", wish, "--env", ENVIRONMENT, "--reason", reason, "--events", str(self.events))
        done = self.stage.product.run(*words)
        if done.status != Exit.DONE:
            raise DeployerError(
                f"`deployer rollout {wish}` ended with {done.status}",
                found=done.last_line,
                hint=f"read {self.stage.local_aws.log_path}",
            )

    def until(self, is_so: Callable[[], bool], driver: Driver | None = None) -> bool:
        """Wait until something is so; returns False when the driver ended first, or it takes too long."""
        clock = self.stage.clock
        started = clock.now()
        while clock.now() - started < NEVER_WITHIN_S:
            if is_so():
                return True
            if driver is not None and not driver.is_running:
                return is_so()
            time.sleep(_LOOK_REAL_S)
        return False

    def state(self) -> RolloutState | None:
        """Return the rollout's state as the alias's marker says it."""
        marker = markers.parse(self.watch.description)[1]
        return marker.state if marker else None

    def why(self) -> str:
        """Return the reason the alias's marker gives."""
        marker = markers.parse(self.watch.description)[1]
        return marker.why if marker else ""

    def weight_pct(self) -> float:
        """Return the canary's share of the traffic, 0 without one."""
        return round(self.watch.route.share * 100) if self.watch.route else 0

    def _words(self, verb: str) -> tuple[str, ...]:
        return ("rollout", verb, "--env", ENVIRONMENT, "--events", str(self.events))


@dataclass
class Driver:
    """A rollout's process in the background."""

    finished: Finished | None = None
    reader: threading.Thread | None = None
    kill: Callable[[], None] = lambda: None

    @property
    def is_running(self) -> bool:
        """True until its process has ended and all it said was read."""
        return self.reader is not None and self.reader.is_alive()

    def outcome(self) -> str:
        """Wait for its end and return how it ended."""
        if self.reader is not None:
            self.reader.join()
        return outcome_of(self.finished) if self.finished else "lost"


def outcome_of(done: Finished) -> str:
    """Say in two words how `deployer rollout` ended."""
    names = {Exit.DONE: "promoted", Exit.ROLLED_BACK: "rolled back", Exit.REFUSED: "refused"}
    with contextlib.suppress(ValueError):
        return names.get(Exit(done.status), f"ended with {done.status}")
    return f"ended with {done.status}"


def begin(stage: Stage, script: Script, changed: Mapping[str, settings.Value] | None = None) -> None:
    """Announce an act and give the copy of deploy.toml what the act is about."""
    stage.view.heading(script.title, script.story)
    path = stage.product.sources / "deploy.toml"
    values = {**settings.COMMON, **(changed or {})}
    path.write_text(settings.adapted(path.read_text("utf-8"), ENVIRONMENT, values), encoding="utf-8")
    if changed:
        stage.view.say(f"deploy.toml of this act: {settings.described(changed)}", "dim")


@contextlib.contextmanager
def changed_for_now(stage: Stage, values: Mapping[str, settings.Value]) -> Iterator[None]:
    """Give the copy of deploy.toml other values for the length of a `with` block."""
    path = stage.product.sources / "deploy.toml"
    before = path.read_text(encoding="utf-8")
    path.write_text(settings.adapted(before, ENVIRONMENT, values), encoding="utf-8")
    stage.view.say(f"deploy.toml for now: {settings.described(values)}", "dim")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def play(stage: Stage, script: Script, direct: Callable[[Scene], str], traffic: Traffic | None = None) -> Act:
    """Let traffic flow, wait for calm alarms, let `direct` do the release, collect what happened.

    `direct` returns how the release ended.
    """
    slug = re.sub(r"\W+", "-", script.title.lower())
    events = stage.product.sources / f"events-{slug}-{time.time_ns()}.jsonl"
    traffic = traffic or Traffic()
    view, clock, seed = stage.view, stage.clock, f"{stage.options.seed}/{script.title}"
    started = clock.now()
    with (
        view.traffic(),
        flowing(
            stage.target(),
            per_s=traffic.per_s or stage.options.per_s,
            seed=seed,
            look=lambda watch: view.look(watch, clock, started),
        ) as watch,
    ):
        _fit_speed(stage, watch, traffic)
        _wait_for_calm(stage, watch)
        started = clock.now() - LEAD_IN_S
        scene = Scene(stage, watch, events)
        outcome = direct(scene)
        clock.sleep(LEAD_OUT_S)
    ended = clock.now()
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    told = from_engine(lines)
    begun = int(started // MINUTE_S) * MINUTE_S
    act = Act(
        title=script.title,
        story=script.story,
        expected=script.expected,
        outcome=outcome,
        started_at=begun,
        ended_at=ended,
        samples=tuple(watch.samples),
        served=watch.ledger.served(begun, ended),
        events=tuple(sorted([*told.events, *scene.told], key=lambda event: event.at)),
        evidence=told.evidence,
        stages=tuple(script.stages),
    )
    _summarise(stage, act)
    return act


def judge_stable(stage: Stage, act: Act) -> Act:
    """Say how the stable version served; an act in which it failed is not as it should."""
    stable = act.samples[0].stable
    requests, errors = act.totals(stable)
    note = f"stable version {stable} answered {count(requests)} meanwhile, {errors} failed"
    stage.view.say(f"  {note}; {act.errors} requests of {act.requests} were lost")
    outcome = f"{act.outcome}, but version {stable} failed too" if errors else act.outcome
    return replace(act, outcome=outcome, notes=(*act.notes, note))


def _fit_speed(stage: Stage, watch: Watch, traffic: Traffic) -> None:
    """Slow the clock down until one of its minutes has as many requests as the act needs.

    With too few, a canary at 10 % is not asked often enough for anything to be seen.
    """
    if not traffic.per_minute:
        return
    _answers(watch, WORKERS)  # each worker's first request waits for a start
    answered, took_s = _answers(watch, MEASURED_REQUESTS)
    per_s = answered / took_s
    speed = min(stage.speed, max(round(per_s * MINUTE_S / traffic.per_minute), SLOWEST))
    if speed < stage.speed and traffic.per_minute == REQUESTS_PER_MINUTE:
        stage.tell(f"{per_s:.0f} requests per second are served here: compressed {speed} times")
    if speed != stage.clock.speed:
        stage.clock.run_at(speed)


def _answers(watch: Watch, wanted: int) -> tuple[int, float]:
    """Wait for so many answers, but not long; returns how many there were, and the real seconds it took."""
    before, started = _answered(watch), time.monotonic()
    while time.monotonic() - started < MEASURED_WITHIN_S and _answered(watch) - before < wanted:
        time.sleep(_LOOK_REAL_S)
    return _answered(watch) - before, time.monotonic() - started


def _answered(watch: Watch) -> int:
    """Return how many requests were answered so far."""
    return sum(row[0] + row[2] for row in watch.ledger.rows().values())


def _wait_for_calm(stage: Stage, watch: Watch) -> None:
    """Wait until every alarm of the stack is OK and the lead-in is over, so that the chart begins quietly."""
    started = stage.clock.now()
    while stage.clock.now() - started < CALM_WITHIN_S:
        canaries = f"{stage.function}-canary-"
        states = [state for name, state in watch.alarms.items() if not name.startswith(canaries)]
        is_calm = bool(states) and all(state == "OK" for state in states)
        if is_calm and stage.clock.now() - started >= LEAD_IN_S:
            return
        time.sleep(_LOOK_REAL_S)
    raise DeployerError(
        "the alarms did not become calm under traffic to the stable version",
        found=", ".join(f"{name} {state}" for name, state in sorted(watch.alarms.items())) or "no alarms",
        hint=f"read {stage.local_aws.log_path}; {watch.problem}",
    )


def _summarise(stage: Stage, act: Act) -> None:
    """Say how an act ended and what it cost."""
    style = "bold green" if act.is_as_expected else "bold red"
    stage.view.say(f"{act.outcome}: {count(act.requests)}, {act.errors} lost", style)
    for version in act.versions():
        requests, errors = act.totals(version)
        stage.view.say(f"  version {version}: {count(requests)}, {errors} failed")
