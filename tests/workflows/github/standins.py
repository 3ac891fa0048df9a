"""Stand-ins for third-party actions, by name: as strict as the real ones, and without their code. Shell.

An action that is not here is an error of the run. Versions are not looked at: a rule wants them pinned.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping

from workflows.github.actions import Action, Call
from workflows.github.artifacts import download, upload
from workflows.github.credentials import configure_aws_credentials
from workflows.github.errors import ActionFailedError

# Installed anew on GitHub. Here they stay between jobs: the lock file's hash in them decides whether they fit.
KEPT = (".venv", ".cache")


def checkout(call: Call) -> None:
    """Check out the run's commit into a clean folder; the token must not stay behind in it."""
    if call.inputs.flag("persist-credentials"):
        raise ActionFailedError("this checkout would leave the token in .git, for every later step to read")
    state = call.state
    if state.repository.is_private:
        call.needs("contents", "read")
    for path in state.workspace.iterdir():
        if not path.name.startswith(KEPT):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    depth = int(call.inputs["fetch-depth"])
    options = [f"--depth={depth}"] if depth else ["--tags"]
    remote = f"file://{state.repository.remote}"
    git = ["git", "-C", str(state.workspace), "-c", "advice.detachedHead=false"]
    for arguments in (
        ["init", "--quiet"],
        ["fetch", "--quiet", *options, remote, call.inputs["ref"] or state.sha],
        ["checkout", "--quiet", "--detach", "FETCH_HEAD"],
    ):
        done = subprocess.run(
            [*git, *arguments], env=dict(call.environment), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ActionFailedError(f"The process 'git' failed: {done.stderr.strip()}")


def setup_uv(call: Call) -> None:
    """Put uv on PATH, which GitHub's images do not have."""
    program = shutil.which("uv")
    if not program:
        raise ActionFailedError("there is no uv on this machine")
    folder = call.state.temp / "uv"
    folder.mkdir(exist_ok=True)
    wrapper = folder / "uv"
    # Not a link: what a version manager puts on PATH looks at the name it is called by.
    wrapper.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    call.add_path(folder)


def upload_sarif(call: Call) -> None:
    """Take findings as code scanning does: the file must be there, and the job must have the rights."""
    call.needs("security-events", "write")
    if call.state.repository.is_private:
        call.needs("actions", "read")
        call.needs("contents", "read")
    path = call.state.workspace / call.inputs["sarif_file"]
    if not path.exists():
        raise ActionFailedError(f"Path does not exist: {path}")


def attest(call: Call) -> Mapping[str, str]:
    """Say who built a subject; needs the right to an ID token and to write attestations.

    What is kept is one file for each digest below the artifacts, which a `gh` of the tests may read.
    """
    call.needs("id-token", "write")
    call.needs("attestations", "write")
    call.id_token("sigstore")
    name, digest = call.inputs["subject-name"], call.inputs["subject-digest"]
    if call.inputs["subject-path"]:
        raise ActionFailedError("attesting files is not played")
    if not name or not digest.startswith("sha256:") or len(digest) != len("sha256:") + 64:
        raise ActionFailedError(
            'subject-digest must be in the format "sha256:<hex-digest>", with subject-name'
        )
    if call.inputs.flag("push-to-registry"):
        raise ActionFailedError("push-to-registry is not played")
    folder = call.state.host.artifacts / "attestations"
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / f"{digest.replace(':', '-')}.jsonl"
    said = {
        "repository": call.state.repository.full_name,
        "workflow": call.environment["GITHUB_WORKFLOW_REF"],
        "ref": call.environment["GITHUB_REF"],
        "sha": call.environment["GITHUB_SHA"],
        "subject": name,
    }
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")
    return {"attestation-id": digest[-8:], "attestation-url": "", "bundle-path": str(record)}


_SUBJECT = {
    "subject-name": "", "subject-digest": "", "subject-path": "", "push-to-registry": "false",
    "show-summary": "true", "create-storage-record": "true", "subject-checksums": "",
    "predicate": "", "predicate-path": "", "predicate-type": "", "sbom-path": "", "github-token": "",
}  # fmt: skip

STAND_INS: Mapping[str, Action] = {
    "actions/checkout": Action(
        {"persist-credentials": "true", "fetch-depth": "1", "ref": "", "show-progress": "true"}, checkout
    ),
    "astral-sh/setup-uv": Action(
        {
            "version": "",
            "enable-cache": "auto",
            "cache-dependency-glob": "",
            "ignore-nothing-to-cache": "false",
            "checksum": "",
            "python-version": "",
        },
        setup_uv,
    ),
    "actions/upload-artifact": Action(
        {
            "name": "artifact",
            "path": "",
            "if-no-files-found": "warn",
            "retention-days": "0",
            "compression-level": "6",
            "overwrite": "false",
            "include-hidden-files": "false",
        },
        upload,
    ),
    "actions/download-artifact": Action(
        {
            "name": "",
            "path": "",
            "pattern": "",
            "merge-multiple": "false",
            "run-id": "",
            "github-token": "",
        },
        download,
    ),
    "aws-actions/configure-aws-credentials": Action(
        {
            "role-to-assume": "",
            "aws-region": "",
            "audience": "sts.amazonaws.com",
            "role-session-name": "GitHubActions",
            "role-duration-seconds": "3600",
            "mask-aws-account-id": "false",
            "allowed-account-ids": "",
            "unset-current-credentials": "false",
            "retry-max-attempts": "12",
            "disable-retry": "false",
        },
        configure_aws_credentials,
    ),
    "github/codeql-action/upload-sarif": Action(
        {"sarif_file": "../results", "category": "", "checkout_path": "", "wait-for-processing": "true"},
        upload_sarif,
    ),
    "actions/attest": Action(_SUBJECT, attest),
    "actions/attest-build-provenance": Action(_SUBJECT, attest),
}
