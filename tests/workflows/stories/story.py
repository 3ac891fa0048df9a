"""What a story is, and what several of them check. Pure but for reading the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workflows.github.records import RunRecord
from workflows.stories.world import World

CHECKS = "$/.github/actions/checks"
DEPLOY = "deploy.yml"


@dataclass(frozen=True)
class Story:
    """One story: its function, whose docstring tells it in a sentence, changes the world and asserts."""

    play: Callable[[World], None]

    @property
    def name(self) -> str:
        """Return its name in words."""
        return self.play.__name__.replace("_", " ")

    @property
    def sentence(self) -> str:
        """Return what it tells."""
        return (self.play.__doc__ or "").strip().splitlines()[0]


def prepare(world: World, stories: Sequence[Story]) -> None:
    """Let releases leave out the checks, unless the story is among these that plays them once."""
    if not any(story.name == "first push" for story in stories):
        world.left_out[CHECKS] = "played in the story of the first push"


def all_well(record: RunRecord) -> None:
    """Assert that every job of a run succeeded; else say what was said in those that did not."""
    assert record.result == "success", explained(record)


def explained(record: RunRecord) -> str:
    """Return the results of a run, and the end of what its failed jobs said."""
    ends = [f"{job.id} ended with:\n{job.text[-3000:]}" for job in record.jobs if job.result == "failure"]
    return "\n".join([str(record.results), *ends])


def nothing_denied(world: World, since: int) -> None:
    """Assert that AWS denied nothing to any role since that many decisions."""
    assert not world.denied(since), "\n".join(world.denied(since))


def decided(world: World) -> int:
    """Return how many decisions about rights were made so far."""
    return len(world.local_aws.decisions())
