"""Make mutants and play them: `python3 dev.py mutants [PATHS] [--minutes M] [--sample N]`; writes build/mutants.md.

Two libraries do this for Python, and neither was taken. mutmut finds the tests of a mutant by a name made of its path,
which is not the name that Python imports where pytest's `pythonpath` names a folder, as it does here; and the guard's
text in a YAML file has no name at all. Source: https://github.com/boxed/mutmut/pull/516
cosmic-ray writes each mutant over the file itself and runs one command for all of them, whatever line it changed; one
that is ended leaves a mutant in the folder that every repository is generated from.
Source: `src/cosmic_ray/mutating.py` there, and https://github.com/btclib-org/btclib/issues/392
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mutants.generate import Mutant, mutants
from mutants.page import Explained, page, read_explained, unmatched
from mutants.play import TESTS, Fate, Played, import_libraries, measure, play
from mutants.sources import ROOT, Source, sources

BUILD = ROOT / "build" / "mutants"
PAGE = ROOT / "build" / "mutants.md"


def main(arguments: list[str]) -> int:
    """Play all mutants that are asked for; 1 when one survived without a reason, or a reason fits none."""
    asked = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no copy is left behind
    import_libraries()
    BUILD.mkdir(parents=True, exist_ok=True)
    chosen = sources(asked.paths)
    made = [mutant for source in chosen for mutant in of(source)]
    reach = _reach(asked.tests)
    stamp = _stamp(asked.tests)
    known = _known(stamp)
    draw = random.Random(asked.seed)
    wanted = made if asked.sample is None else draw.sample(made, min(asked.sample, len(made)))
    played = [Played(m, *known[m.key]) for m in wanted if m.key in known]
    missing = [mutant for mutant in wanted if mutant.key not in known]
    _say(f"{len(made)} mutants, {len(wanted)} wanted, {len(played)} known from before")
    until = time.monotonic() + 60 * asked.minutes
    began = time.monotonic()
    named = {source.name: source for source in chosen}
    with (BUILD / f"{stamp}.jsonl").open("a", encoding="utf-8") as results:
        for number, one in enumerate(play(missing, named, reach, asked.at_once, BUILD), start=1):
            results.write(json.dumps([one.mutant.key, one.fate.name, one.by]) + "\n")
            results.flush()
            played.append(one)
            if one.fate in (Fate.SURVIVED, Fate.NO_TEST):
                _say(f"{one.fate.value}: {one.mutant.key}")
            if number % 25 == 0:
                _say(f"{number} of {len(missing)} after {time.monotonic() - began:.0f} s")
            if time.monotonic() > until:
                _say("the time is over; the same command goes on from here")
                break
    explained = read_explained()
    PAGE.write_text(page(played, len(made), explained), encoding="utf-8")
    return _verdict(made, played, explained)


def of(source: Source) -> list[Mutant]:
    """Return a source's mutants; lines are those of the file."""
    return mutants(source.name, source.text, source.offset)


def _verdict(made: list[Mutant], played: list[Played], explained: tuple[Explained, ...]) -> int:
    gone = unmatched(explained, made, played)
    for one in gone:
        _say(f"explained, but killed or not there: {one.module}: {one.before} -> {one.after}")
    fits = {(one.module, one.before, one.after) for one in explained}
    open_ = [
        one
        for one in played
        if one.fate in (Fate.SURVIVED, Fate.NO_TEST)
        and (one.mutant.module, one.mutant.before.strip(), one.mutant.after.strip()) not in fits
    ]
    killed = sum(one.fate in (Fate.KILLED, Fate.TIMED_OUT) for one in played)
    _say(f"{killed} of {len(played)} killed, {len(open_)} not explained; written to {PAGE.relative_to(ROOT)}")
    return 1 if open_ or gone else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "paths", nargs="*", help="only these, such as judge/strata.py; everything without any"
    )
    parser.add_argument("--minutes", type=float, default=120, help="stop then; the same command goes on")
    parser.add_argument("--sample", type=int, help="only so many, drawn at random, for a first look")
    parser.add_argument("--seed", type=int, default=1, help="which ones are drawn")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="processes at the same time")
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="where tests are looked for")
    return parser.parse_args(arguments)


def _reach(tests: list[str]) -> dict[str, Any]:
    """Return which tests reach which lines, measured once for these sources and tests."""
    written = BUILD / f"reach-{_stamp(tests)}.json"
    if not written.exists():
        _say("measuring which tests reach which lines; some minutes")
        measure(tests, sources([]), written)
    found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return found


def _stamp(tests: list[str]) -> str:
    """Return what stands for everything that a fate depends on: the code that is tested, the tests, their settings."""
    digest = hashlib.sha256(repr(sorted(tests)).encode())
    folders = (
        sources([])[0].path.parents[1],
        ROOT / "tests" / "engine",
        ROOT / "tests" / "infra",
        Path(__file__).parent,
    )
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    for path in (*files, *(source.path for source in sources([])[-1:]), ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _known(stamp: str) -> dict[str, tuple[Fate, int]]:
    written = BUILD / f"{stamp}.jsonl"
    if not written.exists():
        return {}
    rows = (json.loads(line) for line in written.read_text(encoding="utf-8").splitlines())
    return {key: (Fate[fate], by) for key, fate, by in rows}


def _say(line: str) -> None:
    sys.stdout.write(f"mutants: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
