"""Mutants: each is one edit, none is the same program, and what is told of them is true."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mutants.generate import Mutant, mutants
from mutants.page import Explained, page, read_explained, unmatched
from mutants.play import Fate, Played, batches
from mutants.sources import GUARD, ROOT, Source, sources

MODULE = '''\
"""Words with 1 in them."""
LIMIT = 3


def rate(errors: int, calls: int = 1) -> float:
    if not calls and errors >= LIMIT:
        raise ValueError(f"{errors + 1}")
    return max(errors / calls, 0.5)
'''


def edits(source: str) -> set[tuple[str, str]]:
    """Return what each mutant changes, without the rest of the line that stays as it is."""
    return {(mutant.before.strip(), mutant.after.strip()) for mutant in mutants("m.py", source)}


def test_every_kind_of_change_is_made() -> None:
    """Numbers, defaults, comparisons, connectives, operators, statements, results; no words and no types."""
    condition = "if not calls and errors >= LIMIT:"
    result = "return max(errors / calls, 0.5)"
    signature = "def rate(errors: int, calls: int = 1) -> float:"
    assert edits(MODULE) == {
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 2"),
        (signature, signature.replace("1", "2")),
        (signature, signature.replace("1", "0")),
        (condition, condition.replace("not ", "")),
        (condition, condition.replace("and", "or")),
        (condition, condition.replace(">=", ">")),
        (condition, condition.replace(">=", "<")),
        ('raise ValueError(f"{errors + 1}")', "pass"),
        (result, "return None"),
        (result, result.replace("max", "min")),
        (result, result.replace("/", "*")),
        (result, result.replace("0.5", "1.0")),
        (result, result.replace("0.5", "0.25")),
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = (b) < (c) < d", {"a = (b) <= (c) < d", "a = (b) >= (c) < d", "a = (b) < (c) <= d", "a = (b) < (c) >= d"}),
        ("a = b not in c", {"a = b in c"}),
        ("a = b is not c", {"a = b is c"}),
        ("a = 'ä' + b", {"a = 'ä' - b"}),
        ("a = not (b)", {"a =  (b)"}),
        ("a = -(b)", {"a = (b)"}),
        ("a += b", {"a -= b", "pass"}),
        ("a = b if c else d", {"a = b if not c else d"}),
        ("a = [b for b in c if b]", {"a = [b for b in c if not b]"}),
        ("a = x -\\\n  1", {"a = x +\\", "2", "0"}),
        ("a = 0", {"a = 1", "a = (-1)"}),
        ("def f():\n  return False", {"return True"}),
        ("for a in b:\n  continue", {"pass"}),
        ("a.b = c", {"pass"}),
        ("a = f'{b + 1}'", set()),
    ],
)  # fmt: skip
def test_the_edit_is_where_it_should_be(source: str, expected: set[str]) -> None:
    """Brackets, lines, letters of more than one byte and chains of comparisons change nothing about the place."""
    assert {after for _, after in edits(source)} == expected


def test_every_mutant_of_the_project_is_another_program() -> None:
    """Each one is Python, differs from the original, and is found by its own key."""
    for source in sources([]):
        made = mutants(source.name, source.text, source.offset)
        assert len({mutant.text for mutant in made}) == len(made)
        original = ast.dump(ast.parse(source.text))
        assert all(ast.dump(ast.parse(mutant.text)) != original for mutant in made[::25])


def test_the_guard_is_found_in_its_template() -> None:
    """Its lines are those of the file, so that a person finds the line of a survivor."""
    [guard] = sources([GUARD])
    lines = guard.path.read_text(encoding="utf-8").splitlines()
    made = mutants(guard.name, guard.text, guard.offset)
    assert len(made) > 20
    assert all(lines[mutant.line - 1].strip() == mutant.before.splitlines()[0].strip() for mutant in made)


def test_a_mutant_is_shown_to_the_tests_that_reach_it() -> None:
    """Quickest first, those of its own file before all others; what acts on import is shown to all of the module's."""
    path = Path("/p/deployer/judge/m.py")
    source = Source("judge/m.py", "deployer.judge.m", path, MODULE)
    reach = {
        "t/test_other.py::quick": {"s": 0.1, "lines": {str(path): [6, 8]}},
        "t/test_m.py::slow": {"s": 2.0, "lines": {str(path): [6, 8]}},
        "t/test_m.py::quick": {"s": 1.0, "lines": {str(path): [6]}},
        "t/test_m.py::elsewhere": {"s": 1.0, "lines": {"/p/other.py": [8]}},
    }
    made = {mutant.line: mutant for mutant in mutants("judge/m.py", MODULE)}
    assert batches(made[8], source, reach) == [["t/test_m.py::slow"], ["t/test_other.py::quick"]]
    every = [["t/test_m.py::quick", "t/test_m.py::slow"], ["t/test_other.py::quick"]]
    assert batches(made[2], source, reach) == batches(made[6], source, reach) == every
    assert batches(made[7], source, reach) == []


