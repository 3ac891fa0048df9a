"""Why a role did not take an ID token: what was sent beside what the role's trust policy asks for. Pure.

No signature is looked at, and the token itself is never shown: only claims that say which job it is of.
Source: https://docs.github.com/en/actions/reference/security/oidc
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

_SHOWN = ("aud", "sub", "repository_id", "environment", "ref")
_MAIN = "refs/heads/main"
_ROLE = re.compile(
    r"role/.+?(?:-(?P<environment>staging|production))?"
    r"-(?P<kind>push|prune|deploy|plan|rollback|smoke|gameday|stack)-[a-z]{2,3}(?:-[a-z]+)+-\d$"
)
_IMMUTABLE = re.compile(r"^repo:[^/@]+@\d+/[^/@]+@\d+:")


def claims(token: str) -> dict[str, str]:
    """Return the claims that say which job a token is of; none for what is no token."""
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return {name: str(found[name]) for name in _SHOWN if name in found}
    except (IndexError, ValueError, TypeError):
        return {}


def explain(sent: Mapping[str, str], role_arn: str, audience: str) -> str:
    """Return one line for each claim: what was sent, and where it differs what the role expects.

    The role's name says which environment it trusts. What its policy has as subject and repository only the
    account knows, so for those the line says what to compare.
    """
    expected = {"aud": audience, "ref": _MAIN}
    environment = _environment(role_arn)
    if environment:
        expected["environment"] = environment
    lines = [_line(name, sent.get(name), expected.get(name)) for name in _SHOWN]
    subject = sent.get("sub", "")
    end = f":environment:{environment}" if environment else f":ref:{_MAIN}"
    if subject and not subject.endswith(end):
        lines.append(f"the subject ends otherwise than the role expects: `{end}`")
    if subject and not _IMMUTABLE.match(subject):
        lines.append("the subject is of the older form, without ids: the role must have been made for it")
    if all(sent.get(name) == value for name, value in expected.items()) and subject.endswith(end):
        lines.append("so the role trusts another repository or form of the subject, or does not exist")
    return "\n".join(lines)


def _environment(role_arn: str) -> str:
    """Return the GitHub environment whose jobs a role trusts, empty for one that trusts a branch."""
    match = _ROLE.search(role_arn)
    if match is None or match["kind"] == "push":
        return ""
    if match["kind"] == "prune":
        return "prune"
    plain = match["kind"] in ("deploy", "smoke")
    return f"{match['environment']}{'' if plain else '-' + match['kind']}"


def _line(name: str, sent: str | None, expected: str | None) -> str:
    said = f"{name:<13} sent `{sent}`" if sent is not None else f"{name:<13} not sent"
    return said if expected in (None, sent) else f"{said}, the role expects `{expected}`"
