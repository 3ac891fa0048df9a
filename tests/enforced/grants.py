"""Every grant of every deployed role, and which requests are denied without it: judged by the local AWS's own evaluation.

Run by the Python of the local AWS's environment, which alone has that evaluation: JSON on standard input and output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from ministack.core import iam_evaluator

Policies = list[dict[str, Any]]


def as_list(value: Any) -> list[Any]:
    """Return what IAM allows to be one thing or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def is_allowed(request: dict[str, Any], policies: Policies, boundary: Policies) -> bool:
    """Judge one request."""
    asked = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::000000000000:assumed-role/{request['role']}/session",
        principal_type="AssumedRole",
        principal_account="000000000000",
        action=request["action"],
        resource_arn=request["resource"],
        region="eu-central-1",
        service_context={key.lower(): value for key, value in request["context"]},
    )
    parsed = [iam_evaluator.parse_policy_document(document) for document in policies]
    limits = [[iam_evaluator.parse_policy_document(document) for document in boundary]] if boundary else []
    return bool(iam_evaluator.evaluate(asked, parsed, *limits).decision == "Allow")


def without_each(policies: Policies) -> Iterator[tuple[str, Policies]]:
    """Yield what is left when one action of one statement is removed, with a name for what was."""
    for number, document in enumerate(policies):
        for index, statement in enumerate(as_list(document["Statement"])):
            for action in as_list(statement.get("Action", [])):
                left = [entry for entry in as_list(statement["Action"]) if entry != action]
                statements = list(as_list(document["Statement"]))
                statements[index : index + 1] = [{**statement, "Action": left}] if left else []
                changed = list(policies)
                changed[number] = {**document, "Statement": statements}
                where = as_list(statement["Resource"])[0].split(":", 5)[-1]
                yield f"{action} on {where}", changed


def judge(roles: dict[str, Any], requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the requests that are denied as it is, and the grants without which none more is."""
    denied, unused, count = [], [], 0
    for role, holds in sorted(roles.items()):
        own = [request for request in requests if request["role"] == role]
        policies, boundary = holds["policies"], holds["boundary"]
        denied += [request for request in own if not is_allowed(request, policies, boundary)]
        mutants = [(role, what, changed, boundary) for what, changed in without_each(policies)]
        mutants += [
            (f"{role}'s boundary", what, policies, changed) for what, changed in without_each(boundary)
        ]
        for holder, what, changed, limit in mutants:
            count += 1
            if all(
                is_allowed(request, changed, limit) for request in own if request["action"] == what.split()[0]
            ):
                unused.append(f"{holder}: {what}")
    return {"denied": denied, "unused": unused, "grants": count}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(judge(given["roles"], given["requests"]), sys.stdout)
