"""docs/security.md: thirty rows, and every test and mutant it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs import reading
from generating import GENERATED, ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
REQUIREMENTS = reading.table(PAGE, "requirement")
LIVED = reading.table(PAGE, "mutant")
NAMED = re.compile(r"`([\w/.]+\.py)(?:::(\w+))?`|\"([^\"]+)\"")


@cache
def file_of(name: str) -> Path:
    """Return the one file of tests that a name stands for; raises AssertionError when none or several do."""
    found = [
        path
        for folder in (ROOT / "tests", GENERATED / "tests")
        for path in sorted(folder.rglob(Path(name).name))
        if path.as_posix().endswith(f"/{name}")
    ]
    assert len(found) == 1, f"{name} stands for {len(found)} files"
    return found[0]


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def texts_of(path: Path) -> frozenset[str]:
    """Return the keys of every dictionary in a file: each mutant is known by one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    keys = (key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys)
    return frozenset(
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    )


def faults(cell: str) -> list[str]:
    """Return what a cell names that is not there."""
    found, file = [], ""
    for name, test, mutant in NAMED.findall(cell):
        file = name or file
        if test and test not in functions_of(file_of(file)):
            found.append(f"{file} has no {test}")
        if mutant and mutant not in texts_of(file_of(file)):
            found.append(f'{file} has no "{mutant}"')
    return found


def test_there_are_thirty_rows() -> None:
    """The requirements are numbered from 1 to 30."""
    assert [row[0].split()[0] for row in REQUIREMENTS] == [str(number) for number in range(1, 31)]


@pytest.mark.parametrize("row", REQUIREMENTS, ids=[row[0].split()[0] for row in REQUIREMENTS])
def test_every_proof_is_there(row: list[str]) -> None:
    """Each requirement has a test and a mutant, and both exist."""
    _, tests, mutants = row
    assert [test for _, test, _ in NAMED.findall(tests) if test]
    assert [test or mutant for _, test, mutant in NAMED.findall(mutants) if test or mutant]
    assert faults(tests) + faults(mutants) == []


@pytest.mark.parametrize("row", LIVED, ids=[row[0] for row in LIVED])
def test_what_lived_is_dead(row: list[str]) -> None:
    """Each mutant that once survived names what kills it, or says why nothing can."""
    assert NAMED.findall(row[1]) or row[1].startswith("nowhere: ")
    assert faults(row[1]) == []


@pytest.mark.parametrize(
    "cell", ['`test_rules.py` "a mutant nobody made"', "`test_push.py::test_that_is_not_there`"]
)
def test_a_proof_that_is_not_there_is_found(cell: str) -> None:
    """A test or a mutant under a name that nothing has would be told."""
    assert len(faults(cell)) == 1


def test_readme_says_what_was_not_exercised() -> None:
    """Both READMEs name AWS, GitHub's runners, the base image and the scanner's database as never tried here."""
    for path in (ROOT / "README.md", GENERATED / "README.md"):
        text = " ".join(path.read_text(encoding="utf-8").split())
        for word in ("AWS", "GitHub", "base image", "Trivy", "database"):
            assert re.search(rf"(?i)(?:not|never|nothing)[^#]*{word}|{word}[^#]*(?:not|never)", text), (
                path,
                word,
            )
