"""What runs in AWS keeps the rules of `rules/`: the account's template and each environment's."""

from __future__ import annotations

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs
from rules import bootstrap, service
from rules.templates import BOOTSTRAP, INFRA, MAX_BODY_BYTES, SERVICE, Rule, parse, text


@pytest.mark.parametrize("rule", bootstrap.RULES, ids=lambda rule: rule.__name__)
def test_bootstrap_keeps_the_rule(rule: Rule) -> None:
    """What GitHub may do in the account breaks no rule."""
    assert rule(parse(text(BOOTSTRAP))) == []


@pytest.mark.parametrize("rule", service.RULES, ids=lambda rule: rule.__name__)
def test_service_keeps_the_rule(rule: Rule) -> None:
    """The function and all around it break no rule."""
    assert rule(parse(text(SERVICE))) == []


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE])
def test_template_is_lint_clean(name: str) -> None:
    """Nothing is found by cfn-lint, informational rules included."""
    assert [str(finding) for finding in lint_file(INFRA / name, ManualArgs(include_checks=["I"]))] == []


@pytest.mark.parametrize("name", [BOOTSTRAP, SERVICE])
def test_template_fits_into_a_change_set(name: str) -> None:
    """No bucket is needed to hand the template to CloudFormation."""
    assert len(text(name).encode()) <= MAX_BODY_BYTES
