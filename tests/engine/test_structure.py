"""The rooms of `deployer/`: who may import whom, which of them are pure, and where each kind of effect lives."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from generating import GENERATED

DEPLOYER = GENERATED / "deployer"
WORDS = {"accounts", "clock", "config", "context", "errors", "github", "model", "steps", "validation", "web"}
NOUNS = {"judge.counts", "canary.decision", "canary.marker"}
# What each room may import besides itself and the words; `room.module` is one module of a room.
ALLOWED: dict[str, set[str]] = {
    "judge": set(),
    "canary": set(),
    "aws": NOUNS,
    "image": {"aws"},
    "release": {"aws"},
    "report": {*NOUNS, "release.plan", "aws.observed"},
    "report.page": set(),
    "rollout": {"aws", "canary", "judge", "report"},
    "drivers": {"aws", "canary", "judge", "report", "rollout"},
    "gameday": {"aws", "canary", "report", "rollout"},
    "doctor": {"aws", "release"},
    "cli": {
        "aws",
        "canary",
        "doctor",
        "drivers",
        "gameday",
        "image",
        "judge",
        "release",
        "report",
        "rollout",
    },
    "durable": {"drivers"},
    "__main__": {"cli"},
    "machinery": set(),
}
DOORS = {"__main__", "durable", "machinery"}
PURE_ROOMS = {"judge", "canary", "report.page"}
PURE = {
    *(
        "accounts",
        "errors",
        "model",
        "config",
        "context",
        "steps",
        "validation",
        "aws.observed",
        "aws.stack_states",
        "aws.denied",
        "aws.statements",
        "aws.trust",
        "image.findings",
    ),
    *("release.bootstrap", "release.merge", "release.permissions", "release.plan", "release.prune"),
    "release.template",
    *(
        "report.text",
        "report.mermaid",
        "report.watch",
        "drivers.handover",
        "drivers.codedeploy",
        "drivers.costs",
    ),
    *("doctor.links", "doctor.rights", "release.repository"),
    *("gameday.plan", "gameday.record", "gameday.chain", "gameday.findings"),
}
HOMES = {
    "boto3": set(),
    "botocore": {"aws.client", "aws.clients", "aws.errors", "aws.credentials", "aws.stack", "aws.tries"},
    "subprocess": {"image.docker", "github", "drivers.package"},
    "rich": {"report.console"},
    "typer": {
        f"cli.{name}"
        for name in ("main", "bootstrap_command", "options", "prune_command", "rollout", "watch")
    },
    "time": {"clock"},
    "testbed": {"cli.smoke_commands"},
    "requests": set(),
    "random": {"judge.forecast"},  # seeded: the same week gives the same forecast
}
IMPURE = {
    "boto3",
    "botocore",
    "os",
    "subprocess",
    "socket",
    "time",
    "urllib",
    "shutil",
    "tempfile",
    "rich",
    "typer",
}


def module_of(path: Path, top: Path = DEPLOYER) -> str:
    """Return a file's name inside the package: `judge.evidence`, or `judge` for the room itself."""
    parts = path.relative_to(top).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(source: str) -> set[str]:
    """Return what a file imports, however: `boto3`, `deployer.X.Y`; for types only and by `python -m` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {
                alias.name if alias.name.startswith("deployer") else alias.name.split(".")[0]
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = node.module.split(".")[0] == "deployer"
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if inner
                else {node.module.split(".")[0]}
            )
        elif isinstance(node, ast.List | ast.Tuple):
            words = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
            names = {str(name) for flag, name in itertools.pairwise(words) if flag == "-m" and name}
            found |= {name if name.startswith("deployer") else name.split(".")[0] for name in names}
    return found


# Ways to import that the table cannot follow: a module's name may come from anywhere.
UNSEEN = {
    *("__import__", "import_module", "run_module", "run_path", "exec", "eval", "find_spec", "resolve_name"),
    *("spec_from_file_location", "load_module", "exec_module", "walk_packages"),
}


def unseen_imports(source: str) -> list[str]:
    """Return the imports of a file that `imports` does not see: relative ones, and those by a call."""
    found = []
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            by_name = {alias.name for alias in node.names} & (UNSEEN | {"*"})
            found += [ast.unparse(node)] if node.level or by_name else []
        elif isinstance(node, ast.Import):
            found += [ast.unparse(node)] if any(alias.name == "deployer" for alias in node.names) else []
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            found += [ast.unparse(node)] if name in UNSEEN or ast.unparse(node) == "sys.modules" else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            named = re.search(r"(?:^|\s)-m\s*(?:deployer|testbed|rehearsal)\b", node.value)
            found += [node.value] if named else []
    return found


def imports_at_once(source: str) -> set[str]:
    """Return what a file imports as soon as it is imported itself: not inside a function."""
    tree = ast.parse(source)
    later = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    first = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in later
    ]
    return set().union(*(imports(ast.unparse(node)) for node in first)) if first else set()


MODULES = {
    module_of(path): path.read_text(encoding="utf-8")
    for path in sorted(DEPLOYER.rglob("*.py"))
    if path != DEPLOYER / "__init__.py"
}


def inner(source: str, modules: set[str]) -> set[str]:
    """Return the modules of the package that a file imports; a name imported from one counts as that module."""
    found = set()
    for name in imports(source):
        if name.startswith("deployer."):
            parts = name.split(".")[1:]
            known = [".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in modules]
            found.add(known[0] if known else ".".join(parts))
    return found


def room_of(module: str) -> str:
    """Return the room of a module; a word or a door is a room of its own."""
    return max(
        (room for room in ALLOWED if module == room or module.startswith(f"{room}.")), key=len, default=module
    )


def may_import(module: str, other: str) -> bool:
    """Tell whether the table lets one module import another."""
    room = room_of(module)
    if other in WORDS or room_of(other) == room:
        return True
    allowed = ALLOWED.get(room, set())
    return other in allowed or room_of(other) in allowed


def check_homes(module: str, source: str) -> None:
    """Raise AssertionError for an effect that another module owns."""
    for package, homes in HOMES.items():
        assert package not in imports(source) or module in homes, f"{module} imports {package}"


def strangers(modules: dict[str, str]) -> list[str]:
    """Return every import that the table does not allow."""
    return [
        f"{name} imports {other}"
        for name, source in modules.items()
        for other in sorted(inner(source, set(modules)))
        if not may_import(name, other)
    ]


def circles(modules: dict[str, str]) -> Iterator[str]:
    """Yield a line for each module that imports itself by way of others."""
    arrows = {name: inner(source, set(modules)) - {name} for name, source in modules.items()}
    for start, first in arrows.items():
        seen: set[str] = set()
        ahead = set(first)
        while ahead:
            name = ahead.pop()
            if name == start:
                yield f"{start} imports itself by way of others"
                break
            if name not in seen:
                seen.add(name)
                ahead |= arrows.get(name, set())


def test_rooms_import_what_the_table_allows():
    """No module imports another room than those its own room may; imports for types and `python -m` count."""
    assert strangers(MODULES) == []


@pytest.mark.parametrize("module", MODULES)
def test_every_import_can_be_seen(module: str):
    """No module imports in a form that the table cannot follow."""
    assert unseen_imports(MODULES[module]) == []


@pytest.mark.parametrize(
    "source",
    [
        "from ..cli import main\n",
        "from . import cli\n",
        "from deployer import *\n",
        "import deployer\ndeployer.cli.main\n",
        'import importlib\nimportlib.import_module("testbed.local_aws")\n',
        "from importlib import import_module as load\n",
        '__import__("testbed")\n',
        "load = __import__\n",
        'import runpy\nrunpy.run_module("testbed.local_aws")\n',
        'exec("import testbed")\n',
        'import sys\nsys.modules["testbed"]\n',
        'command = "python3 -m testbed.local_aws"\n',
        'argv = [python, "-mtestbed.local_aws"]\n',
    ],
)
def test_an_unseen_import_is_found(source: str):
    """Each form that hides what is imported is found."""
    assert unseen_imports(source)


def test_there_is_no_circle():
    """No module imports itself by way of others."""
    assert list(circles(MODULES)) == []


def test_every_module_is_in_a_room():
    """Beside the words and the doors every module lies in a room, and each room says its question."""
    for name, source in MODULES.items():
        assert "." in name or name in {*ALLOWED, *WORDS}, name
        if name in ALLOWED and name not in DOORS:
            assert "?" in (ast.get_docstring(ast.parse(source)) or ""), f"{name} does not say its question"


@pytest.mark.parametrize("module", MODULES)
def test_effects_have_one_home(module: str):
    """AWS, programs, the terminal, the command line and the clock are each touched by the module that owns them."""
    check_homes(module, MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_no_module_loads_the_testbed_with_itself(module: str):
    """The local AWS and the smoke fixtures are imported inside the command that needs them, never beside a module."""
    assert "testbed" not in imports_at_once(MODULES[module])


@pytest.mark.parametrize(
    "program", ["import deployer.cli.main", "from deployer.cli.main import main; main(['status', '--help'])"]
)
def test_a_credentialed_command_loads_no_testbed(program: str):
    """Neither the command line nor a command of a release loads a module of the testbed."""
    look = "; import sys; print('loaded', sorted(name for name in sys.modules if name.startswith('testbed')))"
    done = subprocess.run([sys.executable, "-c", program + look], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("from testbed import fixtures\n", True),
        ("if True:\n    import testbed.local_aws\n", True),
        ("def smoke():\n    from testbed import fixtures\n", False),
    ],
    ids=["at the top", "under a condition", "inside a function"],
)
def test_a_testbed_beside_a_module_is_found(source: str, is_found: bool):
    """An import of the testbed counts where it is carried out with the module, and only there."""
    assert ("testbed" in imports_at_once(source)) is is_found


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    from testbed import local_aws\n",
        'argv = [python, "-m", "testbed.local_aws", "serve"]\n',
    ],
    ids=["inside a function", "python -m"],
)
def test_a_testbed_in_another_module_is_found(source: str):
    """Another module of the deployer that reaches for the testbed is found, whatever form that has."""
    assert "testbed" in imports(source)
    with pytest.raises(AssertionError, match=r"image\.push imports testbed"):
        check_homes("image.push", source)


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in PURE_ROOMS or name in PURE])
def test_pure_modules_stay_pure(module: str):
    """A pure module imports no effect and no module that has one."""
    source = MODULES[module]
    assert not imports(source) & IMPURE
    pure = {name for name in MODULES if room_of(name) in PURE_ROOMS} | PURE | {"clock"}
    assert inner(source, set(MODULES)) <= pure


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_prints_and_exits(module: str):
    """Nothing but the command line and the console writes to the terminal or ends the process."""
    called = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(MODULES[module])) if isinstance(node, ast.Call)
    }
    if module not in {"cli.main", "report.console", "__main__"}:
        assert not called & {"print", "sys.exit", "exit", "sys.stdout.write"}


@pytest.mark.parametrize("module", MODULES)
def test_modules_fit_on_a_few_screens(module: str):
    """A module a person can hold in mind has at most 300 lines, and says in its first line what it is."""
    assert MODULES[module].count("\n") <= 300
    assert ast.get_docstring(ast.parse(MODULES[module]))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("judge.evidence", "from deployer.aws.client import Aws\n"),
        ("judge.evidence", "from deployer import aws\n"),
        (
            "canary.decide",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from deployer.rollout import run\n",
        ),
        ("rollout.surroundings", "import deployer.cli.commands\n"),
        ("image.smoke", 'argv = [python, "-m", "deployer.cli.main"]\n'),
        ("config", "from deployer.judge.counts import Counts\n"),
    ],
    ids=[
        "a pure room reaches AWS",
        "the package is named",
        "for types only",
        "whole path",
        "python -m",
        "a word",
    ],
)
def test_a_stranger_is_found(module: str, source: str):
    """An import that the table forbids is found, whatever form it has."""
    assert len(strangers({**MODULES, module: source})) == 1


def test_a_circle_is_found():
    """Two modules of one room that import each other are found, also when one does so for types only."""
    hidden = "if TYPE_CHECKING:\n    from deployer.rollout.surroundings import Surroundings\n"
    changed = {**MODULES, "rollout.guard": MODULES["rollout.guard"] + hidden}
    assert "rollout.guard imports itself by way of others" in set(circles(changed))


def test_an_effect_is_found():
    """An effect in a pure module is found, also inside a function."""
    assert {"boto3", "subprocess"} <= imports("import boto3\ndef f():\n    from subprocess import run\n")


def test_the_map_shows_the_table():
    """deployer/README.md has a row for every room, and its last column names what the table allows."""
    rows = {}
    for line in (DEPLOYER / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            rows.update({name.strip("`/").replace("/", "."): cells[-1] for name in cells[0].split(", ")})
    assert {name for key in rows for name in key.replace("`", "").split()} == {*ALLOWED, *WORDS}
    for room in ("image", "release", "rollout"):
        assert set(re.findall(r"`(\w+)/`", rows[room])) == ALLOWED[room], room
    assert "everything" in rows["cli"]
    assert set(re.findall(r"`(\w+)/`", rows["aws"])) == {noun.partition(".")[0] for noun in NOUNS}
