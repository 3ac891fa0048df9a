"""One run of one workflow file of a repository. Shell: reads the file with git, runs its jobs."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from workflows.github import job, matrix
from workflows.github.errors import WorkflowError
from workflows.github.event import Event, inputs_of
from workflows.github.expressions import Situation
from workflows.github.records import JobRecord, RunRecord, worst
from workflows.github.repository import Repository
from workflows.github.state import Host, JobState

_PLAYED = {"concurrency", "defaults", "env", "jobs", "name", "on", "permissions", "run-name"}


class Run:
    """A run: `execute` plays its jobs one after the other, `cancel` may come from another thread.

    `job_ended` is told of each job when it has ended.
    """

    def __init__(self, file: str, repository: Repository, host: Host, event: Event, number: int = 1) -> None:
        """Read the file at the head of the event's branch. Raises WorkflowError if GitHub would not start it."""
        self.host, self.repository, self.event = host, repository, event
        sha = _git(repository, "rev-parse", f"refs/heads/{event.branch}").strip()
        content = _git(repository, "show", f"{sha}:.github/workflows/{file}")
        self.tree = host.expressions.workflow(f".github/workflows/{file}", content)
        if unknown := set(self.tree) - _PLAYED:
            raise WorkflowError(f"a workflow with {', '.join(sorted(unknown))} is not played")
        self.inputs = inputs_of(event, self.tree["on"])
        name = str(self.tree.get("name", file))
        self.github = event.context(repository, workflow=name, file=file, sha=sha, number=number)
        concurrency = self._resolve(self.tree.get("concurrency"))
        self.record = RunRecord(
            file, event.name, sha, number, concurrency=concurrency, triggers=self.tree["on"]
        )
        self.title = str(self._resolve(self.tree.get("run-name")) or name)
        self._results: dict[str, Mapping[str, Any]] = {}
        self._states: list[tuple[JobState, Mapping[str, Any], Mapping[str, Any]]] = []
        self.job_ended: Callable[[JobRecord], None] = lambda _: None
        self._lock = threading.RLock()
        self._is_cancelled = False

    def execute(self) -> RunRecord:
        """Run every job after those it needs, and return what happened."""
        started = time.monotonic()
        waiting = dict(self.tree["jobs"])
        while waiting:
            ready = [name for name, spec in waiting.items() if not set(_needs(spec)) & set(waiting)]
            if not ready:
                raise WorkflowError(f"these jobs wait for each other: {sorted(waiting)}")
            self._play(ready[0], waiting.pop(ready[0]))
        self.record.took_s = time.monotonic() - started
        return self.record

    def cancel(self) -> None:
        """Cancel the run as the button does: a job whose `if` still holds runs on, others end their step.

        Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
        """
        with self._lock:
            self._is_cancelled = True
            states = list(self._states)
        for state, spec, context in states:
            if not self._holds(spec, context, "cancelled"):
                state.cancel()

    def _play(self, name: str, spec: Mapping[str, Any]) -> None:
        """Run a job once for each row of its matrix; what `needs` sees are the worst result, the last outputs."""
        records = []
        for row in matrix.rows(self._rows(name, spec)):
            record = JobRecord(name, name=name, matrix=row)
            records.append(record)
            self.record.jobs.append(record)
            self._play_row(record, spec)
            self.job_ended(record)
        result = worst([record.result for record in records])
        self._results[name] = {"result": result, "outputs": records[-1].outputs}

    def _rows(self, name: str, spec: Mapping[str, Any]) -> Any:
        strategy = spec.get("strategy") or {}
        if unknown := set(strategy) - {"matrix", "fail-fast", "max-parallel"}:
            raise WorkflowError(f"a strategy with {', '.join(sorted(unknown))} is not played")
        return self._resolve(strategy.get("matrix"), self._context(name, spec, {}))

    def _play_row(self, record: JobRecord, spec: Mapping[str, Any]) -> None:
        context = self._context(record.id, spec, record.matrix)
        if not self._holds(spec, context, self._status(record.id)):
            record.result = "skipped"
            return
        given = job.Given(self.host, self.repository, self.event, self.tree, spec, context)
        state = job.prepare(given, record)
        if state is None:
            return
        entry = (state, spec, context)
        with self._lock:
            self._states.append(entry)
            is_late = self._is_cancelled
        if is_late and not self._holds(spec, context, "cancelled"):
            state.cancel()
        try:
            job.play(state, given)
        finally:
            with self._lock:
                self._states.remove(entry)

    def _context(self, name: str, spec: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        needs = {need: self._results[need] for need in _needs(spec)}
        github = {**self.github, "job": name}
        return {"github": github, "needs": needs, "inputs": self.inputs, "matrix": row, "strategy": {}}

    def _status(self, name: str) -> str:
        """Return what status functions of the job's `if` look at: every job before it, however far."""
        if self._is_cancelled:
            return "cancelled"
        results = {str(self._results[before]["result"]) for before in self._before(name)}
        if "failure" in results:
            return "failure"
        return "success" if results <= {"success"} else "skipped"

    def _before(self, name: str) -> set[str]:
        needs = set(_needs(self.tree["jobs"][name]))
        return needs.union(*(self._before(need) for need in needs))

    def _holds(self, spec: Mapping[str, Any], context: Mapping[str, Any], status: str) -> bool:
        variables = {} if self.event.is_fork else self.repository.variables
        return self.host.expressions.holds(spec["if"], Situation({**context, "vars": variables}, status))

    def _resolve(self, node: Any, context: Mapping[str, Any] | None = None) -> Any:
        seen = context or {"github": self.github, "inputs": self.inputs}
        variables = {} if self.event.is_fork else self.repository.variables
        return self.host.expressions.resolve(node, Situation({**seen, "vars": variables}))


def _needs(spec: Mapping[str, Any]) -> list[str]:
    needs = spec.get("needs") or []
    return [needs] if isinstance(needs, str) else list(needs)


def _git(repository: Repository, *arguments: str) -> str:
    command = ["git", "-C", str(repository.remote), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkflowError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
