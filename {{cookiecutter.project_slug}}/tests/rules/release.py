"""What a release must be: the order of its jobs and steps, one image through all, and no traffic left split.

Pure: file texts in, one sentence per finding out.
"""

from __future__ import annotations

import re

from rules import reading
from rules.reading import DEPLOY, Files, Tree

STEPS = [
    "Build image",
    "Scan image",
    "Smoke image",
    "Push image",
    "Plan",
    "Apply",
    "Roll out",
    "Smoke staging",
]
# What each job waits for. `settings` says where; of the rest each must have succeeded.
NEEDS: dict[str, dict[str, set[str]]] = {
    "deploy.yml": {
        "settings": set(),
        "checks": set(),
        "image": {"settings"},
        "smoke": {"settings", "image"},
        "push": {"settings", "checks", "image", "smoke"},
        "staging": {"settings", "push"},
        "staging-smoke": {"settings", "push", "staging"},
        "production-plan": {"settings", "push", "staging", "staging-smoke"},
        "production": {"settings", "push", "staging", "staging-smoke", "production-plan"},
    },
    "prune.yml": {
        "settings": set(),
        "staging": {"settings"},
        "production": {"settings"},
        "images": {"settings", "staging", "production"},
    },
    "watch.yml": {
        "settings": set(),
        "staging": {"settings"},
        "production": {"settings"},
        "rescan": {"production"},
        "template": set(),
        "gameday": set(),
        "tell": {"settings", "staging", "production", "rescan", "template", "gameday"},
    },
    "ci.yml": {
        "settings": set(),
        "checks": set(),
        "image": {"settings"},
        "rehearsal": set(),
        "pass": {"settings", "checks", "image", "rehearsal"},
    },
}
# These look at what the others did, or at what is live whether or not another job was red.
WHATEVER_HAPPENED = {"ci.yml pass", "watch.yml rescan", "watch.yml tell"}


def _deploy_jobs(files: Files) -> dict[str, Tree]:
    return dict(dict(reading.workflows(files))[DEPLOY]["jobs"])


def only_main_is_released(files: Files) -> list[str]:
    """Demand that a release begins with a push to main, and with nothing else."""
    workflow = dict(reading.workflows(files))[DEPLOY]
    if workflow["on"] != {"push": {"branches": ["main"]}}:
        return [f"{DEPLOY}: is started by something else than a push to main"]
    return []


def jobs_wait_for_each_other(files: Files) -> list[str]:
    """Demand of each job that it waits for those it relies on, and does not start when one of them failed."""
    found = []
    for path, workflow in reading.workflows(files):
        wanted = NEEDS.get(path.removeprefix(reading.WORKFLOWS), {name: set() for name in workflow["jobs"]})
        if set(workflow["jobs"]) != set(wanted):
            found.append(f"{path}: expected the jobs {sorted(wanted)}, found {sorted(workflow['jobs'])}")
        for name, job in workflow["jobs"].items():
            needs = set(reading.listed(job.get("needs")))
            missing = wanted.get(name, set()) - needs
            found += [f"{path}: {name} does not wait for {other}" for other in sorted(missing)]
            place = f"{path.removeprefix(reading.WORKFLOWS)} {name}"
            goes_on = re.search(r"always|failure|cancelled", str(job.get("if", "")))
            if bool(goes_on) != (place in WHATEVER_HAPPENED):
                found.append(f"{path}: {name} may run after a failure, or no longer runs after one")
    return found


def checks_are_the_same(files: Files) -> list[str]:
    """Demand lint, types and tests of a pull request and of a release, each without a condition."""
    found, wanted = [], ("python3 dev.py lint", "python3 dev.py types", "python3 dev.py test")
    for path in (reading.CI, DEPLOY):
        steps = reading.steps(dict(reading.workflows(files))[path]["jobs"].get("checks", {}))
        if any("if" in step for step in steps):
            found.append(f"{path}: a check is conditional")
        runs = [step.get("run", "") for step in steps]
        found += [f"{path}: nothing runs `{word}`" for word in wanted if not any(word in run for run in runs)]
    return found


