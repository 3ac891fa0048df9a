"""The workflows pass the real linters, and each linter is shown to refuse a workflow that breaks its rule."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from generating import GENERATED
from generating import ROOT as TEMPLATE

ROOT = GENERATED
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))
OWN_WORKFLOWS = sorted((TEMPLATE / ".github/workflows").glob("*.yml"))
DEPENDABOT = ROOT / ".github/dependabot.yml"
Find = Callable[[str], str]


def run(command: list[str], cwd: Path = ROOT) -> tuple[int, str]:
    """Run a linter without colours and return its exit code and everything it said."""
    env = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "0"}
    result = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    return result.returncode, result.stdout + result.stderr


def edited(tmp_path: Path, source: Path, old: str, new: str) -> Path:
    """Copy a file to the same place under a temporary folder with one edit."""
    copy = tmp_path / source.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    text = source.read_text(encoding="utf-8")
    assert old in text
    copy.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")
    return copy


def run_blocks(path: Path) -> dict[str, str]:
    """Return every `run:` of a workflow or a local action as a script, by a name that is also a file's."""
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs = tree.get("jobs") or {path.parent.name: tree["runs"]}
    return {
        f"{path.stem}-{name}-{number}.sh": f"#!/usr/bin/env bash\n{step['run']}\n"
        for name, job in jobs.items()
        for number, step in enumerate(job["steps"])
        if "run" in step
    }


ZIZMOR = ["--offline", "--persona=auditor", "--strict-collection", "--no-progress"]


def test_zizmor_finds_nothing(locked_tool: Find) -> None:
    """The auditor persona, which reports everything it can, has no finding."""
    status, output = run([locked_tool("zizmor"), *ZIZMOR, "."])
    assert status == 0, output
    assert "No findings to report" in output
    assert all(path.name in output for path in [*WORKFLOWS, *ACTIONS, DEPENDABOT]), (
        "zizmor did not read every file"
    )


def test_zizmor_refuses_an_injection(locked_tool: Find, tmp_path: Path) -> None:
    """An input of the dispatch pasted into a script is found."""
    edited(tmp_path, ROOT / ".github/workflows/rollback.yml", "run $GITHUB_RUN_ID", "${{ github.head_ref }}")
    status, output = run([locked_tool("zizmor"), *ZIZMOR, "."], cwd=tmp_path)
    assert status != 0
    assert "template-injection" in output


MISTAKES = {
    "unknown-job": ("needs: [settings, image]", "needs: [settings, imag]", 'needs job "imag"'),
    "unknown-step": ("steps.push.outputs", "steps.psuh.outputs", 'property "psuh"'),
    "unknown-runner": ("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.4", 'label "ubuntu-24.4"'),
}


# What actionlint 1.7.7 says of what is newer than it, with the reason to believe GitHub instead.
EXCUSED = {
    r'specifying action "\$/\.github/actions/[a-z-]+" in invalid format because ref is missing': (
        "an action of the same repository at the run's own commit, since July 2026"
    ),
    r'unexpected key "queue" for "concurrency" section': (
        "what becomes of the runs that wait, since May 2026; the published schema has it"
    ),
}


@dataclass(frozen=True)
class Actionlint:
    """What one run of actionlint said about the workflows of both repositories and those with a mistake."""

    files: list[str]
    output: str

    def findings(self, folder: str) -> list[str]:
        """Return the findings in the workflows of one folder."""
        return [line for line in self.output.splitlines() if line.startswith(f"{folder}/")]


@pytest.fixture(scope="module")
def linted(actionlint: list[str], tmp_path_factory: pytest.TempPathFactory) -> Actionlint:
    """Run actionlint once on all workflows: its start takes longer than its work."""
    folder = tmp_path_factory.mktemp("actionlint")
    texts = {f"generated/{path.name}": path.read_text(encoding="utf-8") for path in WORKFLOWS}
    texts |= {f"template/{path.name}": path.read_text(encoding="utf-8") for path in OWN_WORKFLOWS}
    for name, (old, new, _) in MISTAKES.items():
        deploy = texts["generated/deploy.yml"]
        assert old in deploy
        texts[f"{name}/deploy.yml"] = deploy.replace(old, new, 1)
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    _, output = run([*actionlint, "*/*.yml"], cwd=folder)  # it takes one pattern
    return Actionlint(list(texts), output)


