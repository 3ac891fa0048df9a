"""What the enforcing local AWS is told at its start, as one JSON file. Standard library only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The environment variable that names the file.
VARIABLE = "LOCAL_AWS_ROLES"


@dataclass(frozen=True)
class Excuse:
    """Rights of CloudFormation's handlers that are not asked for: regular expressions of type and action.

    Where the resource sets one of the properties `unless` (`Code.S3Bucket` is one within another), the right
    is asked for.
    """

    resource_type: str
    action: str
    reason: str
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """`root_key` alone is the administrator; `issuer_key` signs GitHub's tokens; `log` takes the decisions.

    `schemas` is the folder of AWS's resource schemas, as cfn-lint keeps them.
    """

    root_key: str
    issuer_key: str
    log: str
    schemas: str
    excuses: tuple[Excuse, ...] = ()
    left_out: tuple[str, ...] = ()


def load(path: Path) -> Settings:
    """Read the file that `to_text` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    excuses = tuple(Excuse(**{**entry, "unless": tuple(entry["unless"])}) for entry in found.pop("excuses"))
    return Settings(**{**found, "excuses": excuses, "left_out": tuple(found["left_out"])})
