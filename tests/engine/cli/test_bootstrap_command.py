"""`deployer bootstrap` as an administrator meets it: what it asks, changes, tells GitHub, and refuses."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from engine.cli.accounts import FakeAccount
from engine.fakes import VirtualClock
from generating import GENERATED

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "resizer"
region = "eu-west-1"
architecture = "arm64"
"""
ACCOUNTS = '[accounts]\nregistry = "111111111111"\nstaging = "222222222222"\nproduction = "333333333333"\n'
STACKS = ["resizer-registry", "resizer-staging-bootstrap", "resizer-production-bootstrap"]
ENVIRONMENTS = {
    f"{environment}{job}" for environment in ("staging", "production") for job in ("", "-plan", "-rollback")
} | {"prune", "staging-gameday"}


class GitHub:
    """The one repository that the fake `gh` knows."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.given(
            name="acme/resizer",
            owner_id=7,
            id=42,
            signed_in=True,
            admin=True,
            oidc={"use_default": True, "use_immutable_subject": True},
            environments={},
            variables={},
            rules=[],
            refuses={},
            calls=[],
        )

    def __getitem__(self, key: str) -> Any:
        """Return a part of the state."""
        return json.loads(self._state.read_text(encoding="utf-8"))[key]

    def given(self, **changed: Any) -> None:
        """Change the repository."""
        before = json.loads(self._state.read_text(encoding="utf-8")) if self._state.exists() else {}
        self._state.write_text(json.dumps({**before, **changed}), encoding="utf-8")

    def calls(self) -> list[list[str]]:
        """Return the calls that change something."""
        return [words for words in self["calls"] if "-X" in words or words[0] == "variable"]


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    """Put the fake `gh` before everything else on PATH."""
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    source = (Path(__file__).parent / "fake_gh.py").read_text(encoding="utf-8")
    program.write_text(source.replace("/usr/bin/env python3", f"{sys.executable} -IS", 1), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent) + os.pathsep + os.environ["PATH"])
    monkeypatch.setenv("FAKE_GH", str(tmp_path / "github.json"))
    return GitHub(tmp_path / "github.json")


Run = Callable[..., int]


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `deployer bootstrap` in a checkout; `answer` is what the person types."""
    checkout = tmp_path / "checkout"
    shutil.copytree(GENERATED / "infra", checkout / "infra")
    (checkout / ".github").mkdir()
    shutil.copy(GENERATED / ".github/ruleset-main.json", checkout / ".github")
    (checkout / "deploy.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("COLUMNS", "300")

    def run(account: FakeAccount, *options: str, answer: str | None = None) -> int:
        class Terminal(io.StringIO):
            def readline(self, *_: int) -> str:
                assert answer is not None, "nobody was to be asked"
                return f"{answer}\n"

        monkeypatch.setattr("sys.stdin", Terminal())
        return main(["bootstrap", *options], clock=VirtualClock(), aws=lambda *_: account)

    return run


def test_everything_is_shown_asked_for_once_and_done(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """One plan, one question; then three stacks in their order, and GitHub; again, there is nothing to do."""
    account = FakeAccount()
    assert bootstrap(account, answer="y") == Exit.DONE
    told = capsys.readouterr().out
    assert told.count("change all of this?") == 1
    before, after = told.split("change all of this?")
    for line in (*(f"stack {name} will change:" for name in STACKS), "  make environment production-plan"):
        assert line in before
    assert "set variable AWS_ROLLBACK_ROLE_ARN in staging-rollback" in before
    assert "CREATE_COMPLETE" not in before
    assert "GitHub     set variable AWS_PUSH_ROLE_ARN: done" in after
    assert account.executed == STACKS

    github.given(calls=[])
    assert bootstrap(account) == Exit.DONE
    told = capsys.readouterr().out
    assert [f"stack {name}: nothing to change" in told for name in STACKS] == [True] * 3
    assert "GitHub acme/resizer: nothing to change" in told
    assert account.executed == STACKS
    assert github.calls() == []


def test_github_is_set_up(github: GitHub, bootstrap: Run) -> None:
    """Each environment is for main only, each role is where its job reads it, and main takes checked changes only."""
    bootstrap(FakeAccount(), "--yes")
    assert set(github["environments"]) == ENVIRONMENTS
    for name, environment in github["environments"].items():
        assert environment["branches"] == ["main"], name
        assert environment["about"]["deployment_branch_policy"]["custom_branch_policies"] is True
    role = "arn:aws:iam::111111111111:role/resizer"
    per_environment = {
        place: values
        for name in ("staging", "production")
        for place, values in {
            name: {
                "AWS_DEPLOY_ROLE_ARN": f"{role}-{name}-deploy-eu-west-1",
                "AWS_STACK_ROLE_ARN": f"{role}-{name}-stack-eu-west-1",
            },
            f"{name}-plan": {"AWS_PLAN_ROLE_ARN": f"{role}-{name}-plan-eu-west-1"},
            f"{name}-rollback": {"AWS_ROLLBACK_ROLE_ARN": f"{role}-{name}-rollback-eu-west-1"},
        }.items()
    }
    per_environment["staging"]["AWS_SMOKE_ROLE_ARN"] = f"{role}-staging-smoke-eu-west-1"
    per_environment["staging-gameday"] = {"AWS_GAMEDAY_ROLE_ARN": f"{role}-staging-gameday-eu-west-1"}
    assert github["variables"] == per_environment | {
        "": {"AWS_PUSH_ROLE_ARN": f"{role}-push-eu-west-1"},
        "prune": {
            "AWS_PRUNE_ROLE_ARN": f"{role}-prune-eu-west-1",
            "AWS_STAGING_PRUNE_ROLE_ARN": f"{role}-staging-prune-eu-west-1",
            "AWS_PRODUCTION_PRUNE_ROLE_ARN": f"{role}-production-prune-eu-west-1",
        },
    }
    [checks] = [rule for rule in github["rules"] if rule["type"] == "required_status_checks"]
    assert checks["parameters"]["required_status_checks"] == [{"context": "pass"}]
    assert {rule["type"] for rule in github["rules"]} >= {"pull_request", "deletion", "non_fast_forward"}
    # Releases begin with this one.
    assert github.calls()[-1][2] == "AWS_PUSH_ROLE_ARN"


@pytest.mark.parametrize("answer", ["n", ""])
def test_nothing_is_changed_without_a_yes(
    github: GitHub, bootstrap: Run, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever does not say yes changes neither the account nor GitHub, and what was proposed is thrown away."""
    account = FakeAccount()
    assert bootstrap(account, answer=answer) == Exit.REFUSED
    assert (account.executed, account.stacks, account.pending, account.providers) == ([], {}, {}, {})
    assert github.calls() == []
    assert capsys.readouterr().out.endswith("nothing was changed\n")


def test_github_alone_is_asked_for_as_well(github: GitHub, bootstrap: Run) -> None:
    """Where only GitHub would change, a person is asked first too."""
    account = FakeAccount()
    bootstrap(account, "--yes")
    github.given(variables={}, calls=[])
    assert bootstrap(account, answer="n") == Exit.REFUSED
    assert github.calls() == []


def commands(told: str) -> list[list[str]]:
    """Return the commands that are printed for somebody to run."""
    return [shlex.split(line) for line in told.splitlines() if line.startswith("  gh ")]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        pytest.param({"signed_in": False}, "`gh` is not signed in", id="not signed in"),
        pytest.param({"admin": False}, "`gh` may not administer acme/resizer", id="no administrator"),
        pytest.param({"name": "acme/other"}, "`gh` may not administer acme/resizer", id="not to be seen"),
        pytest.param(
            {"refuses": {"environments": "HTTP 500"}},
            "GitHub refuses `repos/acme/resizer/environments?per_page=100`: HTTP 500",
            id="not to be read",
        ),
    ],
)
def test_what_gh_cannot_do_is_printed(
    github: GitHub,
    bootstrap: Run,
    state: dict[str, Any],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a `gh` that may do it, the commands are printed, complete and quoted: obeyed, nothing is left."""
    account = FakeAccount()
    before = {key: github[key] for key in state}
    github.given(**state)
    subject = ("--subject", "acme@7/resizer@42")
    assert bootstrap(account, *subject, answer="y") == Exit.DONE
    told = capsys.readouterr().out
    assert f"now tell GitHub, once ({why}):" in told
    assert github.calls() == []

    github.given(**before)
    for words in commands(told):
        subprocess.run(words, check=True)
    assert bootstrap(account, *subject) == Exit.DONE
    assert "GitHub acme/resizer: nothing to change" in capsys.readouterr().out


def test_without_gh_the_ids_have_to_be_given(
    bootstrap: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `gh` is not installed, the repository is named with its ids, and the commands are printed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    account = FakeAccount()
    assert bootstrap(account) == Exit.FAILED
    assert "--subject OWNER@OWNER_ID/NAME@REPOSITORY_ID" in capsys.readouterr().err
    assert bootstrap(account, "--subject", "acme@7/resizer@42", "--yes") == Exit.DONE
    told = capsys.readouterr().out
    assert "now tell GitHub, once (`gh` is not installed):" in told
    assert account.stacks[STACKS[0]].parameters["GitHubSubject"] == "repo:acme@7/resizer@42"
    assert all("acme/resizer" in " ".join(words) for words in commands(told))


def test_github_can_be_left_to_somebody_else(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--print-github` nothing is done on GitHub, though `gh` could."""
    assert bootstrap(FakeAccount(), "--print-github", "--yes") == Exit.DONE
    assert "now tell GitHub, once (as asked):" in capsys.readouterr().out
    assert github.calls() == []


@pytest.mark.parametrize(
    ("oidc", "options", "subject"),
    [
        pytest.param(
            {"use_default": True, "use_immutable_subject": True}, (), "repo:acme@7/resizer@42", id="new"
        ),
        pytest.param(
            {"use_default": True, "use_immutable_subject": False}, (), "repo:acme/resizer", id="older"
        ),
        pytest.param({"use_default": True}, (), "repo:acme@7/resizer@42", id="not told"),
        pytest.param(None, (), "repo:acme@7/resizer@42", id="not to be asked"),
        pytest.param({}, ("--subject", "acme@7/resizer@42"), "repo:acme@7/resizer@42", id="given"),
        pytest.param(
            {}, ("--subject", "acme@7/resizer@42", "--older-subject"), "repo:acme/resizer", id="given, older"
        ),
        pytest.param(
            {}, ("--subject", "corp_users@7/x.y_z@42"), "repo:corp_users@7/x.y_z@42", id="managed users"
        ),
    ],
)
def test_roles_trust_the_subject_that_github_sends(
    github: GitHub, bootstrap: Run, oidc: dict[str, bool] | None, options: tuple[str, ...], subject: str
) -> None:
    """The subject has ids where GitHub's tokens have them, and the repository's id is asked for in any case."""
    github.given(oidc=oidc)
    account = FakeAccount()
    assert bootstrap(account, *options, "--print-github", "--yes") == Exit.DONE
    for stack in account.stacks.values():
        assert stack.parameters["GitHubSubject"] == subject
        assert stack.parameters["GitHubRepositoryId"] == "42"
        pattern = stack.template["Parameters"]["GitHubSubject"]["AllowedPattern"]
        assert re.fullmatch(pattern, subject)


def test_a_subject_of_the_repositorys_own_making_is_refused(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repository whose tokens follow a template of its own is told how to go back to the default."""
    github.given(oidc={"use_default": False, "include_claim_keys": ["repo", "actor"]})
    account = FakeAccount()
    assert bootstrap(account) == Exit.FAILED
    told = capsys.readouterr().err
    assert "found repo, actor, expected GitHub's default" in told
    assert "gh api -X PUT repos/acme/resizer/actions/oidc/customization/sub -F use_default=true" in told
    assert account.pending == {}


def test_registry_makes_the_provider_and_the_others_use_it(github: GitHub, bootstrap: Run) -> None:
    """In an account without provider the first stack makes it; a later run leaves it where it is."""
    account = FakeAccount()
    bootstrap(account, "--print-github", "--yes")
    assert account.owners() == ["resizer-registry"]
    # Something changes, so that all stacks are updated.
    github.given(owner_id=8)
    assert bootstrap(account, "--print-github", "--yes") == Exit.DONE
    assert account.executed == STACKS * 2
    assert account.owners() == ["resizer-registry"]


def test_a_provider_that_exists_is_used_and_stays_nobodys(github: GitHub, bootstrap: Run) -> None:
    """A provider that another stack made is used by all three, now and later."""
    account = FakeAccount().given_provider()
    bootstrap(account, "--print-github", "--yes")
    github.given(owner_id=8)
    bootstrap(account, "--print-github", "--yes")
    assert account.owners() == []
    assert {s.parameters["ExistingOidcProviderArn"] for s in account.stacks.values()} == {
        account.provider_arn
    }


@pytest.mark.parametrize("options", [(), ("--oidc-provider", FakeAccount().provider_arn)])
def test_the_stack_that_made_the_provider_never_gives_it_away(
    github: GitHub, bootstrap: Run, options: tuple[str, ...]
) -> None:
    """Named or found, the provider of a stack's own stays in that stack: given away, it would be deleted."""
    account = FakeAccount()
    bootstrap(account, "--print-github", "--yes")
    github.given(owner_id=8)
    assert bootstrap(account, *options, "--print-github", "--yes") == Exit.DONE
    assert account.owners() == ["resizer-registry"]


def test_a_provider_that_was_removed_is_made_again(github: GitHub, bootstrap: Run) -> None:
    """If the provider that all used is gone, the first stack makes one, and the others use that."""
    account = FakeAccount().given_provider()
    bootstrap(account, "--print-github", "--yes")
    account.providers.clear()
    assert bootstrap(account, "--print-github", "--yes") == Exit.DONE
    assert account.owners() == ["resizer-registry"]
    assert list(account.providers) == [account.provider_arn]


@pytest.mark.parametrize(
    ("account", "options", "error"),
    [
        pytest.param(
            FakeAccount().given_provider("https://github.com/acme"),
            (),
            (Exit.FAILED, "found https://github.com/acme, expected sts.amazonaws.com"),
            id="made for another audience",
        ),
        pytest.param(
            FakeAccount(),
            ("--oidc-provider", FakeAccount("999999999999").provider_arn),
            (Exit.USAGE, "expected `arn:aws:iam::111111111111:oidc-provider/"),
            id="of another account",
        ),
        pytest.param(
            FakeAccount(iam_is_denied=True), (), (Exit.FAILED, "--oidc-provider ARN"), id="not to be listed"
        ),
    ],
)
def test_a_provider_that_cannot_work_is_refused(
    request: pytest.FixtureRequest,
    account: FakeAccount,
    options: tuple[str, ...],
    error: tuple[Exit, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is proposed, with the command that mends it."""
    status, words = error
    request.getfixturevalue("github")
    assert request.getfixturevalue("bootstrap")(account, *options, "--print-github", "--yes") == status
    assert words in capsys.readouterr().err
    assert (account.pending, account.stacks) == ({}, {})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("CreateChangeSet", "Stack:arn is in ROLLBACK_COMPLETE state and can not be updated."),
        ("DescribeStacks", "it is ROLLBACK_COMPLETE, says nobody"),
    ],
    ids=["a stack that takes no change", "a stack that cannot be read"],
)
def test_what_was_proposed_is_thrown_away_when_a_later_part_is_refused(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str], call: str, said: str
) -> None:
    """No change set is left for somebody to carry out, and neither AWS nor GitHub is changed."""
    account = FakeAccount(refuses={(call, STACKS[1]): said})
    assert bootstrap(account, "--yes") in (Exit.FAILED, Exit.REFUSED)
    assert "ROLLBACK_COMPLETE" in capsys.readouterr().err
    assert (account.pending, account.executed, github.calls()) == ({}, [], [])


def test_a_stack_that_fails_ends_it_and_can_be_tried_again(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done stays, what comes later is not tried, GitHub is told nothing; the next run does the rest."""
    account = FakeAccount(fails={STACKS[1]: "role exists"})
    assert bootstrap(account, "--yes") == Exit.FAILED
    told = capsys.readouterr().err
    assert "role exists" in told
    assert "not tried: production" in told
    assert "`deployer bootstrap` again: what is done stays done" in told
    assert account.executed == STACKS[:1]
    assert account.pending == {}
    assert github.calls() == []

    account.fails.clear()
    del account.stacks[STACKS[1]]
    assert bootstrap(account, "--yes") == Exit.DONE
    assert account.executed == STACKS


def test_each_account_gets_what_it_holds(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an account for each, a run makes one part, says what is left, and ends with what one account would have."""
    Path("deploy.toml").write_text(SETTINGS + ACCOUNTS, encoding="utf-8")
    accounts = {name: FakeAccount(digit * 12) for name, digit in zip(STACKS, "123", strict=True)}
    for name, account in accounts.items():
        assert bootstrap(account, "--yes") == Exit.DONE
        assert account.executed == [name]
        assert account.owners() == [name]
    told = capsys.readouterr().out
    assert "still to do with credentials of account 333333333333: deployer bootstrap --env production" in told
    registry = accounts["resizer-registry"].stacks["resizer-registry"].parameters
    assert [registry[f"{e}Account"] for e in ("Registry", "Staging", "Production")] == [
        digit * 12 for digit in "123"
    ]
    for name in STACKS[1:]:
        assert accounts[name].stacks[name].parameters["RegistryAccount"] == "111111111111"
    deploys = {e: github["variables"][e]["AWS_DEPLOY_ROLE_ARN"] for e in ("staging", "production")}
    assert deploys == {
        "staging": "arn:aws:iam::222222222222:role/resizer-staging-deploy-eu-west-1",
        "production": "arn:aws:iam::333333333333:role/resizer-production-deploy-eu-west-1",
    }


@pytest.mark.parametrize(
    ("option", "stacks"),
    [
        (("--registry",), STACKS[:1]),
        (("--env", "staging"), STACKS[1:2]),
        (("--env", "production"), STACKS[2:]),
    ],
    ids=["registry", "staging", "production"],
)
def test_one_part_alone(github: GitHub, bootstrap: Run, option: tuple[str, ...], stacks: list[str]) -> None:
    """One part can be made by itself, in an account that would hold all of them, too."""
    account = FakeAccount()
    assert bootstrap(account, *option, "--yes") == Exit.DONE
    assert account.executed == stacks
    assert {environment.partition("-")[0] for environment in github["environments"]} <= {option[-1], "prune"}


def test_another_account_is_refused(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """With credentials of an account that deploy.toml does not name, nothing is changed."""
    Path("deploy.toml").write_text(SETTINGS + ACCOUNTS, encoding="utf-8")
    account = FakeAccount("999999999999")
    assert bootstrap(account, "--yes") == Exit.REFUSED
    assert "found account 999999999999, expected registry in 111111111111, staging" in capsys.readouterr().err
    assert bootstrap(FakeAccount("222222222222"), "--env", "production", "--yes") == Exit.REFUSED
    assert "expected production in 333333333333" in capsys.readouterr().err
    assert account.pending == {}


@pytest.mark.parametrize("options", [("--env", "staging", "--registry"), ("--older-subject",)])
def test_options_that_do_not_fit_are_refused(bootstrap: Run, options: tuple[str, ...]) -> None:
    """Two parts at once, or the form of a subject without the subject, is a mistake of the command line."""
    assert bootstrap(FakeAccount(), *options) == Exit.USAGE


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        pytest.param("environments/production-plan", Exit.FAILED, id="an environment"),
        pytest.param("AWS_STACK_ROLE_ARN", Exit.FAILED, id="a variable"),
        pytest.param("rulesets", Exit.DONE, id="the rule for main"),
    ],
)
def test_what_github_refuses_is_left_to_do_by_hand(
    github: GitHub,
    bootstrap: Run,
    refused: str,
    status: Exit,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a plan of GitHub does not have is told with its command, and releases begin only when all else is there."""
    github.given(refuses={f"-X PUT repos/acme/resizer/{refused}": "HTTP 403", f"set {refused}": "HTTP 403"})
    if refused == "rulesets":
        github.given(refuses={refused: "Upgrade to GitHub Pro (HTTP 403)"})
    account = FakeAccount()
    assert bootstrap(account, "--yes") == status
    told = capsys.readouterr().out
    assert "HTTP 403" in told
    assert any(refused in " ".join(words) for words in commands(told.partition("left to do by hand:")[2]))
    assert ("AWS_PUSH_ROLE_ARN" in github["variables"].get("", {})) is (status == Exit.DONE)
    assert account.executed == STACKS

    github.given(refuses={})
    assert bootstrap(account, "--yes") == Exit.DONE
    assert github["variables"][""]["AWS_PUSH_ROLE_ARN"]


def test_a_kept_repository_is_taken_over(github: GitHub, bootstrap: Run) -> None:
    """A repository that outlived its stack becomes the new stack's: its name stands in the template, not a reference."""
    account = FakeAccount(repositories=("resizer",))
    assert bootstrap(account, "--yes") == Exit.DONE
    assert account.taken_over == ["resizer"]


def test_an_open_environment_is_closed_and_keeps_its_reviewers(github: GitHub, bootstrap: Run) -> None:
    """An environment that any branch may use is closed to others; who reviews, and who waits, stays."""
    reviewers = [{"type": "Team", "reviewer": {"id": 5}}, {"type": "User", "reviewer": {"id": 6}}]
    rules = [
        {"type": "required_reviewers", "reviewers": reviewers, "prevent_self_review": True},
        {"type": "wait_timer", "wait_timer": 30},
    ]
    about = {"protection_rules": rules, "deployment_branch_policy": None}
    github.given(environments={"production": {"about": about, "branches": []}})
    bootstrap(FakeAccount(), "--yes")
    [made] = [
        words for words in github.calls() if words[4:5] == ["repos/acme/resizer/environments/production"]
    ]
    assert {"prevent_self_review=true", "wait_timer=30"} <= set(made)
    kept = github["environments"]["production"]
    assert kept["about"]["protection_rules"] == [{"type": "required_reviewers", "reviewers": reviewers}]
    assert kept["branches"] == ["main"]


def test_what_is_for_people_to_decide_is_told(
    github: GitHub, bootstrap: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another branch on an environment, and a production that nobody has to agree to, is told and left alone."""
    custom = {"protection_rules": [], "deployment_branch_policy": {"custom_branch_policies": True}}
    github.given(environments={"staging": {"about": custom, "branches": ["main", "release/*"]}})
    bootstrap(FakeAccount(), "--yes")
    told = capsys.readouterr().out
    assert "note       environment staging also takes release/*" in told
    assert "note       nobody has to agree to a release to production" in told
    assert "in a private repository only with GitHub Enterprise" in told
    assert github["environments"]["staging"]["branches"] == ["main", "release/*"]
