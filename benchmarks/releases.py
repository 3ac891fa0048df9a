"""Play whole rollouts with the steps that ship, and hold `deployer plan`'s forecast against them.

    python -m benchmarks.releases                 # about half an hour
    python -m benchmarks.releases --runs 20       # a quick look, less precise

Each rollout is played by `deployer.rollout.run.tick` itself, on a simulated alias whose calls arrive at
random: plan from a simulated week, gate, decisions and marker are those that ship. A tick comes with each
closed minute. Half of all calls are slower than the stable version's median, none is throttled, and all
alarms are green.
Writes docs/rollout-auto.md.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from benchmarks.grid import Grid
from benchmarks.traffic import Poisson
from deployer.aws.metrics import Baseline
from deployer.canary import marker as markers
from deployer.canary.decision import Done, Pause, Promote, Refuse, Rollback
from deployer.config import Environment
from deployer.judge.counts import Counts, Minute, Week
from deployer.judge.forecast import forecast
from deployer.judge.planned import Outlook, places, rollout_plan
from deployer.model import AlarmReading, AlarmState, AliasState, AliasWrite, Routing
from deployer.rollout import run as rollout
from deployer.rollout.gate import gate_for

SETTINGS = Environment(steps="auto")
TRAFFIC = (0.2, 1, 2, 5, 10, 30, 60, 100, 300, 1000, 10_000)
STABLE_RATE = 0.001
REGRESSIONS = (1.0, 0.2, 0.05)
FACTORS = (0.3, 3.0)
WEEK_MIN = 7 * 1440
BEGIN = 1_763_337_600 + 9 * 3600
LONGEST_MIN = 24 * 60
ROLLOUTS_PER_WEEK = 10


@dataclass(frozen=True)
class Case:
    """Calls per minute last week, how many times as many now, and the share of the canary's that fail."""

    rpm: float
    factor: float = 1.0
    canary_rate: float = STABLE_RATE


