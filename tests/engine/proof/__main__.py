"""Run the whole proof and write docs/rollout-proof.md: `python3 dev.py proof`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from engine.proof.explore import Explored, Explorer
from engine.proof.invariants import INVARIANTS, Broken
from engine.proof.mutants import MUTANTS, build, forget
from engine.proof.process import Kind, Scenario
from engine.proof.scenarios import LONG, STANDARD, of

COMMAND = "python3 dev.py proof"
STANDARD_NAME, LONG_NAME = "10/50 %", "5/10/25 %"
# The long ramp differs from the standard one in its times alone: what ends badly there ends early.
OF_LONG = ("broken", "alarm in the first step", "slower, goes back")
SCENARIOS = (
    *of(STANDARD, STANDARD_NAME),
    *(scenario for scenario in of(LONG, LONG_NAME) if scenario.name.partition(", ")[2] in OF_LONG),
)
TWO_FAULTS = ("broken", "alarm in the first step")
NOT_COVERED = (
    "Chance. Traffic is even and errors come at their rate, so numbers are never drawn. How often chance misleads the gate"
    " is simulated: [rollout-power](rollout-power.md), [rollout-runs](rollout-runs.md).",
    "Time inside a call. A call of the fake takes none, and what is written is read by the next call. Slow answers, cut"
    " connections and throttling meet the real client in `tests/engine/aws/test_unwell.py`.",
    "What is around a rollout: stack, image, roles, messages to people. The acts and the stories play these on a local AWS.",
    "How CloudWatch evaluates an alarm. The fake's alarms are red or green when a scenario says so.",
    "More faults in one rollout than its table says, but for those drawn at random in `tests/engine/proof/test_random.py`.",
    "The durable function and CodeDeploy, which have tests of their own in `tests/engine/drivers/`.",
    "AWS itself. What it answered once is replayed against the fake by `tests/engine/test_recorded.py`, which lists the"
    " departures; what nobody recorded is as the documentation says.",
)
REPORT = Path(__file__).parents[3] / "docs" / "rollout-proof.md"


def main() -> int:
    """Explore every scenario, then every mutant; print as it goes, write the report at the end.

    With `--pairs` also two faults in one rollout, which takes a quarter of an hour more.
    """
    began = time.monotonic()
    rows = [row(scenario, 1) for scenario in SCENARIOS]
    twice = [s for s in of(STANDARD, STANDARD_NAME) if s.name.partition(", ")[2] in TWO_FAULTS]
    pairs = [row(scenario, 2) for scenario in twice if "--pairs" in sys.argv]
    killed = [mutant_row(number) for number in range(len(MUTANTS))]
    total = sum(found.runs for _, found in (*rows, *pairs))
    summary = (
        f"{total:,} rollouts with every fault at every moment: 100 % ended done or rolled back, "
        f"and all {len(INVARIANTS)} invariants held."
    ).replace(",", " ", f"{total:,}".count(","))
    REPORT.write_text(report(summary, [rows, pairs], killed), encoding="utf-8")
    sys.stdout.write(f"{summary}\n{len(killed)} of {len(MUTANTS)} mutants broke an invariant.\n")
    sys.stdout.write(f"{time.monotonic() - began:.0f} s, written to {REPORT.name}\n")
    return 0


def row(scenario: Scenario, faults: int) -> tuple[str, Explored]:
    """Explore one scenario and print what was found."""
    began = time.process_time()
    found = Explorer(scenario).explore(faults)
    sys.stdout.write(
        f"{scenario.name}, {faults} fault{'s' if faults > 1 else ''} at most: {found.runs} runs, {found.done} done, "
        f"{found.rolled_back} rolled back, {time.process_time() - began:.1f} s\n"
    )
    sys.stdout.flush()
    return scenario.name, found


def mutant_row(number: int) -> tuple[str, str, str]:
    """Explore one mutant; returns what is wrong with it, where, and the invariant that found it."""
    mutant = MUTANTS[number]
    scenario = next(s for s in of(STANDARD, STANDARD_NAME) if s.name == f"{STANDARD_NAME}, {mutant.scenario}")
    with tempfile.TemporaryDirectory() as folder:
        engine = build(mutant, Path(folder))
        try:
            Explorer(scenario, engine).explore(mutant.faults)
        except Broken as broken:
            return mutant.what, f"{mutant.module}.py", broken.invariant.replace("_", " ")
        finally:
            forget(engine)
    raise SystemExit(f"the mutant `{mutant.what}` broke no invariant")


def report(
    summary: str, tables: list[list[tuple[str, Explored]]], mutants: list[tuple[str, str, str]]
) -> str:
    """Return the page."""
    lines = [
        "# The rollout, proven",
        "",
        "The engine runs unchanged against a strict fake of Lambda and CloudWatch on a virtual clock",
        "(`tests/engine/fakes.py`, compared with the local AWS by `tests/engine/proof/test_contract.py`).",
        "At every AWS call and in every second something goes wrong; where the process is gone, another one resumes.",
        "",
        f"    {COMMAND}",
        "",
        f"**{summary}**",
        "",
        "What goes wrong at a call: " + ", ".join(kind.value for kind in Kind) + ".",
        "A cancel also comes in every second between the calls.",
        "",
        "A rollout at rest has no memory but the alias and what its gate can read again, so every moment is looked at",
        "once: with no fault and with each fault until the next rest. *Runs* are the different rollouts, each with its",
        "own faults, that these stretches put together. `--pairs` adds two faults in one rollout.",
        "",
        "A rollout that was cancelled before its first write counts as rolled back: nothing had moved. A version that is",
        "slower waits for a person for five minutes here instead of an hour: the same rules, and far fewer seconds to",
        "look at. A red alarm ends a rollout unless it was red before: that is why a few of those rollouts, begun late by",
        "a second process, are done.",
        "",
    ]
    for faults, table in enumerate(filter(None, tables), start=1):
        at_most = (
            "At most one fault in a rollout"
            if faults == 1
            else "At most two faults in a rollout, at any two moments"
        )
        lines += [
            f"## {at_most}",
            "",
            "| rollout | runs | done | rolled back |",
            "| --- | ---: | ---: | ---: |",
        ]
        lines += [f"| {name} | {f.runs} | {f.done} | {f.rolled_back} |" for name, f in table]
        lines.append("")
    lines += ["## What holds in each of them", "", "| invariant | |", "| --- | --- |"]
    lines += [
        f"| {invariant.__name__.replace('_', ' ')} | {(invariant.__doc__ or '').strip()} |"
        for invariant in INVARIANTS
    ]
    lines += ["", "## What it does not cover", "", *(f"- {what}" for what in NOT_COVERED)]
    lines += [
        "",
        "## One line changed, and found",
        "",
        "| what is wrong | in | which invariant fails |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {what} | `{where}` | {invariant} |" for what, where, invariant in mutants]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