def gate_comes_first(files: Files) -> list[str]:
    """Demand one scan without credentials before one push, and no step whose failure does not count."""
    jobs, found = _deploy_jobs(files), []
    words = ("scan", "smoke", "push", "apply", "rollout")
    does = {word: [n for n, j in jobs.items() if f"deployer {word}" in _words(j)] for word in words}
    expected = [["image"], ["smoke"], ["push"], ["staging", "production"], ["staging", "production"]]
    if [does[word] for word in words] != expected:
        return [f"{DEPLOY}: expected one scan, one smoke, one push and two deployments, found {does}"]
    if "deployer scan" not in reading.commands(jobs["image"]).splitlines():
        found.append(f"{DEPLOY}: the scan has options")
    for name in ("image", "smoke"):
        if "id-token" in reading.grants(jobs[name]) or "aws-actions/" in str(jobs[name]):
            found.append(f"{DEPLOY}: {name} can reach AWS")
    found += [
        f"{path}: continue-on-error"
        for path in sorted(files)
        if "continue-on-error" in reading.without_comments(files[path])
    ]
    return found


def _words(job: Tree) -> str:
    """Return the commands of a job without what only sounds like one (`deployer smoke-target`)."""
    return reading.commands(job).replace("deployer smoke-target", "")


def one_image_goes_through(files: Files) -> list[str]:
    """Demand that what was scanned is what is pushed, by artifact, and what is deployed, by digest."""
    jobs, found = _deploy_jobs(files), []
    scanned = [step["with"]["name"] for step in reading.steps(jobs["image"]) if _hands_over(step)]
    for name in ("smoke", "push"):
        fetched = [
            step["with"]["name"]
            for step in reading.steps(jobs[name])
            if reading.uses(step) == "actions/download-artifact"
        ]
        if fetched != scanned or re.search(r"deployer build|--allow-unscanned", reading.commands(jobs[name])):
            found.append(f"{DEPLOY}: {name} may take something else than the image that was found clean")
    scan, push = _step(jobs["image"], "Scan image"), _step(jobs["push"], "Push image")
    said = (jobs["image"].get("outputs") or {}).get("config_digest")
    if scan.get("id") != "scan" or said != "${{ steps.scan.outputs.config_digest }}":
        found.append(f"{DEPLOY}: image does not say which digest it scanned")
    if (push.get("env") or {}) != {"CONFIG_DIGEST": "${{ needs.image.outputs.config_digest }}"} or (
        push.get("run") != 'deployer push --config-digest "$CONFIG_DIGEST"'
    ):
        found.append(f"{DEPLOY}: push does not compare the image with what was scanned")
    for name in ("staging", "production-plan", "production"):
        if (jobs[name].get("env") or {}).get("IMAGE_URI") != "${{ needs.push.outputs.image_uri }}":
            found.append(f"{DEPLOY}: {name} does not take the image that push handed over")
        for command in re.findall(r"deployer (?:plan|apply) ?.*", reading.commands(jobs[name])):
            if '--image "$IMAGE_URI"' not in command:
                found.append(f"{DEPLOY}: {name}: `{command}` does not name the image")
        given = [
            step.get("env") or {} for step in reading.steps(jobs[name]) if "$VERSION" in step.get("run", "")
        ]
        if any(env.get("VERSION") != "${{ steps.apply.outputs.version }}" for env in given) or (
            name != "production-plan" and len(given) != 1
        ):
            found.append(f"{DEPLOY}: {name} may roll out a version it did not publish")
    return found


