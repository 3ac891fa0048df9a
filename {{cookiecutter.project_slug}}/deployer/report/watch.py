"""What the daily watch tells people: one issue, opened, brought up to date, or closed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError, Exit

TITLE = "The daily watch found something"
# What each job of watch.yml found when it is red, and what to do about it.
MEANINGS = {
    "staging": "staging is not what `main` asks for: `deployer drift --env staging`",
    "production": "production is not what `main` asks for: `deployer drift --env production`",
    "rescan": "the live image has a vulnerability that became known, is old, or its inventory is gone:"
    " docs/runbook.md, Watch",
    "template": "the template has moved on: `cruft update --skip-apply-ask`",
    "gameday": "the last game day was not green: docs/gameday.md",
}
_MARK = re.compile(r"<!-- red: ([a-z, -]*) -->")


@dataclass(frozen=True)
class Issue:
    """The open issue of the watch: its number and its text."""

    number: int
    body: str


@dataclass(frozen=True)
class Tell:
    """What to do: the new text of the issue (empty: nothing is red), and what to say to its readers."""

    body: str = ""
    comment: str = ""


def red_jobs(results: str) -> list[str]:
    """Return the jobs that failed or were cancelled, from `toJSON(needs)`. Raises DeployerError (exit 2)."""
    try:
        needs: Mapping[str, Mapping[str, object]] = json.loads(results)
        return sorted(name for name, job in needs.items() if job["result"] not in ("success", "skipped"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeployerError(
            "the results of the watch cannot be read",
            found=f"found {error!r}, expected what toJSON(needs) gives",
            hint="give it in RESULTS, as watch.yml does",
            exit_code=Exit.USAGE,
        ) from error


def tell(red: list[str], run_url: str, before: Issue | None) -> Tell:
    """Decide what the issue says. Its readers are told when another set of jobs is red, and not each day."""
    if not red:
        return Tell(comment=f"All is well again: {run_url}" if before else "")
    lines = [f"- **{name}**: {MEANINGS.get(name, 'see its log')}" for name in red]
    text = "\n".join([f"<!-- red: {', '.join(red)} -->", "", *lines, "", f"Last seen in {run_url}", ""])
    known = _MARK.search(before.body) if before else None
    is_news = before is not None and (known is None or known[1] != ", ".join(red))
    return Tell(text, f"Now red: {', '.join(red)}. {run_url}" if is_news else "")
