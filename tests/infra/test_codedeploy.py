"""infra/codedeploy.yaml: clean, and its rights reach one function's deployments and nothing else."""

from __future__ import annotations

import copy

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from infra.test_bootstrap import changed_grants, changed_trusts
from rules import codedeploy
from rules.templates import INFRA, Rule, Template, grants, parse, resources, text

NAME = "codedeploy.yaml"


@pytest.fixture(scope="module")
def template() -> Template:
    """Return the template."""
    return parse(text(NAME))


def test_lint_clean() -> None:
    """Nothing is found by cfn-lint, informational rules included."""
    assert [str(found) for found in lint_file(INFRA / NAME, ManualArgs(include_checks=["I"]))] == []


def test_names_of_roles_fit(template: Template) -> None:
    """With the longest name and region a role's name has at most 64 characters."""
    longest = {
        "Name": "n" * template["Parameters"]["Name"]["MaxLength"],
        "Environment": "production",
        "AWS::Region": "ap-northeast-1",
    }
    for role in resources(template, "AWS::IAM::Role").values():
        name = role["RoleName"]["Fn::Sub"]
        for parameter, value in longest.items():
            name = name.replace(f"${{{parameter}}}", value)
        assert len(name) <= 64
    assert len(longest["Name"]) == 29


@pytest.mark.parametrize("rule", codedeploy.RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rule(rule: Rule, template: Template) -> None:
    """Two holders have the rights of their list; who they are for is written down."""
    assert rule(template) == []


def test_a_changed_grant_is_found(template: Template) -> None:
    """A right more, a right less, a wider resource: each is told with its holder."""
    mutants = list(changed_grants(template))
    survivors = [
        about
        for holder, about, mutant in mutants
        if not any(finding.startswith(f"{holder} ") for finding in codedeploy.rights_are_listed(mutant))
    ]
    assert survivors == []
    assert len(mutants) >= 35


def test_a_changed_trust_is_found(template: Template) -> None:
    """Whatever is left out of the trust of CodeDeploy's role, made wider or added to it is told."""
    mutants = list(changed_trusts(template))
    assert [about for about, mutant in mutants if not codedeploy.only_codedeploy_shifts(mutant)] == []
    assert len(mutants) >= 20


def test_rights_for_somebody_else_are_found(template: Template) -> None:
    """CodeDeploy's calls are the deploy role's, and no user's or other role's."""
    other = copy.deepcopy(template)
    other["Resources"]["DeployRights"]["Properties"]["Roles"].append("admin")
    assert "DeployRights is held by" in codedeploy.only_codedeploy_shifts(other)[0]


def test_deploy_role_cannot_shift_by_itself_here(template: Template) -> None:
    """What this adds to the deploy role is CodeDeploy's calls: the alias is moved by CodeDeploy's own role."""
    added = {
        action for grant in grants(template) if grant.holder == "DeployRights" for action in grant.actions
    }
    assert {action.partition(":")[0] for action in added} == {"codedeploy"}


def test_deployments_go_back(template: Template) -> None:
    """A deployment that fails, is stopped, or stops on its alarm is rolled back by CodeDeploy itself."""
    group = template["Resources"]["DeploymentGroup"]["Properties"]
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert len(group["AutoRollbackConfiguration"]["Events"]) == 3
