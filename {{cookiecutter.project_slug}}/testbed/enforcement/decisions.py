"""Every decision about a right as one line of JSON, in the order in which they were made. Shell."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Decisions:
    """Appends to a file that `LocalAws.decisions()` reads."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115  # as long as the process
        self._lock = threading.Lock()

    def note(
        self, by: str, who: str, action: str, resource: str, *, allowed: bool, context: Mapping[str, Any]
    ) -> None:
        """Write one decision. `by` is the door it came through, `context` what conditions may see."""
        line = {
            "by": by,
            "who": who,
            "action": action,
            "resource": resource,
            "context": {key: value for key, value in context.items() if value is not None},
            "allowed": allowed,
        }
        with self._lock:
            self._file.write(json.dumps(line, default=str) + "\n")
