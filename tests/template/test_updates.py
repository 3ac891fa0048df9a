"""The ways to generate and to follow the template: cookiecutter by URL, cruft from birth and later."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployer import machinery
from generating import GENERATED, ROOT, Template, commit, files_under, git

FOLDER = "{{cookiecutter.project_slug}}"


def test_works_from_a_git_url(template: Template, repository: Path, tmp_path: Path) -> None:
    """A clone by URL gives the same files as a path, and is recorded with that URL."""
    url = f"git+file://{template.path}"
    result = template.run("cookiecutter", url, "--no-input", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    cloned = tmp_path / "image-resizer"
    assert files_under(cloned) == files_under(repository)
    state = json.loads((cloned / ".cruft.json").read_text())
    assert state["template"].removeprefix("git+") == f"file://{template.path}"
    assert state["commit"] == git(template.path, "rev-parse", "HEAD")


def test_works_with_cruft(template: Template, repository: Path, tmp_path: Path) -> None:
    """`cruft create` gives the same files, and the hooks say nothing."""
    result = template.run("cruft", "create", template.path, "--no-input", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    created = tmp_path / "image-resizer"
    assert not (created / ".git").exists()
    written = {path.relative_to(created).as_posix() for path in created.rglob("*") if path.is_file()}
    assert sorted(written) == files_under(repository)
    assert json.loads((created / ".cruft.json").read_text())["template"] == str(template.path)


@pytest.mark.parametrize("door", ["cookiecutter", "cruft"])
def test_updates_keep_the_users_edits(door: str, own_template: Template, tmp_path: Path) -> None:
    """From one commit of the template to the next, its changes arrive and the user's stay."""
    create = ("cookiecutter",) if door == "cookiecutter" else ("cruft", "create")
    answers = ['description="It\'s" a \\ test 🖼️'] if door == "cookiecutter" else []
    result = own_template.run(*create, own_template.path, "--no-input", *answers, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    repository = tmp_path / "image-resizer"
    git(repository, "init", "--quiet")
    settings = repository / "deploy.toml"
    # The user edits both kinds of file, rendered and copied.
    settings.write_text(settings.read_text("utf-8").replace("memory_mb = 1024", "memory_mb = 2048"), "utf-8")
    (repository / "Makefile").write_text((repository / "Makefile").read_text("utf-8") + "\nmine:\n\ttrue\n")
    (repository / "mine.txt").write_text("mine\n")
    commit(repository, "Mine")
    # The template moves on: another part of the same file, a new file, a file less.
    source = own_template.path / FOLDER
    text = (source / "deploy.toml").read_text("utf-8")
    text = text.replace("# The one settings file.", "# THE settings file.")
    (source / "deploy.toml").write_text(text, "utf-8")
    (source / "app" / "new.py").write_text('"""New."""\n')
    (source / ".editorconfig").unlink()
    newest = commit(own_template.path, "Second")

    result = own_template.run("cruft", "update", "--skip-apply-ask", cwd=repository)
    assert result.returncode == 0, result.stderr
    updated = settings.read_text("utf-8")
    assert updated.startswith("# THE settings file.")
    assert "memory_mb = 2048" in updated
    assert (repository / "Makefile").read_text("utf-8").endswith("\nmine:\n\ttrue\n")
    assert (repository / "mine.txt").exists()
    assert (repository / "app" / "new.py").exists()
    assert not (repository / ".editorconfig").exists()
    assert not list(repository.rglob("*.rej"))
    assert json.loads((repository / ".cruft.json").read_text("utf-8"))["commit"] == newest
    assert own_template.run("cruft", "check", cwd=repository).returncode == 0


PAGES = (
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *(GENERATED / name for name in ("README.md", "docs/runbook.md", "dev.py", "deployer/report/watch.py")),
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_write_the_update_without_its_question(page: Path) -> None:
    """Who copies the command from a page does not meet the question that crashes."""
    written = re.findall(r"cruft update( --skip-apply-ask)?", page.read_text(encoding="utf-8"))
    assert written
    assert all(written)


@pytest.fixture
def moved(own_template: Template, tmp_path: Path) -> Path:
    """Return a repository in which the bot moved a package that the template has moved since, elsewhere."""
    (tmp_path / "made").mkdir()
    repository = own_template.generate(tmp_path / "made")
    lock = Path("requirements") / "smoke.txt"
    text = (repository / lock).read_text("utf-8")
    for folder, version in ((repository, "98.0"), (own_template.path / FOLDER, "99.0")):
        (folder / lock).write_text(re.sub(r"(?m)^boto3==\S+", f"boto3=={version}", text), "utf-8")
    commit(repository, "Bot")
    (own_template.path / FOLDER / "app" / "new.py").write_text('"""New."""\n')
    commit(own_template.path, "Second")
    return repository


def test_a_lock_that_both_moved_is_left_as_it_is(own_template: Template, moved: Path) -> None:
    """As the README says: the bot's version stays, the template's lies beside it, and all else arrives."""
    result = own_template.run("cruft", "update", "--skip-apply-ask", cwd=moved)
    assert result.returncode == 0, result.stderr
    assert "\nboto3==98.0 " in (moved / "requirements" / "smoke.txt").read_text("utf-8")
    assert [path.relative_to(moved).as_posix() for path in moved.rglob("*.rej")] == [
        "requirements/smoke.txt.rej"
    ]
    assert (moved / "app" / "new.py").exists()


def test_the_question_of_an_update_still_crashes(own_template: Template, moved: Path) -> None:
    """The reason for the option: with the installed cruft and typer the question ends in a traceback, and changes nothing.

    Once this fails, the pages may leave the option out.
    """
    result = own_template.run("cruft", "update", cwd=moved, answers="y\n")
    assert result.returncode == 1
    assert "AssertionError" in result.stderr
    assert git(moved, "status", "--short") == ""


def dev(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the dev.py of a generated repository."""
    command = [sys.executable, "dev.py", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False, text=True)


def test_updates_of_the_machinery_keep_what_was_adopted(own_template: Template, tmp_path: Path) -> None:
    """A file that both changed is merged without conflict, and has to be adopted again; nothing else is asked."""
    (tmp_path / "made").mkdir()
    repository = own_template.generate(tmp_path / "made")
    changed = repository / "deployer" / "errors.py"
    changed.write_text(changed.read_text("utf-8") + "\n\nOURS = True\n", "utf-8")
    (repository / "rehearsal" / "ours.py").write_text('"""Ours."""\n')
    adopted = [
        dev(repository, "adopt", path, "--reason", "ours")
        for path in ("deployer/errors.py", "rehearsal/ours.py")
    ]
    assert [result.returncode for result in adopted] == [0, 0]
    assert dev(repository, "verify").returncode == 0
    commit(repository, "Ours")
    # The template moves on: in the same file, in another, with a new file and a file less.
    source = own_template.path / FOLDER
    for name, old, new in [
        (
            "deployer/errors.py",
            '"""The errors a user is expected to meet',
            '"""All errors a user is expected to meet',
        ),
        ("testbed/__init__.py", '"""', '"""Newer: '),
    ]:
        text = (source / name).read_text("utf-8")
        assert old in text
        (source / name).write_text(text.replace(old, new, 1), "utf-8")
    (source / "deployer" / "judge" / "new.py").write_text('"""New."""\n')
    (source / "rehearsal" / "view.py").unlink()
    machinery.write_manifest(source)
    commit(own_template.path, "Second")

    result = own_template.run("cruft", "update", "--skip-apply-ask", cwd=repository)
    assert result.returncode == 0, result.stderr
    merged = changed.read_text("utf-8")
    assert merged.startswith('"""All errors')
    assert merged.endswith("OURS = True\n")
    assert not list(repository.rglob("*.rej"))
    found = dev(repository, "verify")
    assert found.stdout.splitlines() == [
        "changed: deployer/errors.py: it was adopted as it was before (ours), adopt it again"
    ]
    assert dev(repository, "adopt", "deployer/errors.py", "--reason", "still ours").returncode == 0
    assert dev(repository, "verify").returncode == 0
