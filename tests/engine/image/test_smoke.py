"""`deployer smoke` on the real image, and on images and smoke folders that are wrong in one way each."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from testbed import local_aws
from testbed.local_aws import LocalAws

from deployer.cli import smoke_commands
from deployer.clock import SystemClock
from deployer.config import parse
from deployer.context import Context
from deployer.errors import DeployerError
from deployer.image.build import BuiltImage
from engine.image.conftest import PROJECT, Docker, unavailable

SECRET = "a-credential-of-ours"
CONFIG = '[project]\nname = "smoke"\n[function]\nname = "smoke"\nregion = "eu-central-1"\narchitecture = "x86_64"\n'

# Every wrong function starts from a right one: it makes the photo half its size and says so.
RIGHT = """
import boto3, io, json, os, urllib.parse
from PIL import Image
def handler(event, context):
    if "Records" not in event:
        return {"resized": [], "skipped": []}
    [record] = event["Records"]
    bucket = record["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
    s3 = boto3.client("s3")
    photo = Image.open(s3.get_object(Bucket=bucket, Key=key)["Body"])
    small = io.BytesIO()
    photo.resize((photo.width // 2, photo.height // 2)).save(small, "JPEG")
    target = os.environ["RESIZED_BUCKET"]
    s3.put_object(Bucket=target, Key=key, Body=small.getvalue(), ContentType="image/jpeg")
    return {"resized": [{"bucket": target, "key": key}], "skipped": []}
"""
FAILED = "smoke test `test_photo_is_resized` failed"


@dataclass
class Heard:
    """What a command said."""

    lines: list[str] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)


@dataclass
class Smoke:
    """`deployer smoke` of one image, in a checkout of its own that a test may change."""

    docker: Docker
    reference: str
    local: LocalAws
    root: Path
    names: list[str] = field(default_factory=list)

    def __call__(self, handler: str | None = None, *, config: str = CONFIG, tests: str | None = None) -> str:
        """Smoke the real image, or one with another handler on top; returns what was said. Leaves no container."""
        name = self.reference
        if handler is not None:
            name = other_image(self.docker, self.reference, self.root / "build", handler)
            self.names.append(name)
        if tests is not None:
            given_only_test(self.root, tests)
        try:
            heard = Heard()
            smoke_commands.smoke_image(
                context_of(self.root, heard, config), built(self.docker, name), self.local
            )
            return "\n".join(heard.lines)
        finally:
            assert not containers_of(self.docker, name)


@pytest.fixture(scope="module")
def local(docker: Docker) -> Iterator[LocalAws]:
    """Run a local AWS."""
    try:
        local_aws.find_python()
    except DeployerError as error:
        unavailable(f"{error.what}: {error.hint}")
    with local_aws.running(docker=[docker.client]) as running:
        yield running


@pytest.fixture(scope="module")
def reference(docker: Docker, dockerfile: Path) -> Iterator[str]:
    """Return the name of this checkout's real image."""
    name = f"smoke-test:{uuid.uuid4().hex[:12]}"
    # The label makes it an image of its own: containers that others start from an equal one are not ours.
    options = ("--label", f"name={name}", "--file", str(dockerfile))
    docker("build", "--quiet", "--tag", name, *options, str(PROJECT), timeout_s=600)
    yield name
    docker("rmi", "--force", name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the part of a checkout that `deployer smoke` reads."""
    shutil.copytree(PROJECT / "smoke", tmp_path / "smoke")
    shutil.copytree(PROJECT / "infra", tmp_path / "infra")
    (tmp_path / "deploy.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "build").mkdir()
    return tmp_path


@pytest.fixture
def smoke(
    docker: Docker, reference: str, local: LocalAws, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Smoke]:
    """Return the command, with credentials of ours in its environment."""
    monkeypatch.setenv("DOCKER", docker.client)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    made = Smoke(docker, reference, local, root)
    yield made
    for name in made.names:
        docker("rmi", "--force", name)


def context_of(root: Path, output: Any, config: str = CONFIG) -> Context:
    """Return what the command holds; it reaches no AWS."""
    (root / "deploy.toml").write_text(config, encoding="utf-8")
    return Context(parse(config), root, "production", output, SystemClock(), _no_aws)


def _no_aws(*_: object) -> object:
    raise AssertionError("smoke reached for AWS")


def given_only_test(root: Path, source: str) -> None:
    """Leave one test in smoke/, and no sample."""
    for path in [*(root / "smoke").glob("test_*.py"), root / "smoke" / "sample.toml"]:
        path.unlink(missing_ok=True)
    (root / "smoke" / "test_one.py").write_text(source, encoding="utf-8")


def built(docker: Docker, name: str) -> BuiltImage:
    """Return the image as `build` would describe it, by the engine's own id."""
    identity, platform = docker(
        "image", "inspect", name, "--format", "{{.Id}} {{.Os}}/{{.Architecture}}"
    ).split()
    return BuiltImage(name, identity, platform, Path("image.tar"), "")


def other_image(docker: Docker, reference: str, context: Path, handler: str) -> str:
    """Build an image that starts this handler instead of the real one."""
    (context / "other.py").write_text(handler, encoding="utf-8")
    lines = (f"FROM {reference}", "COPY --chmod=0644 other.py .", 'CMD ["other.handler"]', "")
    (context / "Dockerfile").write_text("\n".join(lines), encoding="utf-8")
    name = f"smoke-test:{uuid.uuid4().hex[:12]}"
    docker("build", "--quiet", "--tag", name, str(context))
    return name


def containers_of(docker: Docker, name: str) -> list[str]:
    """Return the containers that were started from an image."""
    return docker("ps", "--all", "--filter", f"ancestor={name}", "--format", "{{.Names}}").split()


def test_real_image_passes(smoke: Smoke) -> None:
    """The image of this checkout passes the owner's tests and the sample; a trigger's test is left out by name."""
    said = smoke()
    assert "smoke      1 test passed: test_photo_is_resized" in said
    assert "left out test_new_photo_triggers_the_function: only a container runs here" in said
    assert "probe      the image answers smoke/probe.json" in said
    assert "sample     the answer and 1 look at what it left are as expected" in said


def test_size_in_deploy_toml_reaches_the_container(smoke: Smoke) -> None:
    """The container has the literals of deploy.toml, so a project that fits to 30 pixels passes as well."""
    assert "1 test passed" in smoke(config=CONFIG + "[function.variables]\nFIT_PX = 30\n")


def test_label_that_moved_does_not_matter(smoke: Smoke, docker: Docker, root: Path) -> None:
    """If the label points at another image by now, the tarball that was built is smoke-tested."""
    name = other_image(docker, smoke.reference, root / "build", RIGHT)
    tar = root / "image.tar"
    docker("save", "--output", str(tar), name)
    right = replace(built(docker, name), tar=tar)
    docker("rmi", "--force", name)
    docker("tag", smoke.reference, name)
    heard = Heard()
    smoke_commands.smoke_image(context_of(root, heard), right, smoke.local)
    assert heard.lines[0] == f"loading {tar}"
    docker("rmi", "--force", name)


def test_right_function_passes(smoke: Smoke) -> None:
    """The function the wrong ones below are made from passes."""
    assert "1 test passed" in smoke(RIGHT)


@pytest.mark.parametrize(
    ("old", "new", "what", "found"),
    [
        pytest.param("s3.put_object", "dict", FAILED, "NoSuchKey", id="nothing is written"),
        pytest.param("width // 2", "width // 3", FAILED, r"\(32, 32\) == \(48, 32\)", id="the size is wrong"),
        pytest.param('"key": key}', '"key": "x"}', FAILED, r"\['x'\] == ", id="the answer names another"),
        pytest.param('"skipped": []', '"skipped": [1]', FAILED, r"\[1\] == \[\]", id="something was skipped"),
        pytest.param("[record] =", "raise ValueError(", FAILED, "ValueError: 1", id="it raises"),
        pytest.param("import boto3,", "import no_such_module,", FAILED, "no_such_module", id="no import"),
        pytest.param(
            "import boto3,", "import sys; sys.exit(3)\nimport", FAILED, "failed", id="it ends at once"
        ),
        pytest.param(
            "small = io",
            "open('/var/tmp/x', 'w'); small = io",
            FAILED,
            "Read-only file system",
            id="it writes to disk",
        ),
        pytest.param(
            'ContentType="image/jpeg")',
            'ContentType="text/plain")',
            "the sample did not give what is expected",
            r"ContentType: found `text/plain`, expected `image/jpeg`",
            id="only the sample notices",
        ),
        pytest.param(
            'return {"resized": [], "skipped": []}',
            'raise ValueError("no idea")',
            "the image does not answer `smoke/probe.json`",
            "ValueError: no idea",
            id="only the probe fails",
        ),
    ],
)
def test_wrong_image_is_noticed(smoke: Smoke, old: str, new: str, what: str, found: str) -> None:
    """An image with one thing wrong fails by the name of the test, without any credential of ours."""
    handler = RIGHT.replace(old, new).replace('raise ValueError( event["Records"]', "raise ValueError(1)")
    assert handler != RIGHT
    with pytest.raises(DeployerError, match=what) as error:
        smoke(handler)
    assert re.search(found, str(error.value.found)), error.value
    assert error.value.hint
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "handler",
    [
        "def handler(event, context): raise RuntimeError('no idea')\n",
        "import sys\ndef handler(event, context): print('no idea'); sys.exit(3)\n",
    ],
    ids=["it raises", "it ends"],
)
def test_end_of_the_log_is_shown(smoke: Smoke, handler: str) -> None:
    """A function that fails shows what it logged last."""
    with pytest.raises(DeployerError, match=FAILED) as error:
        smoke(handler)
    shown = str(error.value.found)
    assert "its log ends with:" in shown
    assert "no idea" in shown.partition("its log ends with:")[2]


def test_environment_is_made_up(smoke: Smoke) -> None:
    """The container gets nothing of our environment, and neither do the tests that call it."""
    smoke(
        "import os\ndef handler(event, context): return dict(os.environ)\n",
        tests=f"""
import os

def test_environment(invoke):
    found = invoke({{}})
    assert found["AWS_SECRET_ACCESS_KEY"] == "smoke"
    assert {SECRET!r} not in str(found) + str(dict(os.environ))
""",
    )


def test_names_of_the_internet_do_not_resolve(smoke: Smoke) -> None:
    """A function that wants something from the internet by name fails in the smoke test already."""
    smoke(
        "def handler(event, context): return open('/etc/resolv.conf').read()\n",
        tests="""
def test_dns(invoke):
    lines = [line.split() for line in invoke({}).splitlines()]
    assert [line[1] for line in lines if line[:1] == ["nameserver"]] == ["127.0.0.1"]
""",
    )


def test_any_function_can_be_smoked(smoke: Smoke, root: Path) -> None:
    """What is made for the container is the owner's to say: here a table, and a queue that AWS names itself."""
    (root / "infra" / "service.yaml").write_text("Outputs:\n  Table:\n    Value: !Ref T\n  Queue: {}\n")
    (root / "smoke" / "local.toml").write_text(
        """
[variables]
GREETING = "hello"
[variables_from_resources]
TABLE = "Table"
QUEUE_URL = "Queue"
[[resources]]
key = "Table"
name = "greetings"
call = "dynamodb.create_table"
arguments = { TableName = "${Table}", BillingMode = "PAY_PER_REQUEST", KeySchema = [{ AttributeName = "id", KeyType = "HASH" }], AttributeDefinitions = [{ AttributeName = "id", AttributeType = "S" }] }
[[resources]]
key = "Queue"
answer = "QueueUrl"
call = "sqs.create_queue"
arguments = { QueueName = "of-${Table}" }
"""
    )
    handler = """
import os
def handler(event, context):
    return [os.environ[name] for name in ("GREETING", "TABLE", "QUEUE_URL")]
"""
    tests = """
def test_names(invoke, client, resources):
    assert invoke({}) == ["hello", resources["Table"], resources["Queue"]]
    assert client("dynamodb").describe_table(TableName=resources["Table"])
    assert client("sqs").get_queue_attributes(QueueUrl=resources["Queue"])
"""
    for _ in range(2):  # what is there already is fine
        assert "1 test passed: test_names" in smoke(handler, tests=tests)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to another process")
def test_interrupted_smoke_leaves_no_container(
    docker: Docker, reference: str, local: LocalAws, root: Path
) -> None:
    """Ctrl-C while the function hangs removes the container, also in a job that is started to ignore Ctrl-C."""
    hanging = "import time\ndef handler(event, context): time.sleep(60)\n"
    name = other_image(docker, reference, root / "build", hanging)
    image = built(docker, name)
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that it is ignored
from pathlib import Path
from types import SimpleNamespace
from deployer.cli import smoke_commands
from deployer.image.build import BuiltImage
from engine.image.test_smoke import Heard, context_of
image = BuiltImage({image.reference!r}, {image.config_digest!r}, {image.platform!r}, Path("image.tar"), "")
local = SimpleNamespace(endpoint={local.endpoint!r}, container_endpoint={local.container_endpoint!r}, region={local.region!r})
smoke_commands.smoke_image(context_of(Path({str(root)!r}), Heard()), image, local)
"""
    env = {**os.environ, "DOCKER": docker.client}
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=PROJECT, env=env, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not containers_of(docker, name) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        started = bool(containers_of(docker, name))
        time.sleep(2)  # until the function hangs
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    left = containers_of(docker, name)
    docker("rmi", "--force", name)
    assert started
    assert b"KeyboardInterrupt" in errors
    assert not left


def test_command_starts_a_local_aws_of_its_own(
    docker: Docker, reference: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command on its own starts a local AWS for the container, and says so."""
    monkeypatch.setenv("DOCKER", docker.client)
    heard = Heard()
    context = context_of(root, heard)
    with smoke_commands.local_aws(context) as local:
        smoke_commands.smoke_image(context, built(docker, reference), local)
    assert heard.lines[0] == "starting   a local AWS"
    assert any(line.startswith("smoke      1 test passed") for line in heard.lines)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        pytest.param(
            "smoke/test_resize.py", "import no_such_module\n", "imports what is not there", id="test"
        ),
        pytest.param("smoke/test_resize.py", None, "`smoke/` has no test", id="no test"),
        pytest.param("smoke/probe.json", None, "there is no `smoke/probe.json`", id="no probe"),
        pytest.param("smoke/sample.json", "{", "`smoke/sample.json` is no JSON", id="sample"),
        pytest.param("smoke/local.toml", "[resource]\n", "`smoke/local.toml` has unknown keys", id="local"),
    ],
)
def test_bad_folder_is_told_before_anything_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch, path: str, content: str | None, words: str
) -> None:
    """What is wrong in smoke/ is one error without an image, an engine or a local AWS."""
    monkeypatch.setenv("DOCKER", str(root / "no-docker"))
    (root / path).unlink() if content is None else (root / path).write_text(content)
    heard = Heard()
    with pytest.raises(DeployerError, match=words) as error:
        smoke_commands.smoke(context_of(root, heard), deployed=False)
    assert error.value.hint
    assert heard.lines == []
