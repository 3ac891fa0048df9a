"""What is pinned is moved by the dependency bot, as `rules/pins.py` says."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules import pins

ROOT = Path(__file__).parents[1]
KINDS = ("*Dockerfile*", ".github/**/*", "requirements/*", "*/**/*Dockerfile*")


@pytest.mark.parametrize("rule", pins.RULES, ids=lambda rule: rule.__name__)
def test_pins_keep_the_rule(rule: pins.Rule) -> None:
    """No action, image or lock file is left behind, and nothing takes the place of a pinned image."""
    paths = {path for kind in KINDS for path in ROOT.glob(kind) if path.is_file()}
    paths = {path for path in paths if not path.relative_to(ROOT).parts[0].startswith((".venv", "build"))}
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert rule(files) == []
