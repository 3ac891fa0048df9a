"""What the repository on GitHub has to have for a release, and the calls of `gh` that make it so. Pure.

Environments that only `main` reaches, the variables with the roles, and a rule for `main`. Who reviews a
release is for people to say: reviewers are kept, never added or removed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.release.bootstrap import Variable

BRANCH = "main"
CHECK = "pass"  # the job of ci.yml that needs all others
RULESET = ".github/ruleset-main.json"


@dataclass(frozen=True)
class Environment:
    """An environment as it is; `branches` is None where other branches than the named ones may use it.

    `reviewers` are type and id, `wait_min` the minutes a job waits there.
    """

    branches: tuple[str, ...] | None = None
    reviewers: tuple[tuple[str, int], ...] = ()
    prevents_self_review: bool = False
    wait_min: int = 0


@dataclass(frozen=True)
class Found:
    """What the repository has; variables by environment (empty: the repository's own) and name."""

    environments: Mapping[str, Environment] = field(default_factory=dict)
    variables: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_main_ruled: bool = False


@dataclass(frozen=True)
class Call:
    """One call of `gh`, and what it does in words; a release needs it unless `is_optional`."""

    does: str
    words: tuple[str, ...]
    is_optional: bool = False

    @property
    def text(self) -> str:
        """Return the command for a shell, quoted."""
        return shlex.join(("gh", *self.words))


def environments(variables: Iterable[Variable]) -> tuple[str, ...]:
    """Return the GitHub environments that these variables are set in: those that the roles trust."""
    return tuple(dict.fromkeys(variable.environment for variable in variables if variable.environment))


def calls(repository: str, variables: Sequence[Variable], found: Found) -> list[Call]:
    """Return what is left to do, in its order: a rule for `main`, the environments, their variables."""
    made = [] if found.is_main_ruled else [_rule(repository)]
    for name in environments(variables):
        made += _environment(repository, name, found.environments.get(name))
    return made + [
        _variable(repository, variable)
        for variable in variables
        if found.variables.get((variable.environment, variable.name)) != variable.value
    ]


def _rule(repository: str) -> Call:
    """Return how `main` takes reviewed and checked changes only, and is neither deleted nor rewritten.

    Source: https://docs.github.com/en/rest/repos/rules#create-a-repository-ruleset
    """
    words = ("api", "--silent", "-X", "POST", f"repos/{repository}/rulesets", "--input", RULESET)
    return Call(f"require a pull request and the check `{CHECK}` for {BRANCH}", words, is_optional=True)


def _environment(repository: str, name: str, found: Environment | None) -> list[Call]:
    """Return how an environment comes to be for `main` only.

    Making an environment again replaces all of its protection, so reviewers and waiting time are said again.
    Source: https://docs.github.com/en/rest/deployments/environments#create-or-update-an-environment
    """
    path = f"repos/{repository}/environments/{name}"
    made = []
    if found is None or found.branches is None:
        kept = found or Environment()
        fields = [
            *("-F", "deployment_branch_policy[protected_branches]=false"),
            *("-F", "deployment_branch_policy[custom_branch_policies]=true"),
            *(("-F", f"wait_timer={kept.wait_min}") if kept.wait_min else ()),
            *(("-F", "prevent_self_review=true") if kept.prevents_self_review else ()),
        ]
        for kind, identifier in kept.reviewers:
            # Both by -F: gh puts all fields of -f before those of -F, and the pairs would fall apart.
            fields += ["-F", f"reviewers[][type]={kind}", "-F", f"reviewers[][id]={identifier}"]
        does = f"make environment {name}" if found is None else f"close environment {name} to other branches"
        made.append(Call(does, ("api", "--silent", "-X", "PUT", path, *fields)))
    branches = found.branches if found and found.branches is not None else ()
    if BRANCH not in branches:
        policies = f"{path}/deployment-branch-policies"
        words = ("api", "--silent", "-X", "POST", policies, "-f", f"name={BRANCH}")
        made.append(Call(f"let {BRANCH} use environment {name}", words))
    return made


def _variable(repository: str, variable: Variable) -> Call:
    where = ("--env", variable.environment) if variable.environment else ()
    named = f" in {variable.environment}" if variable.environment else ""
    words = ("variable", "set", variable.name, *where, "--body", variable.value, "--repo", repository)
    return Call(f"set variable {variable.name}{named}", words)


def foreign_branches(found: Found) -> list[str]:
    """Return, one line each, the environments that another branch may use as well."""
    return [
        f"environment {name} also takes {', '.join(others)}: the roles do not; remove it in its settings"
        for name, environment in found.environments.items()
        for others in [[branch for branch in environment.branches or () if branch != BRANCH]]
        if others
    ]


def environment_of(about: Any, policies: Any) -> Environment:
    """Read an environment from GitHub's answers about it and about its branch policies."""
    rules = {rule["type"]: rule for rule in about.get("protection_rules", [])}
    review = rules.get("required_reviewers", {})
    policy = about.get("deployment_branch_policy") or {}
    names = tuple(one["name"] for one in (policies or {}).get("branch_policies", []))
    return Environment(
        branches=names if policy.get("custom_branch_policies") else None,
        reviewers=tuple((one["type"], one["reviewer"]["id"]) for one in review.get("reviewers", [])),
        prevents_self_review=bool(review.get("prevent_self_review", False)),
        wait_min=rules.get("wait_timer", {}).get("wait_timer", 0),
    )


def is_ruled(rules: Any) -> bool:
    """Tell whether the rules of a branch require our check."""
    return any(
        check["context"] == CHECK
        for rule in rules or []
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
    )
