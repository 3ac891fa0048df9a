"""The owner's smoke tests in a process of their own, and what is said about a `smoke/` that cannot be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from testbed import smoke_tests

from deployer.errors import DeployerError
from generating import GENERATED

SECRET = "a-credential-of-ours"
ANSWER = "import json, sys; print(json.dumps({'got': json.load(sys.stdin)}))"
TARGET = {
    "kind": "container",
    "invoke": [sys.executable, "-c", ANSWER],
    "log": [sys.executable, "-c", "print('last words')"],
    "endpoint": "http://127.0.0.1:1",
    "region": "eu-west-1",
    "resources": {"Source": "smoke-source"},
}
GOOD = """
import os
import boto3

def test_answer(invoke, resources, client):
    assert invoke({"a": 1}) == {"got": {"a": 1}}
    assert resources["Source"] == "smoke-source"
    assert client("s3").meta.endpoint_url == "http://127.0.0.1:1"
    assert os.environ["AWS_REGION"] == "eu-west-1"
    assert boto3.session.Session().get_credentials().access_key == "test"
    assert "a-credential-of-ours" not in str(dict(os.environ))

def test_trigger(deployed):
    raise AssertionError("nothing is deployed")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty checkout."""
    (tmp_path / "smoke").mkdir()
    return tmp_path


def run(root: Path, tests: str | None = None, target: dict[str, Any] = TARGET) -> smoke_tests.SmokeReport:
    """Run one file of smoke tests, with credentials of ours in the environment."""
    if tests is not None:
        (root / "smoke" / "test_one.py").write_text(tests, encoding="utf-8")
    ours = {
        **os.environ,
        "AWS_PROFILE": "ours",
        "PYTEST_ADDOPTS": "--no-such-option",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    return smoke_tests.run(root, target, say=lambda _: None, environ=ours)


def test_good_tests_pass(root: Path) -> None:
    """A test that passes and one that needs a trigger are named, and no credential of ours is in reach."""
    report = run(root, GOOD)
    assert report.passed == ("smoke/test_one.py::test_answer",)
    assert str(report) == (
        "1 test passed: test_answer\n"
        "left out test_trigger: only a container runs here, and no trigger reaches it"
    )


def test_alias_in_aws_keeps_the_jobs_credentials(root: Path) -> None:
    """Without an endpoint the tests are about AWS, and have the credentials of the job."""
    target = {
        "kind": "alias",
        "function": "f",
        "alias": "live",
        "endpoint": None,
        "region": "r",
        "resources": {},
    }
    tests = f"import os\ndef test_ours():\n    assert os.environ['AWS_SECRET_ACCESS_KEY'] == {SECRET!r}\n"
    assert str(run(root, tests, target)) == "1 test passed: test_ours"


@pytest.mark.parametrize(
    ("tests", "what", "found"),
    [
        pytest.param(
            "def test_a(invoke):\n    assert invoke(1) == 2\n",
            "smoke test `test_a` failed",
            "assert {'got': 1} == 2",
            id="an assertion",
        ),
        pytest.param(
            "def test_a(invoke):\n    assert invoke(1) == 2\ndef test_b():\n    assert False\n",
            "smoke test `test_a` failed (and 1 more)",
            "assert {'got': 1} == 2",
            id="two of them",
        ),
        pytest.param(
            "def test_a(resources):\n    resources['Table']\n",
            "smoke test `test_a` failed",
            "no resource `Table`; the outputs of infra/service.yaml here are: `Source`",
            id="an unknown resource",
        ),
        pytest.param(
            "def test_a(nothing):\n    pass\n",
            "smoke test `test_a` failed",
            "'nothing' not found",
            id="a fixture",
        ),
        pytest.param("", "`smoke/` has no test", "expected at least one", id="no test in the file"),
        pytest.param(
            "import no_such_module\ndef test_a():\n    pass\n",
            "`smoke/test_one.py` imports what is not there",
            "found No module named 'no_such_module', expected what requirements/smoke.in names",
            id="a missing module",
        ),
        pytest.param(
            "from json import no_such_name\n",
            "`smoke/test_one.py` imports what is not there",
            "cannot import name 'no_such_name' from 'json'",
            id="a missing name",
        ),
        pytest.param("def test_a(:\n", "`smoke/test_one.py` cannot be read", "SyntaxError", id="no Python"),
        pytest.param(
            "def test_a(deployed):\n    pass\n",
            "every smoke test was skipped, so nothing was tried",
            "`test_a` skipped: only a container runs here",
            id="only skipped tests",
        ),
    ],
)
def test_bad_tests_are_one_error(root: Path, tests: str, what: str, found: str) -> None:
    """A test that fails, and a folder in which nothing is tried, are one error of three parts."""
    with pytest.raises(DeployerError) as error:
        run(root, tests)
    assert error.value.what == what
    assert found in str(error.value.found)
    assert error.value.hint
    assert SECRET not in str(error.value)


def test_failing_test_is_named_with_its_line(root: Path) -> None:
    """The hint is the file and the line of the assertion."""
    with pytest.raises(DeployerError) as error:
        run(root, "def test_a():\n    assert 1 == 2\n")
    assert error.value.hint == "read smoke/test_one.py:2"


def test_function_that_fails_is_told_with_its_log(root: Path) -> None:
    """A test that gets no answer shows why, and the end of the container's log."""
    failure = '{"errorType": "ValueError", "errorMessage": "no idea"}'
    target = {**TARGET, "invoke": [sys.executable, "-c", f"print({failure!r})"]}
    with pytest.raises(DeployerError) as error:
        run(root, "def test_a(invoke):\n    invoke({})\n", target)
    assert "ValueError: no idea" in str(error.value.found)
    assert "last words" in str(error.value.found)


