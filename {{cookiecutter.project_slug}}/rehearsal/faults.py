"""The changes a rehearsal releases, made in a copy of the sources, never in the checkout. Shell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

# What an image and a deployment are made from. Not deployer/ or rehearsal/: they run from the checkout.
_COPIED = (
    "app", "infra", "requirements", "Dockerfile", ".dockerignore", "deploy.toml",
    "scan-ignore.yaml", ".github/trivy",
)  # fmt: skip

HEALTHY = """

# A healthy change: the same work, another version of it.
RELEASE = "{name}"
"""

BROKEN = '''

# A broken change: a bug in one code path, which neither the smoke test's photo nor the probe takes.
_sound_handler = handler


def handler(event, context):
    """Fail on some keys."""
    records = event.get("Records", [])
    if any(record["s3"]["object"]["key"].startswith({on!r}) for record in records):
        raise RuntimeError("this release is broken on purpose ({name})")
    return _sound_handler(event, context)
'''


SLOWER_S = 0.8
SLOW = '''

# A slow change: nothing fails, and each request takes longer ({name}).
_quick_handler = handler


def handler(event, context):
    """Answer late."""
    import time

    time.sleep({seconds} if "Records" in event else 0)
    return _quick_handler(event, context)
'''


def copy_sources(checkout: Path, folder: Path) -> Path:
    """Copy what a release is made from and return the copy."""
    folder.mkdir(parents=True)
    for name in _COPIED:
        source, target = checkout / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def make_healthy_change(sources: Path, name: str) -> None:
    """Change the function's code so that it is another version that works as well."""
    _rewrite(sources, lambda text: text + HEALTHY.format(name=name))


def make_broken_change(
    sources: Path, name: str, *, on: tuple[str, ...] = ("portrait",)
) -> Callable[[], None]:
    """Change the function's code so that it raises on keys that begin so; returns what undoes that."""
    return _change_for_now(sources, BROKEN.format(name=name, on=on))


def make_slow_change(sources: Path, name: str) -> Callable[[], None]:
    """Change the function's code so that each request takes longer; returns what undoes that."""
    return _change_for_now(sources, SLOW.format(name=name, seconds=SLOWER_S))


def _change_for_now(sources: Path, addition: str) -> Callable[[], None]:
    """Add to the handler's text and return what takes it away again."""
    handler = sources / "app" / "handler.py"
    before = handler.read_text(encoding="utf-8")
    _rewrite(sources, lambda text: text + addition)

    def undo() -> None:
        handler.write_text(before, encoding="utf-8")

    return undo


def _rewrite(sources: Path, change: Callable[[str], str]) -> None:
    """Replace the handler's text."""
    handler = sources / "app" / "handler.py"
    handler.write_text(change(handler.read_text(encoding="utf-8")), encoding="utf-8")
