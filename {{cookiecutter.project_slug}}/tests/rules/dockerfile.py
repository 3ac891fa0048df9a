"""What the Dockerfile and .dockerignore must be, as pure functions: a text in, one sentence per finding out.

No linter has these rules. The template's own tests show that each refuses a file that breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

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
    """Name what is built on or copied from without a digest; stages of the file itself need none.

    An image behind an argument has none either: the dependency bot reads what stands behind `FROM` and no ARG.
    Source: https://github.com/dependabot/dependabot-core/blob/main/docker/lib/dependabot/docker/file_parser.rb
    """
    stages: set[str] = set()
    found: list[str] = []
    for name, text in instructions(dockerfile):
        images = re.findall(r"--from=(\S+)", text) + re.findall(r"--mount=\S*\bfrom=([^,\s]+)", text)
        if name == "FROM":
            words = [word for word in text.split() if not word.startswith("--")]
            images.append(words[0])
        for image in images:
            if image not in stages and not DIGEST.search(image):
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


def only_code_reaches_the_build(dockerignore: str) -> list[str]:
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


def kept_services(dockerfile: str) -> set[str]:
    """Return the AWS services whose descriptions stay in the image; the others are removed to make it small."""
    kept = re.search(r'ARG AWS_SERVICES="([^"]*)"', dockerfile)
    return set(kept[1].split()) if kept else set()


def used_services(code: str) -> set[str]:
    """Return the AWS services that Python code makes a client for, by a name written there."""
    return set(re.findall(r"""\b(?:client|resource)\(\s*["']([\w-]+)["']""", code))


RULES: tuple[Rule, ...] = (
    every_image_has_a_digest,
    the_user_is_a_number_and_not_root,
    packages_are_locked,
    secrets_are_mounts,
    nothing_is_fetched_by_address,
    the_python_version_is_said_once,
)
