"""Who may become which role, and what such a job may have on it: nothing that did not have to be there.

Pure: file texts in, one sentence per finding out.
"""

from __future__ import annotations

import re

from rules import reading
from rules.reading import ACTIONS, DEPLOY, WORKFLOWS, Files

SETUP = f"{reading.SELF}.github/actions/setup"
ASSUME, FIND = f"{reading.SELF}.github/actions/assume-role", "Find role"
# Jobs without credentials whose work is linters, tests or a local AWS.
WITH_EVERYTHING = {
    "ci.yml checks",
    "ci.yml image",
    "ci.yml rehearsal",
    "deploy.yml checks",
    "deploy.yml smoke",
}
# What may run where somebody else's code is checked: no sign-in to a cloud or a registry.
UNTRUSTED_ACTIONS = {
    "actions/checkout",
    "actions/download-artifact",
    "actions/upload-artifact",
    "astral-sh/setup-uv",
}
# Each job that becomes a role: the environment its token names, and the role.
ROLES = {
    "deploy.yml push": (None, "AWS_PUSH_ROLE_ARN"),
    "deploy.yml staging": ("staging", "AWS_DEPLOY_ROLE_ARN"),
    "deploy.yml staging-smoke": ("staging", "AWS_SMOKE_ROLE_ARN"),
    "deploy.yml production-plan": ("production-plan", "AWS_PLAN_ROLE_ARN"),
    "deploy.yml production": ("production", "AWS_DEPLOY_ROLE_ARN"),
    "rollback.yml rollback": ("${{ inputs.environment }}-rollback", "AWS_ROLLBACK_ROLE_ARN"),
    "watch.yml staging": ("staging-plan", "AWS_PLAN_ROLE_ARN"),
    "watch.yml production": ("production-plan", "AWS_PLAN_ROLE_ARN"),
    "prune.yml staging": ("prune", "AWS_STAGING_PRUNE_ROLE_ARN"),
    "prune.yml production": ("prune", "AWS_PRODUCTION_PRUNE_ROLE_ARN"),
    "prune.yml images": ("prune", "AWS_PRUNE_ROLE_ARN"),
    "control.yml control": ("${{ inputs.environment }}-rollback", "AWS_ROLLBACK_ROLE_ARN"),
    "gameday.yml gameday": ("staging-gameday", "AWS_GAMEDAY_ROLE_ARN"),
}


def pull_requests_get_no_credentials(files: Files) -> list[str]:
    """Allow no id-token, secret, environment, write grant or sign-in where somebody else's code runs."""
    found = []
    for path, workflow in reading.workflows(files):
        if not reading.triggers(workflow) & reading.UNTRUSTED_TRIGGERS:
            continue
        if re.search(r"\bsecrets\b", reading.without_comments(files[path])):
            found.append(f"{path}: a pull request reads secrets")
        for scope in [workflow, *workflow["jobs"].values()]:
            found += [
                f"{path}: a pull request is granted {name}: {access}"
                for name, access in reading.grants(scope).items()
                if access not in ("read", "none") or name == "id-token"
            ]
            if "environment" in scope:
                found.append(f"{path}: a pull request enters an environment")
            found += [
                f"{path}: a pull request uses {reading.uses(step)}"
                for step in reading.steps(scope)
                if reading.uses(step) not in {"", *UNTRUSTED_ACTIONS} | _local(files)
            ]
    return found


def _local(files: Files) -> set[str]:
    return {f"{reading.SELF}{path.removesuffix('/action.yml')}" for path in files if path.startswith(ACTIONS)}


