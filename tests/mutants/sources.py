"""What is mutated: the rooms that decide about traffic, and the guard's text in infra/service.yaml. Shell: reads files.

Nothing here imports the deployer: a mutant is played by a process that has not.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "{{cookiecutter.project_slug}}"
ROOMS = ("judge", "canary", "rollout")
SERVICE = GENERATED / "infra" / "service.yaml"
GUARD = "infra/service.yaml"
_INLINE = "ZipFile: |"


@dataclass(frozen=True)
class Source:
    """One text that is mutated: how people call it, what Python imports it as, and the line it begins behind.

    `imported` is empty for the guard, which is no module of ours but a text that its tests run.
    """

    name: str
    imported: str
    path: Path
    text: str
    offset: int = 0

    @property
    def reached_as(self) -> str:
        """Return the file name that its code runs under in the tests."""
        return str(self.path) if self.imported else "index.py"


def sources(paths: list[str]) -> list[Source]:
    """Return all sources, or those whose name contains one of `paths`. Raises SystemExit for one that names none."""
    found = [_module(path) for room in ROOMS for path in sorted((GENERATED / "deployer" / room).glob("*.py"))]
    found.append(_guard())
    known = [source for source in found if source.text.count("\n") > 1]
    for path in paths:
        if not any(path in source.name for source in known):
            raise SystemExit(
                f"mutants: `{path}` names nothing that is mutated, such as judge/strata.py or {GUARD}"
            )
    return [source for source in known if not paths or any(path in source.name for path in paths)]


def _module(path: Path) -> Source:
    name = path.relative_to(GENERATED / "deployer").as_posix()
    return Source(
        name, "deployer." + name.removesuffix(".py").replace("/", "."), path, path.read_text(encoding="utf-8")
    )


def _guard() -> Source:
    lines = SERVICE.read_text(encoding="utf-8").splitlines()
    begin = next(
        at
        for at, line in enumerate(lines)
        if line.strip() == _INLINE and any("GuardFunction:" in above for above in lines[:at])
    )
    indent = len(lines[begin]) - len(lines[begin].lstrip())
    code = []
    for line in lines[begin + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        code.append(line)
    return Source(GUARD, "", SERVICE, textwrap.dedent("\n".join(code)).strip("\n") + "\n", begin + 1)
