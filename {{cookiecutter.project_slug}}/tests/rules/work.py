"""What starts a workflow, what its jobs do, when one is skipped: a job that does nothing is green as well.

Pure: file texts in, one sentence per finding out.
"""

from __future__ import annotations

import re

from rules import reading
from rules.reading import WORKFLOWS, Files

PLAN, APPLY = 'deployer plan --image "$IMAGE_URI"', 'deployer apply --image "$IMAGE_URI"'
ROLL_OUT = 'exec deployer rollout start --version "$VERSION" --events build/events.jsonl'
VERIFY = 'deployer verify-attestation --image "$IMAGE_URI"'
PRUNE = "deployer prune ${DELETE:+--delete}"
# The scripts of each job in their order, without those of the repository's own actions. A job that becomes a role
# runs these and nothing else; another one may run more.
WORK: dict[str, tuple[str, ...]] = {
    "ci.yml settings": ("deployer settings",),
    "ci.yml checks": ("python3 dev.py lock --check",),
    "ci.yml image": ("deployer build", "deployer scan", "deployer smoke"),
    "ci.yml rehearsal": ("python3 dev.py rehearse",),
    "control.yml control": (
        "deployer settings",
        'deployer rollout control "$WISH" --reason "$REASON" --to "$VERSION" --events build/events.jsonl',
        "deployer status",
    ),
    "deploy.yml settings": ("deployer settings",),
    "deploy.yml image": ("deployer build", "deployer scan"),
    "deploy.yml smoke": ("deployer smoke",),
    "deploy.yml push": ('deployer push --config-digest "$CONFIG_DIGEST"',),
    "deploy.yml staging": (VERIFY, PLAN, APPLY, ROLL_OUT, "deployer smoke-target"),
    "deploy.yml staging-smoke": ("python3 dev.py smoke --collect-only", "python3 dev.py smoke"),
    "deploy.yml production-plan": (PLAN,),
    "deploy.yml production": (
        VERIFY,
        PLAN,
        APPLY,
        ROLL_OUT,
        'deployer rollback --only-if-owner "$GITHUB_RUN_ID" --events build/events.jsonl',
    ),
    "gameday.yml gameday": ("deployer settings", "exec deployer gameday", "deployer gameday --repair"),
    "prune.yml settings": ("deployer settings",),
    "prune.yml staging": (PRUNE,),
    "prune.yml production": (PRUNE,),
    "prune.yml images": (
        "deployer prune --images --in-use build/in-use-staging.json --in-use build/in-use-production.json"
        " ${DELETE:+--delete}",
    ),
    "rollback.yml rollback": (
        "deployer settings",
        'deployer rollback --reason "run $GITHUB_RUN_ID by $GITHUB_ACTOR" --events build/events.jsonl',
        "deployer status",
    ),
    "watch.yml settings": ("deployer settings",),
    "watch.yml staging": ("deployer drift",),
    "watch.yml production": ("deployer watch live", "deployer drift"),
    "watch.yml rescan": (
        'deployer watch find --image-sha256 "$IMAGE_SHA256"',
        'deployer watch rescan --image-sha256 "$IMAGE_SHA256"',
    ),
    "watch.yml template": ("python3 dev.py outdated",),
    "watch.yml gameday": ("deployer watch gameday",),
    "watch.yml tell": ("deployer watch tell",),
}
BOOTSTRAPPED = "vars.AWS_PUSH_ROLE_ARN != ''"
# When a job runs that does not always run.
CONDITIONS = {
    "ci.yml pass": "always()",
    "deploy.yml push": BOOTSTRAPPED,
    "gameday.yml gameday": "github.event_name == 'workflow_dispatch' || vars.GAMEDAY == 'weekly'",
    "watch.yml staging": BOOTSTRAPPED,
    "watch.yml production": BOOTSTRAPPED,
    "watch.yml rescan": "${{ !cancelled() && needs.production.outputs.image_sha256 != '' }}",
    "watch.yml gameday": "vars.GAMEDAY == 'weekly'",
    "watch.yml tell": "${{ !cancelled() }}",
}
# What starts each workflow, but for a release: that is in `release.py`.
STARTS = {
    "ci.yml": {"pull_request", "merge_group"},
    "control.yml": {"workflow_dispatch"},
    "gameday.yml": {"schedule", "workflow_dispatch"},
    "prune.yml": {"workflow_dispatch"},
    "rollback.yml": {"workflow_dispatch"},
    "watch.yml": {"schedule", "workflow_dispatch"},
}


