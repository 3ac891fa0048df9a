"""One list of steps, one after the other: conditions, environments, scripts, actions, outcomes. Shell."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflows.github import commands
from workflows.github.actions import Call, Given
from workflows.github.composite import LocalAction, find_local
from workflows.github.errors import ActionFailedError, WorkflowError
from workflows.github.process import Script, command_of
from workflows.github.records import Result, StepRecord
from workflows.github.state import JobState, Scope

_PLAYED = {
    "$id", "continue-on-error", "env", "id", "if", "name", "run", "shell", "timeout-minutes", "uses", "with",
    "working-directory",
}  # fmt: skip


def run_all(
    state: JobState, steps: Sequence[Mapping[str, Any]], scope: Scope, into: list[StepRecord]
) -> None:
    """Run the steps; each sees what those before it gave. Raises WorkflowError for what is not played."""
    for spec in steps:
        if unknown := set(spec) - _PLAYED:
            raise WorkflowError(f"a step with {', '.join(sorted(unknown))} is not played")
        record = StepRecord(spec["$id"], "", uses=str(spec.get("uses", "")))
        into.append(record)
        _Step(state, spec, scope, record).play()


class _Step:
    """One step while it is played."""

    def __init__(self, state: JobState, spec: Mapping[str, Any], scope: Scope, record: StepRecord) -> None:
        self.state, self.spec, self.scope, self.record = state, spec, scope, record
        # In a composite action what its caller's `env` says wins over GITHUB_ENV; in a job it is the other way.
        shared = {**state.exported, **scope.env} if scope.is_composite else {**scope.env, **state.exported}
        self.env = {**shared, **as_texts(self._resolve(spec.get("env") or {}, shared))}

    def _resolve(self, node: Any, env: Mapping[str, str] | None = None) -> Any:
        situation = self.state.situation(self.scope, self.env if env is None else env)
        return self.state.host.expressions.resolve(node, situation)

    def _holds(self) -> bool:
        situation = self.state.situation(self.scope, self.env)
        return self.state.host.expressions.holds(self.spec["if"], situation)

    def play(self) -> None:
        """Run the step if its condition holds, and let outcome and conclusion count."""
        record = self.record
        record.name = _name(self.spec, self._resolve(self.spec.get("name")))
        started = time.monotonic()
        if self._holds():
            record.outcome = self._outcome()
            may_fail = str(self._resolve(self.spec.get("continue-on-error", False))).lower() == "true"
            record.conclusion = "success" if record.outcome == "failure" and may_fail else record.outcome
        else:
            record.outcome = record.conclusion = "skipped"
        record.took_s = time.monotonic() - started
        if record.conclusion in ("failure", "cancelled"):
            self.scope.status = record.conclusion
            if record.conclusion == "failure" and not self.scope.is_composite:
                self.state.fail()
        self.scope.steps[record.id] = {
            "outputs": record.outputs,
            "outcome": record.outcome,
            "conclusion": record.conclusion,
        }

    def _outcome(self) -> Result:
        uses = self.spec.get("uses")
        what = str(self.spec["run"] if uses is None else uses)  # a script with an expression is no text yet
        if what in self.state.host.left_out:
            self.record.left_out = self.state.host.left_out[what]
            return "success"
        if uses is None:
            return self._run_script()
        given = as_texts(self._resolve(self.spec.get("with") or {}))
        try:
            if uses.startswith(("./", "$/")):
                return self._use_local(find_local(self.state, uses), given)
            return self._use_stand_in(uses, given)
        except ActionFailedError as error:
            self.state.say(self.record, f"::error::{error}")
            return "failure"

    def _use_stand_in(self, uses: str, given: Mapping[str, str]) -> Result:
        name, _, version = uses.partition("@")
        action = self.state.host.actions.get(name)
        if action is None:
            raise WorkflowError(f"no stand-in for `{uses}`")
        if unknown := set(given) - set(action.inputs):
            raise WorkflowError(f"unexpected inputs of `{name}`: {', '.join(sorted(unknown))}")
        call = Call(
            self.state,
            self.record,
            Given({**action.inputs, **given}),
            self.state.environment(self.scope, self.env),
            version,
        )
        self.record.outputs = {**(action.run(call) or {})}
        return "success"

    def _use_local(self, action: LocalAction, given: Mapping[str, str]) -> Result:
        """Run a composite action's steps, with nothing of the workflow's but its environment."""
        seen = {name: self.scope.context[name] for name in ("github", "matrix", "runner", "strategy")}
        github = {**seen["github"], "action_path": str(action.folder)}
        inputs = action.inputs(given, self._resolve)
        scope = Scope(
            {**seen, "github": github, "inputs": inputs},
            env={**self.scope.env, **self.env},
            variables={"GITHUB_ACTION_PATH": str(action.folder)},
            is_composite=True,
        )
        run_all(self.state, action.steps, scope, self.record.steps)
        situation = self.state.situation(scope, scope.env)
        outputs = self.state.host.expressions.resolve(action.outputs, situation)
        self.record.outputs = as_texts(outputs)
        self.record.output += [line for step in self.record.steps for line in step.output]
        return scope.status

    def _run_script(self) -> Result:
        state, spec = self.state, self.spec
        folder = state.temp / f"step-{time.monotonic_ns()}"
        folder.mkdir()
        files = {name: folder / name.lower() for name in commands.FILES}
        for file in files.values():
            file.touch()
        path = folder / "script.sh"
        path.write_text(f"{self._resolve(spec['run'])}\n", encoding="utf-8")
        defaults = self.scope.defaults
        shell = self._resolve(spec.get("shell", defaults.get("shell", "")))
        if self.scope.is_composite and not shell:
            raise WorkflowError("a script of a local action needs a `shell`")
        where = self._resolve(spec.get("working-directory", defaults.get("working-directory", ".")))
        environment = state.environment(self.scope, self.env)
        script = Script(
            command_of(str(shell), path),
            state.workspace / str(where),
            environment | {name: str(file) for name, file in files.items()},
            lambda line: state.say(self.record, line),
            state.host.ladder,
        )
        status, is_late = self._run_within(script)
        self._read(files)
        if script.signals or (state.status == "cancelled" and not self._holds()):
            # Also when it then ended well: the runner does not look at the status of what it cancelled.
            return "failure" if is_late else "cancelled"
        if status:
            state.say(self.record, f"##[error]Process completed with exit code {status}.")
            state.annotate("error", f"Process completed with exit code {status}.")
        return "failure" if status else "success"

    def _run_within(self, script: Script) -> tuple[int, bool]:
        """Run the script within the step's own timeout; returns its status, and whether it took too long."""
        minutes = self._resolve(self.spec.get("timeout-minutes"))
        late = threading.Event()

        def end() -> None:
            late.set()
            self.state.annotate("error", f"The action has timed out after {minutes} minutes.")
            script.end()

        timer = threading.Timer(float(minutes or 0) * self.state.host.minute_s, end) if minutes else None
        self.state.started(script, self._holds)
        if timer:
            timer.start()
        try:
            return script.run(), late.is_set()
        finally:
            self.state.ended()
            if timer:
                timer.cancel()

    def _read(self, files: Mapping[str, Path]) -> None:
        """Take what the script wrote into the runner's files."""
        state = self.state
        text = {name: path.read_text(encoding="utf-8", errors="replace") for name, path in files.items()}
        self.record.outputs = commands.assignments(text["GITHUB_OUTPUT"])
        exported = commands.assignments(text["GITHUB_ENV"])
        if refused := [name for name in commands.NEVER_SET if name in exported]:
            raise WorkflowError(f"can't store {refused[0]} output parameter using '$GITHUB_ENV' command")
        state.exported |= exported
        state.path += [line for line in text["GITHUB_PATH"].splitlines() if line]
        state.record.summary += state.masks.hide(text["GITHUB_STEP_SUMMARY"])


def _name(spec: Mapping[str, Any], given: Any) -> str:
    """Return what GitHub calls the step."""
    run = spec.get("run", "")
    line = run.strip().splitlines()[0] if isinstance(run, str) and run.strip() else "a script"
    return str(given or (f"Run {spec['uses']}" if "uses" in spec else f"Run {line}"))


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as the texts that processes and actions get."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return {name: text(value) for name, value in values.items()}
