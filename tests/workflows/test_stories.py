"""The shipped workflows, run under roles that are enforced: a thin story always, all of them on request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from generating import Template
from workflows import nodejs
from workflows.conftest import missing
from workflows.stories import making
from workflows.stories.catalog import BEGINNING, STORIES, chosen
from workflows.stories.story import Story, prepare
from workflows.stories.world import World

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("stories")]


def made(
    docker: list[str],
    template: Template,
    tmp_path_factory: pytest.TempPathFactory,
    stories: tuple[Story, ...],
) -> Iterator[World]:
    """Make a world for some stories; without the tools for it the test is skipped, or fails where they must be."""
    try:
        with making.made(tmp_path_factory.mktemp("world") / "world", template, docker) as world:
            prepare(world, stories)
            yield world
    except (nodejs.NotInstalledError, LookupError) as reason:
        missing(str(reason))


@pytest.fixture(scope="module")
def world(docker: list[str], template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the world that all stories share, in their order."""
    yield from made(docker, template, tmp_path_factory, STORIES)


@pytest.fixture
def short_world(
    docker: list[str], template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Return a world for the thin story."""
    yield from made(docker, template, tmp_path_factory, BEGINNING)


def test_the_first_release(short_world: World) -> None:
    """After bootstrap the next push reaches production: each role has the rights that its jobs need."""
    for story in BEGINNING:
        story.play(short_world)


@pytest.mark.long
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story, world: World) -> None:
    """Each story ends as it should, after those before it in the same world."""
    story.play(world)


def test_stories_are_chosen_by_name() -> None:
    """One story is played after the two that it needs; an unknown name is an error."""
    assert [story.name for story in chosen(["red scan"])] == ["bootstrap", "first release", "red scan"]
    assert chosen([]) == STORIES
    with pytest.raises(KeyError):
        chosen(["green scan"])
