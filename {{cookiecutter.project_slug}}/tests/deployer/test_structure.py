"""Who may import what: pure modules stay pure, and each kind of effect has one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DEPLOYER = Path(__file__).parents[2] / "deployer"
PURE = {
    "canary", "codedeploy", "config", "costs", "counts", "eprocess", "errors", "estimate", "evidence", "moves", "verdicts", "findings", "handover", "marker", "model", "observed", "plan", "report", "report_charts", "report_html",
    "evidence_chart", "report_mermaid", "report_svg", "timeline",
}  # fmt: skip
HOMES = {
    "boto3": {"aws"},
    "botocore": {"aws", "aws_errors", "credentials", "stack"},
    "subprocess": {"docker", "github", "package"},
    "rich": {"console"},
    "typer": {"cli", "cli_options", "cli_rollout"},
    "time": {"clock", "smoke"},  # a container starts at its own pace, on no clock of ours
    "requests": set(),
    "random": set(),
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


def imports(path: Path) -> set[str]:
    """Return the modules a file imports when it runs: top-level packages, and `deployer.X` in full."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    type_only = [
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in branch.body
    ]
    for node in ast.walk(tree):
        if node in type_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "deployer":
            found |= {f"deployer.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module if node.module.startswith("deployer.") else node.module.split(".")[0])
    return found


MODULES = sorted(path for path in DEPLOYER.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_effects_have_one_home(path: Path):
    """AWS, programs, the terminal, the command line and the clock are each touched by the module that owns them."""
    for package, homes in HOMES.items():
        assert package not in imports(path) or path.stem in homes, f"{path.name} imports {package}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.stem in PURE], ids=lambda path: path.stem)
def test_pure_modules_stay_pure(path: Path):
    """A pure module imports no effect and no module that has one."""
    found = imports(path)
    assert not found & IMPURE
    inner = {name.partition(".")[2] for name in found if name.startswith("deployer.")}
    assert inner <= PURE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_only_the_command_line_prints_and_exits(path: Path):
    """Nothing but cli and console writes to the terminal or ends the process."""
    called = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    }
    if path.stem not in {"cli", "console", "__main__"}:
        assert not called & {"print", "sys.exit", "exit", "sys.stdout.write"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_fit_on_a_few_screens(path: Path):
    """A module a person can hold in mind has at most 300 lines, and says in its first line what it is."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))


def test_the_rules_can_fail(tmp_path: Path):
    """A module that breaks the rules is noticed, whatever form its import has."""
    mutant = tmp_path / "canary.py"
    mutant.write_text(
        "import boto3\nfrom subprocess import run\nfrom deployer import aws\nfrom deployer.stack import Stack\n"
    )
    assert {"boto3", "subprocess", "deployer.aws", "deployer.stack"} <= imports(mutant)
