"""The handler: what it stores, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

# The handler reads its settings while it is imported, as it does when Lambda starts it.
with pytest.MonkeyPatch.context() as environment:
    environment.setenv("TABLE", "items")
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    from app import handler as function


class Table:
    """Keeps what is put into it."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def put_item(self, **request: Any) -> None:
        """Keep one item."""
        self.items.append(request["Item"])


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """Give the handler a table of ours."""
    found = Table()
    monkeypatch.setattr(function, "table", found)
    return found


def test_a_release_becomes_one_item(table: Table) -> None:
    """The version is stored in its normal form, and whether it is an early one."""
    answer = function.handler({"id": "a", "version": "v1.0.0-beta"}, None)
    assert table.items == [{"id": "a", "version": "1.0.0b0", "is_early": True}]
    assert answer == {"stored": table.items[0]}


def test_a_ping_stores_nothing(table: Table) -> None:
    """The probe of a rollout is answered without an item."""
    assert function.handler({"ping": True}, None) == {"stored": None}
    assert table.items == []


@pytest.mark.parametrize("event", [{}, {"id": "a"}, {"id": "a", "version": "soon"}, None, []])
def test_another_event_is_refused(table: Table, event: Any) -> None:
    """An event without an id or a version raises, and nothing is stored."""
    with pytest.raises(function.UnknownEventError):
        function.handler(event, None)
    assert table.items == []
