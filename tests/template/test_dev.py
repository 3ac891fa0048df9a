"""The task runner of a generated repository: quick when all is there, one clear error when it is not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from generating import GENERATED, ROOT, commit

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a POSIX script")

FAKE_UV = """#!{python}
import os, pathlib, sys
root = pathlib.Path.cwd()
with open(os.environ["UV_LOG"], "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    folder = pathlib.Path(sys.argv[-1]) / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to("{python}")
    for tool in ("good", "bad"):
        (folder / tool).write_text("#!/bin/sh\\necho " + tool + " ran on $*\\ntest " + tool + " = good\\n")
        (folder / tool).chmod(0o755)
elif sys.argv[1] == "pip" and os.environ.get("UV_SAYS"):
    sys.exit("Using Python\\n" + os.environ["UV_SAYS"])
"""


# What a user set for other programs.
NOT_OURS = {"PYTHONPATH": "/elsewhere", "PYTHONHOME": "", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Checkout:
    """A checkout with made-up lock files, and a uv that only writes down what it is asked."""

    path: Path
    environment: Mapping[str, str]

    def dev(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run its dev.py as a user does."""
        command = [sys.executable, "dev.py", *arguments]
        environment = {**self.environment, **settings}
        return subprocess.run(
            command, cwd=self.path, env=environment, text=True, capture_output=True, check=False
        )

    @property
    def installs(self) -> list[str]:
        """Return the lock files that uv was asked to install, in order of their names."""
        return sorted(line.rpartition(" ")[2] for line in self.log if "--require-hashes" in line)

    @property
    def log(self) -> list[str]:
        """Return what uv was asked, a line each, but for its version."""
        log = Path(self.environment["UV_LOG"])
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line != "--version"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout whose environments are not made yet."""
    path = tmp_path / "checkout"
    (path / "requirements").mkdir(parents=True)
    for name in ("dev.py", "Makefile"):
        shutil.copy2(GENERATED / name, path / name)
    (path / "pyproject.toml").write_text("[project]\n")
    for name in ("deployer", "dev", "local-aws", "smoke"):
        (path / "requirements" / f"{name}.txt").write_text("six==1.17.0 --hash=sha256:" + "0" * 64 + "\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(FAKE_UV.format(python=sys.executable))
    (programs / "uv").chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if name != "GITHUB_PATH"}
    path_variable = os.pathsep.join([str(programs), os.environ["PATH"]])
    return Checkout(path, {**plain, "PATH": path_variable, "UV_LOG": str(tmp_path / "uv.log")})


def error_of(result: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of the one error a run ended with."""
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 3, result.stderr
    assert lines[0].startswith("error: ")
    assert lines[2].startswith("  hint: ")
    return lines


def test_environments_are_made_once(checkout: Checkout) -> None:
    """The first run installs both lock files, the second nothing, and says nothing."""
    assert checkout.dev("setup").returncode == 0
    assert checkout.installs == ["requirements/dev.txt", "requirements/local-aws.txt"]
    again = checkout.dev("setup")
    assert (again.returncode, again.stdout) == (0, "")
    assert len(checkout.installs) == 2


@pytest.mark.parametrize("only", ["deployer", "smoke"])
def test_beside_a_role_one_lock_is_installed_from_wheels_alone(only: str, checkout: Checkout) -> None:
    """What a job with credentials asks for is one environment; nothing is built, not even the checkout."""
    assert checkout.dev("setup", "--only", only).returncode == 0
    assert checkout.installs == [f"requirements/{only}.txt"]
    [install] = [line for line in checkout.log if "pip install" in line]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert sorted(path.name for path in checkout.path.glob(".venv*")) == [f".venv-{only}"]


def test_setup_knows_no_other_environment(checkout: Checkout) -> None:
    """A misspelt environment is a usage error, before anything is made."""
    assert checkout.dev("setup", "--only", "deploy").returncode == 2
    assert checkout.log == []


def test_the_deployer_of_its_own_environment_is_the_checkouts(checkout: Checkout) -> None:
    """The program `deployer` runs the checkout's, gets its arguments, and its signals reach Python."""
    checkout.dev("setup", "--only", "deployer")
    door = checkout.path / ".venv-deployer/bin/deployer"
    [paths] = (checkout.path / ".venv-deployer").glob("lib/python*/site-packages/checkout.pth")
    assert paths.read_text() == f"{checkout.path.resolve()}\n"
    (door.parent / "python").unlink()
    (door.parent / "python").write_text(
        '#!/bin/sh\necho "$# $*, sees ${PYTHONPATH-${PYTHONHOME-${PYTHONDONTWRITEBYTECODE-none}}}"\n'
    )
    (door.parent / "python").chmod(0o755)
    command = [str(door), "plan", "a b"]
    theirs = {**os.environ, **NOT_OURS}
    said = subprocess.run(command, env=theirs, text=True, capture_output=True, check=True).stdout
    assert said == "5 -P -m deployer plan a b, sees none\n"
    assert "exec " in door.read_text()


def test_a_fresh_clone_runs_the_deployer_from_its_own_lock(checkout: Checkout) -> None:
    """`run deployer` makes the small environment, unless `.venv` is there and up to date."""
    checkout.dev("types")
    checkout.dev("run", "deployer", "status")
    assert checkout.installs == ["requirements/dev.txt"]
    (checkout.path / "requirements" / "dev.txt").write_text("")
    checkout.dev("run", "deployer", "status")
    assert checkout.installs == ["requirements/deployer.txt", "requirements/dev.txt"]


def test_the_deployers_smoke_tests_need_the_tools(checkout: Checkout) -> None:
    """`run deployer smoke` runs pytest and a local AWS, and so needs what `.venv` holds."""
    checkout.dev("run", "deployer", "smoke")
    assert checkout.installs == ["requirements/dev.txt"]


def test_smoke_tests_get_their_own_lock_alone(checkout: Checkout) -> None:
    """Beside a role in AWS nothing is installed but requirements/smoke.txt, not even the checkout."""
    checkout.dev("smoke", "--collect-only")
    assert checkout.installs == ["requirements/smoke.txt"]
    assert "-e ." not in Path(checkout.environment["UV_LOG"]).read_text()
    assert not (checkout.path / ".venv").exists()


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    """An environment whose lock changed is made anew; the other is left alone."""
    checkout.dev("setup")
    (checkout.path / "requirements" / "local-aws.txt").write_text("")
    assert checkout.dev("setup").returncode == 0
    assert checkout.installs[1:] == ["requirements/local-aws.txt"] * 2


def test_a_moved_checkout_is_set_up_again(checkout: Checkout, tmp_path: Path) -> None:
    """An environment that was moved with its checkout, and so is broken, is made anew."""
    checkout.dev("setup")
    checkout.path.rename(tmp_path / "moved")
    moved = Checkout(tmp_path / "moved", checkout.environment)
    assert moved.dev("setup").returncode == 0
    assert len(moved.installs) == 4


def test_an_environment_that_failed_half_way_is_made_again(checkout: Checkout) -> None:
    """After a failed installation the next run starts over instead of trusting what is there."""
    error_of(checkout.dev("types", UV_SAYS="error: killed"))
    assert (checkout.path / ".venv").exists()
    assert checkout.dev("setup").returncode == 0


@pytest.mark.parametrize(
    ("said", "what", "found"),
    [
        (
            "error: client error (Connect): dns error: failed to lookup address",
            "could not reach the package index, or it lacks a package",
            "uv said: error: client error (Connect): dns error: failed to lookup address",
        ),
        (
            "error: Hash mismatch for `six==1.17.0`",
            "a package is not the one `requirements/dev.txt` was made with",
            "uv said: error: Hash mismatch for `six==1.17.0`",
        ),
        (
            "error: failed to write: No space left on device (os error 28)",
            "no space left on the disk",
            r"found \d+ MB free at `.*`, expected about 1000 MB",
        ),
        (
            "error: something else",
            "could not install `requirements/dev.txt`",
            "uv said: error: something else",
        ),
    ],
)
def test_failures_of_the_installer_are_explained(
    said: str, what: str, found: str, checkout: Checkout
) -> None:
    """Each way an installation fails is one error that says what happened and shows the last line."""
    first, second, _ = error_of(checkout.dev("types", UV_SAYS=said))
    assert first == f"error: {what}"
    assert re.fullmatch(found if "\\d" in found else re.escape(found), second.strip())


def test_an_unreachable_index_is_told_as_such(checkout: Checkout, tmp_path: Path) -> None:
    """The real uv, in front of an index that does not answer, ends in that error."""
    if not shutil.which("uv"):
        pytest.skip("there is no uv on PATH")
    settings = {
        "PATH": os.environ["PATH"],
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_HTTP_RETRIES": "0",
    }
    first, second, _ = error_of(checkout.dev("types", **settings))
    assert first == "error: could not reach the package index, or it lacks a package"
    assert second.startswith("  uv said: ")


def without(module: str, checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """Run `dev.py types` where there is no uv, and no pip but for what a Python without `module` has."""
    script = f"import sys, runpy; sys.modules['pip'] = sys.modules['{module}'] = None;"
    script += "import sysconfig; sysconfig.get_config_var = lambda name: None;"
    script += "sys.argv = ['dev.py', 'types']; sys.path.insert(0, '.'); runpy.run_path('dev.py', run_name='__main__')"
    environment = {**checkout.environment, "PATH": os.defpath, "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, cwd=checkout.path, env=environment, text=True, capture_output=True, check=False
    )


def test_a_python_without_anything_to_install_with_is_told_what_to_install(checkout: Checkout) -> None:
    """Where there is no uv, no pip and no `ensurepip`, the error names what brings one."""
    if shutil.which("uv", path=os.defpath):
        pytest.skip("the system has a uv")
    (checkout.path / "requirements" / "uv.txt").write_text("")
    first, second, third = error_of(without("ensurepip", checkout))
    assert first == "error: there is nothing to install packages with"
    assert "without pip and `ensurepip`" in second
    assert "install uv, or the package `python3-venv`" in third


def test_an_old_python_is_refused(checkout: Checkout) -> None:
    """A Python older than the minimum gets one error before anything is made."""
    source = (checkout.path / "dev.py").read_text()
    (checkout.path / "dev.py").write_text(source.replace("PYTHON = (3, 11)", "PYTHON = (3, 99)"))
    first, second, _ = error_of(checkout.dev("test"))
    assert first == "error: this Python is too old"
    assert second == "  found {}.{}, expected 3.99 or newer".format(*sys.version_info[:2])
    assert not (checkout.path / ".venv").exists()


def test_an_incomplete_checkout_is_told_as_such(checkout: Checkout) -> None:
    """Without its lock file a checkout is not installed from something else."""
    (checkout.path / "requirements" / "dev.txt").unlink()
    first, second, _ = error_of(checkout.dev("types"))
    assert first == "error: this is not a whole checkout"
    assert "no `requirements/dev.txt`" in second


def test_the_source_in_the_template_is_not_set_up() -> None:
    """In the template's own folder nothing is made, as it would get into every new repository."""
    command = [sys.executable, "dev.py", "test"]
    result = subprocess.run(command, cwd=GENERATED, text=True, capture_output=True, check=False)
    assert error_of(result)[0] == "error: this is the template's source, not a generated repository"


def test_run_hands_over_arguments_and_status(checkout: Checkout) -> None:
    """`run` passes arguments as they are, and ends with the status of the program."""
    script = "import sys; print(sys.argv[1:]); sys.exit(7)"
    result = checkout.dev("run", "python", "-c", script, "a b", "$x", "*")
    assert result.returncode == 7
    assert result.stdout.splitlines()[-1] == "['a b', '$x', '*']"


def test_run_names_a_program_that_is_not_there(checkout: Checkout) -> None:
    """A misspelt program is one error."""
    assert error_of(checkout.dev("run", "no-such-program"))[0] == "error: no program `no-such-program`"


TIDY_PROGRAM = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: sys.exit('tidied up'))
print('ready', flush=True)
time.sleep(60)
"""
WAITING_DEV = """
import pathlib, sys, dev
sys.exit(dev.wait_for([sys.executable, '-c', sys.argv[1]], pathlib.Path()))
"""


@pytest.mark.parametrize(
    ("number", "command"),
    [
        pytest.param(signal.SIGINT, ["dev.py", "run", "python", "-c", TIDY_PROGRAM], id="handed over"),
        pytest.param(signal.SIGTERM, ["-c", WAITING_DEV, TIDY_PROGRAM], id="waited for"),
    ],
)
def test_signals_reach_the_program(number: int, command: list[str], checkout: Checkout) -> None:
    """The program gets a signal that was sent to dev.py alone, and can tidy up."""
    checkout.dev("setup")
    command = [sys.executable, *command]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=checkout.path, env=checkout.environment, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (1, "tidied up\n")


def test_tools_are_on_the_path_of_later_steps_in_actions(checkout: Checkout, tmp_path: Path) -> None:
    """In GitHub Actions `setup` appends the tools' folder to the file that GITHUB_PATH names."""
    paths = tmp_path / "github-path"
    assert checkout.dev("setup", GITHUB_PATH=str(paths)).returncode == 0
    assert paths.read_text() == f"{checkout.path.resolve() / '.venv' / 'bin'}\n"


@pytest.mark.parametrize(("only", "named"), [("deployer", [".venv-deployer/bin"]), ("smoke", [])])
def test_a_job_with_a_role_finds_the_deployer_alone(
    only: str, named: list[str], checkout: Checkout, tmp_path: Path
) -> None:
    """Later steps find the deployer where it was asked for, and no program of the smoke tests."""
    paths = tmp_path / "github-path"
    paths.touch()
    assert checkout.dev("setup", "--only", only, GITHUB_PATH=str(paths)).returncode == 0
    assert paths.read_text().splitlines() == [f"{checkout.path.resolve() / name}" for name in named]


def test_every_linter_runs_although_one_fails(checkout: Checkout) -> None:
    """All linters are run and named, the output of those that fail is shown, and the status is 1."""
    source = (checkout.path / "dev.py").read_text()
    start, end = source.index("LINTERS = ("), source.index("\n)\n", source.index("LINTERS = ("))
    made_up = 'LINTERS = (\n    "bad pyproject.toml",\n    "good requirements/*.txt",'
    (checkout.path / "dev.py").write_text(source[:start] + made_up + source[end:])
    result = checkout.dev("lint")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-3:] == [
        "lint: FAILED bad pyproject.toml",
        "bad ran on pyproject.toml",
        "lint: ok     good requirements/*.txt",
    ]


