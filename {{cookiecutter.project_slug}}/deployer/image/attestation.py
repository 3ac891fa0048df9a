"""Whether an image comes from this repository's own release of this commit. Shell: asks `gh`.

GitHub's attestation is about a digest, and a registry's digest is the SHA-256 of an image's manifest. So the
manifest that `push` kept is all that `gh` has to read: no registry, and no right there.
Source: https://cli.github.com/manual/gh_attestation_verify
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployerError, Exit
from deployer.image.docker import run

MANIFEST = "manifest.json"
WORKFLOW = ".github/workflows/deploy.yml"
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Origin:
    """Where an image must come from: OWNER/NAME and the commit of `main`; no commit means any."""

    repository: str
    commit: str = ""


def origin(environ: Mapping[str, str]) -> Origin:
    """Read the origin from the environment of GitHub Actions. Raises DeployerError elsewhere."""
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not repository:
        raise DeployerError(
            "it is not known which repository must have built the image",
            found="found no GITHUB_REPOSITORY, expected OWNER/NAME",
            hint="GITHUB_REPOSITORY=OWNER/NAME deployer verify-attestation --image IMAGE",
            exit_code=Exit.USAGE,
        )
    return Origin(repository, environ.get("GITHUB_SHA", ""))


def verify(image_uri: str, manifest: Path, origin: Origin) -> None:
    """Demand that the release workflow of `origin`, on `main` and GitHub's own runner, attested the image.

    Raises DeployerError when nobody attested it, when somebody else did, or when GitHub cannot be asked.
    """
    digest = image_uri.rpartition("@")[2]
    try:
        found = f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"
    except OSError as error:
        raise DeployerError(
            "the manifest of the image is not there",
            found=str(error),
            hint=f"download the artifact release-{digest.partition(':')[2]} into {manifest.parent.name}/",
        ) from error
    if found != digest:
        raise DeployerError(
            f"`{manifest.name}` is not the manifest of the image",
            found=f"found {found}, expected {digest}",
            hint="re-run all jobs; nothing was deployed",
        )
    command = ["gh", "attestation", "verify", str(manifest), "--repo", origin.repository]
    command += ["--signer-workflow", f"{origin.repository}/{WORKFLOW}", "--source-ref", "refs/heads/main"]
    command += ["--source-digest", origin.commit] if origin.commit else []
    done = run([*command, "--deny-self-hosted-runners"], timeout_s=_TIMEOUT_S)
    if done.returncode != 0:
        raise _refused(image_uri, origin, (done.stderr or done.stdout).strip())


def _refused(image_uri: str, origin: Origin, said: str) -> DeployerError:
    """Say what `gh` means: nobody attested the image, somebody else did, or GitHub gave no answer."""
    last = (said.splitlines() or ["no message"])[-1].strip()
    expected = f"expected one by {WORKFLOW} of {origin.repository}, main"
    if re.search(r"HTTP 404|no attestations", said, re.IGNORECASE):
        return DeployerError(
            "nobody has attested where the image comes from",
            found=f"found no attestation of `{image_uri}`, {expected}",
            hint="re-run all jobs, so that Push attests what it pushes",
            exit_code=Exit.REFUSED,
        )
    if re.search(r"verif|policy|certificate|match", said, re.IGNORECASE):
        return DeployerError(
            "the image was not built by this release",
            found=f"found another attestation of `{image_uri}`: {last}; {expected}",
            hint="find out who pushed it (docs/runbook.md, Attestation), then re-run all jobs",
            exit_code=Exit.REFUSED,
        )
    return DeployerError(
        "GitHub could not be asked who built the image", found=f"gh said: {last}", hint="re-run the job"
    )