@pytest.mark.parametrize("action", [smoke_tests.collect, run])
def test_folder_without_a_file_is_one_error(root: Path, action: Any) -> None:
    """An empty folder and a missing one are told apart."""
    with pytest.raises(DeployerError, match="`smoke/` is empty"):
        action(root)
    (root / "smoke").rmdir()
    with pytest.raises(DeployerError, match="`smoke/` is missing"):
        action(root)


def test_folder_without_a_test_file_is_one_error(root: Path) -> None:
    """A probe and a sample alone test nothing."""
    (root / "smoke" / "probe.json").write_text("{}")
    with pytest.raises(DeployerError, match="`smoke/` has no test"):
        run(root)


def test_tests_are_collected_without_a_target() -> None:
    """What there is can be listed before anything is started; the template's own folder has both kinds."""
    found = [name.rpartition("::")[2] for name in smoke_tests.collect(GENERATED)]
    assert found == ["test_photo_is_resized", "test_new_photo_triggers_the_function"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("conftest.py", "import sys\nsys.exit(3)\n", "found no word of pytest, which ended with 3"),
        ("conftest.py", "1 / 0\n", "ZeroDivisionError"),
        ("test_one.py", "raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    ],
    ids=["a conftest that ends", "a conftest that fails", "a test file that interrupts"],
)
def test_pytest_that_does_not_start_is_one_error(root: Path, name: str, text: str, words: str) -> None:
    """What stops pytest itself is not called a missing test, and something is said to be found."""
    (root / "smoke" / name).write_text(text)
    (root / "smoke" / "test_two.py").write_text("def test_a():\n    pass\n")
    with pytest.raises(DeployerError, match="pytest could not run the smoke tests") as error:
        smoke_tests.collect(root)
    assert words in str(error.value.found)


def test_file_that_is_skipped_as_a_whole_is_no_missing_test(root: Path) -> None:
    """When the only file skips itself, the reason is said before anything is started."""
    skip = "import pytest\npytest.skip('not here', allow_module_level=True)\n"
    (root / "smoke" / "test_one.py").write_text(skip)
    with pytest.raises(DeployerError, match="every smoke test was skipped") as error:
        smoke_tests.collect(root)
    assert "skipped: not here" in str(error.value.found)


def test_collecting_finds_what_is_not_there(root: Path) -> None:
    """A missing module is found without running a test."""
    (root / "smoke" / "test_one.py").write_text("import no_such_module\n")
    with pytest.raises(DeployerError, match="imports what is not there"):
        smoke_tests.collect(root)


def test_failed_test_is_never_read_as_passed() -> None:
    """A clean-up that fails after a test that passed is a failure."""
    tests = [
        {"name": "smoke/test_a.py::test_a", "outcome": "passed", "when": "call", "said": ""},
        {"name": "smoke/test_a.py::test_a", "outcome": "failed", "when": "teardown", "said": "x.py:1\nno"},
    ]
    with pytest.raises(DeployerError, match="`test_a` failed"):
        smoke_tests.judge(smoke_tests.Found(("smoke/test_a.py::test_a",), tests, status=1))


@pytest.mark.parametrize("status", [0, 2, 3])
def test_pytest_that_stops_early_is_an_error(status: int) -> None:
    """Tests that were found and never run are no success, whatever pytest's status is."""
    with pytest.raises(DeployerError, match="pytest did not end well"):
        smoke_tests.judge(
            smoke_tests.Found(("smoke/test_a.py::test_a",), status=status, printed="interrupted")
        )
