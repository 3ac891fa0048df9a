"""Pushing: only what was scanned, and only if the registry then holds exactly that. With a real local ECR."""

import hashlib
import io
import json
import os
import sys
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from testbed import local_aws

from deployer.aws.registry import Login, Manifest, Registry
from deployer.errors import DeployerError, Exit
from deployer.image import push as pushing
from deployer.image.build import BuiltImage, inspect_tar
from engine.image.conftest import Docker, unavailable


class Candidate:
    """An image as `build` and `scan` leave it, in a folder of its own."""

    def __init__(self, docker: Docker, out: Path) -> None:
        self.out, self.docker = out, docker
        self.reference = f"push-test:{uuid.uuid4().hex[:12]}"
        self.said: list[str] = []
        self.built: list[str] = []
        self.given_image()

    def given_image(self) -> None:
        """Build another image under the same label, and call it clean."""
        (self.out / "file").write_text(uuid.uuid4().hex, encoding="utf-8")
        (self.out / "Dockerfile").write_text("FROM scratch\nCOPY file /\n", encoding="utf-8")
        self.built.append(self.docker("build", "--quiet", "--tag", self.reference, str(self.out)))
        tar = self.out / "image.tar"
        self.docker("save", "--output", str(tar), self.reference)
        digest, platform = inspect_tar(tar)
        self.image = BuiltImage(self.reference, digest, platform, tar, "2026-01-01T00:00:00+00:00")
        self.given_scan("clean")

    def given_scan(self, status: str, digest: str | None = None) -> None:
        """Write down what the scan found."""
        text = json.dumps({"status": status, "config_digest": digest or self.image.config_digest})
        (self.out / "scan.json").write_text(text, encoding="utf-8")

    def push(
        self,
        ecr: pushing.RegistryPort,
        tag: str = "one",
        *,
        config_digest: str | None = None,
        allow_unscanned: bool = False,
    ) -> pushing.PushedImage:
        """Push as `deployer push` does."""
        order = pushing.Order(tag, config_digest, allow_unscanned)
        return pushing.push(self.image, order, ecr=ecr, say=self.said.append)


class FakeRegistry:
    """A registry that holds what it is told to; nothing can be pushed to it."""

    def __init__(self, manifest: dict[str, object], media_type: str) -> None:
        body = json.dumps(manifest).encode()
        self.found = Manifest(body, media_type, f"sha256:{hashlib.sha256(body).hexdigest()}")

    def repository_uri(self) -> str:
        """Return a name that does not resolve."""
        return "registry.invalid/repository"

    def login(self) -> Login:
        """Nobody signs in here."""
        raise AssertionError("nothing is to be pushed")

    def manifest(self, tag: str) -> Manifest | None:
        """Return the manifest for every tag."""
        return self.found


@pytest.fixture(scope="module")
def ecr(docker: Docker) -> Iterator[Registry]:
    """Return a repository with immutable tags in a local AWS."""
    try:
        local_aws.find_python()
    except DeployerError as error:
        unavailable(f"{error.what}: {error.hint}")
    with local_aws.running(docker=[docker.client]) as running:
        session = boto3.session.Session("test", "test", region_name=running.region)
        client = session.client("ecr", endpoint_url=running.endpoint)
        client.create_repository(repositoryName="function", imageTagMutability="IMMUTABLE")
        yield Registry(client, "function")
        client.close()


@pytest.fixture
def candidate(docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Candidate]:
    """Return a clean image of one file; what was built is removed, under every name it got."""
    monkeypatch.setenv("DOCKER", docker.client)
    made = Candidate(docker, tmp_path)
    yield made
    docker("rmi", "--force", *made.built)


@pytest.fixture
def tag(candidate: Candidate) -> str:
    """Return a tag nobody else uses."""
    return f"tag-{candidate.reference.partition(':')[2]}"