def wheel_of(
    folder: Path, name: str, platform: str = "any", version: str = "1", files: Mapping[str, str] | None = None
) -> str:
    """Write a wheel into the folder, and return its line in a lock, without the name."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    wheel = folder / f"{module}-{version}-py3-none-{platform}.whl"
    info = f"{module}-{version}.dist-info"
    contents = {
        f"{module}.py": "",
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{platform}\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16  # a script stays executable
            archive.writestr(entry, text)
    page = "".join(f'<a href="{each.name}">{each.name}</a>' for each in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(page)
    return f"    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


@dataclass(frozen=True)
class Index:
    """An index on this machine that has one package, over HTTP and HTTPS with a certificate of its own."""

    folder: Path
    http: str
    https: str
    certificate: Path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Serve the folder in which a test can put wheels of the package `made-up`."""
    if not shutil.which("openssl") or not shutil.which("uv"):
        pytest.skip("there is no openssl or no uv on PATH")
    folder = tmp_path_factory.mktemp("index")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    handler = partial(Quiet, directory=str(folder))
    plain, safe = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    safe.socket = context.wrap_socket(safe.socket, server_side=True)
    for server in (plain, safe):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    ports = [server.server_address[1] for server in (plain, safe)]
    yield Index(folder, f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}", certificate)
    for server in (plain, safe):
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