def test_a_reason_that_nothing_needs_is_told() -> None:
    """It stands for a mutant that is there and survives, or it is an error; those not played yet are waited for."""
    first, second = mutants("m.py", "a = 1")
    reasons = [Explained("m.py", "a = 1", after, "why") for after in ("a = 0", "a = 2", "a = 7")]
    survives, killed = Played(first, Fate.SURVIVED, 3), Played(second, Fate.KILLED, 1)
    assert unmatched(reasons, [first, second], [survives, killed]) == reasons[1:]
    assert unmatched(reasons, [first, second], [survives]) == reasons[2:]
    assert unmatched(reasons, [], []) == []  # its module was not asked for


def test_the_page_counts_and_shows_survivors() -> None:
    """A survivor is shown with its line, its difference and its reason; a part is never taken for the whole."""
    first, second = mutants("m.py", "\na = 1")
    told = page([Played(first, Fate.SURVIVED, 3), Played(second, Fate.KILLED, 1)], 2, ())
    assert "**2 mutants, all played; 1 survived, 1 of them without a reason.**" in told
    assert "| m.py | 2 | 1 | 0 | 1 | 0 |" in told
    assert "`m.py` line 2; 3 tests pass with it.\n\n```diff\n-a = 1\n+a = 0\n```" in told
    told = page([Played(first, Fate.NO_TEST)], 2, (Explained("m.py", "a = 1", "a = 0", "Because."),))
    assert "1 of 2, so this is not the whole, played; 1 survived, 0 of them" in told
    assert "no test reaches it.\nBecause.\n" in told


def test_every_reason_is_about_a_mutant() -> None:
    """What stands in explained.toml is about a change that is made, with a sentence."""
    made = {
        (m.module, m.before.strip(), m.after.strip()) for s in sources([]) for m in mutants(s.name, s.text)
    }
    for one in read_explained():
        assert (one.module, one.before, one.after) in made, one
        assert one.reason.endswith(".")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the command forks")
def test_the_command_kills_what_a_test_finds(tmp_path: Path) -> None:
    """One round with the real tests of one small file: the difference of a sign in a sum does not survive."""
    play = (
        "import sys; from pathlib import Path; from mutants import play; from mutants.generate import mutants;"
        "from mutants.sources import sources; play.import_libraries(); folder = Path(sys.argv[1]);"
        "[source] = sources(['judge/dispersion.py']);"
        "tests = ['tests/engine/judge/test_dispersion.py::test_a_short_history_measures_nothing'];"
        "play.measure(tests, [source], folder / 'reach.json'); import json;"
        "reach = json.loads((folder / 'reach.json').read_text());"
        "made = [m for m in mutants(source.name, source.text) if 'return Dispersion' in m.before and 'not' in m.after];"
        "print([one.fate.name for one in play.play(made, {source.name: source}, reach, 1, folder)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", play, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**_environment(), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["['KILLED']"], done.stdout + done.stderr


def _environment() -> dict[str, str]:
    import os

    from mutants.sources import GENERATED

    folders = (GENERATED, GENERATED / "tests", ROOT / "tests", ROOT)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder) for folder in folders)}


def test_a_mutant_has_a_key() -> None:
    """The same line may be there twice; its place tells the two apart."""
    one, *_ = mutants("m.py", "a = 1\na = 1")
    assert one == Mutant("m.py", 1, "a = 1", "a = 0", "", "a = 0\na = 1")
    assert len({mutant.key for mutant in mutants("m.py", "a = 1\na = 1")}) == 4
