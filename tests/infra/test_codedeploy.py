"""infra/codedeploy.yaml: clean, and its rights reach one function's deployments and nothing else."""

from __future__ import annotations

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from rules.templates import INFRA, Template, grants, parse, resources, text

NAME = "codedeploy.yaml"
OURS = "${Name}-${Environment}"


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


def test_rights_are_listed(template: Template) -> None:
    """No action has a wildcard."""
    assert [action for grant in grants(template) for action in grant.actions if "*" in action] == []


def test_rights_are_ours(template: Template) -> None:
    """Every resource is this function's, but for two actions that know none, and CodeDeploy's own configuration."""
    foreign = [
        (grant.actions, resource)
        for grant in grants(template)
        for resource in grant.resources
        if OURS not in str(resource)
    ]
    assert [actions for actions, resource in foreign if resource == "*"] == [
        ("cloudwatch:DescribeAlarms",),
        ("codedeploy:StopDeployment",),
    ]
    assert [str(resource).rpartition(":")[2] for _, resource in foreign if resource != "*"] == [
        "CodeDeployDefault.LambdaAllAtOnce'}"
    ]


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
