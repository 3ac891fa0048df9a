"""The smoke test, on the real image and on images that are wrong in one way each."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from testbed import local_aws

from deployer.config import Config, parse
from deployer.errors import DeployerError
from deployer.image import smoke as smoking
from deployer.image.build import BuiltImage
from engine.image.conftest import PROJECT, Docker, unavailable

SECRET = "a-credential-of-ours"
CONFIG = '[project]\nname = "smoke"\n[function]\nname = "smoke"\nregion = "eu-central-1"\narchitecture = "x86_64"\n'

# Every wrong function starts from a right one: it makes the photo half its size and says so.
RIGHT = """
import boto3, io, json, os, urllib.parse
from PIL import Image
def handler(event, context):
    [record] = event["Records"]
    bucket = record["s3"]["bucket"]["name"]
    key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
    s3 = boto3.client("s3")
    photo = Image.open(s3.get_object(Bucket=bucket, Key=key)["Body"])
    small = io.BytesIO()
    photo.resize((photo.width // 2, photo.height // 2)).save(small, "JPEG")
    target = os.environ["RESIZED_BUCKET"]
    s3.put_object(Bucket=target, Key=key, Body=small.getvalue())
    return {"resized": [{"bucket": target, "key": key}], "skipped": []}
"""

Smoke = Callable[..., smoking.SmokeResult]


@pytest.fixture(scope="module")
def s3(docker: Docker) -> Iterator[smoking.S3Endpoint]:
    """Return the S3 of a local AWS."""
    try:
        local_aws.find_python()
    except DeployerError as error:
        unavailable(f"{error.what}: {error.hint}")
    with local_aws.running(docker=[docker.client]) as running:
        yield smoking.S3Endpoint(running.endpoint, running.container_endpoint, running.region)


@pytest.fixture(scope="module")
def reference(docker: Docker, base_image: str) -> Iterator[str]:
    """Return the name of this checkout's real image."""
    name = f"smoke-test:{uuid.uuid4().hex[:12]}"
    argument = f"BASE_IMAGE={base_image}"
    docker("build", "--quiet", "--tag", name, "--build-arg", argument, str(PROJECT), timeout_s=600)
    yield name
    docker("rmi", "--force", name)


@pytest.fixture
def smoke(
    docker: Docker, reference: str, s3: smoking.S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Smoke]:
    """Return a smoke test of the real image, or of one with another handler on top; it leaves no container."""
    monkeypatch.setenv("DOCKER", docker.client)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    names: list[str] = []

    def run(handler: str | None = None, config: Config | None = None) -> smoking.SmokeResult:
        name = reference if handler is None else other_image(docker, reference, tmp_path, handler)
        names.extend([name] if handler is not None else [])
        try:
            return smoking.smoke(
                config or parse(CONFIG), built(docker, name), s3_endpoint=s3, say=lambda _: None
            )
        finally:
            assert not containers_of(docker, name)

    yield run
    for name in names:
        docker("rmi", "--force", name)


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


def test_real_image_makes_the_photo_half_its_size(smoke: Smoke) -> None:
    """The image of this checkout passes: its answer names the photo, and the object is half its size."""
    result = smoke()
    assert (result.photo_px, result.resized_px) == ((96, 64), (48, 32))
    assert str(result).startswith("photo 96x64 -> 48x32 in ")


def test_size_in_deploy_toml_does_not_matter(smoke: Smoke) -> None:
    """The smoke test is about the image: a project that fits to 4000 pixels passes as well."""
    assert smoke(config=parse(CONFIG + "[resize]\nfit_px = 4000\n")).resized_px == (48, 32)


def test_label_that_moved_does_not_matter(
    docker: Docker, reference: str, s3: smoking.S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the label points at another image by now, the tarball that was built is smoke-tested."""
    monkeypatch.setenv("DOCKER", docker.client)
    name = other_image(docker, reference, tmp_path, RIGHT)
    tar = tmp_path / "image.tar"
    docker("save", "--output", str(tar), name)
    right = replace(built(docker, name), tar=tar)
    docker("rmi", "--force", name)
    docker("tag", reference, name)
    said: list[str] = []
    smoking.smoke(parse(CONFIG), right, s3_endpoint=s3, say=said.append)
    assert said[0] == f"loading {tar}"
    docker("rmi", "--force", name)


def test_right_function_passes(smoke: Smoke) -> None:
    """The function the wrong ones below are made from passes."""
    assert smoke(RIGHT).resized_px == (48, 32)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("s3.put_object", "dict", "the photo is not half its size", id="nothing is written"),
        pytest.param("width // 2", "width // 3", "the photo is not half its size", id="the size is wrong"),
        pytest.param('"key": key}', '"key": "x"}', "gives the wrong answer", id="the answer names another"),
        pytest.param('"skipped": []', '"skipped": [1]', "gives the wrong answer", id="something was skipped"),
        pytest.param("[record] =", "raise ValueError(", "gives the wrong answer", id="it raises"),
        pytest.param(
            "import boto3,", "import no_such_module,", "wrong answer|does not answer", id="no import"
        ),
        pytest.param("import boto3,", "import sys; sys.exit(3)\nimport", "answer", id="it ends at once"),
        pytest.param(
            "small = io", "open('/var/tmp/x', 'w'); small = io", "wrong answer", id="it writes to disk"
        ),
    ],
)
def test_wrong_image_is_noticed(smoke: Smoke, old: str, new: str, message: str) -> None:
    """An image with one thing wrong fails, with the end of its log and without any credential of ours."""
    handler = RIGHT.replace(old, new).replace('raise ValueError( event["Records"]', "raise ValueError(1)")
    assert handler != RIGHT
    with pytest.raises(DeployerError, match=message) as error:
        smoke(handler)
    assert "its log ends with:" in str(error.value.found)
    assert SECRET not in str(error.value)


def test_environment_is_made_up(smoke: Smoke) -> None:
    """The container gets nothing of our environment."""
    with pytest.raises(DeployerError) as error:
        smoke("import os\ndef handler(event, context): return dict(os.environ)\n")
    found = str(error.value.found)
    assert '"AWS_SECRET_ACCESS_KEY": "smoke"' in found or "AWS_SECRET_ACCESS_KEY" not in found
    assert SECRET not in found


def test_names_of_the_internet_do_not_resolve(smoke: Smoke) -> None:
    """A function that wants something from the internet by name fails in the smoke test already."""
    ask = "def handler(event, context): return open('/etc/resolv.conf').read()\n"
    with pytest.raises(DeployerError, match="wrong answer") as error:
        smoke(ask)
    assert re.findall(r"nameserver ([0-9a-f.:]+)", str(error.value.found)) == ["127.0.0.1"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send to another process")
def test_interrupted_smoke_leaves_no_container(
    docker: Docker, reference: str, s3: smoking.S3Endpoint, tmp_path: Path
) -> None:
    """Ctrl-C while the function hangs removes the container."""
    hanging = "import time\ndef handler(event, context): time.sleep(60)\n"
    name = other_image(docker, reference, tmp_path, hanging)
    image = built(docker, name)
    code = f"""
import sys
from pathlib import Path
from deployer.image import smoke
from deployer.config import parse
from deployer.image.build import BuiltImage
image = BuiltImage({image.reference!r}, {image.config_digest!r}, {image.platform!r}, Path("image.tar"), "")
s3 = smoke.S3Endpoint({s3.endpoint!r}, {s3.container_endpoint!r}, {s3.region!r})
smoke.smoke(parse({CONFIG!r}), image, s3_endpoint=s3, say=lambda line: print(line, flush=True))
"""
    env = {**os.environ, "DOCKER": docker.client}
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=PROJECT, env=env, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not containers_of(docker, name) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        started = bool(containers_of(docker, name))
        time.sleep(1)  # until the function hangs
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    left = containers_of(docker, name)
    docker("rmi", "--force", name)
    assert started
    assert b"KeyboardInterrupt" in errors
    assert not left


def test_without_an_endpoint_a_local_one_is_started(
    docker: Docker, reference: str, s3: smoking.S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command on its own starts a local S3 and ends it."""
    monkeypatch.setenv("DOCKER", docker.client)
    said: list[str] = []
    result = smoking.smoke(parse(CONFIG), built(docker, reference), say=said.append)
    assert result.resized_px == (48, 32)
    assert said[0] == "starting a local S3"


@pytest.mark.parametrize("size", [(1, 1), (17, 300), (4000, 3)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + b"x" * 500}])
def test_size_of_a_jpeg_is_read(size: tuple[int, int], options: dict[str, object]) -> None:
    """Width and height are read from plain and progressive files, with or without other headers."""
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "JPEG", **options)
    assert smoking.jpeg_px(buffer.getvalue()) == size


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"GIF89a", b"\xff\xd8\xff\xe0\x00", b"\xff\xd8" + b"\xff" * 9]
)
def test_what_is_no_jpeg_has_no_size(data: bytes) -> None:
    """Anything else, damaged files too, has no size, and nothing is raised."""
    assert smoking.jpeg_px(data) == (0, 0)


def test_probe_matches_its_event() -> None:
    """The photo is a real JPEG of the size its event says, under a key that has to be decoded."""
    folder = smoking.PROBES / "s3"
    event = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    photo = (folder / "photo.jpg").read_bytes()
    [record] = event["Records"]
    assert record["s3"]["object"]["size"] == len(photo)
    assert record["s3"]["bucket"]["name"] == smoking.SOURCE
    assert "+" in record["s3"]["object"]["key"]
    assert Image.open(io.BytesIO(photo)).size == smoking.jpeg_px(photo) == (96, 64)
