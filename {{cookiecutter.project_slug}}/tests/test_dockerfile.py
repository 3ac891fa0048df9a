"""The Dockerfile and .dockerignore keep the rules of `rules/dockerfile.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules import dockerfile

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("rule", dockerfile.RULES, ids=lambda rule: rule.__name__)
def test_dockerfile_keeps_the_rule(rule: dockerfile.Rule) -> None:
    """What the image is made of, and how, breaks no rule."""
    assert rule((ROOT / "Dockerfile").read_text(encoding="utf-8")) == []


def test_the_build_sees_the_code_and_its_lock_file_only() -> None:
    """The .dockerignore lets two entries through and nothing else of the repository."""
    assert dockerfile.only_code_reaches_the_build((ROOT / ".dockerignore").read_text(encoding="utf-8")) == []


def test_the_services_are_the_ones_in_use() -> None:
    """Every AWS service that app/ makes a client for is kept in the image, and no other."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "app").rglob("*.py")))
    kept = dockerfile.kept_services((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert kept == dockerfile.used_services(code), "change AWS_SERVICES in the Dockerfile"
