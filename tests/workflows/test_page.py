"""The page about the played workflows says what was run, for how long, with which end, and what was not."""

from __future__ import annotations

from workflows.github.records import Annotation, JobRecord, RunRecord, StepRecord
from workflows.stories.catalog import STORIES
from workflows.stories.page import Played, render


def test_the_page() -> None:
    """Jobs, steps, rights, annotations and what is only recorded stand on it, and a failed story is loud."""
    inner = StepRecord("i", "Install", "success", "success", took_s=1.0, uses="astral-sh/setup-uv@v1")
    steps = [
        StepRecord("s", "Set | up", "success", "success", steps=[inner], uses="$/.github/actions/setup"),
        StepRecord("c", "Checks", "success", "success", left_out="played before"),
        StepRecord("r", "Roll out", "failure", "success", took_s=2.5),
    ]
    job = JobRecord("production", environment="production", result="failure", steps=steps, took_s=4.0)
    job.permissions, job.reviewers = {"id-token": "write"}, ("User 7",)
    job.concurrency = {"group": "deploy-production", "cancel-in-progress": False}
    job.annotations = [Annotation("error", "one\ntwo")]
    run = RunRecord("deploy.yml", "push", "0" * 40, 7, [job, JobRecord("later", result="skipped")], 5.0)
    played = [Played(STORIES[0], 6.0, "", [run], 12, []), Played(STORIES[1], 1.0, "it\nbroke", (), 0, ["x"])]
    page = render(played, speed=30)
    for line in (
        f"| {STORIES[0].sentence} | [7](#run-7) | 12 allowed, 0 denied | 6 s | as it should |",
        f"| {STORIES[1].sentence} | none | 0 allowed, 1 denied | 1 s | **failed**: it |",
        "| `deploy.yml` | production | group: `deploy-production`, cancel-in-progress: `false` | User 7 |",
        "- **production** failure in `production`, 4.0 s; id-token: write",
        "  - Set \\| up: success, 0.0 s",
        "    - Install: success, 1.0 s",
        "  - Checks: left out: played before",
        "  - Roll out: failure, 2.5 s, counts as success",
        "  - error: one two",
        "- **later** skipped",
        "The deployer's clock runs 30 times faster.",
    ):
        assert line in page
    assert "matters here: `astral-sh/setup-uv`." in page


def test_every_story_has_a_name_and_a_sentence() -> None:
    """Names differ, and each function tells its story in one line."""
    assert len({story.name for story in STORIES}) == len(STORIES)
    assert all(story.sentence.endswith(".") for story in STORIES)
