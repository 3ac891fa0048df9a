"""The image as it runs: built for real, started under the Runtime Interface Emulator, looked at from inside."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.image.conftest import PROJECT, Docker

pytestmark = pytest.mark.docker

Build = Callable[..., str]
Inside = Callable[[str], Any]


@pytest.fixture(scope="module")
def build(docker: Docker, dockerfile: Path) -> Iterator[Build]:
    """Return a builder of images under names of their own, all of them removed at the end."""
    names: list[str] = []

    def make(*options: str, context: Path = PROJECT) -> str:
        name = f"function-test:{uuid.uuid4().hex[:12]}"
        file = ("--file", str(dockerfile))
        docker("build", "--quiet", "--tag", name, *file, *options, str(context), timeout_s=600)
        names.append(name)
        return name

    yield make
    for name in names:
        docker("rmi", "--force", name)


@pytest.fixture(scope="module")
def image(build: Build) -> str:
    """Return the image of this checkout."""
    return build()


@pytest.fixture
def running(docker: Docker, image: str) -> Iterator[str]:
    """Run the image as Lambda does: nothing writable but /tmp, as a user the image does not know."""
    container = docker(
        *("run", "--detach", "--read-only", "--tmpfs", "/tmp", "--user", "12345:23456"),  # noqa: S108
        *("--publish", "127.0.0.1::8080", "--env", "RESIZED_BUCKET=resized"),
        *("--env", "AWS_DEFAULT_REGION=eu-west-1", image),
    )
    yield container
    docker("rm", "--force", container)


@pytest.fixture(scope="module")
def inside(docker: Docker, image: str) -> Inside:
    """Return a runner of Python code in the image, read-only; what the code calls `answer` comes back."""

    def run(code: str) -> Any:
        script = f"import json, pathlib\ntask = pathlib.Path('/var/task')\n{code}\nprint(json.dumps(answer))"
        options = ("--rm", "--read-only", "--user", "12345:23456", "--entrypoint", "python3")
        variables = ("--env", "PYTHONPATH=/var/task", "--env", "AWS_DEFAULT_REGION=eu-west-1")
        printed = docker("run", *options, *variables, image, "-c", script)
        return json.loads(printed.splitlines()[-1])

    return run


def invoke(docker: Docker, container: str, event: Any) -> Any:
    """Send an event to a container's emulator, waiting for it to listen."""
    address = docker("port", container, "8080/tcp").splitlines()[0]
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    request = urllib.request.Request(url, json.dumps(event).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"the emulator does not answer:\n{docker('logs', container)}")


def copied_context(target: Path) -> Path:
    """Copy what the build sees, with other times and narrower permissions than the checkout has."""
    shutil.copytree(PROJECT / "app", target / "app", ignore=shutil.ignore_patterns("__pycache__"))
    (target / "requirements").mkdir()
    for name in ("Dockerfile", ".dockerignore", "requirements/app.txt"):
        shutil.copyfile(PROJECT / name, target / name)
    for path in (target / "app").glob("*.py"):
        path.write_bytes(path.read_bytes())
        path.chmod(0o600)
    return target


def unlike_any_other(target: Path) -> Path:
    """Copy what the build sees with a lock file of its own, so that the engine merges its build with no other.

    Equal builds at the same time become one, also when only one of them has a secret.
    """
    with (copied_context(target) / "requirements" / "app.txt").open("a", encoding="utf-8") as lock:
        lock.write(f"# {uuid.uuid4().hex}\n")
    return target


def layers(docker: Docker, image: str) -> list[str]:
    """Return the digests of an image's layers."""
    return list(json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)))


def test_it_answers_read_only_and_as_any_user(docker: Docker, running: str) -> None:
    """The function starts and answers where it may write nothing and is nobody."""
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "source"}
    assert invoke(docker, running, event) == {"resized": [], "skipped": []}


def test_an_unknown_event_is_an_error_of_the_function(docker: Docker, running: str) -> None:
    """An event from elsewhere is one clear error at the caller, and the function stays alive."""
    answer = invoke(docker, running, {"hello": "world"})
    assert answer["errorType"] == "UnknownEventError"
    assert answer["errorMessage"] == "expected an S3 notification with `Records`, found `hello`"
    assert invoke(docker, running, {"Event": "s3:TestEvent"})["resized"] == []


def test_nothing_is_left_in_tmp(docker: Docker, running: str) -> None:
    """After it answered, the one writable directory is empty."""
    invoke(docker, running, {"Event": "s3:TestEvent"})
    assert docker("exec", running, "ls", "-A", "/tmp") == ""  # noqa: S108


def test_the_image_itself_is_nobody(docker: Docker, image: str) -> None:
    """Without any option the image runs as a numbered user without rights."""
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "65532:65532"


def test_every_module_has_byte_code_that_nothing_can_outdate(inside: Inside) -> None:
    """Each module is compiled, and marked as valid whatever its source's time is."""
    flags = inside(
        "import importlib.util\n"
        "answer = {}\n"
        "for source in task.rglob('*.py'):\n"
        "    code = pathlib.Path(importlib.util.cache_from_source(str(source)))\n"
        "    answer[str(source)] = code.exists() and int.from_bytes(code.read_bytes()[4:8], 'little')"
    )
    unchecked_hash = 0b01
    assert len(flags) > 200
    assert {source for source, flag in flags.items() if flag != unchecked_hash} == set()


