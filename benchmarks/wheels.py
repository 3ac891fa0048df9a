"""Which lock can be installed where: ask the index for each wheel. Writes docs/platforms.md. Shell.

    python3 dev.py run -m benchmarks.wheels

Needs uv and the package index, and installs nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "{{cookiecutter.project_slug}}"
PAGE = ROOT / "docs" / "platforms.md"
# As `uv pip install --python-platform` calls them.
PLATFORMS = {
    "Linux x86-64": "x86_64-unknown-linux-gnu",
    "Linux arm64": "aarch64-unknown-linux-gnu",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Packed for Lambda, and never installed on a machine of one's own.
ONLY_LINUX = {"driver.txt"}
INTRODUCTION = f"""# Which lock can be installed where

Made by `python3 dev.py run -m benchmarks.wheels`. It asks the package index whether each package of a lock
has a wheel with one of the locked hashes, for each platform and each Python. Nothing was compiled or
installed. `yes` means all of Python {", ".join(PYTHONS)}.

"""


def main() -> int:
    """Write the page; return 1 if a lock cannot be installed somewhere."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    lines = ["| lock | " + " | ".join(PLATFORMS) + " |", "| --- |" + " --- |" * len(PLATFORMS)]
    whole = True
    for lock in locks():
        cells = [cell(lock, platform) for platform in PLATFORMS.values()]
        whole = whole and all(text in ("yes", "not needed") for text in cells)
        name = lock.relative_to(ROOT).as_posix().replace(GENERATED.name, "generated")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n", encoding="utf-8")
    return 0 if whole else 1


def locks() -> list[Path]:
    """Return every lock file of both repositories."""
    return [lock for root in (ROOT, GENERATED) for lock in sorted((root / "requirements").glob("*.txt"))]


def cell(lock: Path, platform: str) -> str:
    """Return `yes`, or what is missing for which Python."""
    if lock.name in ONLY_LINUX and "linux" not in platform:
        return "not needed"
    missing = {python: missing_wheel(lock, platform, python) for python in PYTHONS}
    if not any(missing.values()):
        return "yes"
    return "; ".join(f"{python}: no {name}" for python, name in missing.items() if name)


def missing_wheel(lock: Path, platform: str, python: str) -> str:
    """Return the first package of a lock that has no wheel there, or an empty text.

    Raises RuntimeError when the index cannot be asked.
    """
    command = ["uv", "pip", "install", "--quiet", "--dry-run", "--target", str(ROOT / "build" / "none")]
    command += ["--python-platform", platform, "--python-version", python, "--require-hashes", "--no-deps"]
    command += ["--only-binary", ":all:", "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    found = re.search(r"Because (?:only )?(\S+?)==(\S+) has no (?:usable )?wheels", done.stderr)
    if found is None:
        raise RuntimeError(done.stderr.strip() or f"uv ended with {done.returncode}")
    return f"{found[1]} {found[2]}"


if __name__ == "__main__":
    sys.exit(main())
