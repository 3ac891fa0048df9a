"""A `gh` for one repository, which is kept in a JSON file: what GitHub would answer, and what it was told. Shell.

    python gh STATE ARGUMENTS…

Standard library only. A command that is not played ends with 1 and says so: so a wrong command is red.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import work
from rest import Refused, State, answer, environment_of


@contextmanager
def opened(path: Path) -> Iterator[State]:
    """Read the state, and write it back; two programs take turns."""
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        yield state
        file.seek(0)
        file.truncate()
        json.dump(state, file, indent=2)


def main(argv: list[str]) -> int:
    """Answer one command; every command is noted."""
    path, *words = argv
    with opened(Path(path)) as state:
        state["calls"].append(words)
        try:
            _check_token(state, *RIGHTS.get(words[0], ("", "")))
            said = _command(words)(state, words)
        except Refused as error:
            sys.stderr.write(f"gh: {error}\n")
            return 1
    if said is not None:
        sys.stdout.write(f"{said if isinstance(said, str) else json.dumps(said)}\n")
    return 0


def _check_token(state: State, scope: str, right: str) -> None:
    """In a job gh needs a token in its environment, and the token a right; elsewhere somebody is signed in.

    Without a `scope` only the token is looked at.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    token = os.environ.get("GH_TOKEN")
    if not token:
        raise Refused(
            "To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable."
        )
    file = Path(state["tokens"]) / f"{token}.json"
    if not file.exists():
        raise Refused("HTTP 401: Bad credentials")
    found = json.loads(file.read_text(encoding="utf-8")).get(scope, "none")
    if scope and found not in (right, "write"):
        raise Refused("HTTP 403: Resource not accessible by integration")


def _command(words: list[str]) -> Callable[[State, list[str]], Any]:
    for beginning, command in COMMANDS.items():
        if words[: len(beginning.split())] == beginning.split():
            return command
    raise Refused(f"`gh {' '.join(words)}` is not played")


def set_variable(state: State, words: list[str]) -> None:
    """Set a variable of the repository or of an environment, which has to be there."""
    parser = ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--env", "-e")
    parser.add_argument("--body", "-b", required=True)
    parser.add_argument("--repo", "-R")
    given = parser.parse_args(words[2:])
    if not given.body:
        raise Refused("variable value must not be empty")
    place = environment_of(state, given.env) if given.env else state
    place["variables"][given.name] = given.body


def list_variables(state: State, words: list[str]) -> Any:
    """List variables as JSON."""
    parser = ArgumentParser()
    parser.add_argument("--env", "-e")
    parser.add_argument("--repo", "-R")
    parser.add_argument("--json")
    given = parser.parse_args(words[2:])
    place = environment_of(state, given.env) if given.env else state
    return [{"name": name, "value": value} for name, value in place["variables"].items()]


def api(state: State, words: list[str]) -> Any:
    """Answer one request of the REST interface."""
    parser = ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--method", "-X")
    parser.add_argument("--silent", action="store_true")
    parser.add_argument("--input")
    parser.add_argument("--jq", "-q")
    parser.add_argument("--header", "-H", action="append")
    parser.add_argument("--paginate", action="store_true")
    for names, is_typed in ((("--field", "-F"), True), (("--raw-field", "-f"), False)):
        kind = functools.partial(_field, is_typed)
        parser.add_argument(
            *names, action="append", dest="typed" if is_typed else "raw", default=[], type=kind
        )
    given = parser.parse_args(words[1:])
    body = json.loads(_text(given.input)) if given.input else _fields(given.raw + given.typed)
    method = given.method or ("POST" if body else "GET")
    path, _, query = given.path.lstrip("/").partition("?")
    path = path.replace("{owner}", state["owner"]).replace("{repo}", state["name"])
    own = f"repos/{state['owner']}/{state['name']}"
    if path != own and not path.startswith(f"{own}/"):
        raise Refused(f"HTTP 404: Not Found ({path})")
    below = path.removeprefix(own).strip("/")
    if (method, below) == ("GET", "actions/artifacts"):
        _check_token(state, "actions", "read")
        return work.artifacts(state, dict(parse_qsl(query))["name"])
    said = answer(state, method, below, body)
    if given.silent:
        return None
    return _picked(said, given.jq) if given.jq else said


