"""What the local AWS denied, in sentences that name role, right, resource and the file to change. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.roles import Decision

PERMISSIONS = "infra/permissions.yaml"


def of_the_machinery(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the decisions but for what the function's own code asked: it may live with a denial."""
    return [
        decision for decision in decisions if decision.by != "api" or "-function" not in _role(decision.who)
    ]


def explained(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """Return one sentence for each denial, each once, in order."""
    denied = [decision for decision in decisions if not decision.allowed and decision.by != "sts"]
    return tuple(dict.fromkeys(_sentence(decision) for decision in denied))


def _sentence(decision: Decision) -> str:
    role = _role(decision.who)
    lacks = f"`{role}` lacks {decision.action} on {decision.resource}"
    return f"{lacks}: {_mend(decision.by, role)}"


def _role(who: str) -> str:
    """Return a role's name from the ARN of its session."""
    return who.split("/")[1] if ":assumed-role/" in who else who


def _mend(door: str, role: str) -> str:
    """Return where the right belongs, by who needs it."""
    if door == "repository":
        return "the repository's policy in infra/registry.yaml decides it"
    if door.startswith("cloudformation"):
        return f"add it to section `stack` of {PERMISSIONS}"
    if "-function" in role or door == "lambda":
        return f"add it to section `function` of {PERMISSIONS}"
    if "-smoke" in role:
        return f"add it to section `smoke` of {PERMISSIONS}"
    return "infra/bootstrap.yaml or infra/registry.yaml grants it"