NOWHERE = "http://127.0.0.1:9/simple"
PIP_CONFS = {
    "an index": "[global]\nindex-url = {http}/simple\n",
    "an index for install alone": "[global]\nindex-url = {nowhere}\n[install]\nindex-url = {http}/simple\n",
    "a further index": "[global]\nindex-url = {http}/older\nextra-index-url =\n    {http}/none\n    {http}/simple\n",
    "no network but a wheel folder": "[install]\nno-index = true\nfind-links = {folder}/simple/made-up\n",
    "a page of links": "[global]\nno-index = yes\nfind-links =\n  {folder}\n  {http}/simple/made-up/\n",
    "an index whose CA is the company's": "[global]\nindex-url = {https}/simple\ncert = {certificate}\n",
    "a trusted host": "[global]\nindex-url = {https}/simple\ntrusted-host =\n  example.com\n  127.0.0.1\n",
}


def configured(index: Index, checkout: Checkout, tmp_path: Path, text: str) -> Checkout:
    """Return a checkout whose smoke tests need the index's package, on a machine with that pip.conf alone."""
    line = wheel_of(index.folder / "simple" / "made-up", "made-up")
    wheel_of(index.folder / "older" / "made-up", "made-up", version="0")
    (checkout.path / "requirements" / "smoke.txt").write_text(f"made-up==1 \\\n{line}\n")
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    values = {
        "nowhere": NOWHERE,
        **{name: getattr(index, name) for name in ("http", "https", "folder", "certificate")},
    }
    (home / ".config" / "pip" / "pip.conf").write_text(text.format(**values))
    dropped = re.compile("(PIP|UV|XDG|SSL|REQUESTS|CURL)_|.*_proxy$", re.IGNORECASE)
    plain = {
        name: value
        for name, value in checkout.environment.items()
        if not dropped.match(name) or name == "UV_LOG"
    }
    own = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_HTTP_RETRIES": "0",
    }
    # A stand-in for a version manager looks for its versions at home.
    own["PATH"] = os.pathsep.join([str(Path(shutil.which("uv")).resolve().parent), own["PATH"]])
    return Checkout(checkout.path, {**plain, **own})


