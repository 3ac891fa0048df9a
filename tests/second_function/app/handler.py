"""Lambda's entry point: write down which release of what was announced, as one item of a table."""

import os
from typing import Any

import boto3
from packaging.version import InvalidVersion, Version


class UnknownEventError(Exception):
    """The event is none this function understands."""


# Made once per environment, while it starts.
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Store `{"id": …, "version": …}`; an event that only asks `{"ping": true}` is answered.

    Raises UnknownEventError for everything else.
    """
    if event == {"ping": True}:
        return {"stored": None}
    item = read_event(event)
    table.put_item(Item=item)
    return {"stored": item}


def read_event(event: Any) -> dict[str, Any]:
    """Return the item an event asks for, its version in the normal form. Raises UnknownEventError."""
    try:
        version = Version(event["version"])
        return {"id": str(event["id"]), "version": str(version), "is_early": version.is_prerelease}
    except (KeyError, TypeError, InvalidVersion) as error:
        raise UnknownEventError(f"expected an id and a version, found {event!r}") from error
