"""The ways to generate and to follow the template: cookiecutter by URL, cruft from birth and later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generating import Template, commit, files_under, git

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