@pytest.mark.parametrize("kind", PIP_CONFS)
def test_what_was_configured_for_pip_reaches_uv(
    kind: str, index: Index, checkout: Checkout, tmp_path: Path
) -> None:
    """The real uv installs from where pip.conf says that packages are."""
    ours = configured(index, checkout, tmp_path, PIP_CONFS[kind])
    result = ours.dev("setup", "--only", "smoke")
    assert result.returncode == 0, result.stderr
    assert list(ours.path.glob(".venv-smoke/lib/python*/site-packages/made_up.py"))


def test_a_variable_of_pips_wins_over_its_file(index: Index, checkout: Checkout, tmp_path: Path) -> None:
    """PIP_INDEX_URL reaches uv before what pip.conf says."""
    ours = configured(index, checkout, tmp_path, "[global]\nindex-url = {nowhere}\n")
    assert ours.dev("setup", "--only", "smoke").returncode == 1
    result = ours.dev("setup", "--only", "smoke", PIP_INDEX_URL=f"{index.http}/simple")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("by", ["variable", "file"])
def test_what_was_configured_for_uv_stays(by: str, index: Index, checkout: Checkout, tmp_path: Path) -> None:
    """Who told uv itself where packages are gets them from there, whatever pip.conf says."""
    ours = configured(index, checkout, tmp_path, "[global]\nindex-url = {nowhere}\nno-index = true\n")
    url = f"{index.http}/simple"
    file = tmp_path / "home" / ".config" / "uv" / "uv.toml"
    if by == "file":
        file.parent.mkdir()
        file.write_text(f'[[index]]\nurl = "{url}"\ndefault = true\n')
    settings = {"UV_DEFAULT_INDEX": url} if by == "variable" else {}
    result = ours.dev("setup", "--only", "smoke", **settings)
    assert result.returncode == 0, result.stderr


