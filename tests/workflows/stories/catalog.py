"""Every story in the order in which one world can play them. Pure."""

from __future__ import annotations

from workflows.stories import beginning, game_days, refusals, releases, settings, watching
from workflows.stories.story import Story

BEGINNING = (Story(beginning.bootstrap), Story(beginning.first_release))
STORIES = (
    Story(beginning.first_push),
    *BEGINNING,
    Story(beginning.second_bootstrap),
    Story(releases.healthy_release),
    Story(releases.broken_release),
    Story(releases.cancelled_release),
    Story(releases.cancelled_release_whose_shell_hears_nothing),
    Story(releases.rollback_while_a_release_runs),
    Story(releases.controlled_release),
    Story(settings.watched_alarms_and_provisioned_concurrency),
    Story(settings.durable_driver),
    Story(watching.drift),
    Story(watching.vulnerability_that_became_known),
    Story(watching.prune),
    Story(game_days.game_day),
    Story(refusals.red_scan),
    Story(refusals.tampered_image),
    Story(refusals.fourteen_tokens),
    Story(refusals.pull_request_of_a_fork),
    Story(refusals.pull_request_of_a_fork_that_steals),
)


def chosen(names: list[str]) -> tuple[Story, ...]:
    """Return the stories of these names, after the two that each other one needs; all without names.

    Raises KeyError for a name that no story has.
    """
    by_name = {story.name: story for story in STORIES}
    wanted = [by_name[name] for name in names]
    return STORIES if not wanted else (*BEGINNING, *(story for story in wanted if story not in BEGINNING))
