"""What runs in AWS keeps the rules of `rules/`: the account's template and each environment's."""

from __future__ import annotations

from pathlib import Path

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs
from rules import bootstrap, codedeploy, registry, roles, service
from rules.templates import BOOTSTRAP, INFRA, REGISTRY, SERVICE, Rule, merged, parse, text

from deployer.config import load
from deployer.release import sources
from deployer.release.template import render


@pytest.mark.parametrize("name", [BOOTSTRAP, REGISTRY])
@pytest.mark.parametrize(
    "rule", [*bootstrap.RULES, *registry.RULES], ids=lambda rule: getattr(rule, "__name__", None)
)
def test_account_keeps_the_rule(rule: Rule, name: str) -> None:
    """What GitHub may do in the account breaks no rule."""
    assert rule(merged(name)) == []


@pytest.mark.parametrize("name", [BOOTSTRAP, REGISTRY])
def test_rights_are_listed(name: str) -> None:
    """Roles and ceilings have the rights of `rules/roles.py`, and those of permissions.yaml, and no others."""
    assert roles.rights_are_listed(parse(text(name))) == []


@pytest.mark.parametrize("rule", service.RULES, ids=lambda rule: rule.__name__)
def test_service_keeps_the_rule(rule: Rule) -> None:
    """The function and all around it break no rule."""
    assert rule(merged(SERVICE)) == []


@pytest.mark.parametrize("rule", codedeploy.RULES, ids=lambda rule: rule.__name__)
def test_codedeploy_keeps_the_rule(rule: Rule) -> None:
    """What the driver codedeploy needs, if it is chosen, breaks no rule."""
    assert rule(parse(text("codedeploy.yaml"))) == []


def test_settings_and_rights_fit_the_templates() -> None:
    """Variables, parameters and rights merge into both templates for both environments, as in a release."""
    root = INFRA.parent
    sources.check(root, load(root / "deploy.toml"))


@pytest.mark.parametrize("name", [BOOTSTRAP, REGISTRY, SERVICE])
def test_template_is_lint_clean(name: str, tmp_path: Path) -> None:
    """Nothing is found by cfn-lint, informational rules included, in what CloudFormation gets in one call."""
    sent = tmp_path / f"{name}.json"
    sent.write_text(render(merged(name), name=name), encoding="utf-8")
    assert [str(finding) for finding in lint_file(sent, ManualArgs(include_checks=["I"]))] == []
