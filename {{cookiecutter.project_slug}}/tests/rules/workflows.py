"""What every workflow here must be, as pure functions: file texts in, one sentence per finding out.

The linters pass a workflow that pushes before it scans, or grants a pull request a token; these rules do not.
The template's own tests show that each refuses a workflow that breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Files = Mapping[str, str]  # path under the repository -> text
Tree = Any  # what a YAML document holds

WORKFLOWS = ".github/workflows/"
DEPLOY = WORKFLOWS + "deploy.yml"
UNTRUSTED_TRIGGERS = {"pull_request", "merge_group"}
# They run with the base repository's rights on somebody else's input, or hide who asked.
FORBIDDEN_TRIGGERS = {
    "pull_request_target",
    "workflow_run",
    "issue_comment",
    "workflow_call",
    "repository_dispatch",
}
# Compromised in March 2026 (every tag but one); no alias, no image support.
FORBIDDEN_ACTIONS = ("aquasecurity/trivy-action", "aws-actions/aws-lambda-deploy")
ALLOWED_GRANTS = {
    ("contents", "read"),
    ("id-token", "write"),
    ("actions", "read"),
    ("security-events", "write"),
}
USES = re.compile(
    r"^\s*(?:-\s+)?uses:\s*(?P<action>[^\s@#]+)(?:@(?P<ref>\S+))?(?:\s+#\s*(?P<version>.*))?$", re.M
)
RELEASE_STEPS = [
    "Build image",
    "Smoke image",
    "Scan image",
    "Push image",
    "Plan",
    "Apply",
    "Roll out",
    "Smoke staging",
]


def _workflows(files: Files) -> Iterator[tuple[str, Tree]]:
    """Yield each workflow's path and content; YAML 1.1 reads the key `on` as true, this gives it back."""
    for path, text in sorted(files.items()):
        if path.startswith(WORKFLOWS):
            tree = yaml.safe_load(text)
            yield path, {("on" if key is True else key): value for key, value in tree.items()}


def _triggers(workflow: Tree) -> set[str]:
    """Return the names of the events a workflow listens to, in whichever of the three forms."""
    on = workflow["on"]
    return {on} if isinstance(on, str) else set(on)


def _jobs(files: Files) -> Iterator[tuple[str, Tree, Tree]]:
    """Yield `path job` as a place to name, the job, and its workflow."""
    for path, workflow in _workflows(files):
        for name, job in workflow["jobs"].items():
            yield f"{path} {name}", job, workflow


def _steps(job: Tree) -> list[Tree]:
    """Return the steps of a job; a call of a reusable workflow has none."""
    return list(job.get("steps", []))


def _commands(job: Tree) -> str:
    """Return everything a job runs in a shell, as one text."""
    return "\n".join(step.get("run", "") for step in _steps(job))


def _grants(tree: Tree) -> dict[str, str]:
    """Return the permissions of a workflow or a job, the two shorthands spelled out."""
    match tree.get("permissions"):
        case None:
            return {}
        case str() as shorthand:
            return {"all": shorthand}
        case grants:
            return dict(grants)


def _listed(value: str | list[str] | None) -> list[str]:
    """Return what YAML lets one write as a string or as a list, as a list."""
    return [value] if isinstance(value, str) else list(value or [])


def pull_requests_get_no_credentials(files: Files) -> list[str]:
    """Allow no id-token, secret, environment, write grant or AWS action where somebody else's code runs."""
    found = []
    for path, workflow in _workflows(files):
        if not _triggers(workflow) & UNTRUSTED_TRIGGERS:
            continue
        if re.search(r"\bsecrets\b", "\n".join(_without_comments(files[path]))):
            found.append(f"{path}: a pull request reads secrets")
        for scope in [workflow, *workflow["jobs"].values()]:
            found += [
                f"{path}: a pull request is granted {name}: {access}"
                for name, access in _grants(scope).items()
                if access not in ("read", "none") or name == "id-token"
            ]
            if "environment" in scope:
                found.append(f"{path}: a pull request enters an environment")
            found += [
                f"{path}: a pull request uses {step['uses']}"
                for step in _steps(scope)
                if "aws" in step.get("uses", "").split("@")[0]
            ]
    return found


