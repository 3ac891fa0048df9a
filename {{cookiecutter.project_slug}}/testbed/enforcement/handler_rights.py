"""The rights that CloudFormation's handler of a resource type lists, from AWS's schemas. Shell: reads files.

Standard library only. The folder is cfn-lint's: an index by region, and the schemas by hash.
Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

ELSEWHERE = "us-east-1"  # for a region without an index


@functools.cache
def rights(schemas: str, region: str, kind: str) -> dict[str, tuple[str, ...]]:
    """Return the rights of a type by `create`, `read`, `update`, `delete` and `list`.

    Raises LookupError for a type without a schema, whose rights nobody knows.
    """
    named = _index(schemas, region).get(kind)
    if named is None:
        message = f"the rights that {kind} needs are not known in {region}"
        raise LookupError(message)
    schema: dict[str, Any] = json.loads(
        (Path(schemas) / "resources" / f"{named}.json").read_text(encoding="utf-8")
    )
    return {phase: tuple(entry.get("permissions", ())) for phase, entry in schema.get("handlers", {}).items()}


@functools.cache
def _index(schemas: str, region: str) -> dict[str, str]:
    path = Path(schemas) / "providers" / f"{region}.json"
    if not path.is_file():
        path = path.with_name(f"{ELSEWHERE}.json")
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found
