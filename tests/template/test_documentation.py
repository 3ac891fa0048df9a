"""The template's documents speak of what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

from generating import GENERATED, ROOT

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
# What appears only after `make demo` or `make test`, and what stands for the reader's own names.
MADE_LATER = {"build/bake", "demo/", "demo/image-resizer/rehearsal/report.html", ".cruft.json"}

# The others are parts of these.
PROGRAMS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def text_of(document: str) -> str:
    """Return the text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_exist(document: str) -> None:
    """Every link and picture without an address of its own leads to a file here."""
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text_of(document))
    assert [
        target for target in targets if "://" not in target and not (ROOT / unquote(target)).exists()
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_exist(document: str) -> None:
    """Every path in backticks exists in the template or in what it generates."""
    quoted = re.findall(r"`([^`\s]+)`", text_of(document))
    paths = {
        word for word in quoted if "/" in word or re.fullmatch(r"[\w.-]+\.(md|py|json|toml|yml|html)", word)
    }
    patterns = {path for path in paths - MADE_LATER if not path.startswith("$")}
    missing = [p for p in patterns if not any([*ROOT.glob(p), *GENERATED.glob(p)])]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    """Every target of make and dev.py that is mentioned exists, here or in what is generated."""
    command = re.compile(r"(?:`|^    |&& )(?:make|python3 dev\.py) ([a-z]+)", re.MULTILINE)
    sources = text_of("dev.py") + (GENERATED / "dev.py").read_text(encoding="utf-8")
    known = set(re.findall(r'^    "([a-z]+)": \(', sources, re.MULTILINE))
    assert set(command.findall(text_of(document))) <= known


def test_the_two_commands_come_first() -> None:
    """The README's first commands are `make demo` and `make test`, before its first heading."""
    introduction = text_of("README.md").split("\n## ")[0]
    assert re.findall(r"^    (make \w+)", introduction, re.MULTILINE) == ["make demo", "make test"]


def test_every_command_of_the_deployer_exists() -> None:
    """Each command the README names for the deployer is one of its source."""
    [row] = re.findall(r"what ships it: ([a-z, ]*) \|", text_of("README.md"))
    source = "".join(path.read_text(encoding="utf-8") for path in (GENERATED / "deployer").rglob("*.py"))
    assert [
        word for word in row.split(", ") if f"def {word}" not in source and f'"{word}"' not in source
    ] == []


def test_the_questions_are_the_ones_described() -> None:
    """The README counts the questions right."""
    questions = [name for name in json.loads(text_of("cookiecutter.json")) if not name.startswith("_")]
    assert len(questions) == 6
    assert "Answer six questions" in text_of("README.md")


def test_the_proof_is_counted_right() -> None:
    """Both READMEs count the rollouts of the proof as the proof's own page does."""
    [counted] = re.findall(r"all of (\d[\d ]*) rollouts", " ".join(text_of("README.md").split()))
    assert f"**{counted} rollouts" in text_of("docs/rollout-proof.md")
    assert f"{counted} rollouts" in (GENERATED / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROGRAMS)
def test_benchmarks_are_described_and_explain_themselves(name: str) -> None:
    """Each program of benchmarks/ is in the contributing guide, as a file or as a module, and has help."""
    guide = text_of("CONTRIBUTING.md")
    is_file = f"python3 benchmarks/{name}.py" in guide
    assert is_file != (f"python3 dev.py run -m benchmarks.{name} " in guide)
    program = [f"benchmarks/{name}.py"] if is_file else ["-m", f"benchmarks.{name}"]
    command = [sys.executable, *program, "--help"]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert result.stdout.startswith("usage: ")
