"""What the watch tells people: one issue, news once, and an end."""

from __future__ import annotations

import json

import pytest

from deployer.errors import DeployerError, Exit
from deployer.report import watch

URL = "https://github.com/octo/image-resizer/actions/runs/7"


def results(**jobs: str) -> str:
    """Return `toJSON(needs)` of a run whose jobs ended so."""
    return json.dumps({name: {"result": result, "outputs": {}} for name, result in jobs.items()})


def test_only_what_failed_is_red() -> None:
    """A job that was skipped, as before bootstrap, is no finding; one that was cancelled is."""
    found = results(staging="failure", production="success", rescan="skipped", template="cancelled")
    assert watch.red_jobs(found) == ["staging", "template"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"staging": 1}', '{"staging": {}}'])
def test_results_that_cannot_be_read_are_no_good_news(text: str) -> None:
    """What is not the result of jobs is a usage error, never "nothing is red"; no job at all is nothing."""
    if text == "[]":
        with pytest.raises(DeployerError):
            watch.red_jobs(text)
        return
    with pytest.raises(DeployerError) as caught:
        watch.red_jobs(text)
    assert caught.value.exit_code == Exit.USAGE


def test_the_first_finding_opens_an_issue() -> None:
    """The issue says what each red job means, what to do, and where it was seen."""
    told = watch.tell(["rescan"], URL, None)
    assert "docs/runbook.md, Watch" in told.body
    assert URL in told.body
    assert told.comment == ""


def test_the_same_finding_is_told_once() -> None:
    """On the next day the issue is brought up to date, and nobody gets a message."""
    before = watch.Issue(3, watch.tell(["rescan"], URL, None).body)
    told = watch.tell(["rescan"], f"{URL}1", before)
    assert f"{URL}1" in told.body
    assert told.comment == ""


@pytest.mark.parametrize("body", ["somebody wrote this", "<!-- red: staging -->"])
def test_another_finding_is_news(body: str) -> None:
    """Where another set of jobs is red, or the text was replaced, its readers are told."""
    assert watch.tell(["rescan"], URL, watch.Issue(3, body)).comment == f"Now red: rescan. {URL}"


def test_the_end_closes_the_issue() -> None:
    """When nothing is red any more the issue is closed with a word; without one nothing happens."""
    assert watch.tell([], URL, watch.Issue(3, "")) == watch.Tell("", f"All is well again: {URL}")
    assert watch.tell([], URL, None) == watch.Tell()
