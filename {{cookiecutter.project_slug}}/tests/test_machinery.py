"""The template's files are as it made them, but for what this repository adopted."""

from __future__ import annotations

from pathlib import Path

from deployer import machinery

ROOT = Path(__file__).parents[1]


def test_the_machinery_is_as_generated() -> None:
    """Nothing in deployer/, rehearsal/ and testbed/ differs but what adopted.toml names: `dev.py verify`."""
    lines, _ = machinery.verify(ROOT)
    assert lines == [], 'undo it, or keep it with: python3 dev.py adopt PATH --reason "..."'
