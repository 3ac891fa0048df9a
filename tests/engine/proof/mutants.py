"""The engine with one line changed: each mutant must break an invariant, or the proof would prove nothing.

A mutant is a copy of `decide`, `moves`, `way_back` and `run` in a package of its own, written to a folder and imported
from there; the real modules are left alone.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from deployer.canary import decide, moves
from deployer.rollout import run, way_back
from engine.proof.process import Engine

SOURCES = {
    module.__name__.rpartition(".")[2]: Path(module.__file__) for module in (decide, moves, way_back, run)
}


@dataclass(frozen=True)
class Mutant:
    """One changed line: what is wrong with it, and by which scenario and number of faults it is found."""

    what: str
    module: str
    line: str
    instead: str
    scenario: str
    faults: int = 0


MUTANTS = (
    Mutant("an alarm that goes red is ignored", "decide",
           "reading.since >= began", "reading.since < began", "alarm in the first step"),
    Mutant("the gates sleep in a pause", "decide",
           "and not (paused and isinstance(broken, Pause)):", "and not paused:", "slower, alarm in the pause"),
    Mutant("a place ends after half its time", "decide",
           "if judged_s < step.bake_s:", "if judged_s < step.bake_s / 2:", "healthy"),
    Mutant("a place ends by the clock", "decide",
           "over = _why_over(step, evidence)\n", 'over = "late" if now - marker.at >= step.bake_s else None\n', "healthy"),
    Mutant("only slowness fails", "decide",
           "if verdict.outcome is Outcome.FAIL]", "if verdict.outcome is Outcome.FAIL and verdict.metric in CAUSES]", "broken"),
    Mutant("a pause nobody ends lasts for ever", "decide",
           'return Rollback(f"paused for {plan.max_pause_s} s and nobody decided")', 'return Wait(60, "paused")', "slower"),
    Mutant("an observer rolls back", "decide",
           "if broken and not plan.only_observes and not", "if broken and not", "broken, observed"),
    Mutant("a deleted alarm is no alarm", "decide",
           "if reading.state is AlarmState.MISSING:", "if False:", "alarm deleted"),
    Mutant("a rollback forgets the people's text", "moves",
           "return AliasWrite(target, markers.render(alias.text, after))", 'return AliasWrite(target, markers.render("", after))', "broken"),
    Mutant("a rollback goes to the canary", "moves",
           "return rollback_write(alias, target=marker.from_version, reason=reason, known=marker)",
           "return rollback_write(alias, target=marker.to_version, reason=reason, known=marker)", "broken"),
    Mutant("the last place is left out", "decide",
           "if marker.step < len(plan.steps):", "if marker.step < len(plan.steps) - 1:", "healthy"),
    Mutant("the canary is made the stable version at its first step", "moves",
           "return AliasWrite(marker.from_version, text, canary=plan.target, weight_pct=weight_pct)",
           "return AliasWrite(plan.target, text, canary=marker.from_version, weight_pct=weight_pct)", "healthy"),
    Mutant("the lock is taken from a second look", "run",
           "aws.brisk.update_alias(made.written, revision=made.alias.revision)",
           "aws.brisk.update_alias(made.written, revision=aws.alias().revision)", "healthy", 1),
    Mutant("a write without an answer is never told", "run",
           "if unanswered is not None and alias is not None and shows(alias, unanswered.written):", "if False:", "healthy", 1),
    Mutant("a signal is not looked at", "run",
           "rollout.gate, clock, rollout.stop.reading)", "rollout.gate, clock)", "healthy", 1),
    Mutant("a throttled way back is given up", "way_back",
           "        except Unavailable as error:\n            last = error", "        except Unavailable:\n            raise", "healthy", 2),
    Mutant("a conflict ends the rollout", "run",
           "CONFLICT_LIMIT = 10", "CONFLICT_LIMIT = -1", "healthy", 1),
)  # fmt: skip


def build(mutant: Mutant, folder: Path) -> Engine:
    """Return the engine with that line changed. Raises ValueError when the line is not there exactly once."""
    package = f"mutant_{abs(hash(mutant))}"
    home = folder / package
    home.mkdir()
    (home / "__init__.py").write_text("")
    for name, original in SOURCES.items():
        source = original.read_text(encoding="utf-8")
        if name == mutant.module:
            if source.count(mutant.line) != 1:
                raise ValueError(f"`{mutant.line}` is {source.count(mutant.line)} times in {name}.py")
            source = source.replace(mutant.line, mutant.instead)
        (home / f"{name}.py").write_text(_among_themselves(source, package), encoding="utf-8")
    modules = {}
    for name in ("", *SOURCES):
        full = f"{package}.{name}" if name else package
        path = home / (f"{name}.py" if name else "__init__.py")
        found = importlib.util.spec_from_file_location(
            full, path, submodule_search_locations=None if name else [str(home)]
        )
        if found is None or found.loader is None:
            raise ValueError(f"`{path}` cannot be imported")
        modules[name] = importlib.util.module_from_spec(found)
        sys.modules[full] = modules[name]
        found.loader.exec_module(modules[name])
        if name:
            setattr(modules[""], name, modules[name])
    return Engine(modules["run"], modules["moves"])


def forget(engine: Engine) -> None:
    """Take a mutant's modules out of the interpreter again."""
    package = engine.rollout.__name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _among_themselves(source: str, package: str) -> str:
    """Let the copies import each other instead of the originals."""
    names = "|".join(SOURCES)
    rooms = r"deployer\.(?:canary|rollout)"
    source = re.sub(rf"^from {rooms}\.({names}) import", rf"from {package}.\1 import", source, flags=re.M)
    return re.sub(
        rf"^from {rooms} import ({names})( as \w+)?$", rf"from {package} import \1\2", source, flags=re.M
    )
