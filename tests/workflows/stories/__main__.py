"""Play every story, or those named, and write build/workflows.md: `python3 dev.py workflows`. Shell."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from deployer.errors import DeployerError
from deployer.image.docker import find_docker
from generating import ROOT, copy_template
from workflows import nodejs
from workflows.stories import making
from workflows.stories.catalog import STORIES, chosen
from workflows.stories.page import Played, render
from workflows.stories.story import Story, prepare
from workflows.stories.world import Say, World

PAGE = ROOT / "build" / "workflows.md"


def main(arguments: list[str]) -> int:
    """Play the stories in one world; returns 1 when one did not end as it should."""
    parser = argparse.ArgumentParser(prog="python3 dev.py workflows", description=__doc__)
    parser.add_argument("story", nargs="*", help=f"one of: {'; '.join(story.name for story in STORIES)}")
    parser.add_argument("--verbose", action="store_true", help="show what every step says")
    given = parser.parse_args(arguments)
    try:
        stories = chosen(given.story)
    except KeyError as error:
        parser.error(f"there is no story {error}")
    started = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - started:6.0f} s  {line}\n")
        sys.stdout.flush()

    try:
        played = _play(stories, say, is_verbose=given.verbose)
    except (DeployerError, nodejs.NotInstalledError, LookupError) as error:
        sys.stderr.write(f"error: the workflows cannot be played here\n  found: {error}\n")
        return 1
    if not given.story:
        PAGE.write_text(render(played, speed=making.SPEED), encoding="utf-8", newline="\n")
        say(f"wrote {PAGE.relative_to(ROOT)}")
    failed = [each.story.name for each in played if each.problem]
    say(f"{len(played) - len(failed)} of {len(played)} stories ended as they should{_named(failed)}")
    return 1 if failed else 0


def _named(names: list[str]) -> str:
    return f"; not: {', '.join(names)}" if names else ""


def _play(stories: Sequence[Story], say: Say, *, is_verbose: bool) -> list[Played]:
    with tempfile.TemporaryDirectory(prefix="workflows-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        template = copy_template(folder / "template", _user(folder / "home"))
        with making.made(folder / "world", template, find_docker(), say=say, is_verbose=is_verbose) as world:
            prepare(world, stories)
            return [_told(story, world) for story in stories]


def _told(story: Story, world: World) -> Played:
    """Play one story; what it finds wrong is kept, and the next one is played."""
    world.say(f"--- {story.name}: {story.sentence}")
    played, started = Played(story), time.monotonic()
    runs, decisions = len(world.played), len(world.local_aws.decisions())
    try:
        story.play(world)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        played.problem = f"{error}\n{where.filename}:{where.lineno}: {where.line}".strip()
        world.say(f"FAILED {played.problem}")
    made = world.local_aws.decisions()[decisions:]
    played.took_s = time.monotonic() - started
    played.runs = world.played[runs:]
    played.allowed = sum(one.allowed for one in made)
    played.denied = world.denied(decisions)
    return played


def _user(home: Path) -> dict[str, str]:
    """Return the environment of a user with a name, an empty home and no settings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "COOKIECUTTER"))
    }
    roles = ("AUTHOR", "COMMITTER")
    names = {f"GIT_{role}_NAME": "User" for role in roles}
    return {
        **kept,
        **names,
        **{f"GIT_{role}_EMAIL": "user@example.invalid" for role in roles},
        "HOME": str(home),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
