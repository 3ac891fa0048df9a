"""Both templates pass cfn-lint without exception, and fit into one API call."""

from __future__ import annotations

from pathlib import Path

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from rules.templates import BOOTSTRAP, INFRA, MAX_BODY_BYTES, SERVICE, text


def findings(path: Path) -> list[str]:
    """Lint one template, informational rules included."""
    return [str(finding) for finding in lint_file(path, ManualArgs(include_checks=["I"]))]


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE])
def test_template_is_lint_clean(name: str) -> None:
    """Nothing is found by cfn-lint, informational rules included."""
    assert findings(INFRA / name) == []


def test_lint_sees_a_broken_template(tmp_path: Path) -> None:
    """The linter really reads what it is given."""
    broken = tmp_path / SERVICE
    broken.write_text(text(SERVICE).replace("MemorySize:", "MemorySizes:"), encoding="utf-8")
    assert any("MemorySizes" in finding for finding in findings(broken))


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE])
def test_template_fits_into_a_change_set(name: str) -> None:
    """No bucket is needed to hand the template to CloudFormation."""
    assert len(text(name).encode()) <= MAX_BODY_BYTES
