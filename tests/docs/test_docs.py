"""README and docs show only what exists: commands, options, targets, paths, links, steps, exit codes."""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest
import yaml

from deployer.cli import main as cli
from deployer.config import Environment
from deployer.errors import Exit
from dev import dev
from docs import reading
from docs.calls import PROGRAM, call_faults, find_command, leaf_commands
from generating import GENERATED
from generating import ROOT as TEMPLATE
from rules.reading import ACTIONS, DEPLOY, workflows

ROOT = GENERATED
SETUP = ACTIONS + "setup/action.yml"
DOCUMENTS = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.md"))]


def read(path: str) -> str:
    """Read a document; in the template itself, where the README is not rendered yet, fill in an answer."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.sub(r"\{\{ cookiecutter\.\w+( \| e)? \}\}", "answer", text)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_deployer_commands_exist(path: str) -> None:
    """Every `deployer` command and option that is shown exists."""
    assert [fault for words in reading.commands(read(path), "deployer") for fault in call_faults(words)] == []


@pytest.mark.parametrize("words", [["deploy"], ["rollout", "begin"], ["rollback", "--hard"]], ids=" ".join)
def test_command_that_does_not_exist_is_found(words: list[str]) -> None:
    """A command, a subcommand or an option that does not exist would be found."""
    assert len(call_faults(words)) == 1


@pytest.mark.parametrize("names", leaf_commands(PROGRAM), ids=" ".join)
def test_every_command_has_help(names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command, and each of its options, says what it is for."""
    command, _ = find_command(list(names))
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params), names
    assert cli.main([*names, "--help"]) == Exit.DONE
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("path", DOCUMENTS)
def test_targets_exist(path: str) -> None:
    """Every `make` target and every target of `dev.py` that is shown exists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.M)[0].split(), *dev.TARGETS}
    shown = {words[0] for words in reading.commands(read(path), "make")}
    shown |= {words[1] for words in reading.commands(read(path), "python3") if words[0] == "dev.py"}
    assert shown - targets == set()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_paths_exist(path: str) -> None:
    """Every file and folder that is named exists, or the page writes it; a workflow needs no folder."""
    folders = [ROOT, ROOT / ".github/workflows"]
    written = reading.written(read(path))
    missing = [
        name
        for name in reading.paths(read(path))
        if name not in written and not any((f / name).exists() for f in folders)
    ]
    assert missing == []


def test_links_resolve() -> None:
    """Every relative link leads to a file, and its anchor to a heading."""
    assert reading.broken_links({path: read(path) for path in DOCUMENTS}, existing()) == []


def existing() -> set[str]:
    """Return every file a document may link to."""
    folders = [ROOT / "docs", ROOT / ".github", ROOT / "deployer"]
    files = [p for folder in folders for p in folder.rglob("*") if p.is_file()] + list(ROOT.glob("*.*"))
    return {path.relative_to(ROOT).as_posix() for path in files}


@pytest.mark.parametrize("link", ["nowhere.md", "docs/release.md#nothing", "#nothing"])
def test_broken_link_is_found(link: str) -> None:
    """A link to no file, or to no heading, would be found."""
    documents = {"README.md": f"# Title\n[text]({link})\n", "docs/release.md": "# Something\n"}
    assert len(reading.broken_links(documents, set(documents))) == 1


def test_steps_are_those_of_the_workflow() -> None:
    """Every job and step that release.md explains is in deploy.yml, and every named step is explained."""
    paths = [
        DEPLOY,
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob(".github/actions/*/action.yml")),
    ]
    files = {path: read(path) for path in paths}
    jobs = dict(workflows(files))[DEPLOY]["jobs"]
    every = {step["name"] for step in yaml.safe_load(files[SETUP])["runs"]["steps"] if "name" in step}
    explained = {
        (job.strip(), step.strip())
        for jobs_cell, steps_cell, *_ in reading.table(read("docs/release.md"), "job")
        for job in jobs_cell.split(",")
        for step in steps_cell.split(",")
    }
    real = {
        ("each" if step["name"] in every else name, step["name"])
        for name, job in jobs.items()
        for step in job["steps"]
        if "run" in step and "name" in step
    }
    assert explained == real - {("settings", "Say that AWS is not set up yet")}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_modules_exist(path: str) -> None:
    """Every module that is run with `python -m` exists."""
    modules = [words[1] for words in reading.commands(read(path), "python") if words[0] == "-m"]
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_settings_are_those_of_an_environment() -> None:
    """The table of settings has each key once, with the value that counts without its line."""
    explained = {
        key.strip("`"): tomllib.loads(f"value = {value.strip('`')}")["value"]
        for key, value, _ in reading.table(read("docs/release.md"), "key")
    }
    assert explained == {name: field.get_default() for name, field in Environment.model_fields.items()}


def test_figures_are_those_of_the_benchmark() -> None:
    """Each figure of rollout.md's comparison stands in the page the benchmark wrote, in the same column."""
    power = (TEMPLATE / "docs/rollout-power.md").read_text(encoding="utf-8")
    assert reading.wrong_figures(read("docs/rollout.md"), power) == []


def test_proof_is_the_one_that_was_made() -> None:
    """The README counts the rollouts of the proof as the proof's own page does."""
    counted = r"(\d[\d ]*) rollouts with every fault at every moment"
    shown = re.findall(counted, " ".join(read("README.md").split()))
    assert set(shown) <= set(
        re.findall(counted, (TEMPLATE / "docs/rollout-proof.md").read_text(encoding="utf-8"))
    )


def test_wrong_figure_is_found() -> None:
    """A figure that the benchmark did not measure would be found."""
    page = "| stable to canary | calls/min | this gate |\n| --- | --- | --- |\n| 0 → 5 % | 10 | 40 (40 %) |\n"
    right = "| | this gate |\n| --- | --- |\n| **minutes** | |\n| 10/min, 0 → 5 % | 40 (40 %) |\n"
    assert reading.wrong_figures(right, page) == []
    assert reading.wrong_figures(right.replace("40 (40 %)", "4"), page) == ["10/min, 0 → 5 %, this gate: 4"]


def test_runbook_has_every_exit_code() -> None:
    """The runbook's table has each exit code once and no other."""
    rows = reading.table(read("docs/runbook.md"), "code")
    assert [int(row[0]) for row in rows] == [code.value for code in Exit]


def test_hints_lead_to_a_heading() -> None:
    """Where an error of the deployer names a section of the docs, the section exists."""
    hints = [
        (path, section)
        for source in (ROOT / "deployer").rglob("*.py")
        for path, section in re.findall(
            r"(docs/\w+\.md), (?:section )?([A-Z][a-z ]+)", source.read_text(encoding="utf-8")
        )
    ]
    assert hints
    for path, section in hints:
        assert f"## {section}" in read(path).splitlines(), f"{path} has no section {section}"
