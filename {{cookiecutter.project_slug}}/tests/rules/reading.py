"""How workflow files are read before they are judged: texts in, jobs and their steps out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

Files = Mapping[str, str]  # path under the repository -> text
Tree = Any  # what a YAML document holds

WORKFLOWS = ".github/workflows/"
ACTIONS = ".github/actions/"
CI, DEPLOY = WORKFLOWS + "ci.yml", WORKFLOWS + "deploy.yml"
UNTRUSTED_TRIGGERS = {"pull_request", "merge_group"}
# An action of this repository, at the commit of the run, whatever earlier steps did to the checkout.
SELF = "$/"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, many times faster where it was built
ASSUMES_ROLE = "aws-actions/configure-aws-credentials"


@cache
def parsed(text: str) -> Tree:
    """Return what a YAML text holds; nobody changes it, since each rule reads the same texts."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders are the safe ones


def workflows(files: Files) -> Iterator[tuple[str, Tree]]:
    """Yield each workflow's path and content, the steps of local actions after the step that uses one.

    YAML 1.1 reads the key `on` as true, this gives it back.
    """
    for path, text in sorted(files.items()):
        if path.startswith(WORKFLOWS):
            tree = parsed(text)
            workflow = {("on" if key is True else key): value for key, value in tree.items()}
            workflow["jobs"] = {
                name: {**job, "steps": list(_unfold(files, job.get("steps", [])))}
                for name, job in workflow["jobs"].items()
            }
            yield path, workflow


def _unfold(files: Files, listed_steps: list[Tree]) -> Iterator[Tree]:
    for step in listed_steps:
        yield step
        if step.get("uses", "").startswith(SELF):
            text = files[f"{step['uses'].removeprefix(SELF)}/action.yml"]
            declared = parsed(text).get("inputs") or {}
            given = {name: about.get("default", "") for name, about in declared.items()} | (
                step.get("with") or {}
            )
            yield from _unfold(files, _filled(parsed(text)["runs"]["steps"], given))


def _filled(tree: Tree, given: Mapping[str, Any]) -> Tree:
    """Return a tree with the inputs of an action in place of the expressions that name them."""
    match tree:
        case str():
            return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda name: str(given[name[1]]), tree)
        case dict():
            return {key: _filled(value, given) for key, value in tree.items()}
        case list():
            return [_filled(value, given) for value in tree]
    return tree


def actions(files: Files) -> Iterator[tuple[str, Tree]]:
    """Yield each local action's path and content."""
    for path, text in sorted(files.items()):
        if path.startswith(ACTIONS):
            yield path, parsed(text)


def triggers(workflow: Tree) -> set[str]:
    """Return the names of the events a workflow listens to, in whichever of the three forms."""
    on = workflow["on"]
    return {on} if isinstance(on, str) else set(on)


def jobs(files: Files) -> Iterator[tuple[str, Tree, Tree]]:
    """Yield `path job` as a place to name, the job, and its workflow."""
    for path, workflow in workflows(files):
        for name, job in workflow["jobs"].items():
            yield f"{path} {name}", job, workflow


def steps(job: Tree) -> list[Tree]:
    """Return the steps of a job; a call of a reusable workflow has none."""
    return list(job.get("steps", []))


def commands(job: Tree) -> str:
    """Return everything a job runs in a shell, as one text."""
    return "\n".join(step.get("run", "") for step in steps(job))


def uses(step: Tree) -> str:
    """Return the action of a step without its version, an empty text for a command."""
    return str(step.get("uses", "")).partition("@")[0]


def roles(job: Tree) -> list[str]:
    """Return the roles that a job assumes, as it writes them."""
    return [
        str(step.get("with", {}).get("role-to-assume")) for step in steps(job) if uses(step) == ASSUMES_ROLE
    ]


def grants(tree: Tree) -> dict[str, str]:
    """Return the permissions of a workflow or a job, the two shorthands spelled out."""
    match tree.get("permissions"):
        case None:
            return {}
        case str() as shorthand:
            return {"all": shorthand}
        case found:
            return dict(found)


def listed(value: str | list[str] | None) -> list[str]:
    """Return what YAML lets one write as a string or as a list, as a list."""
    return [value] if isinstance(value, str) else list(value or [])


def without_comments(text: str) -> str:
    """Return a file without its comments, which may speak of what they forbid."""
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())