def test_the_byte_code_is_used(docker: Docker, image: str) -> None:
    """Starting the function compiles nothing: every module it imports comes from its byte-code."""
    options = ("--rm", "--read-only", "--env", "PYTHONPATH=/var/task", "--env", "RESIZED_BUCKET=resized")
    # The interpreter says on stderr from which file each module's code comes; here it says it to us.
    script = "exec python3 -v -c 'import app.handler' 2>&1"
    told = docker("run", *options, "--entrypoint", "/bin/sh", image, "-c", script)
    origins = re.findall(r"# code object from '?(/var/task/[^\s']+)", told)
    assert len(origins) > 100
    assert [origin for origin in origins if not origin.endswith(".pyc")] == []


def test_everything_can_be_read_and_nothing_written(inside: Inside) -> None:
    """Lambda's user, whoever that is, may read every file and change none."""
    answer = inside(
        "modes = {str(path): path.stat().st_mode for path in [task, *task.rglob('*')]}\n"
        "wanted = lambda path: 0o005 if pathlib.Path(path).is_dir() else 0o004\n"
        "answer = [path for path, mode in modes.items() if mode & 0o022 or mode & wanted(path) != wanted(path)]"
    )
    assert answer == []


def test_only_the_code_and_its_packages_are_in_it(inside: Inside) -> None:
    """Nothing of the repository but app/ is in the image, and all of app/ is."""
    found = set(inside("answer = [path.name for path in task.iterdir()]"))
    packages = set(
        inside(
            "import importlib.metadata\n"
            "distributions = importlib.metadata.distributions(path=['/var/task'])\n"
            "answer = [str(file).split('/')[0] for known in distributions for file in known.files or []]"
        )
    )
    assert found - packages - {"__pycache__"} == {"app"}
    modules = set(inside("answer = [path.name for path in (task / 'app').iterdir()]")) - {"__pycache__"}
    assert modules == {path.name for path in (PROJECT / "app").glob("*.py")}


def test_the_sdk_is_ours_and_knows_the_services_in_use(inside: Inside) -> None:
    """The SDK comes from the lock file, not from the base image, and was trimmed to what is called."""
    code = (
        "import boto3, botocore, botocore.exceptions\n"
        "answer = {'files': [boto3.__file__, botocore.__file__]}\n"
        "answer['services'] = boto3.session.Session().get_available_services()\n"
        "answer['address'] = boto3.client('s3').meta.endpoint_url\n"
    )
    answer = inside(code)
    assert all(path.startswith("/var/task/") for path in answer["files"])
    dockerfile = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    kept = re.search(r'ARG AWS_SERVICES="([^"]*)"', dockerfile)
    assert kept
    assert answer["services"] == sorted(kept[1].split())
    assert answer["address"] == "https://s3.eu-west-1.amazonaws.com"


def test_every_decoder_is_there(inside: Inside) -> None:
    """Pillow in the image has the libraries of all allowed formats, the fast JPEG one among them."""
    answer = inside(
        "from PIL import features\n"
        "answer = [name for name in ('jpg', 'libjpeg_turbo', 'zlib', 'webp') if not features.check(name)]"
    )
    assert answer == []


def test_equal_code_makes_equal_layers(docker: Docker, image: str, build: Build, tmp_path: Path) -> None:
    """Neither the time of the build nor the checkout's times and permissions reach a layer."""
    again = build("--no-cache", context=copied_context(tmp_path))
    assert layers(docker, again) == layers(docker, image)


def test_a_change_of_the_code_changes_the_last_layer_only(
    docker: Docker, image: str, build: Build, tmp_path: Path
) -> None:
    """The packages' layer is reused, in the build and in the registry."""
    context = copied_context(tmp_path)
    with (context / "app" / "handler.py").open("a", encoding="utf-8") as handler:
        handler.write("# changed\n")
    changed, unchanged = layers(docker, build(context=context)), layers(docker, image)
    assert changed[:-1] == unchanged[:-1]
    assert changed[-1] != unchanged[-1]


@pytest.mark.parametrize(
    ("secret", "content"),
    [
        pytest.param(
            "pip-config", "[global]\nindex-url = http://127.0.0.1:9/none\nretries = 0\n", id="pip-config"
        ),
        pytest.param("ca-bundle", "no certificate at all\n", id="ca-bundle"),
    ],
)
def test_the_optional_secrets_are_used(build: Build, tmp_path: Path, secret: str, content: str) -> None:
    """An index nobody listens at, and certificates that are none, make the build fail: so both are heard."""
    path = tmp_path / secret
    path.write_text(content, encoding="utf-8")
    with pytest.raises(AssertionError, match="pip install"):
        build("--secret", f"id={secret},src={path}", context=unlike_any_other(tmp_path))


def test_the_optional_secrets_stay_out_of_the_image(docker: Docker, build: Build, tmp_path: Path) -> None:
    """A pip.conf given as a secret is neither in the image's history nor in its files."""
    path = tmp_path / "pip.conf"
    path.write_text("# marker-7f3a\n[global]\nretries = 2\n", encoding="utf-8")
    image = build("--secret", f"id=pip-config,src={path}", context=unlike_any_other(tmp_path))
    assert "marker-7f3a" not in docker("history", "--no-trunc", image)
    script = "grep -rl marker-7f3a /var/task /build /root /etc /run /opt 2>/dev/null | head -n 1"
    assert docker("run", "--rm", "--user", "0:0", "--entrypoint", "/bin/sh", image, "-c", script) == ""
