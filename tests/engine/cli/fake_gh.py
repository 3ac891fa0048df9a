#!/usr/bin/env python3
"""A stand-in for GitHub's command `gh`: one repository, kept in the file that FAKE_GH names.

It knows the calls that the deployer makes, refuses all others, and writes each call down.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from pathlib import Path

STATE = Path(os.environ["FAKE_GH"])


def fail(message: str) -> int:
    """End as `gh` does when GitHub refuses."""
    sys.stderr.write(f"{message}\n")
    return 1


def fields(words: list[str]) -> list[tuple[str, str]]:
    """Return what `-f` and `-F` send; whatever their order, `gh` puts those of `-f` first."""
    given = [(flag, v) for flag, v in itertools.pairwise(words) if flag in ("-f", "-F")]
    return [
        (v.partition("=")[0], v.partition("=")[2]) for _, v in sorted(given, key=lambda one: one[0] == "-F")
    ]


def listed(sent: list[tuple[str, str]], name: str) -> list[dict[str, str]]:
    """Put the fields NAME[][KEY] together: a key that the last object has begins the next one."""
    made: list[dict[str, str]] = []
    for field, value in sent:
        if field.startswith(f"{name}[]["):
            key = field.removeprefix(f"{name}[][").removesuffix("]")
            if not made or key in made[-1]:
                made.append({})
            made[-1][key] = value
    return made


def read(state: dict, path: str) -> object:
    """Return the answer of a GET, None where there is nothing."""
    name = state["name"]
    at = path.partition("?")[0].removeprefix("repos/{owner}/{repo}").removeprefix(f"repos/{name}")
    if at == "":
        return {
            "name": name.partition("/")[2],
            "id": state["id"],
            "owner": {"login": name.partition("/")[0], "id": state["owner_id"]},
            "permissions": {"admin": state["admin"]},
        }
    if at == "/actions/oidc/customization/sub":
        return state["oidc"]
    if at == "/actions/variables":
        return {"variables": [{"name": k, "value": v} for k, v in state["variables"].get("", {}).items()]}
    if at == "/rules/branches/main":
        return state["rules"]
    if at == "/environments":
        return {"environments": [{"name": k, **v["about"]} for k, v in state["environments"].items()]}
    found = re.fullmatch(r"/environments/([\w-]+)(/.*)?", at)
    environment = state["environments"].get(found[1]) if found else None
    if environment is None or found is None:
        return None
    if found[2] == "/variables":
        values = state["variables"].get(found[1], {})
        return {"variables": [{"name": k, "value": v} for k, v in values.items()]}
    if found[2] == "/deployment-branch-policies":
        return {"branch_policies": [{"name": branch} for branch in environment["branches"]]}
    return None


def write(state: dict, method: str, path: str, words: list[str]) -> int:
    """Carry out a PUT or a POST."""
    at = path.removeprefix(f"repos/{state['name']}")
    found = re.fullmatch(r"/environments/([\w-]+)(/deployment-branch-policies)?", at)
    if (method, at) == ("POST", "/rulesets"):
        asked = json.loads(Path(words[words.index("--input") + 1]).read_text(encoding="utf-8"))
        state["rules"] = asked["rules"]
    elif found and method == "PUT" and not found[2]:
        sent = fields(words)
        given = listed(sent, "reviewers")
        if any(set(one) != {"type", "id"} for one in given):
            return fail("gh: Invalid request. (HTTP 422)")
        reviewers = [{"type": one["type"], "reviewer": {"id": int(one["id"])}} for one in given]
        rule = {"type": "required_reviewers", "reviewers": reviewers}
        custom = ("deployment_branch_policy[custom_branch_policies]", "true") in sent
        about = {
            "protection_rules": [rule] if reviewers else [],
            "deployment_branch_policy": {"custom_branch_policies": custom, "protected_branches": not custom},
        }
        state["environments"][found[1]] = {"about": about, "branches": []}
    elif found and method == "POST" and found[2] and found[1] in state["environments"]:
        state["environments"][found[1]]["branches"].append(dict(fields(words))["name"])
    else:
        return fail(f"gh: Not Found (HTTP 404): {method} {path}")
    return 0


def main(words: list[str]) -> int:
    """Answer one call."""
    state = json.loads(STATE.read_text(encoding="utf-8"))
    state["calls"].append(words)
    status = answer(state, words)
    STATE.write_text(json.dumps(state), encoding="utf-8")
    return status


def answer(state: dict, words: list[str]) -> int:
    """Return how a call ends."""
    if words == ["auth", "status"]:
        return 0 if state["signed_in"] else fail("You are not logged into any GitHub hosts.")
    refusal = next((why for part, why in state["refuses"].items() if part in " ".join(words)), None)
    if refusal:
        return fail(refusal)
    if words[:2] == ["variable", "set"]:
        named = dict(zip(words[3::2], words[4::2], strict=True))
        environment = named.get("--env", "")
        if named["--repo"] != state["name"] or (environment and environment not in state["environments"]):
            return fail("HTTP 404: Not Found")
        state["variables"].setdefault(environment, {})[words[2]] = named["--body"]
        return 0
    if "-X" in words:
        where = words.index("-X")
        return write(state, words[where + 1], words[where + 2], words)
    found = read(state, words[-1])
    if found is None:
        return fail("gh: Not Found (HTTP 404)")
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
