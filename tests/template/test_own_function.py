"""docs/your-own-function.md, followed to the letter: another function ships without a change of the machinery."""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev import own_environment
from generating import GENERATED, Template, commit, git, shorten_rollouts

# One worker, one repository: each of its environments takes longer than a test.
pytestmark = pytest.mark.xdist_group("own function")
PAGE = (GENERATED / "docs/your-own-function.md").read_text(encoding="utf-8")
_STEP = re.compile(
    r"^`(?P<path>[^`]+)`(?: between `(?P<begin>[^`]+)` and `(?P<end>[^`]+)`)?\n\n"
    r"```(?P<kind>\w+)\n(?P<block>.*?)^```$|^    (?P<command>\S[^\n]*)$",
    re.DOTALL | re.MULTILINE,
)
# Of this machine, so that the image can be run here.
HERE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
MACHINERY = ("deployer", "rehearsal", "testbed", "infra/bootstrap.yaml", "infra/registry.yaml")


@dataclass(frozen=True)
class Step:
    """One thing the page asks for: a command, a whole file, a part of one, or changed lines."""

    kind: str
    path: str = ""
    text: str = ""
    between: tuple[str, str] | None = None


def steps(page: str) -> Iterator[Step]:
    """Yield what a page asks for, in its order."""
    for found in _STEP.finditer(page):
        if found["command"]:
            yield Step("command", text=found["command"])
        elif found["kind"] == "diff":
            yield Step("diff", found["path"], found["block"])
        elif found["begin"]:
            yield Step("part", found["path"], found["block"], (found["begin"], found["end"]))
        else:
            yield Step("file", found["path"], found["block"])


def follow(step: Step, repository: Path) -> None:
    """Do what a step asks for. Raises AssertionError where the repository is not as the page says."""
    file = repository / step.path
    if step.kind == "file":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(step.text, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    if step.between is not None:
        begin, end = step.between
        assert text.count(f"{begin}\n") == text.count(f"{end}\n") == 1, f"{step.path}: {begin}"
        start = text.index(f"{begin}\n") + len(begin) + 1
        stop = text.rindex("\n", 0, text.index(f"{end}\n")) + 1
        file.write_text(text[:start] + step.text + text[stop:], encoding="utf-8")
        return
    lines = step.text.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line.startswith("-"))
    new = "".join(line[1:] for line in lines if line.startswith("+"))
    assert text.count(old) == 1, f"{step.path} has not exactly once:\n{old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def run(repository: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in the repository, with this Python where it names one."""
    words = shlex.split(command)
    if words[0] == "python3":
        words[0] = sys.executable
    return subprocess.run(
        words, cwd=repository, env=own_environment(), capture_output=True, text=True, check=False, timeout=900
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Path:
    """Return a repository in which the page was followed up to its last tests."""
    repository = template.generate(tmp_path_factory.mktemp("own"), architecture=HERE)
    commit(repository, "Start from the template")
    for step in steps(PAGE.partition("Then run everything")[0]):
        if step.kind == "command":
            done = run(repository, step.text)
            assert done.returncode == 0, f"{step.text}\n{done.stdout}{done.stderr}"
        else:
            follow(step, repository)
    commit(repository, "Our own function")
    return repository


def test_nothing_of_the_machinery_changed(own: Path) -> None:
    """The page changed no file of the machinery."""
    assert git(own, "diff", "--name-only", "HEAD~1", "--", *MACHINERY) == ""
    assert (own / "app/handler.py").read_text(encoding="utf-8").startswith('"""Write one item')


def test_its_own_checks_are_green(own: Path) -> None:
    """Its tests and linters pass: the function's, those of settings and templates, and the machinery's manifest."""
    done = run(own, "python3 dev.py test -q -m 'not docker'")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(own, "python3 dev.py lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_promoted_and_rolled_back(own: Path) -> None:
    """Its smoke tests pass against the alias, a healthy change is promoted, and a broken one is rolled back."""
    shorten_rollouts(own)
    try:
        done = run(own, "python3 dev.py rehearse --no-docker --act 2 --act 3")
    finally:
        git(own, "checkout", "--quiet", "deploy.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "promoted (as it should)" in done.stdout
    assert "rolled back (as it should)" in done.stdout


@pytest.mark.docker
def test_it_is_built_and_smoked(own: Path, docker: list[str]) -> None:
    """Its image is built, and its smoke tests pass against the container."""
    for command in ("setup", "run deployer build", "run deployer smoke"):
        done = run(own, f"python3 dev.py {command}")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_page_is_found(tmp_path: Path) -> None:
    """A line that the file does not have, or a part without its comments, fails the test that follows the page."""
    (tmp_path / "file").write_text("one\n# Begin: x\nold\n# End: x\n")
    with pytest.raises(AssertionError):
        follow(Step("diff", "file", "-two\n+three\n"), tmp_path)
    with pytest.raises(AssertionError):
        follow(Step("part", "file", "new\n", ("# Begin: y", "# End: y")), tmp_path)
    follow(Step("part", "file", "new\n", ("# Begin: x", "# End: x")), tmp_path)
    assert (tmp_path / "file").read_text() == "one\n# Begin: x\nnew\n# End: x\n"
