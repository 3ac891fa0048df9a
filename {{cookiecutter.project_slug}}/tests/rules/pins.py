"""What the dependency bot finds in a repository, and what it would make of it, as pure functions over its files.

A small model of Dependabot's file fetchers and parsers: for each entry of .github/dependabot.yml the files that the
bot opens, and in them what it can move. Everything pinned has to be among that.
Source: https://github.com/dependabot/dependabot-core, the files named at each function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

Files = Mapping[str, str]  # path from the root -> text
Rule = Callable[[Files], list[str]]

SETTINGS = ".github/dependabot.yml"
MAX_LOCK_BYTES = 500_000  # the bot leaves larger ones alone, without a word
IMAGE = re.compile(r"(?<![\w./:-])([a-z\d][\w.-]*(?:/[\w.-]+)*(?::[\w.-]+)?@sha256:[0-9a-f]{64})")
# What a program of ours takes an image, the scanner's database or the Docker client from, instead of what is pinned.
REPLACEMENTS = re.compile(r"\b(?:BASE_IMAGE|DOCKER|TRIVY_\w+)\b")


class Pin(NamedTuple):
    """One thing that stays as it is until somebody moves it, and the file it is in."""

    path: str
    name: str


def pinned(files: Files) -> set[Pin]:
    """Return every pinned action, image and package: of workflows, Dockerfiles and lock files."""
    found = set()
    for path, text in files.items():
        if path.startswith("docs/") or "/docs/" in path:
            continue
        if re.search(r"(?i)dockerfile|\.ya?ml$", path):
            found |= {Pin(path, image) for image in IMAGE.findall(text)}
        if re.search(r"\.ya?ml$", path) and ".github/" in path:
            uses = re.findall(r"(?m)^[\s-]*[\"']?uses[\"']?\s*:\s*[\"']?([^\s\"'#]+)", text)
            found |= {Pin(path, action) for action in uses if not action.startswith((".", "$"))}
        if path.endswith(".txt") and "--hash=sha256:" in text:
            found |= {Pin(path, package) for package in re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", text)}
        if path.endswith("package-lock.json"):
            found.add(Pin(path, "every package"))
    return found


def moved(files: Files) -> set[Pin]:
    """Return what some entry of the bot's settings finds and moves."""
    return {
        pin
        for ecosystem, directory in entries(files)
        for pin in FINDERS.get(ecosystem, _nothing)(files, directory)
    }


def entries(files: Files) -> list[tuple[str, str]]:
    """Return ecosystem and directory of each entry, one for each of its directories."""
    return [
        (update["package-ecosystem"], directory)
        for update in yaml.safe_load(files[SETTINGS])["updates"]
        for directory in update.get("directories") or [update.get("directory", "/")]
    ]


def _listed(files: Files, directory: str) -> dict[str, str]:
    """Return the files that lie in a directory itself, by their paths."""
    folder = PurePosixPath(directory.strip("/") or ".")
    return {path: text for path, text in files.items() if PurePosixPath(path).parent == folder}


def _actions(files: Files, directory: str) -> Iterator[Pin]:
    """Find actions: of `/` in .github/workflows and action.yml, of any other directory in its own files.

    Source: github_actions/lib/dependabot/github_actions/file_fetcher.rb and file_parser.rb
    """
    opened = _listed(files, directory)
    if directory == "/":
        opened = {path: text for path, text in opened.items() if path in ("action.yml", "action.yaml")}
        opened |= _listed(files, ".github/workflows")
    for path, text in opened.items():
        if re.search(r"\.ya?ml$", path):
            tree = yaml.safe_load(text) or {}
            for action in _uses(tree.get("jobs", tree.get("runs"))):
                if re.match(r"[\w.-]+/[\w.-]+(/[^@]+)?@.+", action):
                    yield Pin(path, action)


def _uses(tree: Any) -> Iterator[str]:
    match tree:
        case {"uses": str(action)}:
            yield action
        case {"steps": steps}:
            yield from _uses(steps)
        case dict():
            for value in tree.values():
                yield from _uses(value)
        case list():
            for value in tree:
                yield from _uses(value)


def _images(files: Files, directory: str) -> Iterator[Pin]:
    """Find images: on lines that start with FROM and name one, in files whose name says Dockerfile.

    Neither ARG nor `COPY --from` is read, and `FROM ${...}` names no image.
    Source: docker/lib/dependabot/docker/file_fetcher.rb and file_parser.rb
    """
    for path, text in _listed(files, directory).items():
        if re.search(r"(?i)dockerfile|containerfile", PurePosixPath(path).name):
            for line in text.splitlines():
                from_line = re.match(r"(?i)FROM\s+(?:--platform=\S+\s+)?(?=[a-z\d])(.*)", line)
                if from_line and (image := IMAGE.match(from_line[1])):
                    yield Pin(path, image[1])


