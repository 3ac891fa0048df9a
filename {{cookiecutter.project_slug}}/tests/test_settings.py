"""deploy.toml is accepted, and what it names exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules.templates import SERVICE, parse, text

from deployer.config import load

CONFIG = load(Path(__file__).parents[1] / "deploy.toml")
PARAMETERS = parse(text(SERVICE))["Parameters"]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_its_parameters_are_those_of_the_stack(environment: str) -> None:
    """Each key of `[parameters]`, the environment's own included, is a parameter of infra/service.yaml."""
    assert sorted(set(CONFIG.own_parameters(environment)) - set(PARAMETERS)) == []


def test_its_trigger_is_one_of_the_stack() -> None:
    """What invokes the function is one of the triggers that infra/service.yaml can make."""
    assert CONFIG.function.trigger in PARAMETERS.get("Trigger", {"AllowedValues": ["none"]})["AllowedValues"]
