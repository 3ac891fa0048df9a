"""What a local AWS with enforced roles is told, and what it decided. Pure but for reading files.

`running(roles=Roles())` starts it. CloudFormation's rights come from the schemas that cfn-lint carries, which
are AWS's own: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import importlib.util
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError
from testbed.enforcement.settings import Excuse
from testbed.excuses import EXCUSES


@dataclass(frozen=True)
class Roles:
    """How roles are enforced: who signs GitHub's tokens, and what CloudFormation is not asked for.

    `left_out` names parts of `testbed.enforcement` that are not installed, for tests which show that each is
    needed.
    """

    issuer_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    excuses: tuple[Excuse, ...] = EXCUSES
    left_out: tuple[str, ...] = ()

    def to_text(self, *, root_key: str, log: Path) -> str:
        """Return what `testbed.enforcement.settings.load` reads."""
        return json.dumps(
            {
                "root_key": root_key,
                "issuer_key": self.issuer_key.hex(),
                "log": str(log),
                "schemas": str(schemas()),
                "excuses": [asdict(entry) for entry in self.excuses],
                "left_out": self.left_out,
            }
        )


@dataclass(frozen=True)
class Decision:
    """One decision: the door it came through, who asked, and for what.

    Doors are `api`, `registry`, `sts`, `lambda`, `repository` and `cloudformation TYPE`.
    `context` is what conditions could see besides the global keys.
    """

    by: str
    who: str
    action: str
    resource: str
    context: Mapping[str, Any]
    allowed: bool


def read_decisions(log: Path) -> list[Decision]:
    """Return what was decided so far, in order."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [Decision(**json.loads(line)) for line in lines]


def schemas() -> Path:
    """Return the folder of AWS's resource schemas that cfn-lint carries; raise DeployerError without it."""
    # Found, not imported: importing cfn-lint takes two seconds.
    found = importlib.util.find_spec("cfnlint")
    places = list(found.submodule_search_locations or ()) if found else []
    folder = Path(places[0]) / "data" / "schemas" if places else Path("cfnlint")
    if not (folder / "providers").is_dir():
        raise DeployerError(
            "the rights of CloudFormation cannot be read",
            found=f"found no schemas of cfn-lint in `{folder}`",
            hint="make setup (python3 dev.py setup)",
        )
    return folder
