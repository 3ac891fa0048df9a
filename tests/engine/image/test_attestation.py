"""Where an image comes from: what `gh` is asked, and one clear error for each of its answers."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.errors import DeployerError, Exit
from deployer.image import attestation

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for gh is a POSIX script")

BODY = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/image-resizer@{DIGEST}"
ORIGIN = attestation.Origin("octo/image-resizer", "c0ffee")
Answer = Callable[[int, str], None]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Return the file in which the stand-in for `gh` keeps what it was asked."""
    return tmp_path / "asked.json"


@pytest.fixture
def answer(tmp_path: Path, asked: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Return what puts a `gh` on PATH that says something and ends with a status."""

    def given(status: int, said: str) -> None:
        script = f"#!{sys.executable}\nimport json, sys\nopen({str(asked)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        script += f"print({said!r}, file=sys.stderr)\nsys.exit({status})\n"
        (tmp_path / "gh").write_text(script)
        (tmp_path / "gh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return given


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return the manifest as `push` keeps it."""
    path = tmp_path / "build" / "manifest.json"
    path.parent.mkdir()
    path.write_bytes(BODY)
    return path


def test_the_release_of_this_commit_is_demanded(answer: Answer, asked: Path, manifest: Path) -> None:
    """Repository, workflow, branch, commit and GitHub's own runners are all asked for."""
    answer(0, "✓ Verification succeeded!")
    attestation.verify(IMAGE, manifest, ORIGIN)
    assert json.loads(asked.read_text()) == [
        *("attestation", "verify", str(manifest), "--repo", "octo/image-resizer"),
        *("--signer-workflow", "octo/image-resizer/.github/workflows/deploy.yml"),
        *("--source-ref", "refs/heads/main", "--source-digest", "c0ffee", "--deny-self-hosted-runners"),
    ]


def test_another_manifest_is_never_asked_about(answer: Answer, asked: Path, manifest: Path) -> None:
    """A manifest that is not the image's says nothing about the image, whoever attested it."""
    answer(0, "✓ Verification succeeded!")
    manifest.write_bytes(BODY + b" ")
    with pytest.raises(DeployerError) as caught:
        attestation.verify(IMAGE, manifest, ORIGIN)
    assert caught.value.what == "`manifest.json` is not the manifest of the image"
    assert not asked.exists()


@pytest.mark.parametrize(
    ("said", "what", "exit_code"),
    [
        pytest.param(
            "Error: HTTP 404: Not Found (https://api.github.com/repos/octo/image-resizer/attestations/x)",
            "nobody has attested where the image comes from",
            Exit.REFUSED,
            id="missing",
        ),
        pytest.param(
            "✗ No attestations found for subject",
            "nobody has attested where the image comes from",
            Exit.REFUSED,
            id="none found",
        ),
        pytest.param(
            'Error: verifying with issuer "sigstore.dev"',
            "the image was not built by this release",
            Exit.REFUSED,
            id="foreign",
        ),
        pytest.param(
            "expected SourceRepositoryRef to be refs/heads/main, got refs/heads/other: certificate mismatch",
            "the image was not built by this release",
            Exit.REFUSED,
            id="another branch",
        ),
        pytest.param(
            "error connecting to api.github.com",
            "GitHub could not be asked who built the image",
            Exit.FAILED,
            id="GitHub is away",
        ),
    ],
)
def test_each_answer_is_one_error(
    said: str, what: str, exit_code: Exit, answer: Answer, manifest: Path
) -> None:
    """A missing, a foreign and an unknown origin are three errors, none of which lets the release go on."""
    answer(1, said)
    with pytest.raises(DeployerError) as caught:
        attestation.verify(IMAGE, manifest, ORIGIN)
    assert (caught.value.what, caught.value.exit_code) == (what, exit_code)
    assert caught.value.found
    assert caught.value.hint


def test_a_manifest_that_was_not_handed_over_is_named(manifest: Path) -> None:
    """Without the manifest nothing is verified, and the error says where it comes from."""
    manifest.unlink()
    with pytest.raises(DeployerError) as caught:
        attestation.verify(IMAGE, manifest, ORIGIN)
    assert DIGEST.partition(":")[2] in caught.value.hint


def test_origin_is_that_of_the_run() -> None:
    """In GitHub Actions the run says which repository and commit; elsewhere somebody has to."""
    assert attestation.origin({"GITHUB_REPOSITORY": "octo/image-resizer", "GITHUB_SHA": "c0ffee"}) == ORIGIN
    with pytest.raises(DeployerError) as caught:
        attestation.origin({})
    assert caught.value.exit_code == Exit.USAGE