def _without_comments(text: str) -> list[str]:
    """Return the lines of a file without comments, which may speak of what they forbid."""
    return [re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines()]


def actions_are_pinned_once(files: Files) -> list[str]:
    """Demand a full commit in every `uses:`, its version beside it, the same one for an action everywhere."""
    found: list[str] = []
    pins: dict[str, tuple[str | None, str | None]] = {}
    for path, _ in _workflows(files):
        for use in USES.finditer(files[path]):
            action, pin = use["action"], (use["ref"], use["version"])
            if not re.fullmatch(r"[0-9a-f]{40}", use["ref"] or ""):
                found.append(f"{path}: {action} is not pinned to a commit")
            if not re.fullmatch(r"v\d+\.\d+\.\d+", use["version"] or ""):
                found.append(f"{path}: {action} does not say its version")
            repository = "/".join(action.split("/")[:2])
            if pins.setdefault(repository, pin) != pin:
                found.append(f"{path}: {repository} has two pins")
        if len(USES.findall(files[path])) != len(
            re.findall(r"\buses\W", "\n".join(_without_comments(files[path])))
        ):
            found.append(f"{path}: a `uses` is written in a form this check cannot read")
    return found


def forbidden_actions_are_absent(files: Files) -> list[str]:
    """Allow no action that was compromised or cannot do what is needed, and no job in an image."""
    found = []
    for path, _ in _workflows(files):
        found += [f"{path}: {action}" for action in FORBIDDEN_ACTIONS if action in files[path]]
    for place, job, _ in _jobs(files):
        found += [f"{place}: `{key}` runs an image" for key in ("container", "services") if key in job]
    return found


def permissions_are_minimal(files: Files) -> list[str]:
    """Demand that nothing is granted at the top, and that each job names what it needs and why."""
    found = []
    for path, workflow in _workflows(files):
        if workflow.get("permissions") != {}:
            found.append(f"{path}: top-level permissions are not empty")
        for line in files[path].splitlines():
            if re.match(r"\s+[a-z-]+: (read|write)\b", line) and " # " not in line:
                found.append(f"{path}: `{line.strip()}` has no reason")
    for place, job, _ in _jobs(files):
        if "permissions" not in job:
            found.append(f"{place}: inherits its permissions")
        found += [f"{place}: grants {grant}" for grant in _grants(job).items() if grant not in ALLOWED_GRANTS]
        assumes_role = any("configure-aws-credentials" in step.get("uses", "") for step in _steps(job))
        if ("id-token" in _grants(job)) != assumes_role:
            found.append(f"{place}: id-token and assuming a role do not go together")
    return found


def checkouts_keep_no_token(files: Files) -> list[str]:
    """Allow no checkout to leave its token in the git configuration for later steps."""
    return [
        f"{place}: a checkout keeps its token"
        for place, job, _ in _jobs(files)
        for step in _steps(job)
        if step.get("uses", "").startswith("actions/checkout@")
        and step.get("with", {}).get("persist-credentials") is not False
    ]


def shell_gets_no_expressions(files: Files) -> list[str]:
    """Allow no `${{ }}` in a script, where its value would be code."""
    return [
        f"{place}: an expression inside `{step['run'].splitlines()[0]}`"
        for place, job, _ in _jobs(files)
        for step in _steps(job)
        if "${{" in step.get("run", "")
    ]


def jobs_end(files: Files) -> list[str]:
    """Demand a timeout on every job: an hour, the length of an AWS session, unless the job renews it."""
    return [
        f"{place}: no timeout of at most {limit} minutes"
        for place, job, _ in _jobs(files)
        # GitHub ends a job after 360 minutes, and a rollback needs a few of them.
        for limit in [350 if "AWS_DEPLOY_ROLE_ARN" in job.get("env", {}) else 60]
        if not 0 < job.get("timeout-minutes", 0) <= limit
    ]


def triggers_and_runners_are_known(files: Files) -> list[str]:
    """Allow no dangerous trigger, no self-hosted runner, no reusable workflow."""
    found = []
    for path, workflow in _workflows(files):
        found += [f"{path}: trigger {name}" for name in sorted(_triggers(workflow) & FORBIDDEN_TRIGGERS)]
    for place, job, _ in _jobs(files):
        if "uses" in job:
            found.append(f"{place}: calls a workflow")
        runner = str(job.get("runs-on"))
        if not re.fullmatch(r"ubuntu-24\.04|\$\{\{ needs\.\w+\.outputs\.runner \}\}", runner):
            found.append(f"{place}: runs on {runner}")
    return found


