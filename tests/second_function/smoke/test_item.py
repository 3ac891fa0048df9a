"""What the shipped thing must do: an announced release is an item of the table."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def table(client: Callable[[str], Any]) -> Any:
    """Return DynamoDB, as the function sees it."""
    return client("dynamodb")


@pytest.fixture
def key(table: Any, resources: dict[str, str]) -> Iterator[str]:
    """Lend an id under `smoke/`; the item is removed at the end."""
    name = f"smoke/{uuid.uuid4().hex}"
    yield name
    table.delete_item(TableName=resources["Table"], Key={"id": {"S": name}})


def test_release_is_stored(
    invoke: Callable[[Any], Any], table: Any, resources: dict[str, str], key: str
) -> None:
    """An announced release is in the table, with its version in the normal form."""
    assert invoke({"id": key, "version": "2.0-RC1"})["stored"]["version"] == "2.0rc1"
    item = table.get_item(TableName=resources["Table"], Key={"id": {"S": key}})["Item"]
    assert item == {"id": {"S": key}, "version": {"S": "2.0rc1"}, "is_early": {"BOOL": True}}


def test_nonsense_is_refused(invoke: Callable[[Any], Any]) -> None:
    """An event without a version fails, so that whoever sent it hears of it."""
    with pytest.raises(AssertionError, match="expected an id and a version"):
        invoke({"id": "smoke/nonsense"})
