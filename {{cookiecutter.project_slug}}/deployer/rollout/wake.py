"""Whether the version that a rollback went to can serve, and which version is the next best. Shell.

The traffic is moved first. A version without a call for weeks is Inactive: Lambda has put its image away,
refuses its first calls, and makes it Active again; one whose image is gone is Failed and stays so.
Source: https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, NotFound, Unavailable
from deployer.errors import DeployerError
from deployer.model import AliasState
from deployer.rollout.way_back import Patience, RolledBack, roll_back

WAKE_S = 120.0
MOST_TRIED = 5
_POLL_S = 2.0


@dataclass(frozen=True)
class Waking:
    """What it takes to wake a version: the owner's harmless event, the time, where to say what happens."""

    aws: Aws
    probe: object
    patience: Patience
    say: Callable[[str], None]


def problem_of(waking: Waking, version: str) -> str | None:
    """Wake a version with one harmless call; return why it cannot serve, None if it can or nobody knows.

    An AWS that does not answer says nothing about the version, and an answer is one also when it is an error:
    a version may be older than the event.
    """
    clock = waking.patience.clock
    until, last = clock.now() + WAKE_S, ""
    while True:
        try:
            state = waking.aws.describe_version(version)["state"]
            if state == "Failed":
                return "is Failed: Lambda cannot make it ready again"
            if state != "Pending":
                error, answer = waking.aws.invoke(version, waking.probe)
                said = "serves" if error is None else f"answers the probe with {error}: {_message(answer)}"
                waking.say(f"awake      version {version} {said}")
                return None
            last = "is still Pending"
        except NotFound:
            return "does not exist"
        except Conflict:  # Inactive: this very call has woken it
            last = "refuses calls"
        except Unavailable as error:
            if clock.now() >= until:
                waking.say(f"not known  whether version {version} answers: {error.what}")
                return None
        except DeployerError as error:
            waking.say(f"not known  whether version {version} answers: {error.what}")
            return None
        if clock.now() >= until:
            return f"{last} after {WAKE_S:.0f} s"
        clock.sleep(_POLL_S)


def _message(answer: object) -> str:
    message = answer.get("errorMessage", "") if isinstance(answer, dict) else str(answer)
    return str(message)[:200]


def settle(waking: Waking, done: RolledBack, *, reason: str) -> RolledBack:
    """Return where the traffic ends up: where it went, or on the next best version when that cannot serve.

    Raises DeployerError (exit 1) when none can; the traffic then stays where it was rolled back to.
    """
    if done.version is None:
        return done
    problem = problem_of(waking, done.version)
    if problem is None:
        return done
    waking.say(f"no way back: version {done.version} {problem}")
    return next_best(waking, done, reason=reason, problem=problem)


def next_best(waking: Waking, done: RolledBack, *, reason: str, problem: str) -> RolledBack:
    """Give the traffic to the next best version; `problem` is why `done.version` cannot have it.

    Raises DeployerError (exit 1) when none can serve.
    """
    tried = [f"version {done.version} {problem}"]
    for version in _others(waking.aws, done):
        found = problem_of(waking, version)
        if found is None:
            why = f"{reason}; version {done.version} {problem}"
            after = roll_back(waking.aws, reason=why, to=version, patience=waking.patience)
            waking.say(f"next best  version {version} has the traffic instead")
            return after
        tried.append(f"version {version} {found}")
    raise DeployerError(
        f"the traffic was to go back to version {done.version}, which cannot serve, nor can another",
        found="\n".join(tried),
        hint="release again, or `deployer rollback --to VERSION`",
    )


def _others(aws: Aws, done: RolledBack) -> Iterator[str]:
    """Yield what may serve instead: the versions before, newest first, then what served until now."""
    avoided = {done.version, *_served(done.before)}
    below = int(done.version) if done.version and done.version.isdigit() else 0
    older = [number for number in aws.versions_before(below) if number not in avoided]
    yield from older[:MOST_TRIED]
    yield from _served(done.before)


def _served(alias: AliasState | None) -> list[str]:
    """Return the published versions that had traffic, the one with most of it last."""
    if alias is None:
        return []
    found = (alias.routing.canary, alias.routing.stable)
    return [version for version in found if version is not None and version.isdigit()]
