"""Tells others of a rollout's transitions: one JSON event each, to the rollout topic and a webhook. Shell.

A transition is an UpdateAlias that was carried out, and its event is read from what was written, so the two
cannot disagree. Whoever wrote it announces it. The webhook's address is a secret: it comes from the
environment and is never shown.
"""

from __future__ import annotations

import http.client
import ipaddress
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer import web
from deployer.canary import marker as markers
from deployer.model import AliasWrite, Marker, RolloutState
from deployer.report.text import json_line

TIMEOUT_S = 5.0
WEBHOOK = "ROLLOUT_WEBHOOK_URL"
Send = Callable[[str, str], None]  # subject and JSON text


def transition(marker: Marker) -> str:
    """Return what became true: start, step, pause, resume, rolled-back or done."""
    match marker.state:
        case RolloutState.RUN if marker.since_s:
            return "resume"
        case RolloutState.RUN:
            return "start" if marker.step == 1 else "step"
        case RolloutState.PAUSE | RolloutState.DONE | RolloutState.ROLLED_BACK:
            return str(marker.state.value)


def event(function: str, write: AliasWrite, reason: str, at: float) -> dict[str, Any]:
    """Return the event of a write that was carried out; `id` is the same whoever tells of it twice.

    Only a rollback may leave no marker behind, when people's own text takes up its room.
    """
    _, marker = markers.parse(write.description)
    kind = transition(marker) if marker else RolloutState.ROLLED_BACK.value
    found: dict[str, Any] = {"kind": kind, "function": function, "at": at, "reason": reason}
    found |= {"stable": write.version, "canary": write.canary, "weight_pct": write.weight_pct}
    if marker is not None:
        found |= {
            "id": f"{function}/{marker.id}/{marker.step}/{marker.since_s}/{kind}",
            "rollout": marker.id,
            "from": marker.from_version,
            "to": marker.to_version,
            "step": marker.step,
            "steps": marker.steps,
        }
    return found


@dataclass(frozen=True)
class Notifier:
    """Announces transitions of one function. Never raises, and never holds a rollout up for long."""

    function: str
    sends: Mapping[str, Send]
    say: Callable[[str], None]

    def announce(self, write: AliasWrite, reason: str, at: float) -> None:
        """Tell everybody of one write that was carried out; who cannot be told is mentioned."""
        found = event(self.function, write, reason, at)
        subject = f"{self.function}: {found['kind']}"[:100]
        for name, send in self.sends.items():
            problem = _within(TIMEOUT_S, send, subject, json_line(found))
            if problem:
                self.say(f"notify     {name} was not told of `{found['kind']}`: {problem}")


def webhook(environ: Mapping[str, str]) -> dict[str, Send]:
    """Return the webhook of the environment by its name, or nothing."""
    url = environ.get(WEBHOOK, "")
    return {"the webhook": lambda _subject, text: _post(url, text)} if url else {}


class _Problem(Exception):
    """What may be said about a failure: it holds no address."""


def _post(url: str, text: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise _Problem(f"{WEBHOOK} is not an https address")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url,
        data=text.encode(),
        headers={"Content-Type": "application/json", "User-Agent": "deployer"},
        method="POST",
    )
    try:
        web.send(request, timeout_s=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise _Problem(f"it answered HTTP {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Problem(type(getattr(error, "reason", None) or error).__name__) from None


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _within(seconds: float, send: Send, subject: str, text: str) -> str | None:
    """Send in a thread of its own and return what went wrong, or None; a slow receiver is left alone.

    A limit on each read would not do: a server that answers byte by byte stays below it for ever.
    """
    problems: list[str] = []

    def attempt() -> None:
        try:
            send(subject, text)
        except _Problem as problem:
            problems.append(str(problem))
        except Exception as error:  # whatever it is, a rollout does not end because of it
            problems.append(type(error).__name__)

    thread = threading.Thread(target=attempt, name="notify", daemon=True)
    thread.start()
    thread.join(seconds)
    return f"no answer within {seconds:.0f} s" if thread.is_alive() else next(iter(problems), None)