def test_pushed_image_is_the_scanned_one(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """The registry's manifest is for one platform and names the config that was scanned; its digest is used."""
    pushed = candidate.push(ecr, tag)
    manifest = ecr.manifest(tag)
    assert manifest
    assert manifest.media_type in pushing.SINGLE_PLATFORM
    assert pushed.image_uri == f"{ecr.repository_uri()}@{manifest.digest}"
    assert pushed.config_digest == json.loads(manifest.body)["config"]["digest"]
    assert (candidate.out / "manifest.json").read_bytes() == manifest.body
    assert json.loads((candidate.out / "push.json").read_text(encoding="utf-8")) == {
        "image_uri": pushed.image_uri,
        "manifest_digest": manifest.digest,
        "config_digest": candidate.image.config_digest,
        "tag": tag,
        "scan": "clean",
    }


def test_pushing_again_changes_nothing(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """The same image under the same tag is a success without a push, so a job can be run again."""
    first = candidate.push(ecr, tag)
    candidate.said.clear()
    assert candidate.push(ecr, tag) == first
    assert candidate.said == [f"{ecr.repository_uri()}:{tag} is there already"]


def test_tag_is_never_moved(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """A tag that holds another image is refused, and still holds it afterwards."""
    first = candidate.push(ecr, tag)
    candidate.given_image()
    with pytest.raises(DeployerError, match=f"tag `{tag}` exists already, and names another") as caught:
        candidate.push(ecr, tag)
    assert caught.value.exit_code == Exit.REFUSED
    assert (
        caught.value.found
        == f"found config `{first.config_digest}`, expected `{candidate.image.config_digest}`"
    )
    assert caught.value.hint
    manifest = ecr.manifest(tag)
    assert manifest
    assert manifest.digest == first.manifest_digest


def test_label_that_moved_does_not_matter(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """If the local label points at a newer image by now, the tarball that was scanned is pushed."""
    scanned = replace(candidate.image, tar=candidate.out / "scanned" / "image.tar")
    scanned.tar.parent.mkdir()
    candidate.image.tar.rename(scanned.tar)
    (candidate.out / "scan.json").rename(scanned.tar.parent / "scan.json")
    candidate.given_image()
    candidate.image = scanned
    assert candidate.push(ecr, tag).config_digest == scanned.config_digest


@pytest.mark.parametrize("status", ["vulnerable", "not-scanned", "", None])
def test_image_that_is_not_clean_is_not_pushed(
    ecr: Registry, candidate: Candidate, tag: str, status: str | None
) -> None:
    """Without a clean scan nothing reaches the registry."""
    if status is None:
        (candidate.out / "scan.json").unlink()
    else:
        candidate.given_scan(status)
    with pytest.raises(DeployerError, match="its scan is not clean"):
        candidate.push(ecr, tag)
    assert ecr.manifest(tag) is None


def test_scan_of_another_image_does_not_count(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """A clean scan of another digest does not let this image through, allowed unscanned or not."""
    candidate.given_scan("clean", digest=f"sha256:{'0' * 64}")
    with pytest.raises(DeployerError, match="the image that was scanned is not the one to push"):
        candidate.push(ecr, tag, allow_unscanned=True)
    assert ecr.manifest(tag) is None


def test_unscanned_image_is_pushed_only_when_allowed_and_says_so(
    ecr: Registry, candidate: Candidate, tag: str
) -> None:
    """Where it is allowed an unscanned image is pushed, visibly and with `not-scanned` in the record."""
    candidate.given_scan("not-scanned")
    assert candidate.push(ecr, tag, allow_unscanned=True).scan == "not-scanned"
    assert candidate.said[0] == f"pushing an image that was NOT SCANNED: {candidate.reference}"


def test_vulnerable_image_is_never_pushed(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """Allowing an unscanned image does not allow a vulnerable one."""
    candidate.given_scan("vulnerable")
    with pytest.raises(DeployerError, match="its scan is not clean"):
        candidate.push(ecr, tag, allow_unscanned=True)


@pytest.mark.parametrize(
    ("media_type", "inside"),
    [
        ("application/vnd.oci.image.index.v1+json", None),
        ("application/vnd.docker.distribution.manifest.list.v2+json", None),
        ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"),
        ("", None),
    ],
)
def test_index_is_refused(candidate: Candidate, media_type: str, inside: str | None) -> None:
    """A list of manifests, which Lambda does not take, is refused even with our config in it."""
    manifest: dict[str, object] = {"config": {"digest": candidate.image.config_digest}}
    manifest |= {"mediaType": inside} if inside else {}
    with pytest.raises(DeployerError, match="media type is not the one expected"):
        candidate.push(FakeRegistry(manifest, media_type))
    assert not (candidate.out / "push.json").exists()


@pytest.mark.parametrize("media_type", pushing.SINGLE_PLATFORM)
def test_manifest_of_one_platform_is_taken(candidate: Candidate, media_type: str) -> None:
    """Both kinds of manifest for one image are taken."""
    found = FakeRegistry({"config": {"digest": candidate.image.config_digest}}, media_type)
    assert candidate.push(found).manifest_digest == found.found.digest


def test_registry_that_names_another_digest_is_refused(candidate: Candidate) -> None:
    """The digest is computed from the manifest's bytes; a registry that calls it otherwise is not believed."""
    found = FakeRegistry({"config": {"digest": candidate.image.config_digest}}, pushing.SINGLE_PLATFORM[0])
    found.found = replace(found.found, digest=f"sha256:{'0' * 64}")
    with pytest.raises(DeployerError, match="the digest that the registry names is not the one expected"):
        candidate.push(found)
    assert not (candidate.out / "push.json").exists()


def test_registry_that_lies_after_the_push_is_refused(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """The push succeeded, and the registry calls what it holds by another digest: nothing is handed on."""

    class Lying:
        """The real registry, but for the digest it names."""

        repository_uri, login = ecr.repository_uri, ecr.login

        def manifest(self, tag: str) -> Manifest | None:
            found = ecr.manifest(tag)
            return replace(found, digest=f"sha256:{'0' * 64}") if found else None

    with pytest.raises(DeployerError, match="the digest that the registry names is not the one expected"):
        candidate.push(Lying(), tag)
    assert ecr.manifest(tag) is not None
    assert not (candidate.out / "push.json").exists()


@pytest.mark.parametrize("digest", ["", "sha256:", "latest", f"sha256:{'G' * 64}", f" sha256:{'0' * 64}"])
def test_a_digest_that_was_not_handed_on_is_a_usage_error(candidate: Candidate, digest: str) -> None:
    """An empty or mangled output of the job that scanned is refused, and never means: any image."""
    nobody = FakeRegistry({}, "")
    with pytest.raises(DeployerError, match="the digest of the scanned image is not known") as caught:
        candidate.push(nobody, config_digest=digest)
    assert caught.value.exit_code == Exit.USAGE


def test_what_was_scanned_elsewhere_must_be_what_is_pushed(
    ecr: Registry, candidate: Candidate, tag: str
) -> None:
    """A tarball and a scan.json that were both replaced agree with each other, and not with the job that scanned."""
    scanned = candidate.image.config_digest
    candidate.given_image()
    with pytest.raises(DeployerError, match="the image is not the one that was scanned") as caught:
        candidate.push(ecr, tag, config_digest=scanned)
    assert caught.value.found == (
        f"found `{candidate.image.config_digest}` in `{candidate.image.tar}`, expected `{scanned}`"
    )
    assert ecr.manifest(tag) is None
    assert candidate.push(ecr, tag, config_digest=candidate.image.config_digest).scan == "clean"


def test_a_forged_scan_is_refused(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """A scan.json that calls another digest clean does not help an image, nor does the right digest beside it."""
    candidate.given_scan("clean", digest=f"sha256:{'0' * 64}")
    with pytest.raises(DeployerError, match="the image that was scanned is not the one to push"):
        candidate.push(ecr, tag, config_digest=candidate.image.config_digest)
    assert ecr.manifest(tag) is None


def test_a_layer_that_was_replaced_is_refused(ecr: Registry, candidate: Candidate, tag: str) -> None:
    """A tarball whose config is the scanned one, but not its layer, reaches no registry."""
    tamper(candidate.image.tar)
    assert inspect_tar(candidate.image.tar)[0] == candidate.image.config_digest
    with pytest.raises(DeployerError, match="holds another layer than the image that was built") as caught:
        candidate.push(ecr, tag, config_digest=candidate.image.config_digest)
    assert caught.value.hint == "deployer build"
    assert ecr.manifest(tag) is None


def tamper(tar: Path) -> None:
    """Put another layer into an archive, and leave everything else as it is."""
    whole = {}
    with tarfile.open(tar) as archive:
        [entry] = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.isfile() else None
            whole[member.name] = file.read() if file else None
    layer = whole[entry["Layers"][0]]
    assert layer is not None
    with tarfile.open(tar, "w") as archive:
        for name, body in whole.items():
            if body is None:
                continue
            changed = bytes(len(layer)) if name == entry["Layers"][0] else body
            member = tarfile.TarInfo(name)
            member.size = len(changed)
            archive.addfile(member, io.BytesIO(changed))


@pytest.mark.skipif(sys.platform == "win32", reason="the client that watches is a shell script")
def test_password_is_in_no_argument_and_on_no_disk(
    ecr: Registry, candidate: Candidate, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password reaches the client through its input, and the folder that then holds it goes."""
    log = tmp_path / "calls"
    spy = tmp_path / "spy"
    spy.write_text(
        f'#!/bin/sh\necho "$DOCKER_CONFIG $@" >>{log}\nexec {os.environ["DOCKER"]} "$@"\n', encoding="utf-8"
    )
    spy.chmod(0o755)
    monkeypatch.setenv("DOCKER", str(spy))
    candidate.push(ecr, tag)
    calls = log.read_text(encoding="utf-8")
    assert ecr.login().password not in calls
    signed_in = [line.split() for line in calls.splitlines() if " login " in line or " push " in line]
    assert [line[1] for line in signed_in] == ["login", "push"]
    [folder] = {line[0] for line in signed_in}
    assert not Path(folder).exists()


def test_refused_login_is_said_without_the_password(
    candidate: Candidate,
) -> None:
    """A registry that cannot be signed in to is named, and the password is not shown."""

    class Closed(FakeRegistry):
        """A registry at a port nobody listens on."""

        def repository_uri(self) -> str:
            return "127.0.0.1:9/repository"

        def login(self) -> Login:
            return Login("127.0.0.1:9", "AWS", "a-password")

        def manifest(self, tag: str) -> Manifest | None:
            return None

    with pytest.raises(DeployerError, match=r"signing in to `127\.0\.0\.1:9` failed") as error:
        candidate.push(Closed({}, ""))
    assert "a-password" not in str(error.value)


@pytest.mark.skipif(sys.platform == "win32", reason="the client that is denied is a shell script")
@pytest.mark.parametrize(
    "said",
    [
        (
            "denied: User: arn:aws:sts::123456789012:assumed-role/x-push-eu-central-1/GitHubActions is not "
            "authorized to perform: ecr:PutImage on resource: arn:aws:ecr:eu-central-1:123456789012:repository/x "
            "because no identity-based policy allows the ecr:PutImage action",
            "role `x-push-eu-central-1` without `ecr:PutImage` on "
            "`arn:aws:ecr:eu-central-1:123456789012:repository/x`",
            "deployer bootstrap --registry; the push role in infra/registry.yaml must grant it",
        ),
        (
            "denied: Your authorization token has expired. Reauthenticate and try again.",
            "a login to the registry that has ended",
            "re-run the job",
        ),
        ("dial tcp: connection refused", "dial tcp: connection refused", "deployer doctor"),
    ],
    ids=["a right is missing", "the login ended", "something else"],
)
def test_denied_push_names_role_and_right(
    ecr: Registry, candidate: Candidate, tag: str, monkeypatch: pytest.MonkeyPatch, said: tuple[str, str, str]
) -> None:
    """What the registry denies is told with role, action, resource and the command that mends it."""
    words, found, hint = said
    client = candidate.out / "client"
    client.write_text(
        f'#!/bin/sh\n[ "$1" = push ] && {{ echo "{words}" >&2; exit 1; }}\nexec {os.environ["DOCKER"]} "$@"\n',
        encoding="utf-8",
    )
    client.chmod(0o755)
    monkeypatch.setenv("DOCKER", str(client))
    with pytest.raises(DeployerError, match="cannot be pushed") as caught:
        candidate.push(ecr, tag)
    assert found in (caught.value.found or "")
    assert caught.value.hint == hint
    assert ecr.manifest(tag) is None
