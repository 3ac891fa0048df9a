"""What is kept of a run: jobs, steps, what they said. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Result = Literal["", "success", "failure", "cancelled", "skipped"]


@dataclass(frozen=True)
class Annotation:
    """A notice, warning or error that GitHub shows on the run's page."""

    level: str
    message: str
    title: str = ""


@dataclass
class StepRecord:
    """A step, also while it runs; `steps` are those of the local action it uses.

    `outcome` is what happened, `conclusion` what counts after `continue-on-error`; `left_out` says why it was
    not run although its outcome is success.
    """

    id: str
    name: str
    outcome: Result = ""
    conclusion: Result = ""
    outputs: dict[str, str] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    took_s: float = 0.0
    left_out: str = ""
    uses: str = ""

    @property
    def text(self) -> str:
        """Return everything the step said."""
        return "\n".join(self.output)


@dataclass
class JobRecord:
    """A job, also while it runs; empty texts are what is not known yet or does not apply."""

    id: str
    name: str = ""
    matrix: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    result: Result = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[StepRecord] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    summary: str = ""
    permissions: dict[str, str] = field(default_factory=dict)
    took_s: float = 0.0
    # What is recorded and not played.
    runs_on: str = ""
    concurrency: Any = None
    reviewers: tuple[str, ...] = ()

    def step(self, name: str) -> StepRecord:
        """Return the step with that id or name; raise KeyError, naming those there are."""
        for step in self.all_steps():
            if name in (step.id, step.name):
                return step
        raise KeyError(f"{name}: job {self.id} has {[step.name for step in self.steps]}")

    def all_steps(self) -> Iterator[StepRecord]:
        """Yield every step, those of local actions after the step that uses them."""
        for step in self.steps:
            yield step
            yield from step.steps

    @property
    def text(self) -> str:
        """Return everything the job's steps said."""
        return "\n".join(step.text for step in self.steps)


@dataclass
class RunRecord:
    """A run of a workflow; a matrix's job stands in `jobs` once for each row."""

    file: str
    event: str
    sha: str
    number: int
    jobs: list[JobRecord] = field(default_factory=list)
    took_s: float = 0.0
    concurrency: Any = None
    triggers: Any = None

    def job(self, id_: str) -> JobRecord:
        """Return the job with that id, of a matrix the last row; raise KeyError, naming those there are."""
        found = [job for job in self.jobs if job.id == id_]
        if not found:
            raise KeyError(f"{id_}: the run has {[job.id for job in self.jobs]}")
        return found[-1]

    @property
    def results(self) -> dict[str, Result]:
        """Return job -> result; of a matrix's rows the worst."""
        by_job: dict[str, list[Result]] = {}
        for job in self.jobs:
            by_job.setdefault(job.id, []).append(job.result)
        return {name: worst(rows) for name, rows in by_job.items()}

    @property
    def result(self) -> Result:
        """Return what GitHub shows for the run."""
        return worst(list(self.results.values()))

    @property
    def text(self) -> str:
        """Return everything that was said."""
        return "\n".join(job.text for job in self.jobs)


def worst(results: list[Result]) -> Result:
    """Return failure before cancelled before success; skipped only if all are."""
    order: tuple[Result, ...] = ("failure", "cancelled", "success", "skipped")
    return next((each for each in order if each in results), "")
