"""What GitHub's REST interface answers about one repository, and how that changes it. Pure."""

from __future__ import annotations

import re
from typing import Any

State = dict[str, Any]


class Refused(Exception):
    """What gh prints on standard error before it ends with 1."""


def environment_of(state: State, name: str) -> Any:
    """Return an environment; refuse one that does not exist."""
    found = state["environments"].get(name)
    if found is None:
        raise Refused(f"HTTP 404: Not Found (environments/{name})")
    return found


def answer(state: State, method: str, path: str, body: dict[str, Any]) -> Any:
    """Answer a request below the repository's address."""
    if method == "GET" and not path:
        owner = {"login": state["owner"], "id": state["owner_id"], "type": "Organization"}
        full_name = f"{state['owner']}/{state['name']}"
        facts = {"id": state["id"], "private": state["private"], "default_branch": "main"}
        facts["permissions"] = {"admin": True}
        return {"name": state["name"], "full_name": full_name, "owner": owner, **facts}
    if method == "GET" and path == "actions/oidc/customization/sub":
        return {"use_default": True, "use_immutable_subject": state["immutable_subject"]}
    if path.startswith("rulesets"):
        return _rulesets(state, method, path, body)
    if found := re.fullmatch(r"environments/([^/]+)(?:/(deployment-branch-policies))?(?:/(\d+))?", path):
        return _environments(state, method, found, body)
    if method == "GET" and path == "environments":
        return {"environments": [_about(name, about) for name, about in state["environments"].items()]}
    if method == "GET" and path == "actions/variables":
        return _variables(state)
    if method == "GET" and path == "rules/branches/main":
        return [rule for rules in state["rulesets"] for rule in rules["rules"]]
    if found := re.fullmatch(r"environments/([^/]+)/variables", path):
        return _variables(environment_of(state, found[1]))
    raise Refused(f"`{method} {path}` is not played")


def _variables(place: Any) -> Any:
    return {"variables": [{"name": name, "value": value} for name, value in place["variables"].items()]}


def _about(name: str, environment: Any) -> Any:
    """Return an environment as GitHub describes it."""
    reviewers = [{"type": each["type"], "reviewer": {"id": each["id"]}} for each in environment["reviewers"]]
    rules = [{"type": "required_reviewers", "reviewers": reviewers}] if reviewers else []
    is_limited = environment["branches"] is not None
    policy = {"protected_branches": False, "custom_branch_policies": True} if is_limited else None
    return {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}


def _rulesets(state: State, method: str, path: str, body: dict[str, Any]) -> Any:
    if method == "GET" and path == "rulesets":
        return [{"id": number, **rules} for number, rules in enumerate(state["rulesets"], 1)]
    if method == "POST" and path == "rulesets":
        if any(rules["name"] == body["name"] for rules in state["rulesets"]):
            raise Refused("HTTP 422: Validation Failed: Name must be unique")
        state["rulesets"].append(body)
        return {"id": len(state["rulesets"]), **body}
    number = int(path.partition("/")[2] or 0)
    if not 1 <= number <= len(state["rulesets"]):
        raise Refused("HTTP 404: Not Found (rulesets)")
    if method == "PUT":
        state["rulesets"][number - 1] = body
    return {"id": number, **state["rulesets"][number - 1]}


def _environments(state: State, method: str, found: re.Match[str], body: dict[str, Any]) -> Any:
    name, policies = found[1], found[2]
    if method == "PUT" and not policies:
        kept = state["environments"].get(name, {"variables": {}, "secrets": {}, "branches": None})
        policy = body.get("deployment_branch_policy")
        if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
            raise Refused(
                "HTTP 422: protected_branches and custom_branch_policies cannot have the same value"
            )
        if policy and policy["protected_branches"]:
            raise Refused("protected_branches is not played")
        if any(set(each) != {"type", "id"} for each in body.get("reviewers") or []):
            raise Refused("HTTP 422: Invalid request. A reviewer has a type and an id")
        # As on GitHub, what the request leaves out is gone.
        kept["branches"] = (kept["branches"] or []) if policy else None
        kept["reviewers"] = body.get("reviewers") or []
        state["environments"][name] = kept
        return {"name": name}
    environment = environment_of(state, name)
    if method == "GET" and not policies:
        return _about(name, environment)
    if method == "GET" and policies:
        listed = [
            {"id": number, "name": each} for number, each in enumerate(environment["branches"] or [], 1)
        ]
        return {"total_count": len(listed), "branch_policies": listed}
    if method == "POST" and policies:
        if environment["branches"] is None:
            raise Refused("HTTP 404: Not Found (the environment has no custom branch policies)")
        if body["name"] in environment["branches"]:
            raise Refused("HTTP 303: already exists")
        environment["branches"].append(body["name"])
        return {"name": body["name"]}
    raise Refused(f"`{method} {found[0]}` is not played")
