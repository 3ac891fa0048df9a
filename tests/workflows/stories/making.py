"""How a world is made: a fresh repository, a local AWS, GitHub's expressions, a scanner. Shell."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from testbed.local_aws import running
from testbed.roles import Roles
from testbed.tokens import TokenIssuer

from deployer.config import load
from engine.image import trivy_fixture
from generating import ROOT, Template, shorten_rollouts
from rehearsal.clock import CompressedClock
from rehearsal.settings import COMMON, adapted
from rehearsal.stage import architecture
from workflows.github.expressions import Expressions
from workflows.stories.account import PRODUCTION
from workflows.stories.hub import Hub
from workflows.stories.world import Say, World

SPEED = 30.0


@contextlib.contextmanager
def made(
    folder: Path,
    template: Template,
    docker: list[str],
    *,
    say: Say = lambda _: None,
    is_verbose: bool = False,
) -> Iterator[World]:
    """Make a world for the length of a `with` block; nothing of it is left running afterwards.

    Raises LookupError without Trivy, nodejs.NotInstalledError without Node.js, DeployerError without the local
    AWS.
    """
    generated = folder / "generated"
    generated.mkdir(parents=True)
    repository = template.generate(generated)
    _adapt(repository)
    roles = Roles()
    scanner = _scanner_image(docker, folder)
    trivy_fixture.write_database(folder / "trivy", openssl_fixed_in="0")
    config = load(repository / "deploy.toml")
    with (
        Expressions(ROOT / "build") as expressions,
        running(docker=docker, region=config.function.region, roles=roles) as local_aws,
        TokenIssuer(roles.issuer_key) as issuer,
        scanner as trivy,
    ):
        hub = Hub.made(folder, repository)
        clock = CompressedClock.starting_now(SPEED)
        yield World(hub, local_aws, clock, folder, issuer, expressions, say, trivy, is_verbose)


def _adapt(repository: Path) -> None:
    """Give the repository what the local AWS and a compressed clock need; the page says so."""
    shorten_rollouts(repository)
    path = repository / "deploy.toml"
    text = adapted(path.read_text(encoding="utf-8"), PRODUCTION, COMMON)
    text = text.replace('architecture = "arm64"', f'architecture = "{architecture()}"')
    path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _scanner_image(docker: list[str], folder: Path) -> Iterator[str]:
    """Build an image with the real Trivy in it and nothing else, yield its id, and remove it."""
    context = folder / "trivy-image"
    context.mkdir()
    shutil.copy(trivy_fixture.trivy_binary(ROOT / "build" / "trivy-for-tests"), context / "trivy")
    lines = f'FROM scratch\nCOPY trivy /\nENTRYPOINT ["/trivy"]\nLABEL run={uuid.uuid4()}\n'
    (context / "Dockerfile").write_text(lines, encoding="utf-8")
    built = subprocess.run(
        [*docker, "build", "--quiet", str(context)], capture_output=True, text=True, check=True
    )
    identity = built.stdout.strip()
    try:
        yield identity
    finally:
        subprocess.run([*docker, "rmi", "--force", identity], capture_output=True, check=False)