def only_checks_are_cancelled(files: Files) -> list[str]:
    """Demand that only checks are cancelled, and that each environment has a queue of its own."""
    found: list[str] = []
    groups: dict[str, set[str | None]] = {}
    for path, workflow in _workflows(files):
        queue = workflow.get("concurrency") or {}
        is_check = bool(_triggers(workflow) & UNTRUSTED_TRIGGERS)
        if not queue or queue.get("cancel-in-progress") is not is_check:
            found.append(f"{path}: cancel-in-progress is not {str(is_check).lower()}")
        groups[path] = {queue.get("group")}
        for name, job in workflow["jobs"].items():
            queue_of_job = job.get("concurrency") or {}
            if queue_of_job:
                groups[path].add(queue_of_job.get("group"))
            if queue_of_job.get("cancel-in-progress"):
                found.append(f"{path} {name}: may be cancelled by the next run")
            per_environment = str(job.get("environment", "")) in str({**queue, **queue_of_job}.get("group"))
            if "environment" in job and not per_environment:
                found.append(f"{path} {name}: shares a queue with other environments")
    everything = [group for path in groups for group in groups[path]]
    found += [f"queue {group} is shared" for group in set(everything) if everything.count(group) > 1]
    return found


def gate_comes_first(files: Files) -> list[str]:
    """Demand scan before push, push before staging, staging before production, and one digest through all."""
    workflow = dict(_workflows(files))[DEPLOY]
    jobs, found = workflow["jobs"], []
    does = {
        word: [n for n, j in jobs.items() if f"deployer {word}" in _commands(j)]
        for word in ("scan", "push", "plan", "apply", "rollout")
    }
    if [len(does[word]) for word in ("scan", "push", "plan", "apply", "rollout")] != [1, 1, 2, 2, 2]:
        return [f"{DEPLOY}: expected one scan, one push and two deployments, found {does}"]
    [scan], [push], deployments = does["scan"], does["push"], does["rollout"]
    if {"id-token"} & set(_grants(jobs[scan])) or "aws-actions/" in str(jobs[scan]):
        found.append(f"{DEPLOY}: the scanner's job can reach AWS")
    orders = [(push, scan), *((name, push) for name in deployments), ("production", "staging")]
    found += [
        f"{DEPLOY}: {later} does not wait for {earlier}"
        for later, earlier in orders
        if earlier not in _listed(jobs[later].get("needs"))
    ]
    found += [
        f"{DEPLOY}: {name} may run after a failure"
        for name in (push, *deployments)
        if re.search(r"always|failure|cancelled", str(jobs[name].get("if", "")))
    ]
    found += [
        f"{path}: continue-on-error" for path, _ in _workflows(files) if "continue-on-error" in files[path]
    ]
    found += _one_image_goes_through(jobs, scan, push, deployments)
    return found


def staging_is_smoked_before_production(files: Files) -> list[str]:
    """Demand smoke tests of staging between both deployments, with their own role and nothing but their lock."""
    jobs = dict(_workflows(files))[DEPLOY]["jobs"]
    smoking = [name for name, job in jobs.items() if "dev.py smoke" in _commands(job)]
    if len(smoking) != 1:
        return [f"{DEPLOY}: expected one job that smokes staging, found {smoking}"]
    [name], found = smoking, []
    job = jobs[name]
    orders = ((name, "staging"), ("production", name))
    found += [
        f"{DEPLOY}: {later} does not wait for {earlier}"
        for later, earlier in orders
        if earlier not in _listed(jobs[later].get("needs"))
    ]
    if "if" in job:
        found.append(f"{DEPLOY}: {name} is conditional")
    if job.get("environment") != "staging":
        found.append(f"{DEPLOY}: {name} is not about staging")
    roles = [
        step["with"]["role-to-assume"] for step in _steps(job) if "role-to-assume" in step.get("with", {})
    ]
    if roles != ["${{ vars.AWS_SMOKE_ROLE_ARN }}"]:
        found.append(f"{DEPLOY}: {name} does not assume the smoke role alone")
    if re.search(r"dev\.py setup|\bdeployer (?!bootstrap again)", _commands(job)):
        found.append(f"{DEPLOY}: {name} installs or runs more than the smoke tests")
    steps = [(step.get("run", step.get("uses", "")), step.get("env") or {}) for step in _steps(job)]
    credentials = next(i for i, (what, _) in enumerate(steps) if "configure-aws-credentials" in what)
    installs = [i for i, (what, _) in enumerate(steps) if "dev.py smoke" in what]
    if installs[0] > credentials:
        found.append(f"{DEPLOY}: {name} installs packages beside credentials")
    if not any("${AWS_SMOKE_ROLE_ARN:?" in what for what, _ in steps[:credentials]):
        found.append(f"{DEPLOY}: {name} does not say that its role is missing")
    if steps[installs[-1]][1].get("SMOKE_TARGET") != "${{ needs.staging.outputs.smoke_target }}":
        found.append(f"{DEPLOY}: {name} does not test what staging released")
    return found


