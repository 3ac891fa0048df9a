"""One job of a run, from its environment to its outputs. Shell."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.github import tokens
from workflows.github.errors import WorkflowError
from workflows.github.event import Event
from workflows.github.expressions import Situation
from workflows.github.process import TRACKING, end_orphans
from workflows.github.records import Annotation, JobRecord
from workflows.github.repository import Repository
from workflows.github.state import Host, JobState, Scope
from workflows.github.steps import as_texts, run_all

_PLAYED = {
    "concurrency", "defaults", "env", "environment", "if", "name", "needs", "outputs", "permissions", "runs-on",
    "steps", "strategy", "timeout-minutes",
}  # fmt: skip
_LONGEST_MINUTES = 360


@dataclass(frozen=True)
class Given:
    """What a run gives each of its jobs; `context` is github, inputs, needs, strategy and matrix."""

    host: Host
    repository: Repository
    event: Event
    tree: Mapping[str, Any]
    spec: Mapping[str, Any]
    context: Mapping[str, Any]


def prepare(given: Given, record: JobRecord) -> JobState | None:
    """Enter the job's environment and make what its steps start from; None when GitHub does not start it."""
    if unknown := set(given.spec) - _PLAYED:
        raise WorkflowError(f"a job with {', '.join(sorted(unknown))} is not played")
    host, repository, spec = given.host, given.repository, given.spec

    def resolve(node: Any) -> Any:
        return host.expressions.resolve(node, Situation(_with_settings(given, "")))

    place = resolve(spec.get("environment"))
    record.environment = str(place["name"] if isinstance(place, dict) else place or "")
    if record.environment:
        environment = repository.environment(record.environment)
        record.reviewers = environment.reviewers
        if not environment.admits(given.event.ref):
            said = f"`{given.event.ref}` is not allowed to deploy to {record.environment}"
            record.annotations.append(Annotation("error", said))
            record.result = "failure"
            return None
    record.name = str(resolve(spec.get("name")) or record.id)
    record.runs_on = str(resolve(spec["runs-on"]))
    record.concurrency = resolve(spec.get("concurrency"))
    declared = spec.get("permissions", given.tree.get("permissions"))
    record.permissions = tokens.granted(declared, given.event)
    return _state(given, record)


def play(state: JobState, given: Given) -> None:
    """Run the job's steps and set its result and outputs."""
    record, host, spec = state.record, state.host, given.spec
    token = secrets.token_hex(20)
    hidden = {} if given.event.is_fork else dict(given.repository.secrets_of(record.environment))
    for value in (*hidden.values(), token):
        state.masks.add(value)
    runner = {"os": "Linux", "arch": "X64", "temp": str(state.temp), "environment": "github-hosted"}
    context = {
        **_with_settings(given, record.environment),
        "secrets": {**hidden, "GITHUB_TOKEN": token},
        "runner": runner,
    }
    context["github"] = {**context["github"], "token": token, "workspace": str(state.workspace)}
    with _timeout(state, spec), _id_token(state, given), _token(state, token):
        scope = Scope(context, defaults=_defaults(given))
        env: dict[str, str] = {}
        for block in (given.tree.get("env"), spec.get("env")):
            seen = Situation({**context, "env": env})
            env |= as_texts(host.expressions.resolve(block or {}, seen))
        scope.env = env
        started = time.monotonic()
        try:
            run_all(state, spec["steps"], scope, record.steps)
        finally:
            end_orphans(state.inherited[TRACKING])
            record.took_s = time.monotonic() - started
        found = host.expressions.resolve(spec.get("outputs") or {}, state.situation(scope, env))
    record.outputs = {}
    for name, value in as_texts(found).items():
        if state.masks.touch(value):
            state.annotate("warning", f"Skip output '{name}' since it may contain secret.")
        else:
            record.outputs[name] = value
    record.result = state.status


def _with_settings(given: Given, environment: str) -> dict[str, Any]:
    """Add the variables; a fork's pull request gets none, as it gets no secrets.

    Source: https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/use-variables
    """
    variables = {} if given.event.is_fork else given.repository.variables_of(environment)
    return {**given.context, "vars": variables}


def _state(given: Given, record: JobRecord) -> JobState:
    """Make folders and environment of the job; the work folder is the same for every job of a runner."""
    host, github = given.host, given.context["github"]
    workspace = host.folder / "work" / given.repository.name / given.repository.name
    workspace.mkdir(parents=True, exist_ok=True)
    (host.folder / "temp").mkdir(exist_ok=True)
    temp = Path(tempfile.mkdtemp(prefix=f"{github['run_id']}-{record.id}-", dir=host.folder / "temp"))
    (temp / "home").mkdir()
    event = temp / "event.json"
    event.write_text(json.dumps(github["event"]), encoding="utf-8")
    named = {f"GITHUB_{key.upper()}": value for key, value in github.items() if isinstance(value, str)}
    inherited = {
        **named,
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_JOB": record.id,
        "GITHUB_WORKSPACE": str(workspace),
        "HOME": str(temp / "home"),
        "PATH": host.environment["PATH"],
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(temp),
        TRACKING: f"github_{secrets.token_hex(8)}",
    }
    return JobState(
        host=host,
        repository=given.repository,
        event=given.event,
        record=record,
        workspace=workspace,
        temp=temp,
        sha=github["sha"],
        run_id=github["run_id"],
        inherited=inherited,
    )


def _defaults(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in (given.tree, given.spec):
        found |= (place.get("defaults") or {}).get("run") or {}
    return found


@contextlib.contextmanager
def _timeout(state: JobState, spec: Mapping[str, Any]) -> Iterator[None]:
    """Cancel the job when it takes longer than it may."""
    minutes = float(spec.get("timeout-minutes", _LONGEST_MINUTES))

    def end() -> None:
        state.annotate("error", f"The job has exceeded the maximum execution time of {minutes:g} minutes.")
        state.cancel()

    timer = threading.Timer(minutes * state.host.minute_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _token(state: JobState, token: str) -> Iterator[None]:
    """Let the job's token be good for its permissions while the job runs."""
    if state.host.tokens is None:
        yield
        return
    state.host.tokens.mkdir(parents=True, exist_ok=True)
    file = state.host.tokens / f"{token}.json"
    file.write_text(json.dumps(state.record.permissions), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()


@contextlib.contextmanager
def _id_token(state: JobState, given: Given) -> Iterator[None]:
    """Let the job ask for ID tokens while it runs, if its permissions say so."""
    if state.record.permissions.get("id-token") != "write":
        yield
        return
    claims = tokens.claims(given.context["github"], given.repository, state.record.environment)
    issuer = state.host.issuer
    right = issuer.grant(claims)
    state.masks.add(right)
    state.inherited |= {"ACTIONS_ID_TOKEN_REQUEST_URL": issuer.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": right}
    try:
        yield
    finally:
        issuer.revoke(right)