def _text(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _field(is_typed: bool, text: str) -> tuple[str, Any]:
    """Read one field; `-F` knows numbers and truth values."""
    key, _, value = text.partition("=")
    known = {"true": True, "false": False, "null": None}
    return key, known.get(value, int(value) if value.isdigit() else value) if is_typed else value


def _fields(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Put fields such as `a[b]` and `a[][b]` together as gh does: those of `-f` before those of `-F`.

    Source: https://github.com/cli/cli (pkg/cmd/api/fields.go, parseFields)
    """
    body: dict[str, Any] = {}
    for key, found in fields:
        first, *inner = [part for part in re.split(r"[\[\]]+", key) if part]
        if key.endswith("[]"):
            body.setdefault(first, []).append(found)
        elif "[][" in key:  # a member that is there already begins the next object of the list
            listed = body.setdefault(first, [{}])
            if inner[0] in listed[-1]:
                listed.append({})
            listed[-1][inner[0]] = found
        elif inner:
            body.setdefault(first, {})[inner[0]] = found
        else:
            body[first] = found
    return body


def _picked(answer: Any, query: str) -> str:
    """Evaluate the few queries that consist of paths, such as `.owner.id,.id`."""
    lines = []
    for path in query.split(","):
        found = answer
        for part in path.strip().lstrip(".").split("."):
            found = found[part]
        lines.append(found if isinstance(found, str) else json.dumps(found))
    return "\n".join(lines)


def sign_in_status(state: State, words: list[str]) -> str:
    """Say that somebody is signed in."""
    del state, words
    return "Logged in to github.com"


def verify_attestation(state: State, words: list[str]) -> Any:
    """Find the attestation of a subject by its digest, made by this repository."""
    parser = ArgumentParser()
    parser.add_argument("subject")
    parser.add_argument("--repo", "-R")
    parser.add_argument("--owner")
    parser.add_argument("--signer-workflow")
    parser.add_argument("--source-ref")
    parser.add_argument("--source-digest")
    parser.add_argument("--predicate-type")
    parser.add_argument("--deny-self-hosted-runners", action="store_true")
    parser.add_argument("--bundle-from-oci", action="store_true")
    parser.add_argument("--format")
    given = parser.parse_args(words[2:])
    digest = hashlib.sha256(Path(given.subject).read_bytes()).hexdigest()
    kept = Path(state["attestations"]) / f"sha256-{digest}.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    made = [each for each in map(json.loads, lines) if each["repository"] == given.repo]
    if not made:
        raise Refused("HTTP 404: Not Found (attestations)")
    wanted = {
        "workflow": given.signer_workflow,
        "ref": given.source_ref,
        "sha": given.source_digest,
    }
    for each in made:
        found = {**each, "workflow": each["workflow"].partition("@")[0]}
        if all(value is None or found[name] == value for name, value in wanted.items()):
            return "verified"
    raise Refused('verifying with issuer "sigstore.dev": failed to verify certificate identity: no match')


# What a job's token needs for a command: scope and right.
RIGHTS = {
    "attestation": ("attestations", "read"),
    "issue": ("issues", "write"),
    "label": ("issues", "write"),
    "run": ("actions", "read"),
}
COMMANDS: dict[str, Callable[[State, list[str]], Any]] = {
    "api": api,
    "attestation verify": verify_attestation,
    "auth status": sign_in_status,
    "issue close": work.close_issue,
    "issue comment": work.comment_issue,
    "issue create": work.create_issue,
    "issue edit": work.edit_issue,
    "issue list": work.list_issues,
    "label create": work.create_label,
    "run list": work.list_runs,
    "variable set": set_variable,
    "variable list": list_variables,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
