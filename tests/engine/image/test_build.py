"""Finding a Docker client, building with it, and what is recorded about the image."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.config import Config, parse
from deployer.errors import DeployerError
from deployer.image import build as image
from deployer.image.docker import DockerUnavailable, find_docker, private_docker_config
from engine.image.conftest import Docker
from engine.image.trivy_fixture import tar_of

needs_shell = pytest.mark.skipif(sys.platform == "win32", reason="the pretended clients are shell scripts")
COMMIT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def settings(architecture: str = "x86_64") -> Config:
    """Return settings for a function with a name of its own, so that its images are ours."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    function = f'name = "{name}"\nregion = "eu-central-1"\narchitecture = "{architecture}"\n'
    return parse(f'[project]\nname = "test"\n[function]\n{function}')


# Which client is called.


def given_client(folder: Path, *, version: str = "28.0.0", engine: bool = True, buildx: bool = False) -> Path:
    """Put a pretended `docker` into a folder: it says its version, and writes down how it is called."""
    folder.mkdir()
    server = '{"Version": "28.0.0"}' if engine else "null"
    text = f"""#!/bin/sh
echo "$@" >>"{folder}/calls"
case "$1 $2" in
"version --format") echo '{{"Client": {{"Version": "{version}"}}, "Server": {server}}}'
    {"true" if engine else "echo Cannot connect to the Docker daemon >&2; exit 1"};;
"buildx version") {"true" if buildx else "exit 1"};;
"save --output") cp "{folder}/saved.tar" "$3";;
esac
"""
    config = json.dumps({"os": "linux", "architecture": "amd64"}).encode()
    manifest = json.dumps([{"Config": "config.json", "Layers": []}]).encode()
    (folder / "saved.tar").write_bytes(tar_of({"config.json": config, "manifest.json": manifest}))
    client = folder / "docker"
    client.write_text(text, encoding="utf-8")
    client.chmod(0o755)
    return client


@needs_shell
def test_first_client_that_can_build_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer client without buildx, first on PATH, is passed over for one that works."""
    new = given_client(tmp_path / "new", version="28.2.2")
    old = given_client(tmp_path / "old", version="20.10.24+dfsg1")
    monkeypatch.delenv("DOCKER", raising=False)
    monkeypatch.setenv("PATH", f"{new.parent}:{old.parent}:{os.environ['PATH']}")
    assert find_docker() == [str(old)]


@needs_shell
def test_named_client_is_the_only_one_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`DOCKER` names the client, with arguments if need be, and PATH is not looked at."""
    client = given_client(tmp_path / "named", buildx=True)
    monkeypatch.setenv("DOCKER", f"{client} --host unix:///nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    client.write_text(client.read_text(encoding="utf-8").replace('"$1 $2"', '"$3 $4"'), encoding="utf-8")
    assert find_docker() == [str(client), "--host", "unix:///nowhere"]


@needs_shell
@pytest.mark.parametrize(
    ("clients", "message"),
    [
        pytest.param([], "there is no Docker client", id="none on PATH"),
        pytest.param([{"engine": False}], "no Docker engine answers", id="the engine is silent"),
        pytest.param([{"version": "28.0.0"}], "no Docker client here has BuildKit", id="no buildx plugin"),
    ],
)
def test_each_lack_of_docker_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clients: list[dict[str, str]], message: str
) -> None:
    """No client, no engine and no BuildKit are three messages, each with what to do."""
    folders = [given_client(tmp_path / str(n), **client).parent for n, client in enumerate(clients)]  # type: ignore[arg-type]
    monkeypatch.delenv("DOCKER", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, [tmp_path, *folders])) if folders else str(tmp_path))
    shell = tmp_path / "sh"
    shell.symlink_to("/bin/sh")
    (tmp_path / "cat").symlink_to("/bin/cat")
    with pytest.raises(DockerUnavailable, match=message) as error:
        find_docker()
    assert error.value.hint


