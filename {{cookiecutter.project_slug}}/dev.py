"""Set up this checkout and run its tasks: `python3 dev.py TARGET` does what `make TARGET` does.

Standard library only, because it runs before anything is installed; old Pythons can read it, so that they
fail with one clear error instead of a syntax error.
"""

from __future__ import annotations

import argparse
import ast
import errno
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MINIMUM_PYTHON = (3, 11)
STAMP = "made-from.sha256"
FINDING = threading.Lock()  # environments are made at the same time; uv is brought once
CLEAR_LINE = "\r\033[K"
# No index address gets into a lock file: every user has an index of their own. These options do, in a comment
# at the top: the dependency bot takes from there that a lock is for every platform, and for which Python.
LOCK_OPTIONS = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-annotate"]
LOCK_OPTIONS += ["--python-version", "3.11"]
# Where a checkout can be set up, as uv calls it: the index is asked for a wheel on each, for each Python.
PLATFORMS = {
    "Linux x86-64": "x86_64-unknown-linux-gnu",
    "Linux arm64": "aarch64-unknown-linux-gnu",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
NETWORK_WORDS = (
    "connect",
    "name resolution",
    "dns error",
    "timed out",
    "max retries",
    "unreachable",
    "could not find a version",
    "no matching distribution",
    "was not found in the package registry",
    "request failed",
    "failed to fetch",
)
LINTERS = (
    "ruff check .",
    "ruff format --check .",
    "zizmor --offline --persona=auditor --strict-collection --quiet .",
    "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml",
    "check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml",
    "check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml",
    "hadolint --failure-threshold warning Dockerfile",
    "cfn-lint infra/bootstrap.yaml infra/codedeploy.yaml infra/registry.yaml infra/service.yaml",
)
CACHES = (".pytest_cache", ".ruff_cache", ".mypy_cache")
LEFTOVERS = (
    ".venv",
    ".venv-deployer",
    ".venv-local-aws",
    ".venv-smoke",
    "build",
    ".cache",
    *CACHES,
)
PARALLEL = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadgroup"]


class SetupError(Exception):
    """A fault of this machine, told in three parts: what happened, what was found, what to do."""

    def __init__(self, what: str, found: str, hint: str) -> None:
        super().__init__(f"error: {what}\n  {found}\n  hint: {hint}")


@dataclass(frozen=True)
class Environment:
    """A virtual environment of the checkout and the lock file it is made from."""

    name: str
    lock: str
    wheels_only: bool = False  # nothing is built from source: a build runs the package's own code
    has_deployer: bool = False  # it has a program `deployer` that runs the checkout's, with nothing built

    def program(self, root: Path, name: str) -> Path:
        """Return where the environment keeps the program `name`, whether or not it is there."""
        path = root / self.name
        return path / "Scripts" / f"{name}.exe" if os.name == "nt" else path / "bin" / name


TOOLS = Environment(".venv", "requirements/dev.txt", has_deployer=True)
LOCAL_AWS = Environment(".venv-local-aws", "requirements/local-aws.txt")
# Beside a role in AWS: what deployer/ imports and nothing else.
DEPLOYER = Environment(".venv-deployer", "requirements/deployer.txt", wheels_only=True, has_deployer=True)
# Beside a role in AWS: what smoke/ needs and nothing else, not even this checkout.
SMOKE = Environment(".venv-smoke", "requirements/smoke.txt", wheels_only=True)
# What people set for other programs: modules from elsewhere, and byte-code that is made anew at each start.
NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
# -P: the folder a command is run in is not searched for modules.
DOORS = {
    "deployer": f'#!/bin/sh\nunset {" ".join(NOT_OURS)}\nexec "${{0%/*}}/python" -P -m deployer "$@"\n',
    "deployer.cmd": "@setlocal\r\n"
    + "".join(f"@set {name}=\r\n" for name in NOT_OURS)
    + '@"%~dp0python.exe" -P -m deployer %*\r\n',
}


def ensure(root: Path, environment: Environment) -> None:
    """Make the environment unless it is already the one its lock file asks for; raise SetupError."""
    if is_current(root, environment):
        return
    try:
        _make(root, environment)
        (root / environment.name / STAMP).write_text(_recipe(root, environment))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(root) from error
        raise SetupError(
            f"could not make `{environment.name}`",
            f"found: {error}",
            f"close what uses `{root / environment.name}`, check its permissions, and run this again",
        ) from error


def is_current(root: Path, environment: Environment) -> bool:
    """Return whether the environment is the one its lock file asks for; raise SetupError without the lock."""
    stamp, wanted = root / environment.name / STAMP, _recipe(root, environment)
    return stamp.is_file() and stamp.read_text() == wanted and environment.program(root, "python").exists()


def _recipe(root: Path, environment: Environment) -> str:
    """Return the hash of all that an environment is made from."""
    lock = root / environment.lock
    if not lock.is_file():
        raise SetupError(
            "this is not a whole checkout",
            f"found no `{environment.lock}` in `{root}`",
            "clone the repository again, or run `git checkout -- .` in it",
        )
    # A virtual environment holds absolute paths: a moved checkout needs a new one.
    recipe = [str(root).encode(), lock.read_bytes()]
    if environment.has_deployer:
        recipe += [door.encode() for door in DOORS.values()]
    return hashlib.sha256(b"\0".join(recipe)).hexdigest()


def _make(root: Path, environment: Environment) -> None:
    """Create the environment from nothing and install its lock file into it."""
    path, uv, started = root / environment.name, find_uv(root), time.monotonic()
    say(f"setup: {environment.name} from {environment.lock}")
    if path.exists():
        shutil.rmtree(path)
    install = [*uv.install, "--python", str(environment.program(root, "python"))]
    install += ["--only-binary", ":all:"] if environment.wheels_only else []
    for command in (
        [uv.program, "venv", "--quiet", "--python", sys.executable, str(path)],
        [*install, "-r", environment.lock],
    ):
        status, lines = _run_showing_last_line(command, root, uv.variables)
        if status:
            raise _explain(root, environment.lock, lines)
    if environment.has_deployer:
        _put_deployer(root, environment)
    say(f"setup: {environment.name} is ready after {time.monotonic() - started:.0f} s")


def _put_deployer(root: Path, environment: Environment) -> None:
    """Put a program `deployer` into the environment; what it imports is searched last in the checkout."""
    python = environment.program(root, "python")
    library = (
        root / environment.name / ("Lib" if os.name == "nt" else "lib/python{}.{}".format(*sys.version_info))
    )
    (library / "site-packages").mkdir(parents=True, exist_ok=True)
    (library / "site-packages" / "checkout.pth").write_text(f"{root}\n", encoding="utf-8")
    name = "deployer.cmd" if os.name == "nt" else "deployer"
    door = python.with_name(name)
    door.write_text(DOORS[name], encoding="ascii", newline="")
    door.chmod(0o755)


@dataclass(frozen=True)
class Uv:
    """The one installer, with what people configured for pip."""

    program: str
    variables: dict[str, str]
    options: tuple[str, ...] = ()

    @property
    def install(self) -> list[str]:
        """Return the command that installs a lock."""
        return [self.program, "pip", "install", *self.options, "--require-hashes"]


def find_uv(root: Path) -> Uv:
    """Return the uv on PATH, or the one of requirements/uv.txt, which pip brings; raise SetupError."""
    with FINDING:
        program = shutil.which("uv")
        # A version manager leaves a `uv` on PATH that only says that it is not installed.
        if program and subprocess.run([program, "--version"], capture_output=True, check=False).returncode:
            program = None
        settings = pip_settings()
        return Uv(program or _bring_uv(root), _for_uv(settings), ("--no-index",) * _is_alone(settings))


def _bring_uv(root: Path) -> str:
    """Return the path of the locked uv, installed by pip unless it is there already."""
    lock = Path(__file__).resolve().parent / "requirements" / "uv.txt"
    home = root / "build" / f"uv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    program = home / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    if not program.exists():
        pip = find_pip()
        if not pip:
            raise SetupError(
                "there is nothing to install packages with",
                f"found no uv on PATH, and `{sys.executable}` without pip and `ensurepip`",
                "install uv, or the package `python3-venv` (Debian, Ubuntu)",
            )
        say("setup: uv from requirements/uv.txt")
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            command = [*pip, "install", "--target", f"{folder}/uv", "--only-binary", ":all:"]
            command += ["--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
            # Either would let pip refuse a folder of our own.
            anywhere = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
            status, lines = _run_showing_last_line(command, root, anywhere)
            if status:
                raise _explain(root, "requirements/uv.txt", lines, installer="pip")
            if not program.exists():  # another run may have been faster
                Path(folder, "uv").replace(home)
    return str(program)


def find_pip() -> list[str]:
    """Return a command that runs pip: this Python's, or the wheel that its `ensurepip` would install."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    ensurepip = importlib.util.find_spec("ensurepip")
    folders = [Path(ensurepip.origin).parent / "_bundled"] if ensurepip and ensurepip.origin else []
    folders += [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/nowhere")]  # Debian, Fedora
    wheels = [wheel for folder in folders for wheel in folder.glob("pip-*.whl")]
    return [sys.executable, f"{wheels[0]}/pip"] if wheels else []


def pip_settings() -> dict[str, str]:
    """Return what people configured for pip: by a variable, else for `install`, else for all commands."""
    pip = find_pip()
    lines = (
        subprocess.run([*pip, "config", "list"], text=True, capture_output=True, check=False) if pip else None
    )
    found = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.+)$", lines.stdout if lines else "", re.M)
    found.sort(key=lambda each: ("global", "install", ":env:").index(each[0]))
    return {name: ast.literal_eval(value) for _, name, value in found}


def _for_uv(settings: dict[str, str]) -> dict[str, str]:
    """Return uv's variables for pip's settings; what people configured for uv itself stays."""
    variables = {
        "SSL_CERT_FILE": settings.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE", ""),  # as pip does
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
        "ALL_PROXY": settings.get("proxy", ""),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": settings.get("timeout", settings.get("default-timeout", "")),
        "UV_SYSTEM_CERTS": "1" if "truststore" in settings.get("use-feature", "") else "",
    }
    if not _has_own_index():
        links = settings.get("find-links", "").split()
        variables["UV_DEFAULT_INDEX"] = settings.get("index-url", "")
        variables["UV_INDEX"] = " ".join(settings.get("extra-index-url", "").split())
        # To pip all indexes are one: a version may be missing from the first that has the package.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match" if variables["UV_INDEX"] else ""
        variables["UV_FIND_LINKS"] = ",".join(
            str(Path(link).expanduser()) if link.startswith("~") else link for link in links
        )
    return {name: value for name, value in variables.items() if value and name not in os.environ}


def _is_alone(settings: dict[str, str]) -> bool:
    """Return whether people told pip to ask no index: a folder of wheels is all there is."""
    return settings.get("no-index", "").lower() in ("1", "true", "yes", "on") and not _has_own_index()


def _has_own_index() -> bool:
    """Return whether uv itself was told where packages are, by a variable or by its own file."""
    homes = [os.environ.get("XDG_CONFIG_HOME") or "~/.config", os.environ.get("APPDATA") or "/etc", "/etc"]
    files = [Path(home).expanduser() / "uv" / "uv.toml" for home in homes]
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    return any(name in os.environ for name in (*names, "UV_CONFIG_FILE")) or any(
        re.search(r"index|find-links", file.read_text(encoding="utf-8")) for file in files if file.is_file()
    )


def _run_showing_last_line(
    command: list[str], root: Path, variables: dict[str, str]
) -> tuple[int, list[str]]:
    """Run a command; show its latest line on a terminal, nothing elsewhere; return status and output."""
    lines: list[str] = []
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    text = {"text": True, "encoding": "utf-8", "errors": "replace"}
    environment = {**os.environ, **variables}
    with subprocess.Popen(command, cwd=root, env=environment, **streams, **text) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            if sys.stdout.isatty():
                print(f"{CLEAR_LINE}  {line.strip()[:76]}", end="", flush=True)
    return process.returncode, [line for line in lines if line.strip()]


def _explain(root: Path, lock: str, lines: list[str], installer: str = "uv") -> SetupError:
    """Say what an installer's output means."""
    output, last = "\n".join(lines).lower(), (lines or ["no output"])[-1].strip()
    if "no space left" in output or "disk quota exceeded" in output:
        return _no_space(root)
    if "do not match the hashes" in output or "hash mismatch" in output:
        return SetupError(
            f"a package is not the one `{lock}` was made with",
            f"{installer} said: {last}",
            "check the package index in use; after changing requirements/*.in run `python3 dev.py lock`",
        )
    if any(word in output for word in NETWORK_WORDS):
        return SetupError(
            "could not reach the package index, or it lacks a package",
            f"{installer} said: {last}",
            "check the network, the proxy and the index: uv's own (`UV_DEFAULT_INDEX`, `uv.toml`), else pip's"
            " (`pip config list`), which uv is given",
        )
    return SetupError(
        f"could not install `{lock}`",
        f"{installer} said: {last}",
        "run this again; if it stays, remove the environment with `python3 dev.py clean`",
    )


def _no_space(root: Path) -> SetupError:
    """Describe a full disk."""
    return SetupError(
        "no space left on the disk",
        f"found {shutil.disk_usage(root).free // 2**20} MB free at `{root}`, expected about 1000 MB",
        "free some space, or `python3 dev.py clean` here and in other checkouts",
    )


def say(line: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(f"{CLEAR_LINE if sys.stdout.isatty() else ''}{line}", flush=True)


def hand_over(command: list[str], root: Path) -> int:
    """Become the command, so that signals reach it alone; on Windows, wait for it and return its status."""
    sys.stdout.flush()
    if os.name != "nt":
        os.chdir(root)
        os.execv(command[0], command)  # noqa: S606 - a shell in between would take the signals
    return wait_for(command, root)


def wait_for(command: list[str], root: Path, environment: dict[str, str] | None = None) -> int:
    """Run the command to its end and return its status; it hears Ctrl-C itself, and is told of SIGTERM."""
    with subprocess.Popen(command, cwd=root, env=environment) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the command got it as well, and is tidying up


def lint(root: Path, environment: Environment, linters: tuple[str, ...] = LINTERS) -> int:
    """Run every linter, show what the failing ones say, return 1 if any failed."""
    failed = 0
    for line in linters:
        name, *rest = line.split()
        program = environment.program(root, name)
        if is_left_out(program):
            say(f"lint: left out, no build for this platform: {line}")
            continue
        words = [path for word in rest for path in _expand(root, word)]
        result = subprocess.run([str(program), *words], cwd=root, text=True, capture_output=True, check=False)
        failed += result.returncode != 0
        say(f"lint: {'ok    ' if result.returncode == 0 else 'FAILED'} {line}")
        if result.returncode:
            say((result.stdout + result.stderr).rstrip())
    return 1 if failed else 0


def is_left_out(program: Path) -> bool:
    """Return whether the lock leaves a linter out on this platform: Linux on x86-64 has them all."""
    return not program.exists() and (sys.platform, platform.machine()) != ("linux", "x86_64")


def _expand(root: Path, word: str) -> list[str]:
    """Return the files a pattern stands for, as no shell does it here; a word without `*` stays."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob(word)) if "*" in word else [word]


def lock(root: Path, constraints: dict[str, str] | None = None) -> int:
    """Compile every requirements/*.in to its hash-locked *.txt with uv, keeping what need not move.

    `constraints` are other lock files, by the name of a lock that has to agree with them.
    """
    uv = find_uv(root)
    before = {path: path.read_bytes() for path in locks(root)}
    for source in sorted((root / "requirements").glob("*.in")):
        say(f"lock: requirements/{source.stem}.txt")
        files = ["-o", f"{source.stem}.txt", source.name]
        if source.stem in (constraints or {}):
            files += ["-c", constraints[source.stem]]
        command = [uv.program, "pip", "compile", "--quiet", *uv.options, *LOCK_OPTIONS, *files]
        status, lines = _run_showing_last_line(command, source.parent, uv.variables)
        if status:
            raise _explain(root, f"requirements/{source.name}", lines)
    return check_locks(root, [path for path in locks(root) if before.get(path) != path.read_bytes()])


def locks(root: Path) -> list[Path]:
    """Return the paths of the lock files, in order of their names."""
    return sorted((root / "requirements").glob("*.txt"))


def check_locks(root: Path, paths: list[Path]) -> int:
    """Ask the index whether each lock installs from wheels on each of PLATFORMS and PYTHONS; install nothing.

    Raises SetupError where a wheel is missing, and where the index cannot be asked.
    """
    uv, missing = find_uv(root), 0
    for path in paths:
        name = f"requirements/{path.name}"
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            places = [(system, version) for system in PLATFORMS for version in PYTHONS]
            asked = [pool.submit(_lacks, uv, root, name, *place) for place in places]
        lacks: dict[tuple[str, str], list[str]] = {}
        for (system, version), answer in zip(places, asked, strict=True):
            if answer.result():
                lacks.setdefault((system, answer.result()), []).append(version)
        say(f"lock: {'FAILED' if lacks else 'ok    '} {name}")
        for (system, package), versions in lacks.items():
            say(f"lock: no wheel of {package} for {system}, Python {', '.join(versions)}")
        missing += len(lacks)
    if missing:
        raise SetupError(
            "a lock cannot be installed on every platform",
            f"found {missing} wheel{'s' if missing > 1 else ''} missing, listed above, expected none",
            "leave the package out there in requirements/*.in (`PACKAGE ; sys_platform != 'win32'`), or ask"
            " for a version that has the wheel, and run `python3 dev.py lock`",
        )
    return 0


def _lacks(uv: Uv, root: Path, name: str, system: str, version: str) -> str:
    """Return the first package of a lock without a wheel for that platform and Python, or an empty text."""
    command = [*uv.install, "--dry-run", "--python", sys.executable, "--only-binary", ":all:"]
    command += ["--python-platform", PLATFORMS[system], "--python-version", version]
    with tempfile.TemporaryDirectory() as nothing:  # what this machine has installed must not answer
        status, lines = _run_showing_last_line(
            [*command, "--target", nothing, "-r", name], root, uv.variables
        )
    found = re.search(r"Because (?:only )?(\S+?)==\S+ has no (?:usable )?wheels", " ".join(lines))
    if status and not found:
        raise _explain(root, name, lines)
    return found[1] if status else ""


def lock_here(root: Path, arguments: list[str], constraints: dict[str, str] | None = None) -> int:
    """Compile the locks, and check those that changed; --check: check all, and compile nothing."""
    parser = argparse.ArgumentParser(prog="python3 dev.py lock", description=lock_here.__doc__)
    parser.add_argument("--check", action="store_true", help="compile nothing")
    return check_locks(root, locks(root)) if parser.parse_args(arguments).check else lock(root, constraints)


def clean(root: Path, leftovers: tuple[str, ...] = LEFTOVERS) -> int:
    """Remove the environments and everything the tasks wrote."""
    for name in leftovers:
        if (root / name).exists():
            say(f"clean: {name}")
            shutil.rmtree(root / name)
    return 0


def setup(root: Path, environments: tuple[Environment, ...] = (TOOLS, LOCAL_AWS)) -> int:
    """Make environments; in GitHub Actions also put a `deployer` among them on the PATH of the next steps."""
    with ThreadPoolExecutor() as pool:
        for made in [pool.submit(ensure, root, environment) for environment in environments]:
            made.result()
    if "GITHUB_PATH" in os.environ:
        with Path(os.environ["GITHUB_PATH"]).open("a", encoding="utf-8") as paths:
            for environment in environments:
                if environment.has_deployer:
                    paths.write(f"{environment.program(root, 'python').parent}\n")
    return 0


def setup_here(root: Path, arguments: list[str]) -> int:
    """Make .venv and .venv-local-aws, or only the environment that a job with credentials may have."""
    parser = argparse.ArgumentParser(prog="python3 dev.py setup", description=setup_here.__doc__)
    parser.add_argument("--only", choices=("deployer", "smoke"), help="what a job with a role in AWS needs")
    only = parser.parse_args(arguments).only
    return setup(root, {"deployer": (DEPLOYER,), "smoke": (SMOKE,)}[only]) if only else setup(root)


def python(root: Path, arguments: list[str]) -> int:
    """Hand over to Python in the environment of the tools."""
    return hand_over([str(TOOLS.program(root, "python")), *arguments], root)


def test(root: Path, arguments: list[str]) -> int:
    """Run all tests on up to four cores, or exactly what the arguments ask pytest for."""
    setup(root)
    return python(root, ["-m", "pytest", *(arguments or PARALLEL)])


def smoke(root: Path, arguments: list[str]) -> int:
    """Run the tests in smoke/ against what SMOKE_TARGET names, from the lock of their own."""
    ensure(root, SMOKE)
    os.environ["PYTHONPATH"] = str(root)
    plugin = ["-p", "testbed.fixtures", "-p", "no:cacheprovider"]
    return hand_over([str(SMOKE.program(root, "python")), "-m", "pytest", "smoke", *plugin, *arguments], root)


def rehearse(root: Path, arguments: list[str]) -> int:
    """Play releases against a local AWS, with real containers where Docker answers."""
    setup(root)
    return python(root, ["-m", "rehearsal", *arguments])


def types(root: Path, arguments: list[str]) -> int:
    """Check the types as pyproject.toml says."""
    ensure(root, TOOLS)
    return python(root, ["-m", "mypy", *arguments])


def run(root: Path, arguments: list[str]) -> int:
    """Run a program of .venv; where that is not up to date, `run deployer` makes .venv-deployer alone."""
    if not arguments:
        raise SetupError("`run` needs a program", "found none", "try `python3 dev.py run deployer --help`")
    # `deployer smoke` runs pytest and a local AWS; nothing else of the deployer needs more than its own lock.
    is_small = arguments[0] == "deployer" and arguments[1:2] != ["smoke"]
    environment = DEPLOYER if is_small and not is_current(root, TOOLS) else TOOLS
    ensure(root, environment)
    tools = str(environment.program(root, "python").parent)
    os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", os.defpath)])
    program = shutil.which(arguments[0])
    is_linter = arguments[0] in {line.split()[0] for line in LINTERS}
    if not program and is_linter and is_left_out(environment.program(root, arguments[0])):
        say(f"run: left out, no build for this platform: {arguments[0]}")
        return 0
    if not program:
        raise SetupError(f"no program `{arguments[0]}`", f"looked in `{tools}` and on PATH", "check its name")
    return hand_over([program, *arguments[1:]], root)


def machinery_of(root: Path) -> ModuleType:
    """Return the module that knows the template's files; it needs nothing that is installed."""
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module("deployer.machinery")
    except Exception as error:
        raise SetupError(
            "`deployer/machinery.py` cannot be read, so no file of the template can be verified",
            f"found: {error}",
            "run `git checkout -- deployer`",
        ) from error


def verify(root: Path, _: list[str]) -> int:
    """Compare deployer/, rehearsal/ and testbed/ with what the template made, and with adopted.toml."""
    machinery = machinery_of(root)
    try:
        lines, adopted = machinery.verify(root)
    except machinery.DeployerError as error:
        raise SetupError(error.what, error.found, error.hint) from error
    for line in lines:
        say(line)
    if lines:
        raise SetupError(
            "the template's files are not as they were generated",
            f"found {len(lines)} difference{'s' if len(lines) > 1 else ''}, listed above, expected none",
            'undo with `git checkout`, or keep with `python3 dev.py adopt PATH --reason "..."`',
        )
    say(f"verify: the template's files are as generated, {adopted} adopted")
    return 0


def adopt(root: Path, arguments: list[str]) -> int:
    """Write into adopted.toml that a file of the template differs on purpose."""
    parser = argparse.ArgumentParser(prog="python3 dev.py adopt", description=adopt.__doc__)
    parser.add_argument("path", help="the file, from the root of the repository")
    parser.add_argument("--reason", default="", help="why it differs, in one line")
    options = parser.parse_args(arguments)
    machinery = machinery_of(root)
    try:
        path = machinery.adopt(root, options.path, options.reason)
    except machinery.DeployerError as error:
        raise SetupError(error.what, error.found, error.hint) from error
    say(f"adopt: {path} is in {machinery.ADOPTED}; `python3 dev.py verify` accepts it until it changes again")
    return 0


def outdated(root: Path, _: list[str]) -> int:
    """Compare the template's commit in .cruft.json with the newest one of the template."""
    try:
        made_from = json.loads((root / ".cruft.json").read_text(encoding="utf-8"))
        template, commit = made_from["template"], made_from["commit"]
    except (OSError, ValueError, KeyError) as error:
        raise SetupError(
            "it is not known which template this repository follows",
            f"found: {error!r}",
            "`cruft link TEMPLATE` writes .cruft.json",
        ) from error
    command = ["git", "ls-remote", template, made_from.get("checkout") or "HEAD"]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    asked = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    newest = asked.stdout.partition("\t")[0]
    if asked.returncode or not newest:
        raise SetupError(
            "the template could not be asked for its newest commit",
            f"git said: {(asked.stderr.strip().splitlines() or ['nothing'])[-1]}",
            f"check that `{' '.join(command)}` works",
        )
    if newest != commit:
        raise SetupError(
            "the template has moved on",
            f"found {commit[:12]} here, the newest is {newest[:12]}",
            "`cruft diff` shows what the template has changed, `cruft update --skip-apply-ask` takes it",
        )
    say(f"outdated: this repository is as new as its template, {commit[:12]}")
    return 0


def lint_here(root: Path, _: list[str]) -> int:
    """Run the linters on this checkout."""
    ensure(root, TOOLS)
    return lint(root, TOOLS)


TARGETS: dict[str, tuple[Callable[[Path, list[str]], int], str]] = {
    "setup": (
        setup_here,
        "make .venv and .venv-local-aws from the lock files; --only deployer: what a job with a role needs",
    ),
    "test": (test, "run the tests; arguments go to pytest"),
    "lint": (lint_here, "run every linter on the files as they are"),
    "types": (types, "run mypy --strict on deployer/, rehearsal/ and testbed/"),
    "smoke": (
        smoke,
        "run smoke/ against what SMOKE_TARGET names (`deployer smoke` sets it); arguments go to pytest",
    ),
    "rehearse": (rehearse, "play releases, a bad one included, against a local AWS"),
    "verify": (verify, "compare the template's files with what it generated"),
    "adopt": (adopt, 'keep a changed file of the template: adopt PATH --reason "..."'),
    "outdated": (outdated, "compare the template's commit in .cruft.json with its newest one"),
    "lock": (
        lock_here,
        "compile requirements/*.in to hash-locked *.txt; --check: ask if they install on every platform",
    ),
    "clean": (lambda root, _: clean(root), "remove the environments and everything built"),
    "run": (run, "run a program of .venv, or the deployer alone in a fresh clone: run deployer plan"),
}


def main(
    root: Path, targets: dict[str, tuple[Callable[[Path, list[str]], int], str]], arguments: list[str]
) -> int:
    """Run one target and return its exit status; faults of the machine end in one three-part error."""
    for name in NOT_OURS:
        os.environ.pop(name, None)
    try:
        if sys.version_info < MINIMUM_PYTHON:
            raise SetupError(
                "this Python is too old",
                "found {}.{}, expected {}.{} or newer".format(*sys.version_info[:2], *MINIMUM_PYTHON),
                "install a newer one and name it: `make PYTHON=python3.13 TARGET`, `python3.13 dev.py`",
            )
        if "{" in root.name:
            raise SetupError(
                "this is the template's source, not a generated repository",
                f"found `{root}`, where what the tools write would get into new repositories",
                "run `make test` or `make demo` in the folder above",
            )
        if not arguments or arguments[0] not in targets:
            lines = [f"  {name:10}{text}" for name, (_, text) in targets.items()]
            print("\n".join(["usage: python3 dev.py TARGET [ARGUMENTS], or make TARGET", *lines]))
            if arguments in ([], ["help"], ["--help"], ["-h"]):
                return 0
            print(f"error: there is no target `{arguments[0]}`", file=sys.stderr)
            return 2
        return targets[arguments[0]][0](root, arguments[1:])
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent, TARGETS, sys.argv[1:]))
