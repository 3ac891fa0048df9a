"""Tell whether the machinery is as the template made it, but for what the owner adopted. Shell: reads files.

Standard library only: `dev.py verify` runs before anything is installed. The manifest is the template's file
and `adopted.toml` the owner's, so that an update of one never conflicts with an entry in the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployerError

FOLDERS = ("deployer", "rehearsal", "testbed")
MANIFEST = "deployer/machinery.sha256"
ADOPTED = "adopted.toml"
MISSING = "missing"  # in adopted.toml, instead of the hash of a file that was removed on purpose
# What running the machinery leaves, and what file managers do; .gitignore has them too.
LEFTOVERS = (".DS_Store", "Thumbs.db", "rehearsal/report.html")
HEADER = """\
# What this repository changed in the template's deployer/, rehearsal/ and testbed/ on purpose, and why.
# Write an entry with `python3 dev.py adopt PATH --reason "..."`; `python3 dev.py verify` compares.
"""


@dataclass(frozen=True)
class Adoption:
    """One file that differs from the template on purpose: its hash when that was decided, and the reason."""

    path: str
    sha256: str
    reason: str


def differences(
    manifest: Mapping[str, str], present: Mapping[str, str], adopted: Mapping[str, Adoption]
) -> list[str]:
    """Return a line for each file that is neither as generated nor adopted as it is. Pure.

    An entry for a file that is as generated is needless, and gets a line as well.
    """
    lines = []
    for path in sorted({*manifest, *present, *adopted}):
        wanted, found, entry = manifest.get(path), present.get(path), adopted.get(path)
        if entry is None:
            if wanted != found:
                kind = "added" if wanted is None else "missing" if found is None else "changed"
                lines.append(f"{kind}: {path}")
        elif wanted == found:
            lines.append(f"needless: {path}: it is as the template has it, remove its entry from {ADOPTED}")
        elif entry.sha256 != (found or MISSING):
            lines.append(f"changed: {path}: it was adopted as it was before ({entry.reason}), adopt it again")
    return lines


def verify(root: Path) -> tuple[list[str], int]:
    """Return what differs in the checkout, a line each, and how many files are adopted.

    Raises DeployerError when the manifest or `adopted.toml` cannot be read.
    """
    adopted = read_adopted(root)
    return differences(read_manifest(root), hashes(root), adopted), len(adopted)


def adopt(root: Path, name: str, reason: str) -> str:
    """Write that a file differs on purpose, and return its path; an older entry for it is replaced.

    Raises DeployerError for a file that is not the machinery's, an unchanged one, or a missing reason.
    """
    path = Path(os.path.relpath(root / name, root)).as_posix()
    manifest, present, before = read_manifest(root), hashes(root), read_adopted(root)
    again = f'python3 dev.py adopt {path} --reason "..."'
    if path not in manifest and path not in present:
        raise DeployerError(
            f"`{path}` cannot be adopted",
            found=f"found no such file of the machinery, expected one under {', '.join(FOLDERS)}",
            hint="`python3 dev.py verify` lists what may be adopted; files of your own need no entry",
        )
    if manifest.get(path) == present.get(path):
        needless = f"remove its entry from {ADOPTED}" if path in before else "nothing needs to be done"
        raise DeployerError(
            f"`{path}` cannot be adopted",
            found="found the template's own text, expected a change",
            hint=needless,
        )
    if not reason.strip() or not reason.isprintable():
        raise DeployerError(
            f"`{path}` cannot be adopted without a reason",
            found=f"found `{reason!r}`, expected one line of text",
            hint=again,
        )
    entry = Adoption(path, present.get(path, MISSING), reason.strip())
    file = root / ADOPTED
    text = file.read_text(encoding="utf-8") if file.is_file() else HEADER
    file.write_text(with_entry(text, list(before), entry), encoding="utf-8", newline="\n")
    return path


def with_entry(text: str, before: Sequence[str], entry: Adoption) -> str:
    """Return the text of `adopted.toml` with an entry more, or in place of the one for its path. Pure.

    `before` are the paths of its entries, in their order. Comments stay.
    Raises DeployerError when the entries are not tables of their own.
    """
    values = {"path": entry.path, "sha256": entry.sha256, "reason": entry.reason}
    # A JSON string without control characters is a TOML string.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    parts = [part.strip("\n") for part in re.split(r"^(?=\[\[file\]\])", text, flags=re.MULTILINE)]
    if len(parts) != 1 + len(before):
        raise _unreadable(ADOPTED, "entries in another form than `[[file]]`")
    block = "\n".join(["[[file]]", *lines])
    if entry.path in before:
        index = 1 + before.index(entry.path)
        _, *comments = re.split(r"^(?=#)", parts[index], maxsplit=1, flags=re.MULTILINE)
        parts[index] = "\n\n".join([block, *comments])
    else:
        parts.append(block)
    return "\n\n".join(part for part in parts if part) + "\n"


def read_manifest(root: Path) -> dict[str, str]:
    """Return the hash of each file as the template made it. Raises DeployerError when it cannot be read."""
    try:
        lines = (root / MANIFEST).read_text(encoding="utf-8").splitlines()
        pairs = [re.fullmatch(r"([0-9a-f]{64})  (\S.*)", line) for line in lines]
    except (OSError, ValueError) as error:
        raise _unreadable(MANIFEST, str(error)) from error
    if not pairs or not all(pairs):
        raise _unreadable(MANIFEST, "a line that is not a hash, two spaces and a path")
    return {pair[2]: pair[1] for pair in pairs if pair}


def read_adopted(root: Path) -> dict[str, Adoption]:
    """Return the owner's exceptions by path, none without a file. Raises DeployerError for a bad one."""
    file = root / ADOPTED
    if not file.exists():
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        entries = [Adoption(**entry) for entry in content.pop("file", [])]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _unreadable(ADOPTED, str(error)) from error
    for entry in entries:
        values = (entry.path, entry.sha256, entry.reason)
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise _unreadable(ADOPTED, f"an entry without path, sha256 or reason: `{entry.path}`")
    adopted = {entry.path: entry for entry in entries}
    if content or len(adopted) < len(entries):
        raise _unreadable(ADOPTED, f"the key `{min(content)}`" if content else "two entries for one path")
    return adopted


