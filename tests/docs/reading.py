"""What README and docs claim, read out of Markdown. Pure: texts in, claims or findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

Document = Mapping[str, str]  # path under the repository -> Markdown

PATH = re.compile(
    r"(?:\.?[\w-][\w.-]*/)+(?:[\w.-]+)?|[\w.-]+\.(?:py|toml|ya?ml|md|in|txt|json)|Dockerfile|Makefile"
)
# Made by a tool, or by AWS: not in a fresh clone.
MADE_LATER = (".cruft.json", "build/", "rehearsal/report.html", "events.jsonl", ".venv/", "/aws/")


def code(text: str) -> Iterator[str]:
    """Yield every code span and every line of a code block, comments left out."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and line.startswith("    "):
            yield re.sub(r"\s+#\s.*", "", line.strip())
    without_fences = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    prose = "\n".join(line for line in without_fences.splitlines() if not line.startswith("    "))
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the words behind a program's name, for each time it is called."""
    for line in code(text):
        for part in re.split(r"&&|;|\|", line):
            words = part.replace("python3 dev.py run ", "").split()
            if words[:1] == [program] and len(words) > 1:
                yield words[1:]


def paths(text: str) -> Iterator[str]:
    """Yield every path of the repository that is named in code."""
    for span in code(text):
        if span.startswith(("gh ", "aws ")):
            continue
        for word in span.split():
            named = word.strip("\"',:")
            if PATH.fullmatch(named) and not named.startswith(MADE_LATER) and "*" not in named:
                yield named


def written(text: str) -> set[str]:
    """Return the paths that a page lets its reader write: each stands alone above a block."""
    return set(re.findall(r"^`([^`]+)`\n\n```", text, flags=re.M))


def links(text: str) -> Iterator[str]:
    """Yield the target of every link and picture, but for HTML, which holds the template's answers."""
    for line in text.splitlines():
        if not line.startswith("<"):
            yield from re.findall(r"\]\(([^)\s]+)\)", line)


def anchors(text: str) -> set[str]:
    """Return the anchors GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def header(text: str, first_header: str) -> list[str]:
    """Return the headers of the first table whose first column has that one."""
    start = f"| {first_header} |" if first_header else "| |"
    return next((_cells(line) for line in text.splitlines() if line.startswith(start)), [])


def table(text: str, first_header: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose first column has that header."""
    lines = iter(text.splitlines())
    start = f"| {first_header} |" if first_header else "| |"
    for line in lines:
        if line.startswith(start):
            break
    rows = []
    for line in list(lines)[1:]:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def wrong_figures(text: str, page: str) -> list[str]:
    """Return each figure of the text's comparison that the benchmark's page does not have in that place."""
    measured = {}
    for first, keys in (("traffic and error rate", 1), ("stable to canary", 2)):
        for row in table(page, first):
            name = row[0] if keys == 1 else f"{row[1]}/min, {row[0]}"
            measured |= {
                (name, column): cell
                for column, cell in zip(header(page, first)[keys:], row[keys:], strict=True)
            }
    columns = header(text, "")[1:]
    return [
        f"{name}, {column}: {cell}"
        for name, *cells in table(text, "")
        if not name.startswith("**")
        for column, cell in zip(columns, cells, strict=True)
        if measured.get((name, column)) != cell
    ]


def broken_links(documents: Document, existing: set[str]) -> list[str]:
    """Return every relative link whose file or heading does not exist."""
    found = []
    for path, text in documents.items():
        for link in links(text):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, anchor = link.partition("#")
            target = _resolve(path, file) if file else path
            if target not in existing:
                found.append(f"{path}: {link} does not exist")
            elif anchor and anchor not in anchors(documents.get(target, "")):
                found.append(f"{path}: {link} has no such heading")
    return found


def _resolve(path: str, link: str) -> str:
    """Return a link's path from the top of the repository."""
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / link).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
