"""What is tried before traffic: the owner's harmless probe, and the real sample as data. Shell.

The probe (smoke/probe.json) shows that a version starts and answers, and proves nothing more. The sample
(smoke/sample.toml, optional) is real work: what to put, the event, what must come back, what to remove.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.aws import calls
from deployer.aws.calls import Call, Client
from deployer.errors import DeployerError, Exit

SMOKE = "smoke"
PROBE, SAMPLE = f"{SMOKE}/probe.json", f"{SMOKE}/sample.toml"
_PAGE = "docs/your-own-function.md, section What it must do"

Invoke = Callable[
    [Any], tuple[str | None, Any]
]  # event -> Lambda's FunctionError or None, the decoded answer


@dataclass(frozen=True)
class Sample:
    """One real sample: calls before, the event, what must come back, calls after."""

    event: Any
    before: tuple[Call, ...] = ()
    answer: Any = None
    expected: tuple[tuple[Call, Any], ...] = ()  # a call, and what its answer must hold
    after: tuple[Call, ...] = ()

    def __str__(self) -> str:
        parts = [f"{_count(self.before, 'call')} before", "the event", "its answer"]
        if self.expected:
            parts.append(f"{_count(self.expected, 'look')} at what it left")
        return ", ".join([*parts, f"{_count(self.after, 'call')} after"])


class Unlike(DeployerError):
    """The version answered, and did not do what the sample expects."""


def load_probe(root: Path) -> Any:
    """Read the harmless event of smoke/probe.json. Raises DeployerError (exit 2)."""
    return _json(root / PROBE, PROBE)


def load(root: Path) -> Sample | None:
    """Read smoke/sample.toml; None without one. Raises DeployerError (exit 2) for what cannot be sent."""
    path = root / SAMPLE
    if not path.is_file():
        return None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(f"`{SAMPLE}` cannot be read", str(error)) from error
    expect = calls.table(table.get("expect", {}), where=f"`{SAMPLE}`, expect")
    unknown = sorted(set(table) - {"event", "before", "expect", "after"})
    unknown += [f"expect.{key}" for key in sorted(set(expect) - {"answer", "calls"})]
    if unknown:
        raise _wrong(f"`{SAMPLE}` has unknown keys", f"found `{'`, `'.join(unknown)}`")
    event = table.get("event")
    file = calls.inside(path.parent, event)
    if file is None:
        raise _wrong(f"`{SAMPLE}` names no event", f"found `{event}`, expected a file in `{SMOKE}/`")
    if not expect.get("answer") and not expect.get("calls"):
        raise _wrong(f"`{SAMPLE}` expects nothing", "found neither expect.answer nor expect.calls")

    def parsed(value: Any, name: str) -> tuple[Call, ...]:
        return tuple(
            calls.parse(each, path.parent, where=f"`{SAMPLE}`, {name} {number},")
            for number, each in enumerate(calls.tables(value, where=f"`{SAMPLE}`, {name}"), start=1)
        )

    looks = expect.get("calls", [])
    return Sample(
        event=_json(file, f"{SMOKE}/{event}"),
        before=parsed(table.get("before", []), "before"),
        answer=expect.get("answer"),
        expected=tuple(
            (call, look.get("answer", {}))
            for call, look in zip(parsed(looks, "expect.calls"), looks, strict=True)
        ),
        after=parsed(table.get("after", []), "after"),
    )


def outlook(sample: Sample | None) -> str:
    """Say in one line what real sample there is to try."""
    if sample is None:
        return f"sample     none: there is no {SAMPLE}, so nothing real is tried before traffic"
    return f"sample     {SAMPLE}: {sample}; `deployer sample VERSION` sends it to one version"


def send(sample: Sample, invoke: Invoke, client: Client, names: Mapping[str, str]) -> str:
    """Send the sample and return in one sentence what came back; the calls after are made in any case.

    `names` are the resources by logical key. Raises DeployerError with what was expected and found.
    """
    try:
        said = _try(sample, invoke, client, names)
    except BaseException:
        _tidy(sample, client, names)  # what happened first is what the user must read
        raise
    problems = _tidy(sample, client, names)
    if problems:
        raise DeployerError(
            "the sample passed, and what it left cannot be removed",
            found="\n".join(problems),
            hint=f"compare [[after]] in {SAMPLE} with the role's rights",
        )
    return said


def _try(sample: Sample, invoke: Invoke, client: Client, names: Mapping[str, str]) -> str:
    event = calls.fill(sample.event, names, where=f"the event of `{SAMPLE}`")
    wanted = calls.fill(sample.answer, names, where=f"`{SAMPLE}`, expect.answer,")
    for call in sample.before:
        calls.make(calls.filled(call, names), client)
    failure, answer = invoke(event)
    if failure is not None:
        message = answer.get("errorMessage", "") if isinstance(answer, dict) else str(answer)
        raise _unlike(f"found {failure}: {message[:500]}, expected an answer")
    problem = calls.mismatch(wanted, answer) if wanted is not None else None
    if problem:
        raise _unlike(f"{problem}\nthe whole answer: {json.dumps(answer)[:500]}")
    for call, look in sample.expected:
        due = calls.filled(call, names)
        found = calls.make(due, client)
        problem = calls.mismatch(calls.fill(look, names, where=call.where), found, str(call))
        if problem:
            raise _unlike(problem)
    if not sample.expected:
        return "the answer is as expected"
    return f"the answer and {_count(sample.expected, 'look')} at what it left are as expected"


def _tidy(sample: Sample, client: Client, names: Mapping[str, str]) -> list[str]:
    """Make every call after, also when one of them fails; return what failed."""
    problems = []
    for call in sample.after:
        try:
            calls.make(calls.filled(call, names), client)
        except DeployerError as error:
            problems.append(f"{error.what}: {error.found}")
    return problems


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _json(path: Path, name: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_json)
    except FileNotFoundError as error:
        raise _wrong(f"there is no `{name}`", "found no file, expected an event as JSON") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(f"`{name}` is no JSON", str(error)) from error


def _no_json(word: str) -> None:
    """Refuse what only Python takes for JSON. Raises ValueError."""
    raise ValueError(f"found `{word}`, which Lambda takes for no JSON")


def _wrong(what: str, found: str) -> DeployerError:
    return DeployerError(what, found=found, hint=_PAGE, exit_code=Exit.USAGE)


def _unlike(found: str) -> Unlike:
    return Unlike(
        "the sample did not give what is expected",
        found=found,
        hint=f"compare {SAMPLE} with app/; `deployer smoke` tries it on this machine",
    )
