"""Make the new repository a git repository that can follow its template, and say what to do next.

Runs in the new repository. Writes `.git` and `.cruft.json` only, deletes nothing, and needs no network. Does
nothing under cruft, which keeps its own record and runs the hooks of two template versions per update.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

# JSON in which Jinja has escaped the apostrophe: no answer can end this string.
ANSWERS = json.loads(r"""{{ cookiecutter | tojson }} """)


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None if it is absent or fails."""
    # A hook or an alias of git that started this may point to its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.decode("utf-8", "replace").strip() if result.returncode == 0 else None


def start_repository(folder: Path) -> None:
    """Start a git repository on branch main, unless the folder is in one already or there is no git."""
    if git(folder, "rev-parse", "--is-inside-work-tree") is not None:
        return
    if git(folder, "init", "--quiet") is not None:
        # `git init --initial-branch` is newer than many gits still in use.
        git(folder, "symbolic-ref", "HEAD", "refs/heads/main")


def without_credentials(url: str) -> str:
    """Return the URL without the user name and password that a clone may have been made with."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return url


def template_folder() -> Path | None:
    """Return the folder of the template; a relative path was relative to where cookiecutter was started."""
    # Hooks are told neither: a shell says where in PWD, and without --output-dir it is the output folder.
    for start in (os.environ.get("PWD", ""), ANSWERS["_output_dir"]):
        folder = Path(start, ANSWERS["_repo_dir"]).absolute()
        try:
            settings = json.loads((folder / "cookiecutter.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if settings.get("_copy_without_render") == ANSWERS["_copy_without_render"]:
            return folder
    return None


def template_origin(template: Path) -> tuple[str, str] | None:
    """Return the URL and the commit of the template, or None if it is not a git checkout of its own."""
    top = git(template, "rev-parse", "--show-toplevel")
    commit = git(template, "rev-parse", "HEAD")
    if not top or not commit or Path(top).resolve() != template.resolve():
        return None
    origin = git(template, "remote", "get-url", "origin") or str(template.resolve())
    return without_credentials(origin), commit


def link_to_template(folder: Path) -> None:
    """Write `.cruft.json`, so that `cruft update` can follow the template from today on."""
    template = template_folder()
    origin = template and template_origin(template)
    if not origin:
        print("note: found no git checkout of the template, so `cruft update` cannot follow it")
        return
    url, commit = origin
    answers = {name: answer for name, answer in ANSWERS.items() if not name.startswith("_")}
    state = {
        "template": url,
        "commit": commit,
        "checkout": ANSWERS.get("_checkout"),
        "context": {"cookiecutter": {**answers, "_template": url, "_commit": commit}},
        "directory": None,
    }
    text = json.dumps(state, ensure_ascii=True, indent=2) + "\n"
    (folder / ".cruft.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    # Only cookiecutter itself says where it found the template: without it, cruft is at work.
    if ANSWERS.get("_repo_dir"):
        here = Path.cwd()
        start_repository(here)
        link_to_template(here)
        python = "python" if sys.platform == "win32" else "python3"
        print(f"\nWritten to {here.name}/. Next:\n")
        print(f"  cd {here.name}")
        print(f"  {python} dev.py test       # or make test: sets up the tools, runs every test")
        print(f"  {python} dev.py rehearse   # or make rehearse: releases and a rollback, without AWS")