def _one_image_goes_through(jobs: Tree, scan: str, push: str, deployments: list[str]) -> list[str]:
    """Demand that what was scanned is what is pushed, by artifact, and what is deployed, by digest."""
    found = []
    scanned = [step["with"]["name"] for step in _steps(jobs[scan]) if _hands_over(step) and "if" not in step]
    fetched = [
        step["with"]["name"]
        for step in _steps(jobs[push])
        if step.get("uses", "").startswith("actions/download-artifact@")
    ]
    if fetched != scanned or re.search(r"deployer build|--allow-unscanned", _commands(jobs[push])):
        found.append(f"{DEPLOY}: {push} may push something else than the image {scan} found clean")
    for name in deployments:
        if (jobs[name].get("env") or {}).get("IMAGE_URI") != f"${{{{ needs.{push}.outputs.image_uri }}}}":
            found.append(f"{DEPLOY}: {name} does not take the image that {push} handed over")
        for command in re.findall(r"deployer (?:plan|apply) ?.*", _commands(jobs[name])):
            if '--image "$IMAGE_URI"' not in command:
                found.append(f"{DEPLOY}: {name}: `{command}` does not name the image")
        rollout = next(step for step in _steps(jobs[name]) if "rollout start" in step.get("run", ""))
        if (rollout.get("env") or {}).get("VERSION") != "${{ steps.apply.outputs.version }}":
            found.append(f"{DEPLOY}: {name} may roll out a version it did not publish")
    return found


def _hands_over(step: Tree) -> bool:
    """Tell whether a step uploads an artifact that holds the image."""
    uploads = step.get("uses", "").startswith("actions/upload-artifact@")
    return uploads and "build/image" in step["with"]["path"]


def machinery_is_verified_first(files: Files) -> list[str]:
    """Demand that no check and no release starts before the template's files are known to be unchanged."""
    found = []
    for place, job, _ in _jobs(files):
        path = place.split()[0]
        if path in (WORKFLOWS + "ci.yml", DEPLOY) and "needs" not in job:
            checkout, verify = [*_steps(job), {}, {}][:2]
            if not checkout.get("uses", "").startswith("actions/checkout@"):
                found.append(f"{place}: does not begin with a checkout")
            if verify.get("run") != "python3 dev.py verify" or "if" in verify:
                found.append(f"{place}: does something before `python3 dev.py verify`")
    return found


def release_reads_in_order(files: Files) -> list[str]:
    """Demand steps that read like the release, none of them on a condition."""
    found = []
    for place, job, _ in _jobs(files):
        named = [step for step in _steps(job) if step.get("name", "") in RELEASE_STEPS]
        positions = [RELEASE_STEPS.index(step["name"]) for step in named]
        if positions != sorted(positions) or len(set(positions)) != len(positions):
            found.append(f"{place}: steps are out of order")
        found += [f"{place}: `{step['name']}` is conditional" for step in named if "if" in step]
    present = {step.get("name") for _, job, _ in _jobs(files) for step in _steps(job)}
    return found + [f"no step `{name}`" for name in RELEASE_STEPS if name not in present]


