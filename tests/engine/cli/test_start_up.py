"""The command line starts quickly: a verb imports what it needs, and a client is made when it is first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deployer.aws.client import Aws

HELP = "from deployer.cli.main import main; main(['--help'])"
ROLLBACK = "import deployer.cli.main, deployer.config, deployer.aws.client, deployer.cli.rollback"
ROOMS = {f"deployer.{room}" for room in ("doctor", "drivers", "gameday", "image", "release.template")}


def loaded(program: str) -> set[str]:
    """Return the modules that are there after a program."""
    look = "; import sys; print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program + look], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("program", "unneeded"),
    [
        pytest.param(HELP, {"boto3", "botocore", "pydantic", "yaml", "tomllib", *ROOMS}, id="help"),
        pytest.param(ROLLBACK, {"boto3", "s3transfer", "yaml", "rich.console", *ROOMS}, id="rollback"),
    ],
)
def test_a_verb_loads_what_it_needs(program: str, unneeded: set[str]) -> None:
    """Neither the help nor a rollback waits for what other verbs import."""
    found = loaded(program)
    assert "deployer.cli.main" in found
    assert sorted(found & unneeded) == []


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Return a port with made-up credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Aws("fn", "eu-west-1")


def services(aws: Aws) -> list[str]:
    """Return which services the port has made clients of."""
    return [client.meta.service_model.service_name for client in aws._made]


def test_a_client_is_made_when_it_is_first_used(aws: Aws) -> None:
    """A port has no client; moving the alias needs Lambda's two, and asking again makes none."""
    assert services(aws) == []
    assert aws._lambda is aws._lambda
    assert aws.brisk._lambda is not aws._lambda
    assert services(aws) == ["lambda", "lambda"]


def test_a_handler_hears_clients_made_before_and_after(aws: Aws) -> None:
    """A handler that is registered in between hears of the calls of all clients, each once."""
    heard = []
    aws.cloudwatch  # noqa: B018 - made before
    aws.register("before-parameter-build", lambda model, **_: heard.append(model.name))
    for client, call in ((aws.cloudwatch, "ListMetrics"), (aws.sts, "GetCallerIdentity")):
        client.meta.events.emit(
            f"before-parameter-build.x.{call}",
            model=client.meta.service_model.operation_model(call),
            params={},
            context={},
        )
    assert heard == ["ListMetrics", "GetCallerIdentity"]