def machinery_is_verified_first(files: Files) -> list[str]:
    """Demand that no job does anything before the template's files are known to be unchanged."""
    found = []
    for place, job, _ in reading.jobs(files):
        steps = reading.steps(job)
        if not any("uses" in step for step in steps):
            continue  # it has no checkout, and so nothing of the repository to run
        checkout, setup, verify = [*steps, {}, {}, {}][:3]
        if reading.uses(checkout) != "actions/checkout":
            found.append(f"{place}: does not begin with a checkout")
        if setup.get("uses") != SETUP or verify.get("run") != "python3 dev.py verify":
            found.append(f"{place}: does something before `python3 dev.py verify`")
        if any("if" in step for step in (checkout, setup, verify)):
            found.append(f"{place}: may leave out `python3 dev.py verify`")
    return found


def roles_are_those_of_the_environment(files: Files) -> list[str]:
    """Demand of each job that becomes a role the environment and the role that were decided for it."""
    found, seen = [], set()
    for place, job, _ in reading.jobs(files):
        name = place.removeprefix(WORKFLOWS)
        roles = reading.roles(job)
        if not roles:
            continue
        seen.add(name)
        environment, role = ROLES.get(name, ("", ""))
        if job.get("environment") != environment:
            found.append(f"{place}: runs in environment {job.get('environment')}, expected {environment}")
        if roles != [f"${{{{ vars.{role} }}}}"]:
            found.append(f"{place}: becomes {roles}, expected {role}")
        found += _variables(place, job, role)
        # Versions of both environments go by roles of one GitHub environment.
        wanted = name.rpartition(" ")[2] if environment == "prune" else str(environment)
        wanted = wanted.removesuffix("-plan").removesuffix("-rollback").removesuffix("-gameday")
        if (job.get("env") or {}).get("DEPLOY_ENV", wanted) != wanted:
            found.append(f"{place}: works on {job['env']['DEPLOY_ENV']} with the role of {wanted}")
        runs_deployer = re.search(r"^(exec )?deployer (?!prune --images)", reading.commands(job), re.M)
        if runs_deployer and environment and "DEPLOY_ENV" not in (job.get("env") or {}):
            found.append(f"{place}: does not say which environment it works on")
    return found + [f"{name}: becomes no role" for name in sorted(ROLES.keys() - seen)]


def _variables(place: str, job: reading.Tree, role: str) -> list[str]:
    """Demand of a job that it knows its own role alone, by its own name: the deployer assumes it again."""
    known = {role, "AWS_STACK_ROLE_ARN"} if role == "AWS_DEPLOY_ROLE_ARN" else {role}
    # A condition may ask whether AWS is set up at all.
    named = set(re.findall(r"vars\.(AWS_\w+)", str({**job, "if": ""})))
    found = [f"{place}: knows {name} as well" for name in sorted(named - known)]
    for key, value in (job.get("env") or {}).items():
        if key.startswith("AWS_") and value != f"${{{{ vars.{key} }}}}":
            found.append(f"{place}: {key} is {value}")
    said = [
        (step.get("env") or {}).get("VARIABLE") for step in reading.steps(job) if step.get("name") == FIND
    ]
    if said != [role]:
        found.append(f"{place}: does not say that {role} is missing")
    return found


def environments_go_with_roles(files: Files) -> list[str]:
    """Demand that a job enters an environment to become a role, and becomes it whatever happens before."""
    found = []
    for place, job, _ in reading.jobs(files):
        if "environment" in job and not reading.roles(job):
            found.append(f"{place}: enters an environment, and reads its variables, without becoming a role")
        found += [
            f"{place}: becomes a role on a condition"
            for step in reading.steps(job)
            if "if" in step
            and (reading.uses(step) in (ASSUME, reading.ASSUMES_ROLE) or step.get("name") == FIND)
        ]
    return found


