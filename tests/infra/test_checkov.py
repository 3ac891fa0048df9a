"""checkov finds nothing in the templates but what is listed here with a reason, and does find what mutants break.

It starts slowly, so it runs once, on every template as it is written and as CloudFormation gets it, and on mutants.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import NoReturn

import pytest

from deployer.release.template import render
from dev import dev
from generating import ROOT
from rules.templates import BOOTSTRAP, INFRA, SERVICE, merged, parse, text

pytestmark = pytest.mark.xdist_group("checkov")

CHECKOV = dev.Environment(".venv-checkov", "requirements/checkov.txt")
TEMPLATES = sorted(
    path.name
    for path in INFRA.glob("*.yaml")
    if "AWSTemplateFormatVersion" in path.read_text(encoding="utf-8")
)
# check and resources -> why it is no fault here.
SKIPS = {
    (
        "CKV_AWS_18",
        "AWS::S3::Bucket.*",
    ): "a log of each access needs a bucket of its own, which then has none; "
    "CloudTrail's data events do the same and are the account owner's choice",
    ("CKV_AWS_21", "AWS::S3::Bucket.ResizedBucket"): "what is in it can be made again from the originals",
    (
        "CKV_AWS_26",
        "AWS::SNS::Topic.RolloutTopic",
    ): "CloudWatch cannot publish through the key that AWS manages, and no message holds a secret",
    (
        "CKV_AWS_27",
        "AWS::SQS::Queue.FailureQueue",
    ): "encrypted by SQS's own key, which the check does not know",
    (
        "CKV_AWS_116",
        "AWS::Lambda::Function.*",
    ): "failed events go to a failure destination, which also says why they "
    "failed; a dead-letter queue does not",
    ("CKV_AWS_117", "AWS::Lambda::Function.*"): "they call AWS and nothing that is inside a network",
    (
        "CKV_AWS_136",
        "AWS::ECR::Repository.*",
    ): "encrypted by ECR's own key; a key of one's own would be one more thing "
    "that can be lost with all images, and would keep nobody out who may read the repository",
    (
        "CKV_AWS_158",
        "AWS::Logs::LogGroup.*",
    ): "encrypted by the service's own key; no event's content is logged",
    (
        "CKV_AWS_173",
        "AWS::Lambda::Function.*",
    ): "encrypted by the service's own key; no variable holds a secret",
}
# The linter is really run: each of these edits of service.yaml must be found.
MUTANTS = {
    "a public bucket": ("BlockPublicPolicy: true", "BlockPublicPolicy: false", "CKV_AWS_54"),
    "every action": (
        "                Action: sqs:SendMessage\n",
        '                Action: "*"\n',
        "CKV_AWS_107",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One failed check: where it was found and in what, as `TYPE.NAME`."""

    file: str
    check: str
    resource: str


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason, or fail with it where REQUIRE_LINTERS=1 says that every linter must be there."""
    if os.environ.get("REQUIRE_LINTERS") == "1":
        pytest.fail(f"REQUIRE_LINTERS=1, but {reason}")
    pytest.skip(reason)


def scanned() -> Iterator[tuple[str, str]]:
    """Yield the name and text of everything checkov has to read."""
    for name in TEMPLATES:
        yield f"written/{name}", text(name)
        if name not in (BOOTSTRAP, SERVICE):
            yield f"merged/{name}.json", render(parse(text(name)), name=name)
    yield f"merged/{BOOTSTRAP}.json", render(merged(BOOTSTRAP), name=BOOTSTRAP)
    # checkov leaves out what a condition leaves out: with this driver there is everything.
    durable = text(SERVICE).replace("    Default: runner\n", "    Default: durable\n")
    assert durable != text(SERVICE)
    yield f"merged/{SERVICE}.json", render(merged(SERVICE, service=durable), name=SERVICE)
    for name, (old, new, _) in MUTANTS.items():
        assert old in text(SERVICE)
        yield f"mutants/{name}.yaml", text(SERVICE).replace(old, new)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """Run checkov once; return every failed check of every file."""
    try:
        dev.ensure(ROOT, CHECKOV)
    except dev.SetupError as error:
        unavailable(str(error))
    folder = tmp_path_factory.mktemp("checkov")
    for name, content in scanned():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    command = [str(CHECKOV.program(ROOT, "python")), "-m", "checkov.main", "--directory", str(folder)]
    options = ["--framework", "cloudformation", "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    results = report["results"]
    read = {
        check["file_path"].lstrip("/")
        for kind in ("passed_checks", "failed_checks")
        for check in results[kind]
    }
    assert read == {name for name, _ in scanned()}
    return [
        Finding(check["file_path"].lstrip("/"), check["check_id"], check["resource"])
        for check in results["failed_checks"]
    ]


def is_skipped(finding: Finding) -> bool:
    """Tell whether a finding is listed."""
    return any(check == finding.check and fnmatch(finding.resource, resource) for check, resource in SKIPS)


@pytest.mark.parametrize("name", TEMPLATES)
def test_checkov_finds_nothing_that_is_not_listed(findings: list[Finding], name: str) -> None:
    """Each template is clean, as written and as merged, but for what is listed with a reason."""
    files = {f"written/{name}", f"merged/{name}.json"}
    assert [finding for finding in findings if finding.file in files and not is_skipped(finding)] == []


@pytest.mark.parametrize(("check", "resource"), SKIPS, ids=[check for check, _ in SKIPS])
def test_every_exception_is_needed(findings: list[Finding], check: str, resource: str) -> None:
    """An exception that nothing matches is one too many."""
    kept = [finding for finding in findings if not finding.file.startswith("mutants/")]
    assert any(finding.check == check and fnmatch(finding.resource, resource) for finding in kept)


@pytest.mark.parametrize("name", MUTANTS)
def test_checkov_finds_a_mutant(findings: list[Finding], name: str) -> None:
    """Checkov is really run, and on what it is given."""
    assert MUTANTS[name][2] in {
        finding.check for finding in findings if finding.file == f"mutants/{name}.yaml"
    }
