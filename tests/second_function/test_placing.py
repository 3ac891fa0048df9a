"""The second function in a generated repository, as far as no local AWS is needed."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from second_function.placing import place
from testbed import resources, smoke_tests

from deployer.config import load
from deployer.rollout import sample
from rehearsal.faults import handler_file

MACHINERY = ("deployer", "rehearsal", "testbed", "infra/bootstrap.yaml", "docs", ".github", "dev.py")


@pytest.fixture(scope="module")
def placed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated repository with the second function in it."""
    path = tmp_path_factory.mktemp("second") / repository.name
    shutil.copytree(repository, path)
    place(path)
    return path


def test_the_machinery_stays_as_it_was(repository: Path, placed: Path) -> None:
    """Only files of the owner differ from what was generated."""
    for name in MACHINERY:
        assert not changed(repository / name, placed / name), name
    assert changed(repository / "app", placed / "app")


def test_its_parts_fit_each_other(placed: Path) -> None:
    """The settings, the handler, probe, sample, local resources and smoke tests of it can all be read."""
    assert load(placed / "deploy.toml").variables("staging") == {}
    assert handler_file(placed)[0].path == "app/handler.py"
    assert sample.load_probe(placed) == {"ping": True}
    assert sample.load(placed) is not None
    assert [made.key for made in resources.load(placed).resources] == ["Table"]
    assert len(smoke_tests.collect(placed)) == 2


def test_its_own_tests_pass(placed: Path) -> None:
    """The tests of its handler pass in the generated repository."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "tests/app", "-q", "-p", "no:cacheprovider"],
        cwd=placed,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_template_has_no_error(placed: Path) -> None:
    """CloudFormation's linter finds no error in the template with its table instead of the sample's."""
    linter = shutil.which("cfn-lint", path=str(Path(sys.executable).parent))
    assert linter
    command = [linter, "--non-zero-exit-code", "error", "infra/service.yaml"]
    done = subprocess.run(command, cwd=placed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "AWS::S3" not in (placed / "infra" / "service.yaml").read_text(encoding="utf-8")


def changed(before: Path, after: Path) -> list[str]:
    """Return the files below two paths that differ or are in one of them only."""
    if before.is_file():
        return [] if filecmp.cmp(before, after, shallow=False) else [before.name]
    names = {path.relative_to(root) for root in (before, after) for path in root.rglob("*") if path.is_file()}
    pairs = ((before / name, after / name) for name in names if "__pycache__" not in name.parts)
    return [str(a) for a, b in pairs if not (a.exists() and b.exists() and filecmp.cmp(a, b, shallow=False))]