def _packages(files: Files, directory: str) -> Iterator[Pin]:
    """Find packages: of the lock files in a directory and in the folders directly below it.

    Source: python/lib/dependabot/python/shared_file_fetcher.rb
    """
    for path, text in _locks(files, directory):
        yield from (Pin(path, name) for name in re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", text))


def _locks(files: Files, directory: str) -> Iterator[tuple[str, str]]:
    folder = PurePosixPath(directory.strip("/") or ".")
    for path, text in files.items():
        near = folder in (PurePosixPath(path).parent, PurePosixPath(path).parent.parent)
        if near and path.endswith(".txt") and "--hash=" in text and len(text.encode()) <= MAX_LOCK_BYTES:
            yield path, text


def _node_packages(files: Files, directory: str) -> Iterator[Pin]:
    """Find a package-lock.json that lies beside its package.json.

    Source: npm_and_yarn/lib/dependabot/npm_and_yarn/file_fetcher.rb
    """
    names = {PurePosixPath(path).name: path for path in _listed(files, directory)}
    if {"package.json", "package-lock.json"} <= names.keys():
        yield Pin(names["package-lock.json"], "every package")


def _nothing(_: Files, __: str) -> Iterator[Pin]:
    """Find nothing: an ecosystem this repository has nothing of."""
    yield from ()


FINDERS: dict[str, Callable[[Files, str], Iterator[Pin]]] = {
    "github-actions": _actions,
    "docker": _images,
    "uv": _packages,
    "pip": _packages,
    "npm": _node_packages,
}


def everything_pinned_is_moved(files: Files) -> list[str]:
    """Demand that the bot finds every pinned action, image and package."""
    missed: dict[str, list[str]] = {}
    for pin in sorted(pinned(files) - moved(files)):
        missed.setdefault(pin.path, []).append(pin.name)
    return [f"{path}: nobody moves {', '.join(names[:3])}" for path, names in missed.items()]


def entries_find_something(files: Files) -> list[str]:
    """Demand that no entry names a directory in which the bot finds nothing: it ends with an error there."""
    return [
        f"{SETTINGS}: {ecosystem} finds nothing in {directory}"
        for ecosystem, directory in entries(files)
        if not list(FINDERS.get(ecosystem, _nothing)(files, directory))
    ]


def locks_stay_for_every_platform(files: Files) -> list[str]:
    """Demand that the bot compiles a lock as we do: by uv, with hashes, for every platform and the oldest Python.

    It takes these options from the lock's own text. The ecosystem `pip` compiles by pip-tools, for its own
    platform alone, and drops the packages that only others need.
    Source: uv/lib/dependabot/uv/file_updater/compile_file_updater.rb, `uv_compile_options_from_compiled_file`
    Source: python/lib/dependabot/python/file_updater/pip_compile_file_updater.rb
    """
    found = []
    for ecosystem, directory in entries(files):
        for path, text in _locks(files, directory) if ecosystem in ("uv", "pip") else ():
            version = re.search(r"--python-version[=\s]+(\d+\.\d+(?:\.\d+)?)", text)
            if ecosystem == "pip" or "--universal" not in text:
                found.append(f"{path}: would be locked for one platform")
            if version is None or version[1] != "3.11":
                found.append(f"{path}: would be locked for another Python than 3.11")
            if path.removesuffix(".txt") + ".in" not in files:
                found.append(f"{path}: has no source to be compiled from")
    return found


def releases_wait_a_week(files: Files) -> list[str]:
    """Demand that others have a week to notice a poisoned release before the bot proposes it."""
    return [
        f"{SETTINGS}: {update['package-ecosystem']} takes releases younger than a week"
        for update in yaml.safe_load(files[SETTINGS])["updates"]
        if update.get("cooldown", {}).get("default-days", 0) < 7
    ]


def no_workflow_replaces_an_image(files: Files) -> list[str]:
    """Demand that base image and scanner come from the files that pin them, and not from a workflow's environment."""
    return [
        f"{path}: `{name}` takes the place of what a file pins"
        for path, text in files.items()
        if re.search(r"\.github/(workflows|actions)/", path)
        for name in sorted(set(REPLACEMENTS.findall(re.sub(r"(?m)^\s*#.*$", "", text))))
    ]


RULES: tuple[Rule, ...] = (
    everything_pinned_is_moved,
    entries_find_something,
    locks_stay_for_every_platform,
    releases_wait_a_week,
    no_workflow_replaces_an_image,
)