def origin_is_verified(files: Files) -> list[str]:
    """Demand provenance for what is pushed, verified before any environment's credentials, wherever it exists."""
    jobs, found, when = _deploy_jobs(files), [], "needs.settings.outputs.attests == 'true'"
    attests = (jobs["settings"].get("outputs") or {}).get("attests")
    if attests != "${{ vars.ATTESTATIONS == 'true' || !github.event.repository.private }}":
        found.append(f"{DEPLOY}: settings decides in another way whether attestations exist")
    attest = _step(jobs["push"], "Attest provenance")
    subject = attest.get("with") or {}
    if attest.get("if") != when or reading.uses(attest) != "actions/attest":
        found.append(f"{DEPLOY}: push does not attest what it pushes")
    if subject.get("subject-digest") != "sha256:${{ steps.push.outputs.image_sha256 }}":
        found.append(f"{DEPLOY}: push attests something else than what it pushed")
    for name in ("staging", "production"):
        steps = reading.steps(jobs[name])
        runs = [step.get("run", "") for step in steps]
        verify = _step(jobs[name], "Verify attestation")
        if verify.get("if") != when or verify["run"] != 'deployer verify-attestation --image "$IMAGE_URI"':
            found.append(f"{DEPLOY}: {name} does not verify who built the image")
            continue
        credentials = [i for i, step in enumerate(steps) if reading.uses(step) == reading.ASSUMES_ROLE]
        if runs.index(verify["run"]) > min(credentials, default=0):
            found.append(f"{DEPLOY}: {name} has credentials before it knows who built the image")
    return found


def _step(job: Tree, name: str) -> Tree:
    """Return the step of a name, an empty one where there is none."""
    return next((step for step in reading.steps(job) if step.get("name") == name), {})


def _hands_over(step: Tree) -> bool:
    """Tell whether a step uploads, if all went well, an artifact that holds the image."""
    uploads = reading.uses(step) == "actions/upload-artifact" and "if" not in step
    return uploads and "build/image" in step["with"]["path"]


def staging_is_smoked_before_production(files: Files) -> list[str]:
    """Demand smoke tests of what staging released, without condition, collected before there are credentials."""
    job = _deploy_jobs(files).get("staging-smoke", {})
    found, steps = [], [(step.get("run", ""), step) for step in reading.steps(job)]
    smokes = [i for i, (run, _) in enumerate(steps) if "dev.py smoke" in run]
    credentials = [i for i, (_, step) in enumerate(steps) if reading.uses(step) == reading.ASSUMES_ROLE]
    if len(smokes) != 2 or len(credentials) != 1 or not smokes[0] < credentials[0] < smokes[1]:
        found.append(f"{DEPLOY}: staging-smoke does not collect, then get credentials, then test")
    if "if" in job:
        found.append(f"{DEPLOY}: staging-smoke is conditional")
    if re.search(r"^(exec )?deployer ", reading.commands(job), re.M):
        found.append(f"{DEPLOY}: staging-smoke runs more than the smoke tests")
    target = (steps[smokes[-1]][1].get("env") or {}).get("SMOKE_TARGET") if smokes else None
    if target != "${{ needs.staging.outputs.smoke_target }}":
        found.append(f"{DEPLOY}: staging-smoke does not test what staging released")
    return found


def release_reads_in_order(files: Files) -> list[str]:
    """Demand steps that read like the release, none of them on a condition."""
    found = []
    for place, job, _ in reading.jobs(files):
        named = [step for step in reading.steps(job) if step.get("name", "") in STEPS]
        positions = [STEPS.index(step["name"]) for step in named]
        # A pull request's image is scanned and smoked in one job, in the same order.
        if positions != sorted(positions) or len(set(positions)) != len(positions):
            found.append(f"{place}: steps are out of order")
        found += [f"{place}: `{step['name']}` is conditional" for step in named if "if" in step]
    present = {step.get("name") for _, job, _ in reading.jobs(files) for step in reading.steps(job)}
    return found + [f"no step `{name}`" for name in STEPS if name not in present]


def production_is_never_left_split(files: Files) -> list[str]:
    """Demand a rollback of what this very run started, after a failed or cancelled rollout."""
    steps = reading.steps(_deploy_jobs(files)["production"])
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
        for place, job, _ in reading.jobs(files)
        for step in reading.steps(job)
        if "rollout start" in step.get("run", "") and not step["run"].startswith("exec ")
    ]
    return found


RULES = (
    only_main_is_released,
    jobs_wait_for_each_other,
    checks_are_the_same,
    gate_comes_first,
    one_image_goes_through,
    origin_is_verified,
    staging_is_smoked_before_production,
    release_reads_in_order,
    production_is_never_left_split,
)