def production_is_never_left_split(files: Files) -> list[str]:
    """Demand a rollback of what this very run started, after a failed or cancelled rollout."""
    steps = _steps(dict(_workflows(files))[DEPLOY]["jobs"]["production"])
    rollouts = [i for i, step in enumerate(steps) if "rollout start" in step.get("run", "")]
    rollbacks = [i for i, step in enumerate(steps) if "deployer rollback" in step.get("run", "")]
    if not rollbacks or rollbacks[0] < rollouts[0]:
        return [f"{DEPLOY}: no rollback after the rollout"]
    found, rollback = [], steps[rollbacks[0]]
    if rollback.get("if") != "failure() || cancelled()":
        found.append(f"{DEPLOY}: the rollback does not run after both a failure and a cancel")
    if '--only-if-owner "$GITHUB_RUN_ID"' not in rollback["run"]:
        found.append(f"{DEPLOY}: the rollback may end somebody else's rollout")
    found += [
        f"{place}: the rollout does not get the runner's signals"
        for place, job, _ in _jobs(files)
        for step in _steps(job)
        if "rollout start" in step.get("run", "") and not step["run"].startswith("exec ")
    ]
    return found


def aws_waits_for_bootstrap(files: Files) -> list[str]:
    """Demand that nothing reaches for AWS before bootstrap, and that the run says so."""
    jobs = dict(_workflows(files))[DEPLOY]["jobs"]
    found = []
    for name, job in jobs.items():
        waits = name == "push" or "push" in _listed(job.get("needs"))
        if "id-token" in _grants(job) and not waits:
            found.append(f"{DEPLOY}: {name} reaches for AWS before bootstrap")
    if jobs["push"].get("if") != "vars.AWS_PUSH_ROLE_ARN != ''":
        found.append(f"{DEPLOY}: push does not wait for bootstrap")
    notices = [step for job in jobs.values() for step in _steps(job) if "::notice" in step.get("run", "")]
    if [step.get("if") for step in notices] != ["vars.AWS_PUSH_ROLE_ARN == ''"]:
        found.append(f"{DEPLOY}: nothing says that AWS is not set up yet")
    return found


def one_job_named_pass(files: Files) -> list[str]:
    """Demand that the one required check waits for every other job and runs whatever became of them."""
    jobs = dict(_workflows(files))[WORKFLOWS + "ci.yml"]["jobs"]
    gate = jobs.get("pass", {})
    others = [name for name in jobs if name != "pass"]
    found = []
    if sorted(_listed(gate.get("needs"))) != sorted(others):
        found.append("ci.yml: pass does not wait for every job")
    if gate.get("if") != "always()" or gate.get("name") != "pass":
        found.append("ci.yml: pass is skipped, hence green, after a failure, or is called otherwise")
    if f'"{" ".join(["success"] * len(others))}"' not in _commands(gate):
        found.append("ci.yml: pass does not count the successes")
    return found


def files_read_alike(files: Files) -> list[str]:
    """Demand a purpose comment, one order of keys, and steps of one command whose failure counts."""
    order = ["name", "on", "permissions", "concurrency", "env", "jobs"]
    found = []
    for path, workflow in _workflows(files):
        keys = [key for key in workflow if key in order]
        if keys != [key for key in order if key in workflow] or len(keys) != len(workflow):
            found.append(f"{path}: keys are not in the order {order}")
        if not files[path].startswith("# "):
            found.append(f"{path}: does not start with its purpose")
        for step in (step for job in workflow["jobs"].values() for step in _steps(job)):
            if re.search(r"\n|;|\||&", step.get("run", "").strip()):
                found.append(f"{path}: a step with more than one command: {step['run'].splitlines()[0]}")
    return found


RULES = (
    pull_requests_get_no_credentials,
    actions_are_pinned_once,
    forbidden_actions_are_absent,
    permissions_are_minimal,
    checkouts_keep_no_token,
    shell_gets_no_expressions,
    jobs_end,
    triggers_and_runners_are_known,
    only_checks_are_cancelled,
    gate_comes_first,
    staging_is_smoked_before_production,
    machinery_is_verified_first,
    release_reads_in_order,
    production_is_never_left_split,
    aws_waits_for_bootstrap,
    one_job_named_pass,
    files_read_alike,
)
