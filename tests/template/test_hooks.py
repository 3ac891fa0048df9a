"""What the second hook does for a new repository, and where it holds back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from generating import Template, git


def state(repository: Path) -> dict[str, object]:
    """Return what `.cruft.json` holds."""
    return json.loads((repository / ".cruft.json").read_text(encoding="utf-8"))


def test_repository_starts_on_main(template: Template, tmp_path: Path) -> None:
    """The repository is a git repository on branch main, with nothing committed for the user."""
    repository = template.generate(tmp_path)
    assert git(repository, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(repository, "rev-parse", "--show-toplevel") == str(repository.resolve())
    assert git(repository, "rev-list", "--all") == ""


def test_no_second_repository_inside_a_work_tree(template: Template, tmp_path: Path) -> None:
    """Inside somebody's repository no other one is started, and nothing is said about it."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "out").mkdir()
    result = template.cookiecutter(tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert not (tmp_path / "out" / "image-resizer" / ".git").exists()


def test_works_without_git(template: Template, tmp_path: Path) -> None:
    """Without git a complete repository comes out, and one line says what it will lack."""
    folder = tmp_path / "only-python"
    folder.mkdir()
    without_git = replace(template, environment={**template.environment, "PATH": str(folder)})
    (tmp_path / "out").mkdir()
    result = without_git.cookiecutter(tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "note: found no git checkout of the template, so `cruft update` cannot follow it" in result.stdout
    repository = tmp_path / "out" / "image-resizer"
    assert (repository / "deploy.toml").exists()
    assert not (repository / ".git").exists()
    assert not (repository / ".cruft.json").exists()


def test_git_variables_of_the_caller_are_ignored(template: Template, tmp_path: Path) -> None:
    """Started from a git hook, the new repository is still its own, and the caller's is not touched."""
    caller = tmp_path / "caller"
    caller.mkdir()
    git(caller, "init", "--quiet")
    before = sorted(caller.rglob("*"))
    inside = {"GIT_DIR": str(caller / ".git"), "GIT_WORK_TREE": str(caller)}
    (tmp_path / "out").mkdir()
    repository = replace(template, environment={**template.environment, **inside}).generate(tmp_path / "out")
    assert (repository / ".git").is_dir()
    assert state(repository)["commit"] == git(template.path, "rev-parse", "HEAD")
    assert sorted(caller.rglob("*")) == before


def test_record_for_cruft(template: Template, tmp_path: Path) -> None:
    """`.cruft.json` names the template, its commit and the answers, and nothing else."""
    commit = git(template.path, "rev-parse", "HEAD")
    answers = {
        "project_name": "Image Resizer",
        "project_slug": "image-resizer",
        "description": "Größe 🖼️",
        "github_owner": "my-org",
        "aws_region": "eu-central-1",
        "architecture": "arm64",
    }
    assert state(template.generate(tmp_path, description="Größe 🖼️")) == {
        "template": str(template.path),
        "commit": commit,
        "checkout": None,
        "context": {"cookiecutter": {**answers, "_template": str(template.path), "_commit": commit}},
        "directory": None,
    }


@pytest.mark.parametrize(
    ("origin", "recorded"),
    [
        ("https://github.com/o/t", "https://github.com/o/t"),
        ("https://user:secret@github.com/o/t.git", "https://github.com/o/t.git"),
        ("https://token@github.com:8443/o/t", "https://github.com:8443/o/t"),
        ("git@github.com:o/t.git", "git@github.com:o/t.git"),
        ("ssh://git@github.com/o/t", "ssh://git@github.com/o/t"),
    ],
)
def test_record_names_the_origin_without_credentials(
    origin: str, recorded: str, own_template: Template, tmp_path: Path
) -> None:
    """The template is recorded by the address it was cloned from, without what somebody logged in with."""
    git(own_template.path, "remote", "add", "origin", origin)
    (tmp_path / "out").mkdir()
    assert state(own_template.generate(tmp_path / "out"))["template"] == recorded


@pytest.mark.parametrize("knows_pwd", [True, False], ids=["from a shell", "from elsewhere"])
@pytest.mark.parametrize("options", [[], ["--output-dir", "out"]], ids=["here", "into a folder"])
def test_template_may_be_named_by_a_relative_path(
    options: list[str], knows_pwd: bool, own_template: Template, tmp_path: Path
) -> None:
    """`cookiecutter ../template` is recorded absolutely, or not at all where its folder cannot be known."""
    start = tmp_path / "start"
    (start / "out").mkdir(parents=True)
    pwd = str(start) if knows_pwd else os.sep
    shell = replace(own_template, environment={**own_template.environment, "PWD": pwd})
    result = shell.run("cookiecutter", Path("..", "template"), "--no-input", *options, cwd=start)
    assert result.returncode == 0, result.stderr
    [record] = [*start.glob("*/.cruft.json"), *start.glob("out/*/.cruft.json")] or [None]
    if options and not knows_pwd:
        assert record is None
        assert "note: found no git checkout of the template" in result.stdout
    else:
        assert json.loads(record.read_text("utf-8"))["template"] == str(own_template.path)


def test_copy_of_the_template_in_another_repository_is_not_recorded(
    own_template: Template, tmp_path: Path
) -> None:
    """A template unpacked inside some other repository is not taken for that repository."""
    shutil.rmtree(own_template.path / ".git")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Other")
    (tmp_path / "out").mkdir()
    assert not (own_template.generate(tmp_path / "out") / ".cruft.json").exists()


def test_next_commands_are_said(template: Template, tmp_path: Path) -> None:
    """The last lines are the next three commands, one per line."""
    python = "python" if sys.platform == "win32" else "python3"
    commands = [
        line.split("#")[0].strip() for line in template.cookiecutter(tmp_path).stdout.splitlines()[-3:]
    ]
    assert commands == ["cd image-resizer", f"{python} dev.py test", f"{python} dev.py rehearse"]


def test_hooks_can_run_twice(template: Template, tmp_path: Path) -> None:
    """Generating again over a repository changes nothing in it, its commits included."""
    repository = template.generate(tmp_path)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "Mine")
    again = ("cookiecutter", template.path, "--no-input", "--overwrite-if-exists", "--output-dir", tmp_path)
    assert template.run(*again, cwd=tmp_path).returncode == 0
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s") == "Mine"


def test_hooks_need_the_standard_library_only(template: Template, tmp_path: Path) -> None:
    """Generation works with no network and a Python path that holds nothing of ours."""
    nowhere = "http://127.0.0.1:9"
    offline = {"http_proxy": nowhere, "https_proxy": nowhere, "PYTHONPATH": os.devnull}
    replace(template, environment={**template.environment, **offline}).generate(tmp_path)