def test_actionlint_reads_every_workflow(linted: Actionlint) -> None:
    """No workflow is left out."""
    assert f"Checking {len(linted.files)} workflow file(s)" in linted.output


@pytest.mark.parametrize("repository", ["generated", "template"])
def test_actionlint_finds_nothing(repository: str, linted: Actionlint) -> None:
    """No workflow has a mistake, neither the owner's nor the template's own."""
    unexcused = [line for line in linted.findings(repository) if not _excuses(line)]
    assert unexcused == [], linted.output


def test_every_excuse_is_used(linted: Actionlint) -> None:
    """An exception that excuses nothing is taken out, so that it cannot hide the next mistake."""
    used = {pattern for line in linted.findings("generated") for pattern in _excuses(line)}
    assert used == set(EXCUSED)


def _excuses(finding: str) -> list[str]:
    return [pattern for pattern in EXCUSED if re.search(pattern, finding)]


@pytest.mark.parametrize("name", MISTAKES)
def test_actionlint_refuses_a_mistake(name: str, linted: Actionlint) -> None:
    """A name that nothing has is found before GitHub finds it on main."""
    assert MISTAKES[name][2] in "\n".join(linted.findings(name))


def test_workflows_match_the_schema(locked_tool: Find) -> None:
    """Every workflow is valid under the published schema."""
    schema = ["--builtin-schema", "vendor.github-workflows"]
    status, output = run([locked_tool("check-jsonschema"), *schema, *map(str, WORKFLOWS)])
    assert status == 0, output


def test_actions_match_the_schema(locked_tool: Find) -> None:
    """Every local action is valid under the published schema."""
    assert ACTIONS
    schema = ["--builtin-schema", "vendor.github-actions"]
    status, output = run([locked_tool("check-jsonschema"), *schema, *map(str, ACTIONS)])
    assert status == 0, output


def test_action_schema_refuses_a_step_without_shell(locked_tool: Find, tmp_path: Path) -> None:
    """A command without its shell, which GitHub refuses in a local action, is found."""
    path = edited(tmp_path, ACTIONS[0], "      shell: bash\n", "")
    schema = ["--builtin-schema", "vendor.github-actions"]
    status, _ = run([locked_tool("check-jsonschema"), *schema, str(path)])
    assert status == 1


def test_workflow_schema_refuses_an_unknown_key(locked_tool: Find, tmp_path: Path) -> None:
    """A misspelt key, which GitHub refuses only after the push, is found."""
    path = edited(tmp_path, ROOT / ".github/workflows/ci.yml", "timeout-minutes", "timeout-minute")
    status, _ = run(
        [locked_tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    )
    assert status == 1


def test_dependabot_matches_the_schema(locked_tool: Find) -> None:
    """The dependency bot's settings are valid under the published schema."""
    schema = ["--builtin-schema", "vendor.dependabot"]
    status, output = run([locked_tool("check-jsonschema"), *schema, str(DEPENDABOT)])
    assert status == 0, output


def test_dependabot_schema_refuses_an_unknown_ecosystem(locked_tool: Find, tmp_path: Path) -> None:
    """An ecosystem the bot does not know, which it would leave alone in silence, is found."""
    path = edited(tmp_path, DEPENDABOT, "package-ecosystem: uv", "package-ecosystem: pypi")
    status, _ = run([locked_tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot", str(path)])
    assert status == 1


def test_shellcheck_finds_nothing_in_run_blocks(locked_tool: Find, tmp_path: Path) -> None:
    """Every script of every workflow passes as a Bash script of its own."""
    scripts = {name: text for path in [*WORKFLOWS, *ACTIONS] for name, text in run_blocks(path).items()}
    assert scripts, "no run block was found"
    for name, text in scripts.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="\n")
    status, output = run([locked_tool("shellcheck"), *sorted(scripts)], cwd=tmp_path)
    assert status == 0, output


def test_shellcheck_refuses_an_unquoted_variable(locked_tool: Find, tmp_path: Path) -> None:
    """A variable that a shell would split is found."""
    path = edited(tmp_path, ROOT / ".github/workflows/deploy.yml", '"$IMAGE_URI"', "$IMAGE_URI")
    scripts = run_blocks(path)
    for name, text in scripts.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="\n")
    status, output = run([locked_tool("shellcheck"), *sorted(scripts)], cwd=tmp_path)
    assert status != 0
    assert "SC2086" in output
