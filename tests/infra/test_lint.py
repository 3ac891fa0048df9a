"""The templates, as written and as merged, pass cfn-lint without exception, and fit into one API call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs
from cfnlint.decode import decode_str

from deployer.release.template import MAX_BODY_BYTES, parse
from infra.conftest import BOOTSTRAP_BODY, SERVICE_BODY
from rules.templates import BOOTSTRAP, INFRA, SERVICE, text

BODIES = {BOOTSTRAP: BOOTSTRAP_BODY, SERVICE: SERVICE_BODY}


def findings(path: Path) -> list[str]:
    """Lint one template, informational rules included."""
    return [str(finding) for finding in lint_file(path, ManualArgs(include_checks=["I"]))]


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE])
def test_template_is_lint_clean(name: str) -> None:
    """Nothing is found by cfn-lint, informational rules included."""
    assert findings(INFRA / name) == []


@pytest.mark.parametrize("name", BODIES)
def test_merged_template_is_lint_clean(tmp_path: Path, name: str) -> None:
    """What CloudFormation gets, variables and rights included, is as clean as what was written."""
    merged = tmp_path / f"{name}.json"
    merged.write_text(BODIES[name], encoding="utf-8")
    assert findings(merged) == []


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE, "codedeploy.yaml"])
def test_short_forms_are_read_as_the_linter_reads_them(name: str) -> None:
    """Every `!Ref`, `!Sub` and `!GetAtt` comes out as cfn-lint's own decoder gives it."""
    tree, problems = decode_str(text(name))
    assert not problems
    assert parse(text(name), name=name) == json.loads(json.dumps(tree))


def test_lint_sees_a_broken_template(tmp_path: Path) -> None:
    """The linter really reads what it is given."""
    broken = tmp_path / SERVICE
    broken.write_text(text(SERVICE).replace("MemorySize:", "MemorySizes:"), encoding="utf-8")
    assert any("MemorySizes" in finding for finding in findings(broken))


@pytest.mark.parametrize("name", BODIES)
def test_template_leaves_room_for_the_owner(name: str) -> None:
    """No bucket is needed to hand the template to CloudFormation, and a quarter is left for more resources."""
    assert len(BODIES[name].encode()) <= 0.75 * MAX_BODY_BYTES
