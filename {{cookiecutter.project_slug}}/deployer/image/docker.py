"""Find the Docker client and run it. Shell: the only module that runs programs.

Every argument list is fixed here or in `image`, `smoke`, `scanner` and `push`; nothing goes through a shell.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from deployer.errors import DeployerError

Say = Callable[[str], None]

SAID_CHARACTERS = 100  # a step is named by its beginning


class DockerUnavailable(DeployerError):
    """No Docker client here can build: none is there, its engine is silent, or it has no BuildKit."""


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed; a non-zero exit is the caller's business.

    `env` is added to ours. Raises DeployerError when it cannot be started or takes too long.
    """
    try:
        return subprocess.run(
            argv,
            input=stdin if stdin is not None else "",
            env=None if env is None else {**os.environ, **env},
            cwd=cwd,
            timeout=timeout_s,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployerError(
            f"`{' '.join(argv[:2])}` did not finish",
            found=f"waited {timeout_s:.0f} s",
            hint="deployer doctor",
        ) from error
    except OSError as error:
        raise DeployerError(
            f"`{argv[0]}` cannot be started", found=str(error), hint="deployer doctor"
        ) from error


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def find_docker() -> list[str]:
    """Return the command of a Docker client that can build with BuildKit on the engine it reaches.

    `DOCKER` names one; without it every `docker` on PATH is asked in turn, because a newer client without
    buildx may stand before one that works. Raises DockerUnavailable.
    """
    named = os.environ.get("DOCKER")
    candidates = [shlex.split(named, posix=os.name != "nt")] if named else [[path] for path in _on_path()]
    if not candidates:
        raise DockerUnavailable(
            "there is no Docker client",
            found="found no `docker` on PATH",
            hint="install Docker, or set DOCKER to the client to call",
        )
    silent, unable = [], []
    for command in candidates:
        shown = " ".join(command)
        try:
            done = run([*command, "version", "--format", "{{json .}}"], timeout_s=30)
            answer = json.loads(done.stdout)
        except (DeployerError, ValueError):
            silent.append(f"`{shown}`: it does not run")
            continue
        if not answer.get("Server"):
            silent.append(f"`{shown}`: {tail(done.stderr, 1)}")
        elif has_buildx(command) or int(answer["Client"]["Version"].partition(".")[0] or 0) < 23:
            return command  # clients before 23 bring their own BuildKit
        else:
            unable.append(f"`{shown}` {answer['Client']['Version']}: the buildx plugin is missing")
    if unable:
        raise DockerUnavailable(
            "no Docker client here has BuildKit",
            found="\n".join(unable + silent),
            hint="install the buildx plugin, or set DOCKER to a client that has it",
        )
    raise DockerUnavailable(
        "no Docker engine answers", found="\n".join(silent), hint="start Docker, or set DOCKER or DOCKER_HOST"
    )


def _on_path() -> list[str]:
    """Return every `docker` on PATH, in order, each program once."""
    found: dict[str, str] = {}
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        if path := shutil.which("docker", path=folder):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def has_buildx(docker: Sequence[str]) -> bool:
    """Say whether the client has the buildx plugin."""
    return run([*docker, "buildx", "version"], timeout_s=30).returncode == 0


def ca_bundle() -> str | None:
    """Return the CA bundle that programs in containers need behind a TLS proxy, as the user named it.

    `BUILD_CA_BUNDLE` decides; without it `SSL_CERT_FILE`; empty means none.
    """
    named = os.environ.get("BUILD_CA_BUNDLE", os.environ.get("SSL_CERT_FILE", ""))
    if named and not Path(named).is_file():
        raise DeployerError(
            "the CA bundle is not there",
            found=f"found no file `{named}`",
            hint="correct BUILD_CA_BUNDLE or SSL_CERT_FILE, or set BUILD_CA_BUNDLE= to do without",
        )
    return str(Path(named).resolve()) if named else None


def stream(argv: Sequence[str], say: Say) -> tuple[int, str]:
    """Run a BuildKit build, saying each step as it starts; returns the exit code and everything printed."""
    output: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    ) as process:
        try:
            for line in process.stdout or ():
                output.append(line)
                if step := re.match(r"#\d+ (\[(?!internal).*)", line):
                    say(step[1][:SAID_CHARACTERS])
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(output)


@contextlib.contextmanager
def container_name(docker: Sequence[str], purpose: str) -> Iterator[str]:
    """Yield a name for one container, and remove the container at the end, however the block ends."""
    name = f"{purpose}-{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        subprocess.run(
            [*docker, "rm", "--force", "--volumes", name],
            capture_output=True,
            timeout=120,
            check=False,
            start_new_session=True,  # a second Ctrl-C must not leave the container behind
        )


def copy_out(argv: Sequence[str], folder: Path, names: Sequence[str]) -> None:
    """Take the named files, nothing else, from the tar stream that `docker cp SOURCE -` writes.

    Raises DeployerError when one of them is missing; `folder` then holds what it held before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".copy-", dir=folder) as staging,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as stream_of_files:
                for member in stream_of_files:
                    name = PurePosixPath(member.name).name
                    source = stream_of_files.extractfile(member) if member.isreg() and name in names else None
                    if source:
                        with Path(staging, name).open("wb") as target:
                            shutil.copyfileobj(source, target)
            for name in names:
                Path(staging, name).replace(folder / name)
        except (tarfile.TarError, OSError) as error:
            process.kill()
            raise DeployerError(
                f"`{' '.join(argv[:3])}` did not bring {' and '.join(names)}",
                found=str(error),
                hint="try again",
            ) from error


def must(done: subprocess.CompletedProcess[str], what: str) -> None:
    """Raise DeployerError with the program's last words unless it ended well."""
    if done.returncode != 0:
        raise DeployerError(what, found=tail(done.stderr or done.stdout), hint="deployer doctor")


@contextlib.contextmanager
def private_docker_config(registry: str | None = None) -> Iterator[dict[str, str]]:
    """Yield the environment of a Docker client that knows the user's contexts and none of their credentials.

    The folder lives as long as the block. An entry for `registry` is there from the start: with none at
    all the client would look for a credential store of the machine and keep the password in it.
    """
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    with tempfile.TemporaryDirectory(prefix="docker-config-") as folder:
        settings: dict[str, object] = {"auths": {registry: {}} if registry else {}}
        with contextlib.suppress(OSError, ValueError):
            current = json.loads((own / "config.json").read_text(encoding="utf-8")).get("currentContext")
            settings |= {"currentContext": current} if current else {}
        if (own / "contexts").is_dir():
            shutil.copytree(own / "contexts", Path(folder, "contexts"))
        Path(folder, "config.json").write_text(json.dumps(settings), encoding="utf-8")
        yield {"DOCKER_CONFIG": folder}
