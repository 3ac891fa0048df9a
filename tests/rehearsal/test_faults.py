"""The changes a rehearsal releases."""

import ast
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generating import GENERATED
from rehearsal import faults
from rehearsal.zip_function import transformed

ROOT = GENERATED


def test_the_checkout_is_never_changed(tmp_path: Path) -> None:
    """Changes are made in a copy; the checkout's handler stays as it is."""
    before = (ROOT / "app" / "handler.py").read_bytes()
    sources = faults.copy_sources(ROOT, tmp_path / "sources")
    faults.make_broken_change(sources, "test")
    assert (ROOT / "app" / "handler.py").read_bytes() == before
    assert (sources / "app" / "handler.py").read_bytes() != before


def test_the_broken_change_is_python_and_can_be_undone(tmp_path: Path) -> None:
    """The broken handler parses, wraps the sound one, and undoing gives the sound one back."""
    sources = faults.copy_sources(ROOT, tmp_path / "sources")
    handler = sources / "app" / "handler.py"
    before = handler.read_text(encoding="utf-8")
    undo = faults.make_broken_change(sources, "test")
    functions = [
        node for node in ast.parse(handler.read_text(encoding="utf-8")).body if hasattr(node, "name")
    ]
    assert [node.name for node in functions][-1] == "handler"
    undo()
    assert handler.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("on", [("portrait",), ("landscape", "portrait")])
def test_the_broken_change_fails_on_its_keys_only(tmp_path: Path, on: tuple[str, ...]) -> None:
    """It raises on keys that begin so, and answers everything else as the sound handler does."""
    handler = _made(tmp_path, lambda sources: faults.make_broken_change(sources, "test", on=on))
    assert handler(_event("other.jpg"), None) == "sound"
    assert handler({"Event": "s3:TestEvent"}, None) == "sound"
    for key in on:
        with pytest.raises(RuntimeError, match="broken on purpose"):
            handler(_event(f"{key}.jpg"), None)


def test_the_slow_change_answers_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers a picture as before, only later, and the probe at once."""
    monkeypatch.setattr(faults, "SLOWER_S", 0.05)
    handler = _made(tmp_path, lambda sources: faults.make_slow_change(sources, "test"))
    started = time.monotonic()
    assert handler(_event("landscape.jpg"), None) == "sound"
    assert time.monotonic() - started >= 0.05


def _made(tmp_path: Path, change: Callable[[Path], object]) -> Callable[[object, object], str]:
    """Return the handler after a change to one that always answers `sound`."""
    source = tmp_path / "app" / "handler.py"
    source.parent.mkdir()
    source.write_text("def handler(event, context):\n    return 'sound'\n", encoding="utf-8")
    change(tmp_path)
    names: dict[str, Any] = {}
    exec(source.read_text(encoding="utf-8"), names)  # noqa: S102  # what was just written
    found: Callable[[object, object], str] = names["handler"]
    return found


def _event(key: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"object": {"key": key}}}]}


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


def test_the_stack_can_be_deployed_without_containers() -> None:
    """The service template has the one place that is replaced when there is no Docker."""
    text = transformed((ROOT / "infra" / "service.yaml").read_text(encoding="utf-8"))
    assert "PackageType: Zip" in text
    assert "PackageType: Image" not in text