@needs_shell
@pytest.mark.parametrize("buildx", [True, False])
def test_build_is_called_for_one_platform_without_attestations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buildx: bool
) -> None:
    """With buildx the two attestations that would make an index are off; an old client makes none."""
    client = given_client(tmp_path / "client", version="20.10.24", buildx=buildx)
    monkeypatch.setenv("DOCKER", str(client))
    monkeypatch.setenv("BUILD_CA_BUNDLE", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    config = settings()
    built = image.build(config, context=tmp_path, out=tmp_path / "out", say=lambda _: None)
    calls = (client.parent / "calls").read_text(encoding="utf-8").splitlines()
    expected = "buildx build --provenance=false --sbom=false --load" if buildx else "build"
    rest = f"--platform linux/amd64 --progress plain --tag {built.reference}"
    assert f"{expected} {rest} {tmp_path}" in calls


def test_another_base_image_takes_the_place_of_the_stage_base() -> None:
    """The image behind `FROM` of the stage `base` is another one, and nothing else changes."""
    pinned = f"FROM registry/python:3.13@sha256:{'0' * 64} AS base"
    rest = "\nFROM base AS packages\nRUN true\nFROM base\n"
    assert image.on_base(pinned + rest, "other:1") == "FROM other:1 AS base" + rest


def test_another_base_image_needs_the_stage_base() -> None:
    """A Dockerfile without the stage is an error of its own; the pinned image is not built in silence."""
    with pytest.raises(DeployerError, match="BASE_IMAGE cannot be used"):
        image.on_base("FROM python:3.13\n", "other:1")


# A real build.

Build = Callable[..., image.BuiltImage]


@pytest.fixture
def build(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Return a builder of a Dockerfile's text in a folder of its own; the images are removed."""
    monkeypatch.setenv("DOCKER", docker.client)
    monkeypatch.setenv("BUILD_CA_BUNDLE", "")
    names: list[str] = []

    def make(
        dockerfile: str, architecture: str = "x86_64", base_image: str | None = None
    ) -> image.BuiltImage:
        (tmp_path / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        (tmp_path / ".gitignore").write_text("/build/\n", encoding="utf-8")
        (tmp_path / "file").write_text(uuid.uuid4().hex, encoding="utf-8")
        config, said = settings(architecture), list[str]()
        built = image.build(
            config, context=tmp_path, out=tmp_path / "build", base_image=base_image, say=said.append
        )
        names.append(built.reference)
        return built

    yield make
    for name in names:
        docker("rmi", "--force", name)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    argv = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, env={**os.environ, **COMMIT}
    ).stdout


def test_record_names_the_image_by_its_content(build: Build, docker: Docker, tmp_path: Path) -> None:
    """The digest in image.json is that of the config in the tarball, which is the engine's own id."""
    built = build("FROM scratch\nCOPY file /\n")
    assert image.load(tmp_path / "build") == built
    described = docker("image", "inspect", built.reference, "--format", "{{.Id}} {{.Os}}/{{.Architecture}}")
    if "/containerd" not in docker("info", "--format", "{{.DriverStatus}}"):
        assert described == f"{built.config_digest} {built.platform}"


def test_label_says_which_commit_and_whether_it_was_changed(build: Build, tmp_path: Path) -> None:
    """The label ends with the commit; with `-dirty` while files differ; `untracked` outside git."""
    assert build("FROM scratch\nCOPY file /\n").reference.endswith(":candidate-untracked")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert build("FROM scratch\nCOPY file /x\n").reference.endswith(f":candidate-{commit}-dirty")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "two")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    (tmp_path / "build" / "ignored").write_text("x", encoding="utf-8")
    assert image._revision(tmp_path) == commit


def test_what_was_recorded_about_an_earlier_image_goes(build: Build, tmp_path: Path) -> None:
    """A build removes the scan and push records of the image before, so they never vouch for the new one."""
    build("FROM scratch\nCOPY file /\n")
    for name in ("scan.json", "push.json"):
        (tmp_path / "build" / name).write_text("{}", encoding="utf-8")
    with pytest.raises(DeployerError):
        build("FROM scratch\nCOPY absent /\n")
    assert list((tmp_path / "build").iterdir()) == []


def test_missing_base_image_is_an_error_of_its_own(build: Build) -> None:
    """A base image that cannot be pulled is named, and told apart from a build that fails."""
    with pytest.raises(image.BaseImageUnavailable, match="the base image cannot be pulled") as error:
        build("FROM 127.0.0.1:9/nobody/nothing:1\nCOPY file /\n")
    assert "`127.0.0.1:9/nobody/nothing:1`" in str(error.value.found)
    assert "BASE_IMAGE" in str(error.value.hint)


def test_image_stands_on_the_base_image_it_was_told(build: Build, docker: Docker) -> None:
    """A real build takes another base image than the one in the Dockerfile, which then need not be there."""
    name = f"base-{uuid.uuid4().hex[:12]}:1"
    base = build("FROM scratch\nCOPY file /from-the-base\n")
    docker("tag", base.reference, name)
    try:
        built = build("FROM 127.0.0.1:9/none:1 AS base\nFROM base\nCOPY file /own\n", base_image=name)
    finally:
        docker("rmi", name)
    layers = docker("image", "inspect", built.reference, "--format", "{{len .RootFS.Layers}}")
    assert layers == "2"


def test_failing_step_is_not_a_missing_base_image(build: Build) -> None:
    """A step that fails is reported with what it printed."""
    with pytest.raises(DeployerError, match="the image cannot be built") as error:
        build("FROM scratch\nCOPY absent /\n")
    assert not isinstance(error.value, image.BaseImageUnavailable)
    assert "absent" in str(error.value.found)


def test_secrets_reach_the_build_and_not_the_image(
    build: Build, docker: Docker, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CA bundle and the pip configuration are there while building and nowhere in the image."""
    word = uuid.uuid4().hex
    for name, variable in (("ca.pem", "BUILD_CA_BUNDLE"), ("pip.conf", "PIP_CONFIG_FILE")):
        (tmp_path / name).write_text(f"{word}\n", encoding="utf-8")
        monkeypatch.setenv(variable, str(tmp_path / name))
    (tmp_path / ".dockerignore").write_text("*\n", encoding="utf-8")
    mounts = "--mount=type=secret,id=ca-bundle --mount=type=secret,id=pip-config"
    # A secret's content is no part of the cache's key: the step has to differ by itself.
    check = f"cat /run/secrets/* | sort -u | sha256sum | cut -c1-64 >/seen # {uuid.uuid4()}"
    built = build(f"FROM {base_image}\nUSER 0\nRUN {mounts} {check}\n")
    seen = docker("run", "--rm", "--entrypoint", "cat", built.reference, "/seen")
    assert seen == hashlib.sha256(f"{word}\n".encode()).hexdigest()
    assert word.encode() not in built.tar.read_bytes()


def test_missing_ca_bundle_is_named(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA bundle that is not where a variable says is an error before anything is built."""
    monkeypatch.delenv("BUILD_CA_BUNDLE")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(DeployerError, match="the CA bundle is not there"):
        build("FROM scratch\nCOPY file /\n")


@needs_shell
def test_wrong_architecture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image for another processor than deploy.toml asks for is refused before it is pushed."""
    monkeypatch.setenv("DOCKER", str(given_client(tmp_path / "client", buildx=True)))
    monkeypatch.setenv("BUILD_CA_BUNDLE", "")
    with pytest.raises(DeployerError, match="the image is for another architecture") as error:
        image.build(settings("arm64"), context=tmp_path, out=tmp_path / "out", say=lambda _: None)
    assert error.value.found == "found `linux/amd64`, expected `linux/arm64`"
    assert not (tmp_path / "out" / "image.json").exists()


# The tarball.

CONFIG = json.dumps({"os": "linux", "architecture": "arm64", "rootfs": {}}).encode()
DIGEST = hashlib.sha256(CONFIG).hexdigest()


def archive(tmp_path: Path, name: str, *, config: bytes = CONFIG, images: int = 1) -> Path:
    """Write an archive whose config is called `name`."""
    manifest = json.dumps([{"Config": name, "RepoTags": None, "Layers": []}] * images).encode()
    path = tmp_path / "image.tar"
    path.write_bytes(tar_of({"index.json": b"{}", name: config, "manifest.json": manifest}))
    return path


@pytest.mark.parametrize("name", [f"{DIGEST}.json", f"blobs/sha256/{DIGEST}", "config.json"])
def test_digest_is_computed_whatever_the_engine_calls_it(tmp_path: Path, name: str) -> None:
    """Archives of the classic and of the containerd store give the digest of the config's bytes."""
    assert image.inspect_tar(archive(tmp_path, name)) == (f"sha256:{DIGEST}", "linux/arm64")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param({"config": CONFIG + b" "}, "is damaged", id="another config under that name"),
        pytest.param({"images": 2}, "is not an archive of one image", id="two images"),
        pytest.param({"images": 0}, "is not an archive of one image", id="no image"),
        pytest.param({"config": b"[]"}, "is (damaged|not an archive)", id="a config that says nothing"),
    ],
)
def test_archive_that_is_not_one_image_is_refused(
    tmp_path: Path, damage: dict[str, object], message: str
) -> None:
    """An archive that is damaged or holds another number of images is refused."""
    with pytest.raises(DeployerError, match=message):
        image.inspect_tar(archive(tmp_path, f"{DIGEST}.json", **damage))  # type: ignore[arg-type]


