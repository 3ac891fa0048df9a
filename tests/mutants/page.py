"""The page about the mutants, and the reasons why some survive. Pure but for reading the reasons."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutants.generate import Mutant
from mutants.play import Fate, Played

EXPLAINED = Path(__file__).with_name("explained.toml")
_OPEN = (Fate.SURVIVED, Fate.NO_TEST)
_HEAD = """\
# Mutants of what decides about traffic

Each mutant is one small change of `judge/`, `canary/`, `rollout/` or of the guard in `infra/service.yaml`: a comparison,
a number, an operator, a connective, a statement that is left out. Each is shown to the tests that reach its line.

    python3 dev.py mutants
"""


@dataclass(frozen=True)
class Explained:
    """A mutant that may survive: the changed lines without what surrounds them, and why no test can tell."""

    module: str
    before: str
    after: str
    reason: str


def read_explained(path: Path = EXPLAINED) -> tuple[Explained, ...]:
    """Return the reasons. Raises TypeError for an entry with other keys."""
    return tuple(
        Explained(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    )


def reasons(explained: Iterable[Explained]) -> dict[tuple[str, str, str], str]:
    """Return the reasons by what they are about."""
    return {(one.module, one.before, one.after): one.reason for one in explained}


def about(mutant: Mutant) -> tuple[str, str, str]:
    """Return what a reason for this mutant is found by: line numbers move, what is written stays."""
    return mutant.module, mutant.before.strip(), mutant.after.strip()


def unmatched(
    explained: Sequence[Explained], made: Sequence[Mutant], played: Sequence[Played]
) -> list[Explained]:
    """Return the reasons for mutants that do not exist or were killed, among the modules that were asked for."""
    modules = {mutant.module for mutant in made}
    fates: dict[tuple[str, str, str], set[Fate]] = {about(mutant): set() for mutant in made}
    for one in played:
        fates[about(one.mutant)].add(one.fate)
    return [
        one
        for one in explained
        if one.module in modules
        and (found := fates.get((one.module, one.before, one.after), {Fate.KILLED}))
        and not found.intersection(_OPEN)
    ]


def page(played: Sequence[Played], made: int, explained: Sequence[Explained]) -> str:
    """Return the page; says first whether everything was played."""
    told = reasons(explained)
    survivors = sorted((o for o in played if o.fate in _OPEN), key=lambda o: (o.mutant.module, o.mutant.line))
    rest = [one for one in survivors if about(one.mutant) not in told]
    whole = "all" if len(played) == made else f"{len(played)} of {made}, so this is not the whole,"
    lines = [
        _HEAD,
        f"**{made:,} mutants, {whole} played; {len(survivors)} survived, {len(rest)} of them without a reason.**",
        "",
        *_table(played),
        "## Survivors without a reason",
        "",
        *(_survivor(one, None) for one in rest),
        *([] if rest else ["None.", ""]),
        "## Survivors with a reason",
        "",
        *(_survivor(one, told[about(one.mutant)]) for one in survivors if one not in rest),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(played: Sequence[Played]) -> list[str]:
    counts: dict[str, Counter[Fate]] = {}
    for one in played:
        counts.setdefault(one.mutant.module, Counter())[one.fate] += 1
    total = sum(counts.values(), Counter())
    head = [
        "| module | mutants | " + " | ".join(fate.value for fate in Fate) + " |",
        "| --- |" + " ---: |" * (len(Fate) + 1),
    ]
    rows = [
        f"| {name} | {count.total()} | " + " | ".join(str(count[fate]) for fate in Fate) + " |"
        for name, count in [*sorted(counts.items()), ("**all**", total)]
    ]
    return [*head, *rows, ""]


def _survivor(one: Played, reason: str | None) -> str:
    mutant = one.mutant
    where = f" in `{mutant.function}`" if mutant.function else ""
    shown = f"{one.by} tests pass with it" if one.fate is Fate.SURVIVED else "no test reaches it"
    difference = difflib.unified_diff(mutant.before.splitlines(), mutant.after.splitlines(), lineterm="", n=0)
    changed = [line for line in difference if not line.startswith(("---", "+++", "@@"))]
    text = [f"`{mutant.module}` line {mutant.line}{where}; {shown}.", *([reason] if reason else [])]
    return "\n".join([*text, "", "```diff", *changed, "```", ""])
