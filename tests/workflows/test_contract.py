"""The workflows and the deployer agree: commands, options, outputs, environment variables, artifacts."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from deployer.image import build as image
from docs.calls import PROGRAM, call_faults, find_command, leaf_commands
from generating import GENERATED

ROOT = GENERATED
WORKFLOWS = {
    path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml")
}
DEPLOYER = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "deployer").rglob("*.py"))


def calls() -> list[list[str]]:
    """Return the words of every call of the deployer in a workflow, without quoted values."""
    runs = [
        step["run"]
        for text in WORKFLOWS.values()
        for job in yaml.safe_load(text)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    found = (re.match(r"(?:exec )?deployer ([^#]*)", run) for run in runs)
    return [re.sub(r'"[^"]*"', "value", match[1]).split() for match in found if match]


def test_commands_and_options_exist() -> None:
    """Every command a workflow runs exists, with the options it is given."""
    assert len(calls()) > 10
    assert [fault for words in calls() for fault in call_faults(words)] == []


def test_outputs_are_set() -> None:
    """Every output of a step that a workflow reads is one the deployer sets."""
    read = set(re.findall(r"steps\.\w+\.outputs\.(\w+)", "".join(WORKFLOWS.values())))
    assert read == {"region", "runner", "config_digest"} | {
        *("image_uri", "image_repository", "image_sha256", "run_id", "version", "smoke_target")
    }
    assert read <= set(re.findall(r'set_output\("(\w+)"', DEPLOYER))


def test_environment_variables_are_read() -> None:
    """What a job hands over as an environment variable is what a command, a step or the package reads."""
    options = {
        name
        for names in leaf_commands(PROGRAM)
        for parameter in find_command(list(names))[0].params
        for name in [parameter.envvar]
        if isinstance(name, str)
    }
    for text in WORKFLOWS.values():
        for job in yaml.safe_load(text)["jobs"].values():
            commands = "".join(step.get("run", "") for step in job["steps"])
            unread = [
                name
                for name in job.get("env", {})
                if name not in options and f"${name}" not in commands and f'"{name}"' not in DEPLOYER
            ]
            assert unread == []


def test_variables_are_those_bootstrap_prints() -> None:
    """Every role a workflow takes from a GitHub variable is one that `deployer bootstrap` prints."""
    read = set(re.findall(r"vars\.(AWS_\w+)", "".join(WORKFLOWS.values())))
    assert read == set(
        re.findall(r'"(AWS_\w+_ROLE_ARN)"', (ROOT / "deployer/release/bootstrap.py").read_text())
    )


def test_artifact_holds_what_push_reads() -> None:
    """The image, its digest and the scan's verdict travel together to the job that pushes."""
    steps = yaml.safe_load(WORKFLOWS["deploy.yml"])["jobs"]["image"]["steps"]
    [path] = [step["with"]["path"] for step in steps if step.get("with", {}).get("name") == "image"]
    assert path.split() == ["build/image.*", "build/scan.json", "build/scan/sbom.cdx.json"]
    assert {"image.json", "image.tar", "scan.json"} <= set(
        re.findall(r"(?:image|scan)\.(?:json|tar)", DEPLOYER)
    )


def test_image_is_loaded_where_it_was_handed_to(tmp_path: Path) -> None:
    """The job that pushes finds the image in its own checkout, wherever the other job had built it."""
    config = b'{"architecture": "arm64", "os": "linux"}'
    digest = f"sha256:{sha256(config).hexdigest()}"
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        for name, text in {"manifest.json": b'[{"Config": "config.json"}]', "config.json": config}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    built = {"reference": "name:candidate", "config_digest": digest, "platform": "linux/arm64"}
    elsewhere = {"tar": "/another/machine/build/image.tar", "created_at": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "image.json").write_text(json.dumps(built | elsewhere), encoding="utf-8")
    assert image.load(tmp_path).tar == tmp_path / "image.tar"


@pytest.mark.skipif(os.name == "nt", reason="GitHub's runner has bash")
def test_a_missing_role_is_one_clear_sentence() -> None:
    """A job whose variable is gone ends before it asks AWS for anything, and says which one and what mends it."""
    steps = yaml.safe_load((ROOT / ".github/actions/assume-role/action.yml").read_text())["runs"]["steps"]
    assert ["run" in step for step in steps] == [True, False]
    for role in ("", "arn:aws:iam::1:role/x"):
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps[0]["run"]],
            env={"ROLE": role, "VARIABLE": "AWS_PLAN_ROLE_ARN", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == bool(role)
        assert ("AWS_PLAN_ROLE_ARN is not set here, run deployer bootstrap again" in done.stderr) != bool(
            role
        )
