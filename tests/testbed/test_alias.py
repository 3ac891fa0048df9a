"""Smoke tests and the sample against an alias on the local AWS, as the command line and staging's job send them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from testbed.local_aws import LocalAws, running

from deployer.cli.main import main
from deployer.errors import Exit
from generating import GENERATED

NAME = "copier-staging"
SETTINGS = '[project]\nname = "Copier"\n[function]\nname = "copier"\nregion = "eu-central-1"\narchitecture = "x86_64"\n'
# The first version copies an object inside its bucket; the second forgets to, and the third raises.
HANDLER = """
import json, os, urllib.request
def handler(event, context):
    print("asked for", event["key"])
    if WRONG == "raises":
        raise ValueError("no idea")
    url = os.environ["ENDPOINT"] + "/" + event["bucket"] + "/"
    body = urllib.request.urlopen(url + event["key"]).read()
    if WRONG != "forgets":
        urllib.request.urlopen(urllib.request.Request(url + event["key"] + ".copy", body, method="PUT"))
    return {"copied": event["key"], "bytes": len(body)}
"""
TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "copier-staging-objects"}}
    },
    "Outputs": {"Objects": {"Value": {"Ref": "Bucket"}}},
}
TESTS = """
import pytest
from testbed.fixtures import FunctionFailed

def test_copy(deployed, invoke, client, resources):
    s3, bucket = client("s3"), resources["Objects"]
    s3.put_object(Bucket=bucket, Key="smoke/b", Body=b"abc")
    assert invoke({"bucket": bucket, "key": "smoke/b"}) == {"copied": "smoke/b", "bytes": 3}
    assert s3.get_object(Bucket=bucket, Key="smoke/b.copy")["Body"].read() == b"abc"

def test_failure(invoke, resources):
    with pytest.raises(FunctionFailed, match="KeyError"):
        invoke({})
"""
SAMPLE = """
event = "sample.json"
[[before]]
call = "s3.put_object"
arguments = { Bucket = "${Objects}", Key = "smoke/a" }
files = { Body = "sample.json" }
[expect]
answer = { copied = "smoke/a" }
[[expect.calls]]
call = "s3.head_object"
arguments = { Bucket = "${Objects}", Key = "smoke/a.copy" }
[[after]]
call = "s3.delete_object"
arguments = { Bucket = "${Objects}", Key = "smoke/a" }
[[after]]
call = "s3.delete_object"
arguments = { Bucket = "${Objects}", Key = "smoke/a.copy" }
"""


@pytest.fixture(scope="module")
def local() -> Iterator[LocalAws]:
    """Run a local AWS with a stack, and a function of three versions whose alias is on the first."""
    with running(docker=None) as started, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "DEPLOY_"))]:
            patch.delenv(name)
        for name, value in started.environment().items():
            patch.setenv(name, value)
        given_stack_and_function(started.endpoint)
        yield started


def given_stack_and_function(endpoint: str) -> None:
    """Make the stack and the function."""
    cloudformation: Any = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    client: Any = boto3.client("lambda")
    client.create_function(
        FunctionName=NAME, Runtime="python3.11", Handler="index.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": zipped("nothing")}, Environment={"Variables": {"ENDPOINT": endpoint}},
    )  # fmt: skip
    for wrong in ("nothing", "forgets", "raises"):
        client.get_waiter("function_updated_v2").wait(FunctionName=NAME)
        client.update_function_code(FunctionName=NAME, ZipFile=zipped(wrong))
        client.get_waiter("function_updated_v2").wait(FunctionName=NAME)
        version = client.publish_version(FunctionName=NAME)["Version"]
        if wrong == "nothing":
            client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=version)


def zipped(wrong: str) -> bytes:
    """Return the function's code, wrong in one way."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", f"WRONG = {wrong!r}\n{HANDLER}")
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with smoke tests and a sample, which is the working folder."""
    (tmp_path / "deploy.toml").write_text(SETTINGS)
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "test_copy.py").write_text(TESTS)
    (tmp_path / "smoke" / "sample.toml").write_text(SAMPLE)
    (tmp_path / "smoke" / "sample.json").write_text('{"bucket": "${Objects}", "key": "smoke/a"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def objects(local: LocalAws) -> list[str]:
    """Return the keys that the sample could have left."""
    s3: Any = boto3.client("s3")
    found = s3.list_objects_v2(Bucket="copier-staging-objects", Prefix="smoke/a")
    return [item["Key"] for item in found.get("Contents", [])]


@pytest.mark.usefixtures("root", "local")
def test_alias_is_smoked(capsys: pytest.CaptureFixture[str]) -> None:
    """`deployer smoke --env staging` runs the same tests through the alias, those that need a trigger included."""
    assert main(["smoke", "--env", "staging"]) == Exit.DONE
    assert "smoke      2 tests passed: test_copy, test_failure" in capsys.readouterr().out


@pytest.mark.usefixtures("local")
def test_job_without_the_deployer_smokes_the_alias(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `deployer smoke-target` hands over is all that pytest needs, in a process that cannot import the deployer."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(root / "output"))
    assert main(["smoke-target", "--env", "staging"]) == Exit.DONE
    name, _, value = (root / "output").read_text().strip().partition("=")
    assert name == "smoke_target"
    assert json.loads(value)["resources"] == {"Objects": "copier-staging-objects"}
    (root / "testbed").mkdir()
    for module in ("__init__.py", "fixtures.py"):
        (root / "testbed" / module).write_bytes((GENERATED / "testbed" / module).read_bytes())
    (root / "deployer.py").write_text("raise ImportError('the deployer is not installed here')\n")
    argv = [sys.executable, "-m", "pytest", "smoke", "-p", "testbed.fixtures", "-p", "no:cacheprovider", "-q"]
    env = {**os.environ, "PYTHONPATH": str(root), "SMOKE_TARGET": value}
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.usefixtures("root")
def test_sample_is_sent_to_one_version(local: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    """`deployer sample` sends the sample to the version it is given, whatever the alias says, and leaves nothing."""
    assert main(["sample", "1", "--env", "staging"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "sample     version 1: the answer and 1 look at what it left are as expected" in said
    assert objects(local) == []


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param(
            "2", "calling `s3.head_object` (`smoke/sample.toml`, expect.calls 1,) failed", id="forgets"
        ),
        pytest.param("3", "no idea", id="raises"),
        pytest.param("9", "invoking version 9", id="no such version"),
    ],
)
@pytest.mark.usefixtures("root")
def test_wrong_version_fails_its_sample(
    local: LocalAws, capsys: pytest.CaptureFixture[str], version: str, words: str
) -> None:
    """A version that does not do its work is told from one that does, and what was put is removed."""
    assert main(["sample", version, "--env", "staging"]) == Exit.FAILED
    assert words in capsys.readouterr().err
    assert objects(local) == []


@pytest.mark.usefixtures("local")
def test_without_a_sample_the_command_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without smoke/sample.toml there is nothing real to send, which is no success."""
    (root / "smoke" / "sample.toml").unlink()
    assert main(["sample", "1", "--env", "staging"]) == Exit.FAILED
    assert "there is no `smoke/sample.toml`, so nothing real can be tried" in capsys.readouterr().err


@pytest.mark.usefixtures("root", "local")
def test_environment_without_a_stack_is_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    """An environment that was never deployed has no resources to test."""
    assert main(["smoke", "--env", "production"]) == Exit.FAILED
    assert "there is no stack `copier-production`" in capsys.readouterr().err
