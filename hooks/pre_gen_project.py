"""Refuse bad answers, all of them at once, before anything is written."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

# JSON in which Jinja has escaped the apostrophe: no answer can end this string.
ANSWERS = json.loads(r"""{{ cookiecutter | tojson }} """)

REGION = r"[a-z]{2}(-gov|-iso[a-z]?)?-(central|east|west|(north|south)(east|west)?)-[1-9]"
PATTERNS = {
    # 29 leaves room in 64 characters for -production-function-<region> in the name of a role.
    "project_slug": (
        r"(?=.{1,29}\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*",
        "1 to 29 of a-z, 0-9 and single -, starting with a letter",
    ),
    "github_owner": (
        r"(?=.{1,39}\Z)[A-Za-z0-9]+([-_][A-Za-z0-9]+)*",
        "a GitHub user or organisation: up to 39 of letters, digits and single -",
    ),
    "aws_region": (REGION, "an AWS region such as eu-central-1"),
    "architecture": (r"arm64|x86_64", "arm64 or x86_64"),
}
LONGEST = {"project_name": 100, "description": 300}
# Windows keeps these as devices, with and without an extension, in every folder.
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
# S3 keeps this beginning of bucket names for itself.
RESERVED_BEGINNING = "sthree-"
UNPRINTABLE = {
    "Cc": "control characters",
    "Cs": "halves of characters",
    "Zl": "line breaks",
    "Zp": "line breaks",
}
BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# In pieces, as this file goes through Jinja itself.
JINJA_MARKS = tuple("{" + second for second in ("{", "%", "#"))


def text_faults(answer: str, longest: int) -> str | None:
    """Return what a free text must not be, or None if it may be used."""
    if not answer.strip() or len(answer) > longest:
        return f"1 to {longest} characters"
    unprintable = {UNPRINTABLE.get(unicodedata.category(character)) for character in answer} - {None}
    if unprintable:
        return f"one line without {' and '.join(sorted(unprintable))}"
    if any(unicodedata.bidirectional(character) in BIDIRECTIONAL for character in answer):
        return "text without marks that reverse the direction of reading"
    if any(mark in answer for mark in JINJA_MARKS):
        return "text without the opening marks of Jinja, which a later update would execute"
    return None


def faults(answers: dict[str, str]) -> list[str]:
    """Return one line for each answer that cannot be used, with what is allowed."""
    allowed: dict[str, str | None] = {}
    for name, longest in LONGEST.items():
        allowed[name] = text_faults(answers[name], longest)
    for name, (pattern, meaning) in PATTERNS.items():
        allowed[name] = None if re.fullmatch(pattern, answers[name]) else meaning
    slug = answers["project_slug"]
    if slug in DEVICES:
        allowed["project_slug"] = "a name that Windows does not keep for a device"
    elif slug.startswith(RESERVED_BEGINNING):
        allowed["project_slug"] = f"a name that does not start with {RESERVED_BEGINNING}, as S3 keeps it"
    # ascii(): a terminal with another encoding must not turn a bad answer into a traceback.
    return [
        f"  {name}: found {ascii(answers[name])[:60]}, expected {meaning}"
        for name, meaning in allowed.items()
        if meaning
    ]


if __name__ == "__main__":
    found = faults(ANSWERS)
    if found:
        print("error: these answers cannot be used, nothing was written", *found, sep="\n", file=sys.stderr)
        print("  hint: run the same command again with other answers", file=sys.stderr)
        sys.exit(1)
