"""Copies of the template, and ways to generate from them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.settings import adapted

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "{{cookiecutter.project_slug}}"

# Heavier and shorter than the template's. Slow calls are not judged in the first two minutes of a step, so the rehearsal's
# act 5 needs five minutes in the first one; the outage of act 6 needs four in the last one.
SHORT_STEPS = "[{ weight_pct = 25, bake_s = 300 }, { weight_pct = 50, bake_s = 240 }]"


def files_under(folder: Path) -> list[str]:
    """Return the files of the checkout under a folder that are, or would be, committed, relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."]
    listed = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout.decode()
    return sorted(name for name in listed.split("\0") if name and (folder / name).is_file())


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    identity = ["-c", "user.name=User", "-c", "user.email=user@example.invalid", "-c", "core.autocrlf=false"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit everything in a folder and return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Template:
    """A copy of the template to generate from, and the environment of the user who does."""

    path: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *command: str | Path, cwd: Path, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program installed beside Python, such as cookiecutter or cruft."""
        program = shutil.which(str(command[0]), path=str(Path(sys.executable).parent)) or str(command[0])
        return subprocess.run(
            [program, *map(str, command[1:])],
            cwd=cwd,
            env=self.environment,
            input=answers,
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
        )

    def cookiecutter(self, output: Path, **answers: str) -> subprocess.CompletedProcess[str]:
        """Generate from the path of the template, without asking."""
        given = [f"{name}={answer}" for name, answer in answers.items()]
        return self.run("cookiecutter", self.path, "--no-input", "--output-dir", output, *given, cwd=output)

    def generate(self, output: Path, **answers: str) -> Path:
        """Generate a repository, which must succeed, and return its path."""
        result = self.cookiecutter(output, **answers)
        assert result.returncode == 0, result.stdout + result.stderr
        [repository] = output.iterdir()
        return repository


def copy_template(path: Path, user: Mapping[str, str]) -> Template:
    """Copy the committed and committable files of the checkout into a git repository of their own."""
    for name in files_under(ROOT):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, path / name)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path, "First")
    return Template(path, user)


def shorten_rollouts(repository: Path) -> None:
    """Give production's rollouts in a generated repository short steps, so that a rehearsal ends sooner."""
    settings = repository / "deploy.toml"
    text, times = re.subn(
        r"(?m)(^\[environments\.production\]\nsteps = )\"auto\".*$",
        rf"\g<1>{SHORT_STEPS}",
        settings.read_text(encoding="utf-8"),
    )
    assert times == 1
    settings.write_text(adapted(text, "production", {"final_bake_s": 120, "settle_s": 60}), encoding="utf-8")
