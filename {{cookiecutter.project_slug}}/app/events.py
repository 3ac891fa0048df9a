"""Turn a trigger's event into the pictures it speaks of. Pure: no S3, no environment.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


class UnknownEventError(Exception):
    """The event is none this function understands, so something is wired to it by mistake."""


@dataclass(frozen=True)
class StoredImage:
    """One object to resize, in exactly the version that was uploaded if the bucket keeps versions."""

    bucket: str
    key: str
    version_id: str | None = None


@dataclass(frozen=True)
class Ignored:
    """A record that asks for nothing, and why."""

    bucket: str
    key: str
    reason: str


def read_event(event: Any) -> list[StoredImage | Ignored]:
    """Return what each record of an S3 notification asks for, in the event's order.

    The message S3 sends when a notification is set up has no records: the list is empty.
    Raises UnknownEventError for everything that is not from S3, because an answer would acknowledge it.
    """
    if not isinstance(event, Mapping):
        raise UnknownEventError(f"expected an S3 notification, found a `{type(event).__name__}`")
    if event.get("Event") == "s3:TestEvent":
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise UnknownEventError(f"expected an S3 notification with `Records`, found {_names(event)}")
    return [_read_record(record) for record in records]


def _read_record(record: Any) -> StoredImage | Ignored:
    if not isinstance(record, Mapping):
        raise UnknownEventError(f"expected a record from S3, found a `{type(record).__name__}`")
    if record.get("eventSource") != "aws:s3":
        raise UnknownEventError(f"expected records from `aws:s3`, found `{record.get('eventSource')}`")
    try:
        bucket = str(record["s3"]["bucket"]["name"])
        stored = record["s3"]["object"]
        key = unquote_plus(str(stored["key"]))
        name = str(record["eventName"])
    except (KeyError, TypeError):
        return Ignored("", "", f"the record lacks a bucket, key or event name: it has {_names(record)}")
    if not name.startswith("ObjectCreated:"):
        return Ignored(bucket, key, f"nothing to resize after `{name}`")
    return StoredImage(bucket, key, stored.get("versionId"))


def _names(mapping: Mapping[Any, Any]) -> str:
    return ", ".join(f"`{name}`" for name in mapping) or "nothing"
