"""Each rule for the Dockerfile and .dockerignore refuses a mutant, and hadolint is really run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generating import GENERATED
from rules import dockerfile as rules

PROJECT = GENERATED
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
DOCKERIGNORE = (PROJECT / ".dockerignore").read_text(encoding="utf-8")

MUTATIONS: dict[rules.Rule, list[tuple[str, str]]] = {
    rules.every_image_has_a_digest: [
        (r"@sha256:[0-9a-f]{64}", ""),
        (r"FROM (public\S+) AS base", r"ARG BASE_IMAGE=\1\nFROM ${BASE_IMAGE} AS base"),
        (r"(?m)^USER", "FROM python:3.13 AS more\nUSER"),
        (r"from=packages,", "from=docker.io/library/busybox:1,"),
        (r"(?m)^USER", "COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/\nUSER"),
    ],
    rules.the_user_is_a_number_and_not_root: [
        (r"USER 65532:65532", "USER nobody"),
        (r"USER 65532:65532", "USER 0:0"),
        (r"USER 65532:65532", ""),
        (r"(?m)^CMD", "USER root\nCMD"),
    ],
    rules.packages_are_locked: [
        (r"--require-hashes ", ""),
        (r"--only-binary=:all: ", ""),
        (r"--no-deps ", ""),
    ],
    rules.secrets_are_mounts: [
        (r"(?m)^WORKDIR", "ARG PIP_INDEX_URL\nWORKDIR"),
        (r"(?m)^WORKDIR", "COPY pip.conf /etc/pip.conf\nWORKDIR"),
        (r"(?m)^WORKDIR", "ENV API_TOKEN=x\nWORKDIR"),
    ],
    rules.nothing_is_fetched_by_address: [
        (r"(?m)^USER", "ADD https://example.com/x /x\nUSER"),
        (r"\A", "# syntax=docker/dockerfile:1\n"),
    ],
    rules.the_python_version_is_said_once: [(r"python3 -m pip", "python3.13 -m pip")],
}
MUTANTS = [
    pytest.param(rule, pattern, replacement, id=f"{rule.__name__}-{number}")
    for rule, mutants in MUTATIONS.items()
    for number, (pattern, replacement) in enumerate(mutants)
]


def test_every_rule_has_a_mutant() -> None:
    """No rule of the owner's is without a proof that it finds something."""
    assert set(MUTATIONS) == set(rules.RULES)


@pytest.mark.parametrize(("rule", "pattern", "replacement"), MUTANTS)
def test_the_rule_finds_a_mutant(rule: rules.Rule, pattern: str, replacement: str) -> None:
    """A Dockerfile changed for the worse breaks the rule that is there for it."""
    mutant = re.sub(pattern, replacement, DOCKERFILE, count=1)
    assert mutant != DOCKERFILE
    assert rule(mutant) != []


@pytest.mark.parametrize(
    ("present", "left"),
    [
        ([], []),
        (["ulid"], ["ulid"]),
        (["botocore/data/s3", "botocore/data/ec2"], ["botocore", "botocore/data", "botocore/data/s3"]),
    ],
    ids=["no package at all", "no SDK", "the SDK"],
)
def test_the_sdk_may_be_absent(tmp_path: Path, present: list[str], left: list[str]) -> None:
    """The step that drops unused services also works for a function without the SDK or without packages."""
    step = re.search(r"(?s)\nRUN (mkdir -p packages .*?) \\\n && python3", DOCKERFILE)
    assert step
    for name in present:
        (tmp_path / "packages" / name).mkdir(parents=True)
    command = step[1].replace("\\\n", "")
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, env={**os.environ, "AWS_SERVICES": "s3"}, check=True)
    packages = tmp_path / "packages"
    assert sorted(path.relative_to(packages).as_posix() for path in packages.rglob("*")) == left


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"(?m)^\*$", ""),
        (r"!app", "!.aws\n!app"),
        (r"!app", "!*\n!app"),
        (r"\*\*/__pycache__", ""),
        (r"\Z", "!app\n"),
    ],
)
def test_a_wider_allow_list_is_found(pattern: str, replacement: str) -> None:
    """Each way to open the allow-list is noticed."""
    mutant = re.sub(pattern, replacement, DOCKERIGNORE, count=1)
    assert mutant != DOCKERIGNORE
    assert rules.only_code_reaches_the_build(mutant) != []


def hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    """Run hadolint on a Dockerfile as CI does."""
    program = Path(sys.executable).parent / ("hadolint.exe" if os.name == "nt" else "hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed beside this Python")
    return subprocess.run(
        [program, "--failure-threshold", "warning", "-"],
        input=dockerfile,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile is clean under hadolint."""
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_a_mutant() -> None:
    """Hadolint is really run: an image without a tag is found."""
    done = hadolint(DOCKERFILE.replace("USER", "FROM python\nUSER"))
    assert done.returncode != 0
    assert "DL3006" in done.stdout


def test_another_service_is_found() -> None:
    """A client of a service that is not kept in the image is seen, however it is made."""
    code = """import boto3\nqueue = boto3.client(\n    "sqs")\ntable = boto3.resource('dynamodb')\n"""
    assert rules.used_services(code) == {"sqs", "dynamodb"}
    assert rules.kept_services('ARG AWS_SERVICES="s3 sqs"\n') == {"s3", "sqs"}
