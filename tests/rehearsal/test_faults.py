"""The changes a rehearsal releases."""

from __future__ import annotations

import ast
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import DeployerError
from generating import GENERATED
from rehearsal import faults
from rehearsal.faults import Fault

ROOT = GENERATED
PROBE = {"probe": True}
EVENT = {"id": "1"}
VERSION = "AWS_LAMBDA_FUNCTION_VERSION"
Handler = Callable[[Any, Any], str]


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the function run as a published version."""
    monkeypatch.setenv(VERSION, "7")


def test_the_checkout_is_never_changed(tmp_path: Path) -> None:
    """Changes are made in a copy; the checkout's handler stays as it is."""
    before = (ROOT / "app" / "handler.py").read_bytes()
    sources = faults.copy_sources(ROOT, tmp_path / "sources")
    faults.make_change(sources, "test", faults.BROKEN, spared=(PROBE,))
    assert (ROOT / "app" / "handler.py").read_bytes() == before
    assert (sources / "app" / "handler.py").read_bytes() != before


def test_a_change_is_python_and_can_be_undone(tmp_path: Path) -> None:
    """The changed handler parses, wraps the sound one, and undoing gives the sound one back."""
    sources = faults.copy_sources(ROOT, tmp_path / "sources")
    handler = sources / "app" / "handler.py"
    before = handler.read_text(encoding="utf-8")
    undo = faults.make_change(sources, "test", faults.SLOW, spared=(PROBE,))
    functions = [
        node for node in ast.parse(handler.read_text(encoding="utf-8")).body if hasattr(node, "name")
    ]
    assert [node.name for node in functions][-1] == "handler"
    undo()
    assert handler.read_text(encoding="utf-8") == before


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    ("fault", "failing"),
    [(faults.HALF_BROKEN, [2, 4, 6]), (faults.BROKEN, [2, 3, 4, 5, 6]), (faults.SLOW, [])],
    ids=["half broken", "broken", "slow"],
)
def test_calls_fail_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, failing: list[int]
) -> None:
    """Which of an environment's calls fail is a rule, not chance, and the first one never does."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    handler = made(tmp_path, fault)
    assert [number for number in range(1, 7) if not is_sound(handler, EVENT)] == failing


@pytest.mark.usefixtures("version")
def test_the_probe_is_never_broken_and_does_not_count(tmp_path: Path) -> None:
    """However often it is asked, the probe is answered, and the next call is still the first."""
    handler = made(tmp_path, faults.HALF_BROKEN)
    assert all(is_sound(handler, dict(PROBE)) for _ in range(4))
    assert [is_sound(handler, EVENT) for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("version")
def test_a_probe_that_is_the_traffic_is_broken_but_for_the_first(tmp_path: Path) -> None:
    """Without a sample nothing is spared by its event, or no fault would ever act."""
    handler = made(tmp_path, faults.HALF_BROKEN, spared=())
    assert [is_sound(handler, PROBE) for _ in range(4)] == [True, False, True, False]


@pytest.mark.parametrize("named", ["$LATEST", None])
def test_a_container_that_is_no_version_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """The smoke test of a broken image passes: nothing is published there."""
    monkeypatch.setenv(VERSION, named) if named else monkeypatch.delenv(VERSION, raising=False)
    handler = made(tmp_path, faults.BROKEN)
    assert all(is_sound(handler, EVENT) for _ in range(4))


@pytest.mark.usefixtures("version")
def test_a_slow_change_answers_late_but_for_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in each call of the traffic, and answers as before."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    handler = made(tmp_path, faults.SLOW)
    for event in (PROBE, EVENT, EVENT):
        assert handler(event, None) == "sound"
    assert waited == [0, faults.SLOWER_S]


@pytest.mark.usefixtures("version")
def test_an_outage_fails_every_third_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: Needed
) -> None:
    """While the object is there every call is answered; while it is gone, every third fails."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", needed.address)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a company's proxy cannot reach it
    handler = made(tmp_path, faults.needing("/folder/name"))
    assert all(is_sound(handler, EVENT) for _ in range(6))
    needed.status = 404
    assert [is_sound(handler, EVENT) for _ in range(6)] == [True, True, False] * 2
    assert needed.asked == {"/folder/name"}