def workflows_start_when_they_should(files: Files) -> list[str]:
    """Demand that every pull request is checked, and that nobody has to remember the watch."""
    found = []
    for path, workflow in reading.workflows(files):
        wanted, has = STARTS.get(path.removeprefix(WORKFLOWS)), reading.triggers(workflow)
        if wanted is not None and has != wanted:
            found.append(f"{path}: starts by {', '.join(sorted(has))}, expected {', '.join(sorted(wanted))}")
        on = workflow["on"] if isinstance(workflow["on"], dict) else {}
        found += [
            f"{path}: leaves some of {name} unchecked"
            for name in sorted(has & reading.UNTRUSTED_TRIGGERS)
            if on.get(name)
        ]
    return found


def jobs_do_their_work(files: Files) -> list[str]:
    """Demand that each job runs what it is there for, and beside a role nothing else."""
    shared = {
        step.get("run") for _, action in reading.actions(files) for step in action["runs"].get("steps", [])
    }
    found = []
    for place, job, _ in reading.jobs(files):
        wanted = WORK.get(place.removeprefix(WORKFLOWS), ())
        scripts = [step["run"] for step in reading.steps(job) if "run" in step]
        left = iter(scripts)
        found += [f"{place}: does not run `{script}` in its turn" for script in wanted if script not in left]
        if reading.roles(job):
            own = {*wanted, *shared}
            found += [f"{place}: runs `{script}` beside a role" for script in scripts if script not in own]
    return found


def jobs_run_when_they_should(files: Files) -> list[str]:
    """Demand the conditions that were decided: a job that is skipped by another one is green as well."""
    found = []
    for place, job, _ in reading.jobs(files):
        wanted = CONDITIONS.get(place.removeprefix(WORKFLOWS))
        if job.get("if") != wanted:
            found.append(f"{place}: runs if {job.get('if')}, expected {wanted or 'no condition'}")
    return found


def checkouts_take_the_commit(files: Files) -> list[str]:
    """Demand that every job works on the commit of its run, of this repository."""
    return [
        f"{place}: a checkout takes another {name}"
        for place, job, _ in reading.jobs(files)
        for step in reading.steps(job)
        if reading.uses(step) == "actions/checkout"
        for name in sorted((step.get("with") or {}).keys() - {"persist-credentials"})
    ]


def runs_by_hand_say_who_and_what(files: Files) -> list[str]:
    """Demand that the list of runs shows who started one by hand, and with which answers."""
    found = []
    for path, workflow in reading.workflows(files):
        if "workflow_dispatch" not in reading.triggers(workflow):
            continue
        inputs = (workflow["on"]["workflow_dispatch"] or {}).get("inputs") or {}
        wanted = {f"inputs.{name}" for name, about in inputs.items() if about.get("required", True)}
        said = set(re.findall(r"[\w.]+", str(workflow.get("run-name", ""))))
        missing = sorted(({*wanted, "github.actor"} if inputs else set()) - said)
        found += [f"{path}: its run-name lacks {name}" for name in missing]
    return found


RULES = (
    workflows_start_when_they_should,
    jobs_do_their_work,
    jobs_run_when_they_should,
    checkouts_take_the_commit,
    runs_by_hand_say_who_and_what,
)
