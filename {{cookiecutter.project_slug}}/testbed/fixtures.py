"""The fixtures of smoke tests: `invoke`, `client`, `resources`, `deployed`. A pytest plugin. Shell.

It needs pytest, boto3 and the standard library alone, because it also runs where nothing else is installed.
All it knows comes from the environment variable SMOKE_TARGET, which is JSON:

    {"kind": "container", "invoke": [...], "log": [...], "endpoint": URL, "region": …, "resources": {…}}
    {"kind": "alias", "function": "NAME-staging", "alias": "live", "endpoint": null, "region": …, …}

`invoke` is a program that takes the event on standard input and prints the answer, `log` one that prints the
container's log; `patience_s`, where it is given, is how long `invoke` may take. `resources` are names by
logical key. An `endpoint` is a local AWS, none is AWS itself.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config

VARIABLE = "SMOKE_TARGET"
PATIENCE_S = 120
_LOG_LINES = 20
# What the Runtime Interface Emulator answers for a function that raised or ended: these keys and no others.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
_FAILURE_KEYS = {"errorMessage", "errorType", "requestId", "stackTrace"}

_EMULATOR = "[INFO] (rapid)"  # in each line that the emulator itself logs

Target = Mapping[str, Any]


class FunctionFailed(AssertionError):
    """The function raised, ended or timed out instead of answering."""


class Resources(dict[str, str]):
    """Names by logical key; a key that is not there says which ones are."""

    def __missing__(self, key: str) -> str:
        known = ", ".join(f"`{name}`" for name in sorted(self)) or "none"
        raise KeyError(f"no resource `{key}`; the outputs of infra/service.yaml here are: {known}")


def read_target(text: str | None) -> Target:
    """Return what is tested, from SMOKE_TARGET's text. Raises pytest.UsageError with one clear line."""
    if not text:
        raise pytest.UsageError(
            f"{VARIABLE} is not set, so nothing says what is tested: run `deployer smoke`"
        )
    try:
        target = json.loads(text)
        kind, needed = target["kind"], {"region", "resources"}
        needed |= {"invoke"} if kind == "container" else {"function", "alias"}
        missing = sorted(needed - set(target))
    except (ValueError, TypeError, KeyError) as error:
        raise pytest.UsageError(f"{VARIABLE} is no target: {error!r}; run `deployer smoke`") from error
    if kind not in ("container", "alias") or missing:
        lacks = f" without {', '.join(missing)}" if missing else ""
        raise pytest.UsageError(f"{VARIABLE} has the kind `{kind}`{lacks}; run `deployer smoke`")
    return dict(target)


def make_client(target: Target, service: str) -> Any:
    """Return boto3's client of a service at the target's endpoint.

    A local AWS gets a credential of ours only where the environment says that it is for that endpoint.
    """
    endpoint = target.get("endpoint")
    # A session of its own: the default one keeps the credentials it found first.
    make: Any = boto3.session.Session().client
    if not endpoint:
        return make(service, region_name=target["region"], config=_patience())
    dummy = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return make(
        service,
        region_name=target["region"],
        endpoint_url=endpoint,
        **({} if os.environ.get("AWS_ENDPOINT_URL") == endpoint else dummy),
        # A local AWS has one host name: none is made of what a call names.
        config=_patience().merge(Config(s3={"addressing_style": "path"})),
    )


def call(target: Target, event: Any) -> Any:
    """Send the event and return the decoded answer. Raises FunctionFailed with the end of the log."""
    return _call_container(target, event) if target["kind"] == "container" else _call_alias(target, event)


def pytest_configure(config: pytest.Config) -> None:
    """Say in one line, before any test runs, that nothing says what is tested."""
    if not config.option.collectonly:
        read_target(os.environ.get(VARIABLE))


@pytest.fixture(scope="session")
def smoke_target() -> Target:
    """Return what is tested and where."""
    return read_target(os.environ.get(VARIABLE))


@pytest.fixture(scope="session")
def invoke(smoke_target: Target) -> Callable[[Any], Any]:
    """Return a function that sends an event and returns the decoded answer, or raises FunctionFailed."""
    return lambda event: call(smoke_target, event)


@pytest.fixture(scope="session")
def client(smoke_target: Target) -> Callable[[str], Any]:
    """Return a function that makes boto3's client of a service, at the right endpoint."""
    made: dict[str, Any] = {}

    def make(service: str) -> Any:
        if service not in made:
            made[service] = make_client(smoke_target, service)
        return made[service]

    return make


@pytest.fixture(scope="session")
def resources(smoke_target: Target) -> Mapping[str, str]:
    """Return the names of the resources by logical key: the outputs of infra/service.yaml."""
    return Resources(smoke_target["resources"])


@pytest.fixture(scope="session")
def deployed(smoke_target: Target) -> None:
    """Skip a test that needs a trigger where only a container runs."""
    if smoke_target["kind"] == "container":
        pytest.skip("only a container runs here, and no trigger reaches it")


def _call_container(target: Target, event: Any) -> Any:
    patience_s = target.get("patience_s", PATIENCE_S)
    try:
        done = subprocess.run(
            target["invoke"],
            input=json.dumps(event),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience_s,
            check=False,
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise FunctionFailed(_told(f"no answer within {patience_s} s", _log(target))) from None
    except ValueError:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise FunctionFailed(_told(f"no answer: {''.join(last)}", _log(target))) from None
    if isinstance(answer, dict) and "errorMessage" in answer and set(answer) <= _FAILURE_KEYS:
        raise FunctionFailed(_told(_sentence(answer), _log(target)))
    return answer


def _call_alias(target: Target, event: Any) -> Any:
    answer = make_client(target, "lambda").invoke(
        FunctionName=target["function"],
        Qualifier=target["alias"],
        LogType="Tail",
        Payload=json.dumps(event).encode(),
    )
    payload = answer["Payload"].read()
    try:
        decoded = json.loads(payload)
    except ValueError:
        decoded = payload.decode(errors="replace")
    if answer.get("FunctionError"):
        log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
        raise FunctionFailed(_told(_sentence(decoded), log))
    return decoded


def _sentence(answer: Any) -> str:
    """Return error type and message of a failed invocation."""
    if not isinstance(answer, dict):
        return str(answer)
    return f"{answer.get('errorType') or 'error'}: {answer.get('errorMessage', '')}"


def _told(what: str, log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()][-_LOG_LINES:]
    return "\n".join([f"the function failed: {what}", "its log ends with:", *(lines or ["(nothing)"])])


def _log(target: Target) -> str:
    if not target.get("log"):
        return ""
    done = subprocess.run(
        target["log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=30,
        check=False,
    )
    return "\n".join(line for line in done.stdout.splitlines() if _EMULATOR not in line)


def _patience() -> Config:
    """Return how long a client waits: an invocation may take as long as Lambda allows it to."""
    return Config(connect_timeout=5, read_timeout=900, retries={"mode": "standard", "total_max_attempts": 3})