@pytest.mark.usefixtures("version")
def test_each_call_may_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: Needed) -> None:
    """With `every` 1 a single call needs the object too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", needed.address)
    handler = made(tmp_path, faults.needing("/folder/name", every=1))
    assert is_sound(handler, EVENT)
    needed.status = 404
    assert not any(is_sound(handler, EVENT) for _ in range(3))


@pytest.mark.usefixtures("version")
def test_a_second_fault_wraps_the_first(tmp_path: Path) -> None:
    """Two changes in one file both act, each with a count of its own."""
    made(tmp_path, faults.HALF_BROKEN)
    faults.make_change(tmp_path, "again", faults.HALF_BROKEN, spared=(PROBE,))
    handler = loaded(tmp_path)
    assert [is_sound(handler, EVENT) for _ in range(4)] == [True, False, False, False]


def test_two_healthy_changes_are_two_versions(tmp_path: Path) -> None:
    """Each healthy change makes other code, or Lambda would return the version that is there."""
    sources = faults.copy_sources(ROOT, tmp_path / "sources")
    handler = sources / "app" / "handler.py"
    texts = [handler.read_text(encoding="utf-8")]
    for name in ("one", "two"):
        faults.make_healthy_change(sources, name)
        texts.append(handler.read_text(encoding="utf-8"))
        ast.parse(texts[-1])
    assert len(set(texts)) == 3


def test_another_handler_is_found_by_the_dockerfile(tmp_path: Path) -> None:
    """The function that `CMD` names is wrapped, whatever it is called."""
    (tmp_path / "app" / "api").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text('FROM x\nCMD ["app.api.entry.answer"]\n', encoding="utf-8")
    path = tmp_path / "app" / "api" / "entry.py"
    path.write_text("def answer(event, context):\n    return 1\n", encoding="utf-8")
    faults.make_change(tmp_path, "test", faults.BROKEN, spared=(PROBE,))
    assert path.read_text(encoding="utf-8").count("def answer(") == 2


def test_a_handler_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """A `CMD` whose file is missing is told before anything is started."""
    (tmp_path / "Dockerfile").write_text('CMD ["app.gone.handler"]\n', encoding="utf-8")
    with pytest.raises(DeployerError, match=r"`app\.gone\.handler`, which is not there"):
        faults.handler_file(tmp_path)


class Needed:
    """An address that answers with a status, and what it was asked for."""

    def __init__(self) -> None:
        self.status, self.address, self.asked = 200, "", set[str]()


@pytest.fixture
def needed() -> Iterator[Needed]:
    """Serve one object on loopback."""
    found = Needed()

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.add(self.path)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        found.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def made(folder: Path, fault: Fault, spared: tuple[Any, ...] = (PROBE,)) -> Handler:
    """Return the handler after a change to one that always answers `sound`."""
    source = folder / "app" / "handler.py"
    source.parent.mkdir()
    source.write_text("def handler(event, context):\n    return 'sound'\n", encoding="utf-8")
    (folder / "Dockerfile").write_text('CMD ["app.handler.handler"]\n', encoding="utf-8")
    faults.make_change(folder, "test", fault, spared=spared)
    return loaded(folder)


def loaded(folder: Path) -> Handler:
    """Return the handler as it is written now."""
    names: dict[str, Any] = {}
    exec((folder / "app" / "handler.py").read_text(encoding="utf-8"), names)  # noqa: S102  # what was just written
    found: Handler = names["handler"]
    return found


def is_sound(handler: Handler, event: Any) -> bool:
    """Tell whether a call is answered as before."""
    try:
        return handler(event, None) == "sound"
    except (RuntimeError, OSError):
        return False
