"""The `gh` of the stories: it answers as GitHub does, and refuses what GitHub would, or what it does not know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from generating import commit, git
from workflows.stories.hub import Hub

PROGRAM = Path(__file__).parent / "stories" / "gh"


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """Return a repository on GitHub to which nothing was told yet."""
    repository = tmp_path / "image-resizer"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    commit(repository, "First")
    return Hub.made(tmp_path, repository)


def gh(hub: Hub, *words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    command = [sys.executable, str(PROGRAM), str(hub.state), *words]
    return subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)


def made(hub: Hub, name: str, body: str = "") -> None:
    """Make an environment."""
    words = ["api", "--silent", "-X", "PUT", f"repos/{{owner}}/{{repo}}/environments/{name}"]
    done = gh(hub, *words, *(["--input", "-"] if body else []), given=body)
    assert done.returncode == 0, done.stderr


def test_ids_of_the_repository(hub: Hub) -> None:
    """Owner and repository have names and ids, also through a query."""
    found = json.loads(gh(hub, "api", "repos/{owner}/{repo}").stdout)
    assert (found["owner"]["login"], found["owner"]["id"], found["id"]) == ("octo-org", 11, 22)
    assert gh(hub, "api", "repos/octo-org/image-resizer", "--jq", ".owner.id,.id").stdout == "11\n22\n"


def test_a_variable_needs_its_environment(hub: Hub) -> None:
    """A variable of an environment that nobody made is refused, as is one without a value."""
    words = ("variable", "set", "ROLE", "--env", "staging", "--body", "arn")
    refused = gh(hub, *words)
    assert refused.returncode == 1
    assert "404" in refused.stderr
    made(hub, "staging")
    assert gh(hub, *words).returncode == 0
    assert gh(hub, "variable", "set", "EMPTY", "--body", "").returncode == 1
    assert hub.repository().environments["staging"].variables == {"ROLE": "arn"}


def test_branch_policies(hub: Hub) -> None:
    """Without a policy every branch may use an environment, with an empty one none, then those that are named."""
    made(hub, "production")
    assert hub.repository().environments["production"].branches is None
    made(
        hub,
        "production",
        '{"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}}',
    )
    assert not hub.repository().environments["production"].admits("refs/heads/main")
    path = "repos/{owner}/{repo}/environments/production/deployment-branch-policies"
    assert gh(hub, "api", "-X", "POST", path, "-f", "name=main").returncode == 0
    assert hub.repository().environments["production"].admits("refs/heads/main")
    assert not hub.repository().environments["production"].admits("refs/pull/1/merge")
    made(hub, "production")
    assert hub.repository().environments["production"].branches is None


def test_reviewers_are_kept_when_they_are_said_again(hub: Hub) -> None:
    """Making an environment again without its reviewers loses them; fields in pairs name several."""
    path = "repos/{owner}/{repo}/environments/production"
    fields = ("-F", "reviewers[][type]=User", "-F", "reviewers[][id]=7")
    fields += ("-F", "reviewers[][type]=Team", "-F", "reviewers[][id]=8")
    assert gh(hub, "api", "--silent", "-X", "PUT", path, *fields).returncode == 0
    assert hub.repository().environments["production"].reviewers == ("User 7", "Team 8")
    [rule] = json.loads(gh(hub, "api", path).stdout)["protection_rules"]
    assert [each["reviewer"]["id"] for each in rule["reviewers"]] == [7, 8]
    made(hub, "production")
    assert hub.repository().environments["production"].reviewers == ()


def test_pairs_of_both_kinds_of_fields_fall_apart(hub: Hub) -> None:
    """As in gh, all fields of `-f` come before those of `-F`: whoever mixes them in a list of objects is refused."""
    path = "repos/{owner}/{repo}/environments/production"
    fields = ("-f", "reviewers[][type]=User", "-F", "reviewers[][id]=7")
    fields += ("-f", "reviewers[][type]=Team", "-F", "reviewers[][id]=8")
    assert gh(hub, "api", "--silent", "-X", "PUT", path, *fields).returncode != 0


def test_rules_of_a_branch_are_those_of_its_rulesets(hub: Hub) -> None:
    """A ruleset shows in the rules of main; a second one of that name is refused."""
    body = '{"name": "main", "rules": [{"type": "deletion"}]}'
    make = ("api", "-X", "POST", "repos/{owner}/{repo}/rulesets", "--input", "-")
    assert gh(hub, *make, given=body).returncode == 0
    assert json.loads(gh(hub, "api", "repos/{owner}/{repo}/rules/branches/main").stdout) == [
        {"type": "deletion"}
    ]
    assert "422" in gh(hub, *make, given=body).stderr


def test_a_job_needs_a_token(hub: Hub) -> None:
    """In a job gh asks for GH_TOKEN, and GitHub for one that is good and has the right."""
    words = ("variable", "list")
    assert "GH_TOKEN" in gh(hub, *words, GITHUB_ACTIONS="true").stderr
    assert "401" in gh(hub, *words, GITHUB_ACTIONS="true", GH_TOKEN="forged").stderr
    tokens = Path(hub.read()["tokens"])
    tokens.mkdir()
    (tokens / "real.json").write_text('{"contents": "read"}', encoding="utf-8")
    assert gh(hub, *words, GITHUB_ACTIONS="true", GH_TOKEN="real").returncode == 0
    verify = ("attestation", "verify", __file__, "--repo", "octo-org/image-resizer")
    assert "403" in gh(hub, *verify, GITHUB_ACTIONS="true", GH_TOKEN="real").stderr


@pytest.mark.parametrize(
    "words",
    ["secret set X --body y", "api -X DELETE repos/{owner}/{repo}", "api repos/somebody/else", "api user"],
)
def test_what_is_not_played_is_refused(hub: Hub, words: str) -> None:
    """A command that the program does not know is red, and is noted."""
    assert gh(hub, *words.split()).returncode == 1
    assert hub.read()["calls"] == [words.split()]


def test_commands_that_a_text_tells_are_run(hub: Hub) -> None:
    """Indented `gh` commands are obeyed in order; the first that is refused is an error."""
    said = "now tell GitHub:\n  gh variable set A --body 1\ngh variable set B --body 2\n"
    tools = hub.state.parent / "tools"
    tools.mkdir()
    (tools / "gh").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAM}" "{hub.state}" "$@"\n', encoding="utf-8"
    )
    (tools / "gh").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    assert hub.obey(said, environment) == ["gh variable set A --body 1"]
    assert hub.read()["variables"] == {"A": "1"}
    with pytest.raises(AssertionError, match="404"):
        hub.obey("  gh variable set A --env none --body 1\n", environment)