def test_exchanged_tarball_is_noticed(tmp_path: Path) -> None:
    """A tarball that is no longer the image in image.json is not used."""
    tar = archive(tmp_path, "config.json")
    record = {
        "reference": "a:b",
        "config_digest": "sha256:0",
        "platform": "",
        "tar": str(tar),
        "created_at": "",
    }
    (tmp_path / "image.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(DeployerError, match="is not the image that was built"):
        image.load(tmp_path)


def test_nothing_built_is_said(tmp_path: Path) -> None:
    """Without a build the next command is named."""
    with pytest.raises(DeployerError, match="there is no built image") as error:
        image.load(tmp_path)
    assert error.value.hint == "deployer build"


# The client's own settings.


def test_private_config_knows_contexts_and_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throw-away client configuration keeps the engine in use, forgets credentials, and is removed."""
    own = tmp_path / "own"
    (own / "contexts" / "meta").mkdir(parents=True)
    auths = {"registry.example": {"auth": "c2VjcmV0"}}
    text = json.dumps({"currentContext": "colima", "auths": auths, "credsStore": "osxkeychain"})
    (own / "config.json").write_text(text, encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    with private_docker_config("ecr.example") as env:
        folder = Path(env["DOCKER_CONFIG"])
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert found == {"auths": {"ecr.example": {}}, "currentContext": "colima"}
        assert (folder / "contexts" / "meta").is_dir()
        assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
