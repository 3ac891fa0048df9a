"""What `bootstrap` says of roles before they are there is what the templates call them."""

from __future__ import annotations

import pytest

from deployer import config
from deployer.release import bootstrap
from deployer.release.bootstrap import Holder, Part
from infra.conftest import ACCOUNT, SETTINGS_TEXT
from rules.templates import BOOTSTRAP, REGISTRY, merged

CONFIG = config.parse(SETTINGS_TEXT)


def outputs_of(template: str, environment: str) -> dict[str, str]:
    """Return the roles among a template's outputs, as ARNs, for one environment; empty is the registry."""
    tree = merged(template)
    values = {
        "${FunctionName}": CONFIG.function.name,
        "${Environment}": environment,
        "${AWS::Region}": CONFIG.function.region,
    }
    found = {}
    for name, output in tree["Outputs"].items():
        if name.endswith("RoleArn") and (environment == "staging" or output.get("Condition") != "IsStaging"):
            role = tree["Resources"][output["Value"]["Fn::GetAtt"][0]]["Properties"]["RoleName"]["Fn::Sub"]
            for parameter, value in values.items():
                role = role.replace(parameter, value)
            found[name] = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    return found


@pytest.mark.parametrize(
    ("template", "environment"),
    [(REGISTRY, ""), (BOOTSTRAP, "staging"), (BOOTSTRAP, "production")],
    ids=["registry", "staging", "production"],
)
def test_roles_are_called_as_the_plan_says(template: str, environment: str) -> None:
    """The plan of `bootstrap` hands each environment its own roles, under the names that its stack will give them."""
    planned = bootstrap.expected_outputs(CONFIG, Part(environment, ACCOUNT), Holder("aws", ACCOUNT))
    assert planned == outputs_of(template, environment)