def test_a_lying_index_is_found_out(index: Index, checkout: Checkout, tmp_path: Path) -> None:
    """A wheel that is not the locked one is not installed, wherever it comes from."""
    ours = configured(index, checkout, tmp_path, PIP_CONFS["an index"])
    (ours.path / "requirements" / "smoke.txt").write_text(f"made-up==1 --hash=sha256:{'0' * 64}\n")
    result = ours.dev("setup", "--only", "smoke")
    assert error_of(result)[0] == "error: a package is not the one `requirements/smoke.txt` was made with"


@pytest.mark.parametrize("further", ["", "require-virtualenv = true\nuser = true\n"], ids=["plain", "strict"])
def test_the_locked_uv_is_brought_where_there_is_none(
    further: str, index: Index, checkout: Checkout, tmp_path: Path
) -> None:
    """Where no uv is on PATH, pip installs the locked one, once, from where it is told to; nothing else uses pip."""
    if shutil.which("uv", path=os.defpath):
        pytest.skip("the system has a uv")
    links = "[global]\nno-index = true\nfind-links = {folder}/uv\n" + further
    ours = configured(index, checkout, tmp_path, links)
    script = FAKE_UV.format(python=sys.executable)
    line = wheel_of(index.folder / "uv", "uv", files={"uv-1.data/scripts/uv": script})
    (ours.path / "requirements" / "uv.txt").write_text(f"uv==1 \\\n{line}\n")
    result = ours.dev("setup", PATH=os.defpath)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("setup: uv from requirements/uv.txt") == 1
    assert ours.installs == ["requirements/dev.txt", "requirements/local-aws.txt"]
    assert all("--no-index" in line for line in ours.log if "pip install" in line)
    again = ours.dev("setup", "--only", "smoke", PATH=os.defpath)
    assert "setup: uv" not in again.stdout, again.stderr


