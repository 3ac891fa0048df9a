"""What every workflow here must be, as pure functions: file texts in, one sentence per finding out.

The linters pass a workflow that pushes before it scans, or grants a pull request a token; these rules do not.
The form of the files is here; `release.py` is about the order of a release, `work.py` about what each job does,
`credentials.py` about who may become which role. The template's own tests show that each refuses a workflow that breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rules import credentials, reading, release, work
from rules.reading import CI, Files

Rule = Callable[[Files], list[str]]

# Compromised in March 2026 (every tag but one); no alias, no image support.
FORBIDDEN_ACTIONS = ("aquasecurity/trivy-action", "aws-actions/aws-lambda-deploy")
# They run with the base repository's rights on somebody else's input, or hide who asked.
FORBIDDEN_TRIGGERS = {
    "pull_request_target",
    "workflow_run",
    "issue_comment",
    "workflow_call",
    "repository_dispatch",
}
ALLOWED_GRANTS = {
    ("contents", "read"),
    ("id-token", "write"),
    ("actions", "read"),
    ("security-events", "write"),
    ("attestations", "read"),
    ("attestations", "write"),
    ("issues", "write"),
}
# A game day releases to staging as well: neither may begin while the other is there.
SHARED_QUEUE = "deploy-staging"
USES = re.compile(
    r"^\s*(?:-\s+)?uses:\s*(?P<action>[^\s@#]+)(?:@(?P<ref>\S+))?(?:\s+#\s*(?P<version>.*))?$", re.M
)


def actions_are_pinned_once(files: Files) -> list[str]:
    """Demand a full commit in every `uses:`, its version beside it, the same one for an action everywhere."""
    found: list[str] = []
    pins: dict[str, tuple[str | None, str | None]] = {}
    for path in sorted(files):
        if not path.startswith((reading.WORKFLOWS, reading.ACTIONS)):
            continue
        for use in USES.finditer(files[path]):
            action, pin = use["action"], (use["ref"], use["version"])
            if action.startswith(reading.SELF):
                continue
            if not re.fullmatch(r"[0-9a-f]{40}", use["ref"] or ""):
                found.append(f"{path}: {action} is not pinned to a commit")
            if not re.fullmatch(r"v\d+\.\d+\.\d+", use["version"] or ""):
                found.append(f"{path}: {action} does not say its version")
            repository = "/".join(action.split("/")[:2])
            if pins.setdefault(repository, pin) != pin:
                found.append(f"{path}: {repository} has two pins")
        if len(USES.findall(files[path])) != len(
            re.findall(r"\buses\W", reading.without_comments(files[path]))
        ):
            found.append(f"{path}: a `uses` is written in a form this check cannot read")
    return found


def forbidden_actions_are_absent(files: Files) -> list[str]:
    """Allow no action that was compromised or cannot do what is needed, and no job in an image."""
    found = []
    for path, _ in [*reading.workflows(files), *reading.actions(files)]:
        found += [f"{path}: {action}" for action in FORBIDDEN_ACTIONS if action in files[path]]
    for place, job, _ in reading.jobs(files):
        found += [f"{place}: `{key}` runs an image" for key in ("container", "services") if key in job]
    return found


def permissions_are_minimal(files: Files) -> list[str]:
    """Demand that nothing is granted at the top, and that each job names what it needs and why."""
    found = []
    for path, workflow in reading.workflows(files):
        if workflow.get("permissions") != {}:
            found.append(f"{path}: top-level permissions are not empty")
        for line in files[path].splitlines():
            if re.match(r"\s+[a-z-]+: (read|write)\b", line) and " # " not in line:
                found.append(f"{path}: `{line.strip()}` has no reason")
    for place, job, _ in reading.jobs(files):
        if "permissions" not in job:
            found.append(f"{place}: inherits its permissions")
        granted = reading.grants(job)
        found += [f"{place}: grants {grant}" for grant in granted.items() if grant not in ALLOWED_GRANTS]
        if ("id-token" in granted) != bool(reading.roles(job)):
            found.append(f"{place}: id-token and assuming a role do not go together")
        if {"id-token", "issues"} <= granted.keys():
            found.append(f"{place}: may write to people and become a role")
    return found


def checkouts_keep_no_token(files: Files) -> list[str]:
    """Allow no checkout to leave its token in the git configuration for later steps."""
    return [
        f"{place}: a checkout keeps its token"
        for place, job, _ in reading.jobs(files)
        for step in reading.steps(job)
        if reading.uses(step) == "actions/checkout"
        and step.get("with", {}).get("persist-credentials") is not False
    ]


def shell_gets_no_expressions(files: Files) -> list[str]:
    """Allow no `${{ }}` in a script, where its value would be code."""
    return [
        f"{place}: an expression inside `{step['run'].splitlines()[0]}`"
        for place, job, _ in reading.jobs(files)
        for step in reading.steps(job)
        if "${{" in step.get("run", "")
    ]


def jobs_end(files: Files) -> list[str]:
    """Demand a timeout on every job: an hour, the length of an AWS session, unless the job renews it."""
    return [
        f"{place}: no timeout of at most {limit} minutes"
        for place, job, _ in reading.jobs(files)
        # GitHub ends a job after 360 minutes, and a rollback needs a few of them.
        for limit in [350 if "AWS_DEPLOY_ROLE_ARN" in job.get("env", {}) else 60]
        if not 0 < job.get("timeout-minutes", 0) <= limit
    ]


def triggers_and_runners_are_known(files: Files) -> list[str]:
    """Allow no dangerous trigger, no self-hosted runner, no reusable workflow."""
    found = []
    for path, workflow in reading.workflows(files):
        triggers = reading.triggers(workflow)
        found += [f"{path}: trigger {name}" for name in sorted(triggers & FORBIDDEN_TRIGGERS)]
    for place, job, _ in reading.jobs(files):
        if "uses" in job:
            found.append(f"{place}: calls a workflow")
        runner = str(job.get("runs-on"))
        if not re.fullmatch(r"ubuntu-24\.04|\$\{\{ needs\.\w+\.outputs\.runner \}\}", runner):
            found.append(f"{place}: runs on {runner}")
    return found


def only_checks_are_cancelled(files: Files) -> list[str]:
    """Demand that only checks are cancelled, that each environment has a queue, and what becomes of those waiting."""
    found: list[str] = []
    groups: dict[str, set[str | None]] = {}
    for path, workflow in reading.workflows(files):
        queue = workflow.get("concurrency") or {}
        is_check = bool(reading.triggers(workflow) & reading.UNTRUSTED_TRIGGERS)
        if not queue or queue.get("cancel-in-progress") is not is_check:
            found.append(f"{path}: cancel-in-progress is not {str(is_check).lower()}")
        if not is_check and queue.get("queue") not in ("single", "max"):
            found.append(f"{path}: does not say what becomes of runs that wait")
        groups[path] = {queue.get("group")}
        for name, job in workflow["jobs"].items():
            queue_of_job = job.get("concurrency") or {}
            if queue_of_job:
                groups[path].add(queue_of_job.get("group"))
            if queue_of_job.get("cancel-in-progress"):
                found.append(f"{path} {name}: may be cancelled by the next run")
            environment = str(job.get("environment", "")).removesuffix("-rollback").removesuffix("-gameday")
            per_environment = environment in str({**queue, **queue_of_job}.get("group"))
            if not environment.endswith("-plan") and not per_environment:  # a plan only reads
                found.append(f"{path} {name}: shares a queue with other environments")
    everything = [group for path in groups for group in groups[path]]
    found += [
        f"queue {group} is shared"
        for group in set(everything) - {SHARED_QUEUE}
        if everything.count(group) > 1
    ]
    return found


def game_days_wait_for_releases(files: Files) -> list[str]:
    """Demand that a game day and a release to the same environment wait for each other."""
    return [
        f"{place}: runs beside a release"
        for place, job, _ in reading.jobs(files)
        if str(job.get("environment", "")).endswith("-gameday")
        and (job.get("concurrency") or {}).get("group") != SHARED_QUEUE
    ]


def one_job_named_pass(files: Files) -> list[str]:
    """Demand that the one required check waits for every other job and runs whatever became of them."""
    jobs = dict(reading.workflows(files))[CI]["jobs"]
    gate = jobs.get("pass", {})
    others = [name for name in jobs if name != "pass"]
    found = []
    if sorted(reading.listed(gate.get("needs"))) != sorted(others):
        found.append("ci.yml: pass does not wait for every job")
    if gate.get("if") != "always()" or gate.get("name") != "pass":
        found.append("ci.yml: pass is skipped, hence green, after a failure, or is called otherwise")
    if f'"{" ".join(["success"] * len(others))}"' not in reading.commands(gate):
        found.append("ci.yml: pass does not count the successes")
    return found


def files_read_alike(files: Files) -> list[str]:
    """Demand a purpose comment, one order of keys, and steps of one command whose failure counts."""
    order = ["name", "run-name", "on", "permissions", "concurrency", "env", "jobs"]
    found = []
    for path, workflow in reading.workflows(files):
        keys = [key for key in workflow if key in order]
        if keys != [key for key in order if key in workflow] or len(keys) != len(workflow):
            found.append(f"{path}: keys are not in the order {order}")
    for path in files:
        if not files[path].startswith("# "):
            found.append(f"{path}: does not start with its purpose")
    for place, job, _ in reading.jobs(files):
        for step in reading.steps(job):
            if re.search(r"\n|;|\||&", step.get("run", "").strip()):
                found.append(f"{place}: a step with more than one command: {step['run'].splitlines()[0]}")
    return found


def nothing_to_keep_is_no_warning(files: Files) -> list[str]:
    """Demand that what is kept whatever happened before is silent where nothing was written.

    A step before it failed then, or had nothing to write: a warning would draw the eye from the reason.
    """
    return [
        f"{place}: `{step.get('name')}` warns where there is nothing to keep"
        for place, job, _ in reading.jobs(files)
        for step in reading.steps(job)
        if reading.uses(step) == "actions/upload-artifact" and "always()" in str(step.get("if", ""))
        if step.get("with", {}).get("if-no-files-found") != "ignore"
    ]


RULES: tuple[Rule, ...] = (
    actions_are_pinned_once,
    forbidden_actions_are_absent,
    permissions_are_minimal,
    checkouts_keep_no_token,
    shell_gets_no_expressions,
    jobs_end,
    triggers_and_runners_are_known,
    only_checks_are_cancelled,
    game_days_wait_for_releases,
    one_job_named_pass,
    files_read_alike,
    nothing_to_keep_is_no_warning,
    *credentials.RULES,
    *release.RULES,
    *work.RULES,
)