def hashes(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the machinery by its path; CRLF counts as LF: git may write it."""
    return {path: _hash(root / path) for path in _files(root)}


def write_manifest(root: Path) -> int:
    """Write the manifest of the files as they are, and return their number."""
    found = hashes(root)
    lines = [f"{sha256}  {path}\n" for path, sha256 in sorted(found.items())]
    (root / MANIFEST).write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(found)


def _files(root: Path) -> Iterator[str]:
    """Yield the path of each file of the machinery but the manifest; a link is a file wherever it leads."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root)
            if path.is_dir() and not path.is_symlink():
                continue
            left_over = path.name in LEFTOVERS or name.as_posix() in LEFTOVERS or _is_cache(path)
            if not left_over and name.as_posix() != MANIFEST:
                yield name.as_posix()


def _is_cache(path: Path) -> bool:
    """Tell whether a file is byte-code that Python itself keeps and compares with its source.

    Byte-code beside the sources needs none, and byte-code with a hash is never compared by time: both could
    be committed and run in place of a source. Its flags are the four bytes behind the magic number.
    Source: https://peps.python.org/pep-0552/
    """
    if path.parent.name != "__pycache__" or path.suffix != ".pyc" or path.is_symlink():
        return False
    with path.open("rb") as file:
        return not any(file.read(8)[4:])


def _hash(path: Path) -> str:
    """Return the hash of a file's content; that of a link is one that no file has."""
    if path.is_symlink():
        return hashlib.sha256(f"\0link to {path.readlink()}".encode()).hexdigest()
    content = path.read_bytes()
    return hashlib.sha256(content if b"\0" in content else content.replace(b"\r\n", b"\n")).hexdigest()


def _unreadable(name: str, found: str) -> DeployerError:
    """Return the error for a file of hashes that cannot be read."""
    restore = f"`git checkout -- {name}` restores the committed one"
    return DeployerError(f"`{name}` cannot be read", found=f"found {found}", hint=restore)