def test_what_was_set_for_other_programs_does_not_reach_ours(checkout: Checkout) -> None:
    """Modules of a user's PYTHONPATH are not found, and byte-code is kept whatever the machine says."""
    script = "import os; print([name for name in os.environ if name in " + repr(list(NOT_OURS)) + "])"
    result = checkout.dev("run", "python", "-c", script, PYTHONPATH="/elsewhere", PYTHONDONTWRITEBYTECODE="1")
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def wheels(checkout: Checkout, tmp_path: Path) -> Checkout:
    """Return a checkout whose lock has a package with wheels for Linux on x86-64 and Windows alone."""
    if not shutil.which("uv"):
        pytest.skip("there is no uv on PATH")
    index = tmp_path / "index" / "made-up"
    lines = [wheel_of(index, "made-up", platform) for platform in ("manylinux2014_x86_64", "win_amd64")]
    for lock in (checkout.path / "requirements").glob("*.txt"):
        lock.write_text("")
    (checkout.path / "requirements" / "dev.txt").write_text(" \\\n".join(["made-up==1", *lines]) + "\n")
    settings = {
        "PATH": os.environ["PATH"],
        "UV_DEFAULT_INDEX": index.parent.as_uri(),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    return Checkout(checkout.path, {**checkout.environment, **settings})


def test_a_lock_that_lacks_a_wheel_somewhere_is_refused(wheels: Checkout) -> None:
    """The real uv finds the platforms without a wheel; each is named once, with every Python that lacks it."""
    result = wheels.dev("lock", "--check")
    pythons = "3.11, 3.12, 3.13, 3.14"
    assert result.stdout.splitlines() == [
        "lock: ok     requirements/deployer.txt",
        "lock: FAILED requirements/dev.txt",
        f"lock: no wheel of made-up for Linux arm64, Python {pythons}",
        f"lock: no wheel of made-up for macOS arm64, Python {pythons}",
        "lock: ok     requirements/local-aws.txt",
        "lock: ok     requirements/smoke.txt",
    ]
    assert error_of(result)[:2] == [
        "error: a lock cannot be installed on every platform",
        "  found 2 wheels missing, listed above, expected none",
    ]
    assert not list(wheels.path.glob(".venv*"))


def test_a_package_left_out_by_a_marker_is_not_missing(wheels: Checkout) -> None:
    """A marker that leaves the package out where it has no wheel satisfies the check."""
    lock = wheels.path / "requirements" / "dev.txt"
    marker = "made-up==1 ; sys_platform != 'darwin' and platform_machine != 'aarch64'"
    lock.write_text(lock.read_text().replace("made-up==1", marker))
    result = wheels.dev("lock", "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_index_that_cannot_be_asked_is_no_missing_wheel(wheels: Checkout) -> None:
    """Where the index does not answer, the check ends in that error and names no platform."""
    result = wheels.dev("lock", "--check", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0")
    assert error_of(result)[0] == "error: could not reach the package index, or it lacks a package"
    assert "no wheel" not in result.stdout


@pytest.mark.parametrize(("machine", "status"), [("arm64", 0), ("x86_64", 1)])
def test_a_linter_without_a_build_is_left_out_in_one_line(
    machine: str, status: int, checkout: Checkout
) -> None:
    """`run`, by which pre-commit starts it, says so where the lock leaves it out, and fails elsewhere."""
    source = (checkout.path / "dev.py").read_text()
    where = f'sys.platform = "linux"\nplatform.machine = lambda: "{machine}"\n'
    (checkout.path / "dev.py").write_text(source.replace("MINIMUM_PYTHON =", where + "MINIMUM_PYTHON =", 1))
    (checkout.path / "dev.py").write_text(
        (checkout.path / "dev.py").read_text().replace('"hadolint --', '"no-such-linter --')
    )
    result = checkout.dev("run", "no-such-linter", "Dockerfile")
    assert result.returncode == status
    left_out = "run: left out, no build for this platform: no-such-linter"
    assert (left_out in result.stdout) == (status == 0)


def test_clean_leaves_what_the_user_wrote(checkout: Checkout) -> None:
    """`clean` removes the environments and caches, and no file of the checkout."""
    before = sorted(path.name for path in checkout.path.iterdir())
    checkout.dev("setup")
    (checkout.path / ".pytest_cache").mkdir()
    assert checkout.dev("clean").returncode == 0
    assert sorted(path.name for path in checkout.path.iterdir()) == before


@pytest.mark.parametrize("folder", [ROOT, GENERATED], ids=["template", "generated"])
def test_every_target_has_a_door_in_the_makefile(folder: Path) -> None:
    """Each target of dev.py that needs no arguments is a target of make, with the same name."""
    makefile = (folder / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    source = (folder / "dev.py").read_text()
    table = source[source.index("TARGETS: dict") :]
    targets = set(re.findall(r'^    "([a-z-]+)": \(', table, re.MULTILINE))
    assert set(phony.split()) == targets - {"run", "adopt"} | {"help"}


def test_usage_lists_every_target(checkout: Checkout) -> None:
    """Without a target, the targets are listed; an unknown one ends with status 2."""
    usage = checkout.dev()
    assert usage.returncode == 0
    for target in ("setup", "test", "lint", "types", "rehearse", "verify", "adopt", "lock", "clean", "run"):
        assert re.search(rf"^  {target} ", usage.stdout, re.MULTILINE)
    assert checkout.dev("tset").returncode == 2


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make on PATH")
def test_make_is_the_same_command(checkout: Checkout) -> None:
    """`make` lists the targets as `python3 dev.py` does."""
    command = ["make", f"PYTHON={sys.executable}"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(command, cwd=checkout.path, env=outside, text=True, capture_output=True, check=True)
    assert made.stdout == checkout.dev("help").stdout


@pytest.fixture
def follower(checkout: Checkout, tmp_path: Path) -> Checkout:
    """Return a checkout made from the newest commit of a template that lies beside it."""
    template = tmp_path / "template"
    subprocess.run(["git", "init", "--quiet", str(template)], check=True)
    said = {"template": str(template), "commit": commit(template, "first"), "checkout": None}
    (checkout.path / ".cruft.json").write_text(json.dumps(said))
    return checkout


def test_a_repository_as_new_as_its_template_is_not_outdated(follower: Checkout) -> None:
    """`outdated` asks the template for its newest commit, installs nothing, and compares."""
    result = follower.dev("outdated")
    assert result.returncode == 0, result.stderr
    assert follower.log == []


def test_a_template_that_has_moved_is_told(follower: Checkout, tmp_path: Path) -> None:
    """After a commit to the template the error names both commits and how to follow."""
    newest = commit(tmp_path / "template", "second")
    first, second, third = error_of(follower.dev("outdated"))
    assert first == "error: the template has moved on"
    assert newest[:12] in second
    assert "`cruft update --skip-apply-ask`" in third


def test_a_template_that_cannot_be_asked_is_no_good_news(follower: Checkout, tmp_path: Path) -> None:
    """A template that is gone, and a repository that follows none, are errors of their own."""
    shutil.rmtree(tmp_path / "template")
    assert error_of(follower.dev("outdated"))[0].endswith("could not be asked for its newest commit")
    (follower.path / ".cruft.json").unlink()
    assert "which template this repository follows" in error_of(follower.dev("outdated"))[0]