def credentials_are_beside_few_packages(files: Files) -> list[str]:
    """Demand that a job installs the deployer alone unless it tests, and with a role nothing afterwards."""
    found = []
    for place, job, _ in reading.jobs(files):
        steps, name = reading.steps(job), place.removeprefix(WORKFLOWS)
        only = [(step.get("with") or {}).get("only", "") for step in steps if step.get("uses") == SETUP]
        wanted = (
            "smoke" if name == "deploy.yml staging-smoke" else "" if name in WITH_EVERYTHING else "deployer"
        )
        if any(environment != wanted for environment in only):
            found.append(f"{place}: installs more than it needs, or less")
        if not reading.roles(job):
            continue
        if re.search(r"dev\.py (?!verify|setup \$\{ONLY|smoke\b)", reading.commands(job)):
            found.append(f"{place}: runs a task that installs everything")
        if re.search(r"\b(pip|uv|npm|curl|wget)\b(?!\.)", reading.commands(job)):
            found.append(f"{place}: fetches something beside credentials")
    return found


def installer_is_pinned_and_shares_nothing(files: Files) -> list[str]:
    """Demand one version of uv, and no cache: a job without credentials could fill it for one with them."""
    found = []
    for place, job, _ in reading.jobs(files):
        for step in reading.steps(job):
            given = step.get("with") or {}
            if reading.uses(step) == "astral-sh/setup-uv":
                if not re.fullmatch(r"\d+\.\d+\.\d+", str(given.get("version"))):
                    found.append(f"{place}: takes whatever uv is the newest")
                if given.get("enable-cache") is not False:
                    found.append(f"{place}: shares uv's cache with other jobs")
            if reading.uses(step).startswith("actions/cache") or "cache-from" in given:
                found.append(f"{place}: shares a cache with other jobs")
    return found


def people_choose_from_a_list(files: Files) -> list[str]:
    """Demand that what a person starts by hand names its environment by a choice, never by free text."""
    found = []
    for path, workflow in reading.workflows(files):
        if "workflow_dispatch" not in reading.triggers(workflow):
            continue
        inputs = (workflow["on"]["workflow_dispatch"] or {}).get("inputs") or {}
        chosen = {name for name, about in inputs.items() if about.get("type") in ("choice", "boolean")}
        asked = set(
            re.findall(
                r"inputs\.(\w+)", str([workflow.get("concurrency"), workflow.get("env"), *_places(workflow)])
            )
        )
        found += [f"{path}: {name} decides something, and is free text" for name in sorted(asked - chosen)]
        environments = (inputs.get("environment") or {}).get("options")
        if environments is not None and set(environments) != {"staging", "production"}:
            found.append(f"{path}: offers the environments {environments}")
    return found


def _places(workflow: reading.Tree) -> list[object]:
    """Return everything in a workflow's jobs that decides: all but the `env` of steps, which are data."""
    decisions: list[object] = []
    for job in workflow["jobs"].values():
        decisions += [value for key, value in job.items() if key != "steps"]
        decisions += [{k: v for k, v in step.items() if k != "env"} for step in reading.steps(job)]
    return decisions


def aws_waits_for_bootstrap(files: Files) -> list[str]:
    """Demand that nothing reaches for AWS before bootstrap, and that the run says so."""
    jobs = dict(reading.workflows(files))[DEPLOY]["jobs"]
    found = []
    for name, job in jobs.items():
        waits = name == "push" or "push" in reading.listed(job.get("needs"))
        if "id-token" in reading.grants(job) and not waits:
            found.append(f"{DEPLOY}: {name} reaches for AWS before bootstrap")
    if jobs["push"].get("if") != "vars.AWS_PUSH_ROLE_ARN != ''":
        found.append(f"{DEPLOY}: push does not wait for bootstrap")
    steps = [step for job in jobs.values() for step in reading.steps(job)]
    notices = [step for step in steps if "::notice" in step.get("run", "")]
    if [step.get("if") for step in notices] != ["vars.AWS_PUSH_ROLE_ARN == ''"]:
        found.append(f"{DEPLOY}: nothing says that AWS is not set up yet")
    return found


RULES = (
    pull_requests_get_no_credentials,
    machinery_is_verified_first,
    roles_are_those_of_the_environment,
    environments_go_with_roles,
    credentials_are_beside_few_packages,
    installer_is_pinned_and_shares_nothing,
    people_choose_from_a_list,
    aws_waits_for_bootstrap,
)
