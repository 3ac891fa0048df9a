"""Rules for the Dockerfile and .dockerignore that no linter has, each shown to fail on a mutant."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from generating import GENERATED

PROJECT = GENERATED
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
DOCKERIGNORE = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")

Rule = Callable[[str], list[str]]


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction with its arguments: continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            yield name.upper(), arguments.strip()


def every_image_has_a_digest(dockerfile: str) -> list[str]:
    """Name what is built on or copied from without a digest; stages of the file itself need none."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    found: list[str] = []
    for name, text in instructions(dockerfile):
        if name == "ARG":
            key, _, value = text.partition("=")
            arguments.setdefault(key, value)
        images = re.findall(r"--from=(\S+)", text) + re.findall(r"--mount=\S*\bfrom=([^,\s]+)", text)
        if name == "FROM":
            words = [word for word in text.split() if not word.startswith("--")]
            images.append(words[0])
        for image in images:
            resolved = re.sub(r"\$\{?(\w+)\}?", lambda match: arguments.get(match[1], ""), image)
            if resolved not in stages and not DIGEST.search(resolved):
                found.append(f"{image} has no digest")
        if name == "FROM" and "AS" in (upper := [word.upper() for word in words]):
            stages.add(words[upper.index("AS") + 1])
    return found


def the_user_is_a_number_and_not_root(dockerfile: str) -> list[str]:
    """Say what is wrong with the user the last stage ends with."""
    user = ""
    for name, text in instructions(dockerfile):
        user = "" if name == "FROM" else text if name == "USER" else user
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user):
        return [f"the user is `{user}`"]
    return []


def packages_are_locked(dockerfile: str) -> list[str]:
    """Name each installation that does not insist on hashes, or that would compile a source on the way."""
    installs = [text for name, text in instructions(dockerfile) if name == "RUN" and " install " in text]
    wanted = ("--require-hashes", "--only-binary=:all:", "--no-deps")
    missing = [f"{option} is missing" for text in installs for option in wanted if option not in text]
    return missing if installs else ["nothing is installed"]


def secrets_are_mounts(dockerfile: str) -> list[str]:
    """Name what would put a secret into a layer: arguments, variables or copies that sound like one."""
    return [
        f"{name} {text}"
        for name, text in instructions(dockerfile)
        if name in ("ARG", "ENV", "COPY", "ADD")
        and re.search(r"token|secret|passw|credential|index_url|pip\.conf|\.pem|\.crt", text, re.IGNORECASE)
    ]


def nothing_is_fetched_by_address(dockerfile: str) -> list[str]:
    """Name ADD, which fetches and unpacks, and a syntax line, which pulls a front end."""
    found = [f"ADD {text}" for name, text in instructions(dockerfile) if name == "ADD"]
    return found + re.findall(r"(?im)^#\s*syntax\s*=.*$", dockerfile)


def the_python_version_is_said_once(dockerfile: str) -> list[str]:
    """Name every place but the base image that says which Python it is."""
    return re.findall(r"(?i)(?:python|cp)\W?3\.?\d+", dockerfile)[1:]


RULES: dict[Rule, list[tuple[str, str]]] = {
    every_image_has_a_digest: [
        (r"@sha256:[0-9a-f]{64}", ""),
        (r"(?m)^USER", "FROM python:3.13 AS more\nUSER"),
        (r"from=packages,", "from=docker.io/library/busybox:1,"),
        (r"(?m)^USER", "COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/\nUSER"),
    ],
    the_user_is_a_number_and_not_root: [
        (r"USER 65532:65532", "USER nobody"),
        (r"USER 65532:65532", "USER 0:0"),
        (r"USER 65532:65532", ""),
        (r"(?m)^CMD", "USER root\nCMD"),
    ],
    packages_are_locked: [
        (r"--require-hashes ", ""),
        (r"--only-binary=:all: ", ""),
        (r"--no-deps ", ""),
    ],
    secrets_are_mounts: [
        (r"(?m)^WORKDIR", "ARG PIP_INDEX_URL\nWORKDIR"),
        (r"(?m)^WORKDIR", "COPY pip.conf /etc/pip.conf\nWORKDIR"),
        (r"(?m)^WORKDIR", "ENV API_TOKEN=x\nWORKDIR"),
    ],
    nothing_is_fetched_by_address: [
        (r"(?m)^USER", "ADD https://example.com/x /x\nUSER"),
        (r"\A", "# syntax=docker/dockerfile:1\n"),
    ],
    the_python_version_is_said_once: [(r"python3 -m pip", "python3.13 -m pip")],
}
MUTANTS = [
    pytest.param(rule, pattern, replacement, id=f"{rule.__name__}-{number}")
    for rule, mutants in RULES.items()
    for number, (pattern, replacement) in enumerate(mutants)
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_dockerfile_keeps_the_rule(rule: Rule) -> None:
    """The Dockerfile as it is breaks no rule."""
    assert rule(DOCKERFILE) == []


@pytest.mark.parametrize(("rule", "pattern", "replacement"), MUTANTS)
def test_the_rule_finds_a_mutant(rule: Rule, pattern: str, replacement: str) -> None:
    """A Dockerfile changed for the worse breaks the rule that is there for it."""
    mutant = re.sub(pattern, replacement, DOCKERFILE, count=1)
    assert mutant != DOCKERFILE
    assert rule(mutant) != []


def ignore_problems(dockerignore: str) -> list[str]:
    """Say where a .dockerignore lets more through than the code and its lock file."""
    lines = [line.strip() for line in dockerignore.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    problems = [] if lines[:1] == ["*"] else ["the first pattern is not `*`"]
    allowed = [line[1:] for line in lines if line.startswith("!")]
    problems += [
        f"`{path}` is let through" for path in allowed if path not in ("app", "requirements/app.txt")
    ]
    last_allowed = max((index for index, line in enumerate(lines) if line.startswith("!")), default=0)
    compiled = {"**/__pycache__", "**/*.py[co]"} - set(lines[last_allowed:])
    return problems + [f"`{pattern}` comes too early or not at all" for pattern in sorted(compiled)]


def test_the_build_sees_the_code_and_its_lock_file_only() -> None:
    """The .dockerignore is an allow-list of two entries."""
    assert ignore_problems(DOCKERIGNORE) == []


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
    assert ignore_problems(mutant) != []


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


def test_the_services_are_the_ones_in_use() -> None:
    """Every AWS service the code makes a client for is kept in the image, and no other."""
    kept = re.search(r'ARG AWS_SERVICES="([^"]*)"', DOCKERFILE)
    assert kept
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((PROJECT / "app").rglob("*.py")))
    used = set(re.findall(r"""\b(?:client|resource)\(\s*["']([\w-]+)["']""", code))
    assert used == set(kept[1].split())
