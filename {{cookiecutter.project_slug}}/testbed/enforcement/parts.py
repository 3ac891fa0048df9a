"""The parts of the enforcement, by name, and how they are put into MiniStack. Shell."""

from __future__ import annotations

from testbed.enforcement import (
    caller,
    functions,
    passing,
    principals,
    providers,
    registry,
    requests,
    stack_roles,
    tokens,
)
from testbed.enforcement.decisions import Decisions
from testbed.enforcement.settings import Settings

# By the name that `Roles.left_out` uses; in this order, because later parts call what earlier ones replaced.
PARTS = {
    "root": principals.install,
    "actions": requests.install_actions,
    "resources": requests.install_resources,
    "caller": caller.install,
    "tokens": tokens.install,
    "registry": registry.install,
    "passing": passing.install,
    "functions": functions.install,
    "providers": providers.install,
    "stacks": stack_roles.install,
}


def install(settings: Settings) -> None:
    """Replace what MiniStack does, before its first request; raise AssertionError where it is another."""
    decisions = Decisions(settings.log)
    for name, part in PARTS.items():
        if name not in settings.left_out:
            part(settings, decisions)
