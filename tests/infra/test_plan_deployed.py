"""Plan and apply on a local AWS: what is told is what changes, and afterwards nothing is left to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer import config
from deployer.aws.client import Aws
from deployer.aws.stack import Stack
from deployer.cli.main import main
from deployer.clock import SystemClock
from deployer.errors import Exit
from deployer.release import merge, permissions, plan, sources
from deployer.release.apply import Release, apply, observe
from infra.conftest import DESIRED, PROVIDER, ROOT, SERVICE_PARAMETERS, SETTINGS_TEXT, Client, Stacks
from rules.templates import BOOTSTRAP, PERMISSIONS, REGISTRY, SERVICE, parse, text

IMAGE = SERVICE_PARAMETERS["ImageUri"]
REGION = "eu-central-1"


class Environment:
    """One environment's function on the local AWS, and what a checkout asks of it."""

    def __init__(self, name: str) -> None:
        self.settings = SETTINGS_TEXT.replace('"image-resizer"', f'"{name}"')
        self.permissions = text(PERMISSIONS)
        self.function = f"{name}-staging"
        self.aws = Aws(self.function, REGION)
        self.stack = Stack(self.aws.cloudformation, self.function, SystemClock())

    def desired(self, image_uri: str | None = None) -> plan.Desired:
        """Return what settings and rights ask for."""
        read = config.parse(self.settings)
        declared = parse(text(SERVICE))
        template = merge.service(declared, permissions.parse(self.permissions), read.variables("staging"))
        return plan.Desired(template, merge.parameters(declared, read, "staging"), image_uri)

    def changes(self) -> list[str]:
        """Return every change of the stack that a plan tells."""
        made = plan.make(self.desired(), observe(self.aws, self.stack))
        assert all(isinstance(action, plan.UpdateStack | plan.ReleaseVersion) for action in made.actions)
        return [c for action in made.actions if isinstance(action, plan.UpdateStack) for c in action.changes]

    def apply(self, image_uri: str | None = None) -> list[str]:
        """Carry the plan out and return what was said."""
        said: list[str] = []
        apply(self.aws, self.stack, Release(self.desired(image_uri), "test"), say=said.append)
        return said

    def variables(self, client: Client) -> dict[str, str]:
        """Return the variables `$LATEST` has."""
        found = client("lambda").get_function_configuration(FunctionName=self.function)
        variables: dict[str, str] = found["Environment"]["Variables"]
        return variables


@pytest.fixture
def environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Environment]:
    """Return a function that makes an environment which the product itself reaches."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "ACTIONS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", client("lambda").meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return Environment


def test_after_apply_the_plan_is_empty(client: Client, environment: Callable[[str], Environment]) -> None:
    """A first release, another variable, another right: each is told, carried out, and not told again."""
    staging = environment("planned")
    staging.apply(IMAGE)
    assert staging.changes() == []
    assert staging.variables(client)["FIT_PX"] == "0"

    # One value of one environment.
    staging.settings += "\n[environments.staging.variables]\nFIT_PX = 512\n"
    assert staging.changes() == ["variable FIT_PX: 0 -> 512"]
    staging.apply()
    assert staging.changes() == []
    assert staging.variables(client)["FIT_PX"] == "512"

    # One right.
    added = "function:\n  - {Action: dynamodb:PutItem, Resource: 'table/${FunctionName}'}\n"
    staging.permissions = staging.permissions.replace("function:\n", added)
    assert staging.changes() == ["infra changed: FunctionRole"]
    staging.apply()
    assert staging.changes() == []
    policy = client("iam").get_role_policy(
        RoleName=f"planned-staging-function-{REGION}", PolicyName="function"
    )
    (put,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Action"] == "dynamodb:PutItem"]
    assert put["Resource"] == "table/planned-staging"


def before_settings_passed_through() -> str:
    """Return the service template as it was written when its settings were parameters and its rights inline."""
    here = "              # Lambda sends to the on-failure destination"
    right = "              - {Effect: Allow, Action: s3:PutObject, Resource: !Sub '${FunctionName}'}\n"
    settings = {"FIT_PX": "FitPx", "MAX_OBJECT_MB": "MaxObjectMb", "MAX_MEGAPIXELS": "MaxMegapixels"}
    parameters = "".join(f"  {name}:\n    Type: Number\n" for name in settings.values())
    variables = "".join(f"          {name}: !Ref {value}\n" for name, value in settings.items())
    edits = {
        here: right + here,
        "Parameters:\n": f"Parameters:\n{parameters}",
        "          RESIZED_BUCKET:": f"{variables}          LOG_LEVEL: INFO\n          RESIZED_BUCKET:",
    }
    written = text(SERVICE)
    for old, new in edits.items():
        assert written.count(old) == 1
        written = written.replace(old, new)
    return written


def test_a_stack_of_an_earlier_release_has_one_change(
    stacks: Stacks, environment: Callable[[str], Environment]
) -> None:
    """What was deployed as YAML, with settings as parameters, is brought up to date once and is then as wanted."""
    staging = environment("earlier")
    sizes = {"FitPx": "0", "MaxObjectMb": "25", "MaxMegapixels": "50"}
    parameters = {**SERVICE_PARAMETERS, **sizes, "FunctionName": staging.function}
    stacks.apply(staging.function, before_settings_passed_through(), parameters)
    assert staging.changes() == ["infra changed: FunctionRole"]
    staging.apply()
    assert staging.changes() == []


def test_bootstrap_merges_the_rights_and_names_the_smoke_role(
    client: Client,
    environment: Callable[[str], Environment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`deployer bootstrap` puts the owner's rights into every role, prints the variables, and repeats harmlessly."""
    (tmp_path / "infra").mkdir()
    for name in (BOOTSTRAP, REGISTRY, SERVICE, PERMISSIONS):
        (tmp_path / "infra" / name).write_text(text(name), encoding="utf-8")
    (tmp_path / "deploy.toml").write_text(environment("booted").settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = [
        "bootstrap",
        "--subject",
        "acme@123/x@456",
        "--oidc-provider",
        PROVIDER,
        "--print-github",
        "--yes",
    ]
    assert main(command) == Exit.DONE
    told = capsys.readouterr().out
    smoke = f"arn:aws:iam::000000000000:role/booted-staging-smoke-{REGION}"
    assert f"  gh variable set AWS_SMOKE_ROLE_ARN --env staging --body {smoke} --repo acme/x\n" in told
    iam = client("iam")
    for role, policy, action in (
        ("booted-production-stack", "stack", "s3:CreateBucket"),
        ("booted-staging-smoke", "smoke", "s3:DeleteObject"),
    ):
        document = iam.get_role_policy(RoleName=f"{role}-{REGION}", PolicyName=policy)["PolicyDocument"]
        assert action in str(document), role
    assert main(command) == Exit.DONE
    told = capsys.readouterr().out
    for part in ("registry", "staging-bootstrap", "production-bootstrap"):
        assert f"stack booted-{part}: nothing to change" in told


def test_the_checkout_asks_for_what_is_tested_here() -> None:
    """The tests' own merge is that of the commands."""
    assert sources.desired(ROOT, config.parse(SETTINGS_TEXT), "production") == DESIRED
