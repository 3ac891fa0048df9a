"""The fixtures of smoke tests, against programs that answer like a container and a Lambda that answers like AWS."""

from __future__ import annotations

import ast
import base64
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from testbed import fixtures, outcome

from generating import GENERATED

ANSWERS = "import json, sys; print(json.dumps({'got': json.load(sys.stdin)}))"


def container(code: str, log: str = "print('last words')") -> dict[str, Any]:
    """Return a target whose container is a Python program."""
    return {
        "kind": "container",
        "invoke": [sys.executable, "-c", code],
        "log": [sys.executable, "-c", log],
        "endpoint": "http://127.0.0.1:1",
        "region": "eu-west-1",
        "resources": {"Source": "smoke-source"},
    }


def alias(**changed: Any) -> dict[str, Any]:
    """Return a target that is an alias in AWS."""
    named = {"function": "image-resizer-staging", "alias": "live", "endpoint": None, "region": "eu-west-1"}
    return {"kind": "alias", "resources": {}, **named, **changed}


def test_answer_of_a_container_comes_back_decoded() -> None:
    """The event goes in as JSON, and the answer comes out as data."""
    assert fixtures.call(container(ANSWERS), {"a": [1]}) == {"got": {"a": [1]}}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"errorType": "ValueError", "errorMessage": "no idea", "stackTrace": []}, "ValueError: no idea"),
        (
            {"errorType": "Runtime.ExitError", "errorMessage": "exit status 3"},
            "Runtime.ExitError: exit status 3",
        ),
        ({"errorMessage": "timed out", "requestId": "1"}, "error: timed out"),
    ],
)
def test_failure_of_a_container_is_told_with_its_log(answer: Any, words: str) -> None:
    """What the emulator answers for a function that failed is FunctionFailed, with the end of the log."""
    log = "import sys; print('first'); print('[INFO] (rapid) INIT'); sys.stdout.flush(); sys.stderr.write('last words')"
    with pytest.raises(fixtures.FunctionFailed) as error:
        fixtures.call(container(f"print({json.dumps(answer)!r})", log), {})
    assert str(error.value) == f"the function failed: {words}\nits log ends with:\nfirst\nlast words"
    assert isinstance(error.value, AssertionError)


@pytest.mark.parametrize(
    "answer", [{"errorMessage": "a field of ours", "id": 3}, {"errorType": "x"}, "error", None]
)
def test_answer_that_looks_like_a_failure_is_none(answer: Any) -> None:
    """An answer with other fields is an answer, whatever it speaks of."""
    assert fixtures.call(container(f"print({json.dumps(answer)!r})"), {}) == answer


def test_container_that_does_not_answer_is_a_failure() -> None:
    """A program that ends without an answer is FunctionFailed with its own last line."""
    with pytest.raises(fixtures.FunctionFailed, match="no answer: nothing listens in the container"):
        fixtures.call(container("import sys; sys.exit('nothing listens in the container')"), {})


def test_container_that_hangs_is_a_failure() -> None:
    """A program that does not end in time is FunctionFailed with the end of the log."""
    target = {**container("import time; time.sleep(60)"), "patience_s": 1}
    with pytest.raises(
        fixtures.FunctionFailed, match=r"no answer within 1 s\nits log ends with:\nlast words"
    ):
        fixtures.call(target, {})


@pytest.mark.parametrize("failure", [None, "Unhandled"])
def test_alias_is_invoked_by_name(monkeypatch: pytest.MonkeyPatch, failure: str | None) -> None:
    """The alias is invoked through Lambda's API; a failed invocation is told with its log's end."""
    client = boto3.client("lambda", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    payload = json.dumps({"errorType": "ValueError", "errorMessage": "no"} if failure else {"a": 1}).encode()
    answer: dict[str, Any] = {"Payload": StreamingBody(io.BytesIO(payload), len(payload))}
    if failure:
        answer |= {"FunctionError": failure, "LogResult": base64.b64encode(b"last words\n").decode()}
    asked = {
        "FunctionName": "image-resizer-staging",
        "Qualifier": "live",
        "LogType": "Tail",
        "Payload": b"{}",
    }
    session = SimpleNamespace(client=lambda service, **_: client)
    monkeypatch.setattr(boto3.session, "Session", lambda: session)
    with Stubber(client) as stub:
        stub.add_response("invoke", answer, asked)
        if failure:
            with pytest.raises(
                fixtures.FunctionFailed, match=r"ValueError: no\nits log ends with:\nlast words"
            ):
                fixtures.call(alias(), {})
        else:
            assert fixtures.call(alias(), {}) == {"a": 1}


def test_client_of_a_local_aws_has_no_credential_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an endpoint the credentials are made up, and buckets are in the path."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
    made = fixtures.make_client(alias(endpoint="http://127.0.0.1:1"), "s3")
    assert made._request_signer._credentials.access_key == "test"
    assert made.meta.endpoint_url == "http://127.0.0.1:1"
    assert made.meta.config.s3 == {"addressing_style": "path"}


def test_client_of_aws_has_the_jobs_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint boto3 finds the credentials itself, in the target's region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    made = fixtures.make_client(alias(), "s3")
    assert made._request_signer._credentials.access_key == "ours"
    assert made.meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"


def test_unknown_resource_says_which_there_are() -> None:
    """A key that is no output is a KeyError that lists the outputs."""
    found = fixtures.Resources({"B": "b", "A": "a"})
    assert found["A"] == "a"
    with pytest.raises(
        KeyError, match=r"no resource `C`; the outputs of infra/service.yaml here are: `A`, `B`"
    ):
        found["C"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "SMOKE_TARGET is not set, so nothing says what is tested: run `deployer smoke`"),
        ("", "SMOKE_TARGET is not set"),
        ("{", "SMOKE_TARGET is no target: JSONDecodeError"),
        ("[]", "SMOKE_TARGET is no target: TypeError"),
        ("{}", "SMOKE_TARGET is no target: KeyError"),
        ('{"kind": "alias", "region": "eu-west-1"}', "the kind `alias` without alias, function, resources"),
        (
            '{"kind": "lambda", "region": "", "function": "", "alias": "", "resources": {}}',
            "the kind `lambda`;",
        ),
    ],
)
def test_wrong_target_is_one_line(text: str | None, words: str) -> None:
    """A target that is missing or makes no sense is one line with the next command."""
    with pytest.raises(pytest.UsageError) as error:
        fixtures.read_target(text)
    assert words in str(error.value)
    assert "run `deployer smoke`" in str(error.value)


@pytest.mark.parametrize("module", ["fixtures.py", "outcome.py", "__init__.py"])
def test_plugins_need_only_the_small_lock(module: str) -> None:
    """What runs beside staging's role imports pytest, boto3, botocore and the standard library alone."""
    assert strangers((GENERATED / "testbed" / module).read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "line", ["import yaml", "from deployer.errors import Exit", "def f():\n    import testbed.x"]
)
def test_other_import_is_found(line: str) -> None:
    """Any other import is found, also inside a function."""
    assert strangers(f"import pytest\n{line}\n")


def strangers(source: str) -> set[str]:
    """Return the packages that a plugin of smoke tests may not import."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or ".").partition(".")[0])
    return found - {"pytest", "boto3", "botocore"} - set(sys.stdlib_module_names)


def test_outcome_is_silent_without_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second plugin writes nothing unless it is told where."""
    monkeypatch.delenv(outcome.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    outcome.pytest_sessionfinish()
    assert list(tmp_path.iterdir()) == []