@dataclass
class SimulatedAws:
    """One function whose alias, metrics and alarms a rollout reads; `now` is set by whoever plays."""

    case: Case
    seed: int
    week: Week
    now: float = BEGIN
    state: AliasState = field(default_factory=lambda: AliasState(Routing("1"), "r0"))
    seen: dict[int, Minute] = field(default_factory=dict)
    failed: float = 0.0
    _until: float = BEGIN

    def __post_init__(self) -> None:
        self._poisson = Poisson(self.seed)

    @property
    def brisk(self) -> SimulatedAws:
        """Return the client that does not wait."""
        return self

    def alias(self) -> AliasState:
        """Return where the traffic goes."""
        return self.state

    def alarms(self, names: Sequence[str]) -> Mapping[str, AlarmReading]:
        """Return green alarms."""
        return {name: AlarmReading(AlarmState.OK) for name in names}

    def metrics(self) -> SimulatedAws:
        """Return the metrics."""
        return self

    def history(self, _until: float) -> Week:
        """Return the week before."""
        return self.week

    def baseline(self, _stable: str, _until: int) -> Baseline:
        """Return the hour before."""
        calls = round(60 * self.case.rpm * self.case.factor)
        return Baseline(Counts(calls, round(calls * STABLE_RATE)), p50_ms=100.0, p99_ms=1000.0)

    def minutes(self, _versions: object, _since: int, until: float, _slow: object) -> tuple[Minute, ...]:
        """Return what both versions did in each minute."""
        return tuple(minute for at, minute in sorted(self.seen.items()) if at + 60 <= until)

    def update_alias(self, write: AliasWrite, *, revision: str) -> None:
        """Move the traffic, and with it what the next calls meet."""
        self.advance(self.now)
        text, marker = markers.parse(write.description)
        routing = Routing(write.version, write.canary, write.weight_pct)
        self.state = AliasState(routing, f"{revision}.", text, marker, write.description)

    def advance(self, until: float) -> None:
        """Let calls arrive up to that second, at the present weights."""
        share = self.state.routing.weight_pct / 100 if self.state.routing.canary else 0.0
        while self._until < until:
            minute = int(self._until // 60 * 60)
            end = min(until, minute + 60)
            calls = self.case.rpm * self.case.factor * (end - self._until) / 60
            old = self.seen.get(minute, Minute(minute, Counts(), Counts()))
            canary = self._counts(calls * share, self.case.canary_rate)
            self.failed += canary.errors
            both = (
                _sum(old.canary, canary),
                _sum(old.stable, self._counts(calls * (1 - share), STABLE_RATE)),
            )
            self.seen[minute] = Minute(minute, *both)
            self._until = end

    def _counts(self, calls: float, rate: float) -> Counts:
        errors = self._poisson.draw(round(calls * rate, 3))
        slow, fast = (self._poisson.draw(round(calls * (1 - rate) / 2, 3)) for _ in range(2))
        return Counts(errors + slow + fast, errors, slow)


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(one.calls + other.calls, one.errors + other.errors, one.slow + other.slow)


@dataclass
class At:
    """The clock of a simulation."""

    aws: SimulatedAws

    def now(self) -> float:
        """Return the simulated time."""
        return self.aws.now

    def sleep(self, _seconds: float) -> None:
        """Nobody waits."""


@dataclass(frozen=True)
class Played:
    """How one rollout ended: `promoted`, `rolled back`, `paused` for a person; minutes; failed requests."""

    outcome: str
    minutes: float
    failed: float


def week_of(rpm: float, seed: int) -> Week:
    """Return a simulated week."""
    poisson = Poisson(seed)
    errors = [float(poisson.draw(round(rpm * STABLE_RATE, 9))) for _ in range(WEEK_MIN)]
    calls = [poisson.draw(rpm * (1 - STABLE_RATE)) + failed for failed in errors]
    return Week(BEGIN - 3600, tuple(calls), tuple(errors), (0.0,) * WEEK_MIN)


def play(case: Case, seed: int, week: Week) -> Played:
    """Roll one version out, from the plan to its end."""
    aws = SimulatedAws(case, seed, week)
    phase = random.Random(seed).uniform(0, 60)
    aws.now = BEGIN + phase
    outlook = Outlook.of(week, aws.now)
    plan = rollout_plan(SETTINGS, "sim", "2", places(SETTINGS, outlook.traffic))
    gate = gate_for(SETTINGS, ("errors",))
    late = 1 + phase / 4  # seconds after a closed minute until somebody looks
    while aws.now < BEGIN + 60 * LONGEST_MIN:
        aws.advance(aws.now)
        last = rollout.tick(aws, plan, gate, At(aws))  # type: ignore[arg-type]
        plan = rollout.remember(plan, last)
        minutes = (aws.now - BEGIN - phase) / 60
        match last.decision:
            case Promote() | Done():
                return Played("promoted", minutes, aws.failed)
            case Rollback():
                return Played("rolled back", minutes, aws.failed)
            case Refuse(reason, _):
                raise AssertionError(reason)
            case Pause():
                return Played("paused", minutes, aws.failed)
        aws.now = aws.now // 60 * 60 + 60 + late
    return Played("open", LONGEST_MIN, aws.failed)


def part(job: tuple[Case, int, int]) -> tuple[Case, list[Played]]:
    """Play some rollouts of one case, ten on each week."""
    case, seed, runs = job
    found = []
    week = week_of(case.rpm, seed)
    for number in range(runs):
        if number and number % ROLLOUTS_PER_WEEK == 0:
            week = week_of(case.rpm, seed + number)
        found.append(play(case, seed + 1_000_003 * (number + 1), week))
    return case, found


def cases() -> list[Case]:
    """Return what is simulated."""
    healthy = [Case(rpm, factor) for rpm, factor in product(TRAFFIC, (1.0, *FACTORS))]
    return healthy + [Case(rpm, 1.0, rate) for rpm, rate in product(TRAFFIC, REGRESSIONS)]


def page(found: Mapping[Case, Sequence[Played]], command: str) -> str:
    """Return the page: healthy releases, regressions, and the forecast beside both."""
    runs = max(map(len, found.values()))
    lines = [
        "# Releases with steps from last week's traffic",
        "",
        f'`steps = "auto"` as it ships, {runs} whole rollouts a cell, played by the code that ships: the',
        "plan from a simulated week, each tick, each decision, the marker. No person helps. The forecast is",
        "what `deployer plan` says before. 0.1 % of all calls fail anyway. Made by",
        "",
        f"    {command}",
        "",
        "## Healthy releases",
        "",
        "Promoted without a person, in % of the rollouts, with the median and the longest time in minutes.",
        "",
        "| calls/min | places | forecast | as last week | a third of last week | three times last week |",
        "|---|---|---|---|---|---|",
    ]
    for rpm in TRAFFIC:
        outlook = Outlook.of(week_of(rpm, 1), BEGIN)
        steps = places(SETTINGS, outlook.traffic).steps
        said = forecast(steps, outlook.traffic, SETTINGS.gate_settings(), outlook.traffic.error_rate)
        cells = [_healthy(found[Case(rpm, factor)]) for factor in (1.0, *FACTORS)]
        shown = ", ".join(f"{step.weight_pct:g}" for step in steps)
        lines.append(f"| {_number(rpm)} | {shown} | {said.total_min:.0f} min | {' | '.join(cells)} |")
    lines += [
        "",
        "## Regressions",
        "",
        "Rolled back, in % of the rollouts; after how many minutes (median); failed requests on average.",
        "Below it what the forecast said.",
        "",
        "| calls/min | fails 100 % | fails 20 % | fails 5 % |",
        "|---|---|---|---|",
    ]
    for rpm in TRAFFIC:
        outlook = Outlook.of(week_of(rpm, 1), BEGIN)
        steps = places(SETTINGS, outlook.traffic).steps
        cells = []
        for rate in REGRESSIONS:
            said = forecast(steps, outlook.traffic, SETTINGS.gate_settings(), rate)
            after = "-" if said.found_min is None else f"{said.found_min:.0f}"
            foretold = f"{100 * said.found:.0f}, {after}, {said.failed:.3g}"
            cells.append(f"{_worse(found[Case(rpm, 1.0, rate)])}<br>{foretold}")
        lines.append(f"| {_number(rpm)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,g}".replace(",", " ")


def _healthy(played: Sequence[Played]) -> str:
    through = [each.minutes for each in played if each.outcome == "promoted"]
    if not through:
        return "0"
    share = 100 * len(through) / len(played)
    return f"{share:.3g}; {statistics.median(through):.0f}, {max(through):.0f}"


def _worse(played: Sequence[Played]) -> str:
    back = [each.minutes for each in played if each.outcome == "rolled back"]
    after = f"{statistics.median(back):.0f}" if back else "-"
    failed = statistics.fmean(each.failed for each in played)
    return f"{100 * len(back) / len(played):.0f}, {after}, {failed:.3g}"


def main() -> None:
    """Play, print the page and write it."""
    grid = Grid.asked("releases", "play whole rollouts with the steps that ship", runs=200)
    work = [
        (case, grid.seed * 7919 + 104_729 * place + done, runs)
        for place, case in enumerate(cases())
        for done, runs in grid.parts(25)
    ]
    found: dict[Case, list[Played]] = {case: [] for case in cases()}
    for case, played in grid.results(part, work):
        found[case] += played
    grid.write("rollout-auto.md", page(found, grid.command))


if __name__ == "__main__":
    main()
