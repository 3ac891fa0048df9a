"""Requests that roles made, kept in `requests.json`: from decisions that local AWSs wrote down.

    DECISIONS_FOLDER=build/decisions make acts          # or the stories, or any test
    python3 dev.py run -m enforced.recording build/decisions

Only what decides is kept: role, action, resource and the context that a condition of ours reads. Names that differ
from one run to the next are made equal; production's requests become staging's, because both environments have the
same template and staging has every role. The second line adds to what is kept; `--anew` begins with nothing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.roles import Decision, read_decisions

FILE = Path(__file__).with_name("requests.json")
NAME, REGION = "image-resizer", "eu-central-1"
# What conditions of the templates read besides global keys, which are known without being kept.
KEPT_CONTEXT = (
    "iam:PassedToService",
    "iam:PermissionsBoundary",
    "lambda:Principal",
    "cloudformation:RoleArn",
)
# What AWS allows without a right.
# Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
OF_EVERYBODY = ("sts:GetCallerIdentity",)
_ROLE = re.compile(rf":assumed-role/({NAME}-[a-z-]+-{REGION})/")
# In this order, and each in the whole ARN.
_MADE_EQUAL = (
    (r"-production\b", "-staging"),
    (r"(:function:[^:/]+):\d+", r"\1:1"),
    (r"-canary-\d+", "-canary-1"),
    (r"(:stack/[^/]+)/.+", r"\1/1"),
    (r"(:log-stream:).+", r"\1stream"),
    (r"/durable-execution/.+", "/durable-execution/name/1"),
    (r"^(arn:aws:s3:::[^/]+/smoke/).+", r"\1key"),
    (r"^(arn:aws:s3:::[^/]+/)(?!smoke/).+", r"\1key"),
)


@dataclass(frozen=True, order=True)
class Request:
    """What one role asked for; `context` is sorted pairs."""

    role: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


def request_of(decision: Decision) -> Request | None:
    """Return what a decision was about, None where it was denied or not about a role of the templates."""
    found = _ROLE.search(decision.who)
    if not decision.allowed or not found or decision.action in OF_EVERYBODY:
        return None
    kept = {key.lower(): key for key in KEPT_CONTEXT}
    context = {
        kept[key.lower()]: equal(str(value)) for key, value in decision.context.items() if key.lower() in kept
    }
    return Request(equal(found[1]), decision.action, equal(decision.resource), tuple(sorted(context.items())))


def equal(text: str) -> str:
    """Return a name without what differs from one run to the next."""
    for pattern, replacement in _MADE_EQUAL:
        text = re.sub(pattern, replacement, text)
    return text


def load() -> list[Request]:
    """Return the requests that are kept."""
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    return [Request(**{**entry, "context": tuple(map(tuple, entry["context"]))}) for entry in found]


def save(requests: Iterable[Request]) -> None:
    """Keep these requests, one on each line."""
    lines = [json.dumps(asdict(request)) for request in sorted(set(requests))]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Add what the files in some folders say; return 0."""
    folders = [Path(name) for name in arguments if name != "--anew"]
    decisions = (
        entry
        for folder in folders
        for file in sorted(folder.glob("*.jsonl"))
        for entry in read_decisions(file)
    )
    found = {request for request in map(request_of, decisions) if request}
    before = set() if "--anew" in arguments else set(load())
    save(before | found)
    print(f"{len(found)} requests, {len(found - before)} of them new; {len(before | found)} are kept")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
