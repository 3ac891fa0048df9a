"""What a runner has, and what a job carries from step to step. Shell: it can end the running step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from workflows.github.commands import Listener, Masks
from workflows.github.event import Event
from workflows.github.expressions import Expressions, Situation
from workflows.github.process import LADDER, Script
from workflows.github.records import Annotation, JobRecord, StepRecord
from workflows.github.repository import Repository

if TYPE_CHECKING:
    from workflows.github.actions import Action

Hear = Callable[[JobRecord, StepRecord, str], None]


class Issuer(Protocol):
    """Where a job asks for its ID token."""

    @property
    def url(self) -> str:
        """Return what ACTIONS_ID_TOKEN_REQUEST_URL is set to."""

    def grant(self, claims: Mapping[str, Any]) -> str:
        """Return the right to ask for tokens with these claims."""

    def revoke(self, right: str) -> None:
        """End the right; the job is over."""


def _nobody(*_: object) -> None:
    """Hear nothing."""


@dataclass(frozen=True)
class Host:
    """One runner: its folder, what its processes inherit, and whom it asks.

    `first_on_path` comes before whatever a job puts on PATH; `minute_s` is how long a minute of a timeout takes;
    `tokens` is a folder where a program that plays GitHub finds the rights of each job's token.
    `left_out` are actions of the repository and scripts that are not run, with the reason, which the record
    keeps.
    """

    folder: Path
    environment: Mapping[str, str]
    expressions: Expressions
    issuer: Issuer
    actions: Mapping[str, Action]
    artifacts: Path
    first_on_path: Path | None = None
    tokens: Path | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    minute_s: float = 60.0
    ladder: Sequence[tuple[Any, float]] = LADDER
    hear: Hear = _nobody


@dataclass
class Scope:
    """Where a list of steps stands: in a job, or in a local composite action.

    `env` is what the scope's own `env` blocks say; `status` counts in a composite action, the job's in a job.
    """

    context: Mapping[str, Any]
    env: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    is_composite: bool = False
    status: Literal["success", "failure", "cancelled"] = "success"
    steps: dict[str, Any] = field(default_factory=dict)


@dataclass
class JobState:
    """A running job. `exported` is what steps wrote to GITHUB_ENV, `inherited` what the runner sets."""

    host: Host
    repository: Repository
    event: Event
    record: JobRecord
    workspace: Path
    temp: Path
    sha: str
    run_id: str
    inherited: dict[str, str]
    masks: Masks = field(default_factory=Masks)
    exported: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    status: Literal["success", "failure", "cancelled"] = "success"
    listener: Listener = field(init=False)
    _running: tuple[Script, Callable[[], bool]] | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.listener = Listener(self.masks)

    def cancel(self) -> None:
        """Mark the job, and end the running step unless its own condition still holds."""
        with self._lock:
            self.status = "cancelled"
            running = self._running
        if running and not running[1]():
            threading.Thread(target=running[0].end, daemon=True).start()

    def started(self, script: Script, keeps_on: Callable[[], bool]) -> None:
        """Note what a cancel has to end; one that came a moment ago ends it before it begins."""
        with self._lock:
            self._running = (script, keeps_on)
            is_late = self.status == "cancelled"
        if is_late and not keeps_on():
            script.end()

    def ended(self) -> None:
        """Note that no step runs."""
        with self._lock:
            self._running = None

    def fail(self) -> None:
        """Note that a step failed; what is cancelled stays cancelled."""
        with self._lock:
            if self.status == "success":
                self.status = "failure"

    def situation(self, scope: Scope, env: Mapping[str, str]) -> Situation:
        """Return what an expression of a step sees."""
        status = scope.status if scope.is_composite and self.status != "cancelled" else self.status
        context = {**scope.context, "env": env, "steps": scope.steps, "job": {"status": self.status}}
        return Situation(context, status, self.workspace)

    def environment(self, scope: Scope, env: Mapping[str, str]) -> dict[str, str]:
        """Return a step's whole environment; what the runner sets cannot be overwritten."""
        first = [str(self.host.first_on_path)] if self.host.first_on_path else []
        path = {**self.inherited, **env}.get("PATH", "")
        return {
            **self.host.environment,
            **env,
            **self.inherited,
            **scope.variables,
            "PATH": ":".join([*first, *reversed(self.path), path]),
        }

    def say(self, step: StepRecord, line: str) -> None:
        """Take one line of a step's output: obey the command in it, hide what is secret, keep it."""
        if annotation := self.listener.hear(line):
            self.record.annotations.append(annotation)
        step.output.append(self.masks.hide(line))
        self.host.hear(self.record, step, step.output[-1])

    def annotate(self, level: str, message: str) -> None:
        """Add an annotation of the runner's own."""
        self.record.annotations.append(Annotation(level, self.masks.hide(message)))
