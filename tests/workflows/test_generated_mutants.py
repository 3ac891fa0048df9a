"""Every job of every workflow, made worse in every way this file knows: some rule refuses each.

The mutants are made from the workflows as they are, so a job that is added tomorrow has its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from generating import GENERATED
from rules import reading
from rules import workflows as rules

PATHS = [*(GENERATED / ".github").glob("workflows/*"), *(GENERATED / ".github").glob("actions/*/action.yml")]
FILES = {path.relative_to(GENERATED).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
TREES = {path: yaml.safe_load(text) for path, text in FILES.items() if path.startswith(reading.WORKFLOWS)}


def written(tree: Any) -> str:
    """Return a workflow as text, without comments."""
    return yaml.dump(tree, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


# Comments are lost when a tree is written: the rules about them find that in the original as well.
WRITTEN = {**FILES, **{path: written(tree) for path, tree in TREES.items()}}
WIDER = {
    "contents": "write",
    "packages": "write",
    "actions": "write",
    "pull-requests": "write",
    "deployments": "write",
    "id-token": "write",
}
Change = tuple[str, dict[str, Any]]


def changes(job: dict[str, Any]) -> Iterator[Change]:
    """Yield a job made worse in one way each, with what was done to it."""

    def without(key: str) -> dict[str, Any]:
        return {name: value for name, value in job.items() if name != key}

    for need in reading.listed(job.get("needs")):
        rest = [other for other in reading.listed(job["needs"]) if other != need]
        yield f"does not need {need}", {**job, "needs": rest}
    for name, access in WIDER.items():
        if job.get("permissions", {}).get(name) != access:
            yield f"is granted {name}", {**job, "permissions": {**job.get("permissions", {}), name: access}}
    yield "is granted everything", {**job, "permissions": "write-all"}
    yield "inherits its permissions", without("permissions")
    yield "has no end", without("timeout-minutes")
    if "cancelled" not in job.get("if", ""):  # such a job is meant to run then
        yield "runs after a failure", {**job, "if": "always() && !cancelled()"}
    yield "is skipped", {**job, "if": "vars.NEVER == 'true'"}
    yield "goes on after a failure", {**job, "continue-on-error": True}
    yield "runs on somebody's machine", {**job, "runs-on": "self-hosted"}
    yield "runs in an image", {**job, "container": "python:3.13"}
    for environment in ("staging", "production", "production-plan", "production-rollback", "prune"):
        if job.get("environment") != environment:
            yield f"enters {environment}", {**job, "environment": environment}
    if "environment" in job:
        yield "enters no environment", without("environment")
    for number, step in enumerate(job["steps"]):
        yield from _steps(job, number, step)


def _steps(job: dict[str, Any], number: int, step: dict[str, Any]) -> Iterator[Change]:
    """Yield the job with one step made worse."""

    def instead(*steps: dict[str, Any]) -> dict[str, Any]:
        return {**job, "steps": [*job["steps"][:number], *steps, *job["steps"][number + 1 :]]}

    name = step.get("name") or step.get("uses", "").rpartition("/")[2].partition("@")[0]
    if step.get("uses", "").startswith(("actions/checkout@", "$/")):
        yield f"does without {name}", instead()
        yield f"{name} is conditional", instead({**step, "if": "vars.CAREFUL == 'true'"})
    if step.get("uses", "").startswith("actions/checkout@"):
        yield f"{name} takes another branch", instead({**step, "with": {**step["with"], "ref": "topic"}})
    if "only" in step.get("with", {}):
        yield f"{name} installs everything", instead({**step, "with": {}})
    if "role" in step.get("with", {}):
        stolen = {**step["with"], "role": "${{ vars.AWS_ADMIN_ROLE_ARN }}"}
        yield f"{name} is another one", instead({**step, "with": stolen})
    if "@" in step.get("uses", ""):
        yield f"{name} is a branch", instead({**step, "uses": f"{step['uses'].partition('@')[0]}@main"})
    if "id-token" in job.get("permissions", {}):
        yield f"runs something after {name}", instead(step, {"name": "More", "run": "app/more"})
    if "run" in step:
        yield f"does without {name}", instead()
        yield f"{name} may fail", instead({**step, "run": f"{step['run']} || true"})
        yield f"{name} pastes an input", instead({**step, "run": f"{step['run']} ${{{{ github.actor }}}}"})


MUTANTS = {
    f"{path.removeprefix(reading.WORKFLOWS)} {name} {what}": (path, name, job)
    for path, tree in TREES.items()
    for name, original in tree["jobs"].items()
    for what, job in changes(original)
}


@pytest.fixture(scope="module")
def known() -> dict[rules.Rule, set[str]]:
    """Return what each rule says of the originals without their comments."""
    return {rule: set(rule(WRITTEN)) for rule in rules.RULES}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_some_rule_refuses(mutant: str, known: dict[rules.Rule, set[str]]) -> None:
    """A job that waits for less, may do more, or skips what it should do, is found."""
    path, name, job = MUTANTS[mutant]
    tree = copy.deepcopy(TREES[path])
    tree["jobs"][name] = job
    files = {**WRITTEN, path: written(tree)}
    assert any(set(rule(files)) - said for rule, said in known.items())


def test_there_are_mutants_of_every_job() -> None:
    """No workflow and no job is left out."""
    jobs = {
        f"{path.removeprefix(reading.WORKFLOWS)} {name}"
        for path, tree in TREES.items()
        for name in tree["jobs"]
    }
    assert {" ".join(mutant.split()[:2]) for mutant in MUTANTS} == jobs
