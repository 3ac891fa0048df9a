"""What a repository generated with the default answers consists of."""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from deployer.machinery import FOLDERS
from generating import GENERATED, ROOT, Template, files_under, git

RENDERED = {"README.md", "deploy.toml"}
STATIC = [name for name in files_under(GENERATED) if name not in RENDERED]
SETTINGS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
LONGEST_SLUG = 29
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def differing(one: Path, other: Path, names: Iterable[str]) -> list[str]:
    """Return the files whose bytes differ between two folders."""
    return [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()]


def test_static_files_are_copied_byte_for_byte(template: Template, repository: Path) -> None:
    """A file that is not rendered reaches the user exactly as it was linted, tested and reviewed."""
    source = template.path / GENERATED.name
    assert differing(repository, source, [name for name in files_under(source) if name not in RENDERED]) == []


def test_nothing_is_added_or_left_out(template: Template, repository: Path) -> None:
    """The repository has the template's files and `.cruft.json`, and no other."""
    written = {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()}
    source = files_under(template.path / GENERATED.name)
    assert {name for name in written if not name.startswith(".git/")} == {*source, ".cruft.json"}


def test_only_the_rendered_files_escape_the_copy_list() -> None:
    """Every entry of the generated repository is copied verbatim, but README.md and deploy.toml."""
    entries = {name.split("/")[0] for name in files_under(GENERATED)}
    patterns = SETTINGS["_copy_without_render"]
    assert {
        entry for entry in entries if not any(fnmatch.fnmatch(entry, pattern) for pattern in patterns)
    } == RENDERED


def test_nothing_is_listed_that_is_not_there() -> None:
    """The copy list names no file that has gone."""
    entries = {name.split("/")[0] for name in files_under(GENERATED)}
    assert [p for p in SETTINGS["_copy_without_render"] if not fnmatch.filter(entries, p)] == []


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_rendered_files_have_no_jinja_left(name: str, repository: Path) -> None:
    """No Jinja and no word of cookiecutter's variables stays behind in a rendered file."""
    assert re.findall(r"\{\{|\}\}|\{%|%\}|\{#|cookiecutter\.", (repository / name).read_text("utf-8")) == []


def test_repository_does_not_speak_of_the_template(repository: Path) -> None:
    """No file of a generated repository mentions the template's variables."""
    names = [*STATIC, *RENDERED]
    assert [name for name in names if b"cookiecutter." in (repository / name).read_bytes()] == []


def test_names_are_legal_on_windows() -> None:
    """No file has a name that Windows refuses, or a path that gets too long in a user's folder."""
    for name in files_under(ROOT):
        in_repository = name.replace(GENERATED.name, "x" * LONGEST_SLUG)
        assert len(in_repository) < 200, name
        for part in in_repository.split("/"):
            assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part), name
            assert part.split(".")[0].lower() not in DEVICES, name


def test_no_two_names_differ_in_case_only() -> None:
    """Every file survives a checkout on a file system that ignores case."""
    names = [name.lower() for name in files_under(ROOT)]
    assert len(names) == len(set(names))


def test_line_ends_are_lf() -> None:
    """No text file has a carriage return, here or after generation."""
    contents = {name: (ROOT / name).read_bytes() for name in files_under(ROOT)}
    assert [name for name, content in contents.items() if b"\r\n" in content and b"\0" not in content] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_modes_are_kept(repository: Path) -> None:
    """What is executable in the template is executable in the repository."""
    for name in (*STATIC, *RENDERED):
        assert os.access(repository / name, os.X_OK) == os.access(GENERATED / name, os.X_OK), name


def test_at_most_eight_questions() -> None:
    """A user is asked no more than eight questions, each in words of its own."""
    questions = [name for name in SETTINGS if not name.startswith("_")]
    assert len(questions) <= 8
    assert set(questions) == set(SETTINGS["__prompts__"])


@pytest.mark.parametrize("architecture", SETTINGS["architecture"])
def test_answers_change_values_and_never_files(
    architecture: str, template: Template, repository: Path, tmp_path: Path
) -> None:
    """Other answers give the same set of files, and only the rendered ones differ."""
    other = template.generate(
        tmp_path,
        architecture=architecture,
        project_name="Photo Shrinker",
        aws_region="us-gov-west-1",
        github_owner="Octo-Org",
    )
    assert files_under(other) == files_under(repository)
    assert set(differing(other, repository, files_under(other))) <= {*RENDERED, ".cruft.json"}
    function = tomllib.loads((other / "deploy.toml").read_text("utf-8"))["function"]
    assert function["name"] == other.name == "photo-shrinker"
    assert (function["architecture"], function["region"]) == (architecture, "us-gov-west-1")


# Modules that read what is the owner's: settings, templates, image; and the one that compares hashes.
READERS = (
    "deployer.config",
    "deployer.errors",
    "deployer.image.docker",
    "deployer.machinery",
    "deployer.release",
)


def strange_imports(source: str) -> list[str]:
    """Return what an owner's test imports of the template's folders, but for what reads the owner's files."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    machinery = [name for name in names if name.split(".")[0] in FOLDERS]
    return [
        name for name in machinery if not f"{name}.".startswith(tuple(f"{reader}." for reader in READERS))
    ]


def test_an_owners_tests_are_about_the_owners_files() -> None:
    """No test of a generated repository tests deployer/, rehearsal/ or testbed/: their tests are here."""
    paths = sorted((GENERATED / "tests").rglob("*.py"))
    assert len(paths) > 10
    found = {path.name: strange_imports(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: imports for name, imports in found.items() if imports} == {}


@pytest.mark.parametrize(
    "source", ["import rehearsal.acts", "from deployer.canary import decide", "from testbed import local_aws"]
)
def test_a_test_of_the_machinery_is_found(source: str) -> None:
    """A test that moved back would be found by what it imports."""
    assert strange_imports(source) != []


def test_what_is_folded_has_owners_to_name(repository: Path) -> None:
    """The template's folders are folded in a pull request, and CODEOWNERS has a line for each, to be filled in."""
    paths = [name for name in files_under(repository) if name.split("/")[0] in {*FOLDERS, "app", "infra"}]
    attributes = git(repository, "check-attr", "linguist-generated", *paths).splitlines()
    folded = {line.split(": ")[0] for line in attributes if line.endswith(": set")}
    assert folded == {name for name in paths if name.split("/")[0] in FOLDERS}
    text = (repository / ".github" / "CODEOWNERS").read_text(encoding="utf-8")
    named = re.findall(r"^# /(\S+?)/? +@", text, re.MULTILINE)
    assert set(FOLDERS) <= set(named)
    assert [path for path in named if not (repository / path).exists()] == []
    assert re.findall(r"^[^#\n]", text, re.MULTILINE) == []
