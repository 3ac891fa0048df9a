"""Announcements: which event a write is, and a webhook that is slow, rude, elsewhere or secret."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployer.model import AliasWrite
from deployer.rollout import notify

FN = "image-resizer-production"
SECRET = "hook-4f1a9c"
HEAD = "mine [lc1 id=7.1 from=41 to=42"
STEP_2 = AliasWrite("41", f"{HEAD} step=2/2 at=1763712000+300 w=50+95 st=run]", canary="42", weight_pct=50)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("step=1/2 at=1 w=50+95 st=run", "start"),
        ("step=2/2 at=1+300 w=50+95 st=run", "step"),
        ("step=2/2 at=1+300 t=60 w=50+95 st=pause why=slow", "pause"),
        ("step=2/2 at=1+300 t=90 w=50+95 st=run", "resume"),
        ("step=2/2 at=1+300 t=300 w=50+95 st=done", "done"),
        ("step=2/2 at=1+300 w=50+95 st=rolled-back why=errors", "rolled-back"),
    ],
)
def test_each_transition_has_its_event(fields: str, kind: str) -> None:
    """What was written says what became true."""
    assert notify.event(FN, AliasWrite("41", f"{HEAD} {fields}]"), "why", 5.0)["kind"] == kind


def test_event_holds_what_a_receiver_needs() -> None:
    """Who, what, where the traffic goes, why, when, and an id by which a repetition is known."""
    assert notify.event(FN, STEP_2, "300 s at 10 % were good", 1_763_712_300.0) == {
        "kind": "step",
        "id": f"{FN}/7.1/2/0/step",
        "function": FN,
        "rollout": "7.1",
        "from": "41",
        "to": "42",
        "step": 2,
        "steps": 2,
        "stable": "41",
        "canary": "42",
        "weight_pct": 50,
        "reason": "300 s at 10 % were good",
        "at": 1_763_712_300.0,
    }


def test_rollback_without_a_marker_is_told_too() -> None:
    """A rollback that found no room for its marker is still a rollback."""
    found = notify.event(FN, AliasWrite("41", "x" * 90), "by hand", 5.0)
    assert (found["kind"], found["stable"]) == ("rolled-back", "41")


@dataclass
class Hook:
    """A receiver on loopback that answers as it is told."""

    address: str = ""
    status: int = 200
    delay_s: float = 0.0
    drips: bool = False
    location: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """Serve a webhook for one test."""
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.done.wait(state.delay_s)
            if state.drips:
                while not state.done.wait(0.05):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n"[:1])
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.end_headers()

        def do_GET(self) -> None:
            state.bodies.append({"followed": self.path})

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the client has left
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_port}/{SECRET}?key={SECRET}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(notify, "TIMEOUT_S", 0.4)
    yield state
    state.done.set()
    server.shutdown()
    server.server_close()


def announced(url: str) -> tuple[list[str], float]:
    """Announce one transition to a webhook; return what was said, and how long it took."""
    said: list[str] = []
    before = time.monotonic()
    notify.Notifier(FN, notify.webhook({"ROLLOUT_WEBHOOK_URL": url}), said.append).announce(
        STEP_2, "good", 5.0
    )
    return said, time.monotonic() - before


def test_webhook_gets_one_event(hook: Hook) -> None:
    """Each announcement is one POST of one JSON object, and nothing is said."""
    assert announced(hook.address)[0] == []
    assert [body["kind"] for body in hook.bodies] == ["step"]


@pytest.mark.parametrize(
    ("trouble", "problem"),
    [
        ({"status": 500}, "it answered HTTP 500"),
        ({"status": 404}, "it answered HTTP 404"),
        ({"status": 302, "location": "/elsewhere"}, "it answered HTTP 302"),
        ({"delay_s": 30.0}, ""),
        ({"drips": True}, "no answer within 0 s"),
    ],
    ids=["fails", "is gone", "points elsewhere", "is slow", "drips"],
)
def test_webhook_never_fails_or_delays_a_rollout(hook: Hook, trouble: dict[str, Any], problem: str) -> None:
    """A receiver that misbehaves is mentioned within its time, and its address is not."""
    for name, value in trouble.items():
        setattr(hook, name, value)
    said, took_s = announced(hook.address)
    assert said[0].startswith("notify     the webhook was not told of `step`: ")
    assert problem in said[0]
    assert took_s < 2
    assert SECRET not in "".join(said)
    assert [body["kind"] for body in hook.bodies if "kind" in body] == ["step"]
    assert not any("followed" in body for body in hook.bodies)


@pytest.mark.parametrize(
    "url",
    [
        f"http://example.invalid/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"file:///{SECRET}",
        SECRET,
        f"https://[{SECRET}",
        f"https://127.0.0.1:1/{SECRET}",
        f"https://127.0.0.1:{SECRET}/",
    ],
)
def test_unusable_addresses_are_not_shown(hook: Hook, url: str) -> None:
    """An address that cannot be used is mentioned without being shown."""
    said, _ = announced(url)
    assert len(said) == 1
    assert SECRET not in said[0]


def test_without_an_address_nobody_is_told() -> None:
    """No variable, or an empty one, is no webhook."""
    assert notify.webhook({}) == notify.webhook({"ROLLOUT_WEBHOOK_URL": ""}) == {}


def test_one_receiver_does_not_stop_another() -> None:
    """Whoever fails, everybody else is told."""
    told: list[str] = []

    def fail(_subject: str, _text: str) -> None:
        raise ZeroDivisionError(SECRET)

    said: list[str] = []
    notify.Notifier(FN, {"a": fail, "b": lambda s, _t: told.append(s)}, said.append).announce(
        STEP_2, "good", 5.0
    )
    assert told == [f"{FN}: step"]
    assert said == ["notify     a was not told of `step`: ZeroDivisionError"]
