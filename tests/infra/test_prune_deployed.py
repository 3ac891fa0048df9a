"""`deployer prune` on a local AWS: first versions, then images; in between somebody else may be at work."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.aws.client import Aws
from deployer.cli.main import main
from deployer.clock import SystemClock
from deployer.config import Config
from deployer.errors import Exit
from infra.conftest import ACCOUNT, SETTINGS_TEXT, Client

REGION = "eu-central-1"
VERSIONS = 8
EVERY_IMAGE = VERSIONS + 10


def manifest(number: int) -> str:
    """Return a manifest of which there is no other."""
    config = {"digest": f"sha256:{number:064x}", "size": 1, "mediaType": "x"}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": []})


def digest(number: int) -> str:
    """Return that manifest's digest."""
    return f"sha256:{hashlib.sha256(manifest(number).encode()).hexdigest()}"


@dataclass(frozen=True)
class World:
    """Eight versions in both environments: 6 serves, 2 is the way back, in production 3 has an armed guard."""

    client: Client
    name: str
    role: str = f"arn:aws:iam::{ACCOUNT}:role/any"

    def given(self, *, has_repository: bool = False) -> World:
        """Make it."""
        ecr = self.client("ecr")
        if not has_repository:
            ecr.create_repository(repositoryName=self.name)
        for number in range(EVERY_IMAGE):
            ecr.put_image(repositoryName=self.name, imageManifest=manifest(number), imageTag=f"tag-{number}")
        for environment in ("staging", "production"):
            self._given_function(f"{self.name}-{environment}")
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{self.name}-production-canary-3",
            EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold",
            Threshold=1,
            MetricName="Errors",
            Namespace="AWS/Lambda",
            Period=60,
            Statistic="Sum",
        )
        return self

    def _given_function(self, function: str) -> None:
        lambda_ = self.client("lambda")
        registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{self.name}"
        code = {"ImageUri": f"{registry}@{digest(1)}"}
        lambda_.create_function(FunctionName=function, PackageType="Image", Code=code, Role=self.role)
        for number in range(1, VERSIONS + 1):
            lambda_.update_function_code(FunctionName=function, ImageUri=f"{registry}@{digest(number)}")
            lambda_.publish_version(FunctionName=function)
        marker = "mine [lc1 id=a from=2 to=6 step=1/0 at=0 plan=a st=done]"
        lambda_.create_alias(FunctionName=function, Name="live", FunctionVersion="6", Description=marker)

    def versions(self, environment: str) -> set[str]:
        """Return the versions that are there."""
        found = self.client("lambda").list_versions_by_function(FunctionName=f"{self.name}-{environment}")
        return {version["Version"] for version in found["Versions"]} - {"$LATEST"}

    def images(self) -> set[str]:
        """Return the digests that are there."""
        found = self.client("ecr").describe_images(repositoryName=self.name)["imageDetails"]
        return {image["imageDigest"] for image in found}


@pytest.fixture
def world(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> World:
    """Return a world of the test's own, and a checkout that reaches it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "ACTIONS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", client("lambda").meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    made = World(client, f"p{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}")
    settings = SETTINGS_TEXT.replace('"image-resizer"', f'"{made.name}"')
    (tmp_path / "deploy.toml").write_text(settings.replace("keep_versions = 10", "keep_versions = 2"))
    monkeypatch.chdir(tmp_path)
    return made.given()


def test_images_wait_for_both_environments(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without every environment's list no image goes, whatever is asked for."""
    assert main(["prune", "--images", "--delete"]) == Exit.REFUSED
    assert main(["prune", "--env", "staging"]) == Exit.DONE
    only = ["--in-use", "build/in-use-staging.json"]
    assert main(["prune", "--images", "--delete", *only]) == Exit.REFUSED
    assert "nobody knows what production uses" in capsys.readouterr().err
    assert main(["prune", "--images", "--in-use", "no-such-file.json"]) == Exit.USAGE
    assert len(world.images()) == EVERY_IMAGE


def test_without_delete_nothing_changes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The default says what would go, and touches nothing."""
    before = world.versions("production")
    assert main(["prune", "--env", "production"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "keep       version 2: the marker of alias live names it" in said
    assert "would go   version 1" in said
    assert "nothing was changed, --delete does it" in said
    assert world.versions("production") == before
    assert len(json.loads(Path("build/in-use-production.json").read_text())["digests"]) == VERSIONS


def test_a_rollback_in_the_middle_keeps_its_version(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Who needs a version is read again right before it goes: an alias that moves meanwhile keeps its own."""

    class Racing(Aws):
        """A person moves the alias to version 5 just before the first version is deleted."""

        def client(self, service: str) -> Any:
            made = super().client(service)
            asked: list[str] = []

            def on_list(**_: object) -> None:
                asked.append(service)
                if len(asked) == 2:
                    function = self.function_name
                    world.client("lambda").update_alias(
                        FunctionName=function, Name="live", FunctionVersion="5"
                    )

            made.meta.events.register("before-call.lambda.ListAliases", on_list)
            return made

    def connected(config: Config, environment: str) -> Aws:
        return Racing(config.function_name(environment), config.function.region)

    assert main(["prune", "--env", "staging", "--delete"], clock=SystemClock(), aws=connected) == Exit.DONE
    assert "keep       version 5: alias live sends traffic to it" in capsys.readouterr().out
    assert world.versions("staging") == {"2", "5", "6", "7", "8"}


def test_versions_then_images(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What serves, the way back, the guarded and the newest stay; then every image nobody uses goes."""
    assert main(["prune", "--env", "staging", "--delete"]) == Exit.DONE
    assert main(["prune", "--env", "production", "--delete"]) == Exit.DONE
    assert world.versions("staging") == {"2", "6", "7", "8"}
    assert world.versions("production") == {"2", "3", "6", "7", "8"}
    files = ["--in-use", "build/in-use-staging.json", "--in-use", "build/in-use-production.json"]
    command = ["prune", "--images", *files, "--keep", "4"]
    before = world.images()
    assert main(command) == Exit.DONE
    assert world.images() == before
    assert main([*command, "--delete"]) == Exit.DONE
    left = world.images()
    assert {digest(number) for number in (2, 3, 6, 7, 8)} <= left
    assert 5 <= len(left) <= 5 + 4  # the local AWS keeps whole seconds: which are newest is not known
    assert main([*command, "--delete"]) == Exit.DONE
    assert world.images() == left
    assert f"images of `{world.name}`: {len(left)} kept, 0 removed" in capsys.readouterr().out
    lambda_ = world.client("lambda")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function(FunctionName=f"{world.name}-production", Qualifier="1")
    assert lambda_.get_function(FunctionName=f"{world.name}-production")


def test_a_function_that_is_not_there_is_no_function_without_versions(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another account or region never looks like: nothing is in use."""
    text = Path("deploy.toml").read_text()
    Path("deploy.toml").write_text(text.replace(f'"{world.name}"', '"elsewhere"'))
    assert main(["prune", "--env", "staging", "--delete"]) == Exit.FAILED
    assert "not found" in capsys.readouterr().err
    assert not Path("build").exists()
