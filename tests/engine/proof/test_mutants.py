"""The proof can fail: an engine with one line changed breaks an invariant."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.proof.explore import Explorer
from engine.proof.invariants import Broken
from engine.proof.mutants import MUTANTS, Mutant, build, forget
from engine.proof.scenarios import STANDARD, of

SCENARIOS = {scenario.name.partition(", ")[2]: scenario for scenario in of(STANDARD, "standard")}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_mutant_breaks_an_invariant(mutant: Mutant, tmp_path: Path):
    """One wrong line in decide, moves or run is found by some invariant."""
    engine = build(mutant, tmp_path)
    try:
        with pytest.raises(Broken):
            Explorer(SCENARIOS[mutant.scenario], engine).explore(mutant.faults)
    finally:
        forget(engine)


def test_a_copy_without_a_change_breaks_none(tmp_path: Path):
    """What breaks a mutant is its one line, not that it is a copy."""
    engine = build(Mutant("nothing", "moves", '    ABORT = "abort"', '    ABORT = "abort"', ""), tmp_path)
    try:
        assert Explorer(SCENARIOS["healthy"], engine).explore(0).done == 1
    finally:
        forget(engine)
