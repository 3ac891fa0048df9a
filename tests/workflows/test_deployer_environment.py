"""What a job with a role installs is enough for every command that it runs, and nothing more is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from testbed.local_aws import running

from generating import GENERATED
from rules import reading

# What no command of a job with a role imports, and why.
ELSEWHERE = {
    "deployer.durable": "runs in AWS Lambda, from a Zip of its own with requirements/driver.txt",
    "deployer.drivers.durable": "the same",
}
IMPORT_ALL = """
import importlib, pkgutil, sys
import deployer
for module in pkgutil.walk_packages(deployer.__path__, "deployer."):
    if module.name not in sys.argv[1:] and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


@dataclass(frozen=True)
class Clone:
    """A fresh clone in a job of GitHub Actions, after `python3 dev.py setup --only deployer`."""

    path: Path
    environ: Mapping[str, str]

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a later step."""
        environ = {**self.environ, **settings}
        return subprocess.run(
            command, cwd=self.path, env=environ, text=True, capture_output=True, check=False
        )


@pytest.fixture(scope="module")
def clone(repository: Path, user: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone whose only environment is the deployer's, its programs on PATH as GITHUB_PATH says."""
    folder = tmp_path_factory.mktemp("clone")
    path, paths = folder / "image-resizer", folder / "github-path"
    shutil.copytree(repository, path)
    ours = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "LOCAL_AWS_PYTHON", "VIRTUAL_ENV")
    environ = {name: value for name, value in user.items() if name not in ours}
    # The user's home is empty; what is installed comes from the cache that is there already.
    cache = {name: os.environ[name] for name in ("UV_CACHE_DIR", "HOME") if name in os.environ}
    made = Clone(path, {**environ, **cache, "GITHUB_PATH": str(paths)})
    done = made.run(sys.executable, "dev.py", "setup", "--only", "deployer")
    assert done.returncode == 0, done.stdout + done.stderr
    [first] = paths.read_text(encoding="utf-8").splitlines()
    return Clone(path, {**environ, "PATH": os.pathsep.join([first, os.environ["PATH"]])})


def distributions(site_packages: Path) -> set[str]:
    """Return the names of what is installed, as lock files write them."""
    found = (path.name.partition("-")[0] for path in site_packages.glob("*.dist-info"))
    return {name.lower().replace("_", "-") for name in found}


def test_only_the_locked_packages_are_there(clone: Clone) -> None:
    """The environment holds what requirements/deployer.txt locks, and no other environment was made."""
    lock = (GENERATED / "requirements/deployer.txt").read_text(encoding="utf-8")
    locked = {re.match(r"[\w.-]+", line)[0].replace("_", "-") for line in lock.splitlines() if "==" in line}
    [site_packages] = (clone.path / ".venv-deployer").glob("lib/python*/site-packages")
    installed = distributions(site_packages)
    assert installed
    assert installed <= locked
    assert {"pytest", "mypy"}.isdisjoint(installed)
    assert [path.name for path in clone.path.glob(".venv*")] == [".venv-deployer"]


def test_every_module_is_imported(clone: Clone) -> None:
    """No module of the deployer needs a package that is not in its lock."""
    python = str(clone.path / ".venv-deployer/bin/python")
    done = clone.run(python, "-P", "-c", IMPORT_ALL, *ELSEWHERE)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 50


def test_a_module_that_needs_more_is_found(clone: Clone) -> None:
    """A module that imports a tool for tests would fail in a job with a role, and fails here."""
    extra = clone.path / "deployer" / "extra.py"
    extra.write_text("import pytest\n", encoding="utf-8")
    try:
        python = str(clone.path / ".venv-deployer/bin/python")
        done = clone.run(python, "-P", "-c", IMPORT_ALL, *ELSEWHERE)
    finally:
        extra.unlink()
    assert "No module named 'pytest'" in done.stderr


def credentialed_commands() -> set[str]:
    """Return the deployer's commands that the workflows run in jobs with a role."""
    folder = GENERATED / ".github"
    paths = [*folder.glob("workflows/*"), *folder.glob("actions/*/action.yml")]
    files = {path.relative_to(GENERATED).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return {
        found
        for _, job, _ in reading.jobs(files)
        if reading.roles(job)
        for found in re.findall(r"^(?:exec )?deployer ((?:rollout )?[a-z-]+)", reading.commands(job), re.M)
    }


@pytest.mark.parametrize("command", sorted(credentialed_commands()))
def test_commands_of_jobs_with_a_role_start(command: str, clone: Clone) -> None:
    """Each command that such a job runs is there, from the program that the job finds on PATH."""
    done = clone.run("deployer", *command.split(), "--help", TERM="dumb")
    assert done.returncode == 0, done.stderr
    assert f"deployer {command}" in done.stdout


def test_modules_of_the_working_folder_are_not_run(clone: Clone, tmp_path: Path) -> None:
    """A file named like a standard module, in the folder a command is run in, is not imported."""
    (tmp_path / "json.py").write_text("raise SystemExit('ran')\n", encoding="utf-8")
    done = subprocess.run(
        ["deployer", "--help"], cwd=tmp_path, env=clone.environ, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_plan_is_made_of_a_real_account(clone: Clone) -> None:
    """With that environment alone, `deployer plan` reads AWS and says what would be created."""
    with running(docker=None) as local_aws:
        done = clone.run(
            *("deployer", "plan", "--env", "staging"),
            AWS_ENDPOINT_URL=local_aws.endpoint,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_REGION=local_aws.region,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "image-resizer-staging" in done.stdout
