"""What was played, as one Markdown page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workflows.github.records import JobRecord, RunRecord, StepRecord
from workflows.stories.story import Story

_ABOUT = """# Workflows, executed

`python3 dev.py workflows` wrote this page. It generates a repository, pushes it to a bare one, and plays the workflow
files as they are: GitHub's own parser and expressions read them, our processes run the steps. AWS is a local one that
judges each call by the roles of `infra/bootstrap.yaml` and `infra/registry.yaml`. Images, containers, the scanner and
`docker push` are real.
"""
_NOT_RUN = """## What was not run

- **Third-party actions.** Stand-ins play them, as strict as the real ones where it matters here: {actions}.
- **Concurrency groups.** They are read and listed below. No run waited for another one.
- **Reviewers** of environments. Nobody was asked.
- **The rule for `main`.** It is made and kept, and pushes went past it, without a pull request.
- **Filters of `on:`**, such as branches. Each run was started by hand.
- **Jobs beside each other.** The jobs of one run were played one after the other, on one machine.
- **GitHub itself.** `gh` is a program of the tests, which refuses what it does not know.
- **AWS itself.** Organisation policies and eventual consistency were not played.

The rules in `tests/rules/` of a generated repository hold what concurrency groups, reviewers and filters say.

## What was changed for it

- `deploy.toml`: the processor is this machine's, and production's steps are a short list.
- A calm week of traffic is written into CloudWatch before the first of it: a function without one is released by its
  sample alone.
- The deployer's clock runs {speed:g} times faster. A program of the tests stands before `deployer` on PATH for that.
- The vulnerability database is invented. The base image is the one that `BASE_IMAGE` names, if it is set.
- uv and pip use this machine's caches, and environments stay between the jobs of one machine.
"""


@dataclass
class Played:
    """One story after it was played; `problem` is empty when it ended as it should."""

    story: Story
    took_s: float = 0.0
    problem: str = ""
    runs: Sequence[RunRecord] = ()
    allowed: int = 0
    denied: Sequence[str] = field(default_factory=list)


def render(played: Sequence[Played], *, speed: float) -> str:
    """Return the page."""
    runs = [run for each in played for run in each.runs]
    actions = sorted({name for run in runs for name in _actions(run)})
    parts = [
        _ABOUT,
        "## Stories\n\n| story | runs | decisions about rights | took | |\n| --- | --- | --- | --- | --- |",
        "\n".join(_row(each) for each in played) + "\n",
        _NOT_RUN.format(actions=", ".join(f"`{name}`" for name in actions), speed=speed),
        "## Recorded, not enforced\n\n| workflow | job | concurrency | reviewers |\n| --- | --- | --- | --- |",
        "\n".join(sorted({row for run in runs for row in _recorded(run)})) + "\n",
        "## Runs\n",
        *(_run(run) for run in runs),
    ]
    return "\n".join(parts)


def _row(played: Played) -> str:
    runs = ", ".join(f"[{run.number}](#run-{run.number})" for run in played.runs) or "none"
    end = "as it should" if not played.problem else f"**failed**: {played.problem.splitlines()[0][:120]}"
    decisions = f"{played.allowed} allowed, {len(played.denied)} denied"
    return f"| {played.story.sentence} | {runs} | {decisions} | {played.took_s:.0f} s | {end} |"


def _actions(run: RunRecord) -> Iterable[str]:
    for job in run.jobs:
        for step in job.all_steps():
            name = step.uses.partition("@")[0]
            if name and not name.startswith(("./", "$/")):
                yield name


def _recorded(run: RunRecord) -> Iterable[str]:
    yield f"| `{run.file}` | | {_concurrency(run.concurrency)} | |"
    for job in run.jobs:
        if job.concurrency or job.reviewers:
            reviewers = ", ".join(job.reviewers)
            yield f"| `{run.file}` | {job.id} | {_concurrency(job.concurrency)} | {reviewers} |"


def _concurrency(found: object) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{key}: `{str(value).lower()}`" for key, value in found.items())
    return f"`{found}`" if found else "none"


def _run(run: RunRecord) -> str:
    lines = [f"### Run {run.number}\n", f"`{run.file}`, {run.event}: {run.result} after {run.took_s:.0f} s\n"]
    return "\n".join([*lines, *(_job(job) for job in run.jobs)])


def _job(job: JobRecord) -> str:
    where = f" in `{job.environment}`" if job.environment else ""
    rights = ", ".join(f"{scope}: {right}" for scope, right in job.permissions.items()) or "no rights"
    head = f"**{job.id}** {job.result}{where}"
    if job.result == "skipped":
        return f"- {head}"
    notes = [f"  - {note.level}: {_one_line(note.title or note.message)}" for note in job.annotations]
    steps = [_step(step, "  ") for step in job.steps]
    return "\n".join([f"- {head}, {job.took_s:.1f} s; {rights}", *steps, *notes])


def _step(step: StepRecord, indent: str) -> str:
    said = f"left out: {step.left_out}" if step.left_out else f"{step.outcome}, {step.took_s:.1f} s"
    if step.outcome != step.conclusion:
        said += f", counts as {step.conclusion}"
    own = f"{indent}- {_one_line(step.name)}: {said}"
    return "\n".join([own, *(_step(inner, f"{indent}  ") for inner in step.steps)])


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:160]
