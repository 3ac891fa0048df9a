"""What runs in AWS keeps the rules of `rules/`: the account's template and each environment's."""

from __future__ import annotations

import pytest
from rules import bootstrap, service
from rules.templates import BOOTSTRAP, SERVICE, Rule, parse, text


@pytest.mark.parametrize("rule", bootstrap.RULES, ids=lambda rule: rule.__name__)
def test_bootstrap_keeps_the_rule(rule: Rule) -> None:
    """What GitHub may do in the account breaks no rule."""
    assert rule(parse(text(BOOTSTRAP))) == []


@pytest.mark.parametrize("rule", service.RULES, ids=lambda rule: rule.__name__)
def test_service_keeps_the_rule(rule: Rule) -> None:
    """The function and all around it break no rule."""
    assert rule(parse(text(SERVICE))) == []
