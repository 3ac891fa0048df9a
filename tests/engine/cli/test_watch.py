"""`deployer watch`: what is live, whose inventory it is, and what `gh` is asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from deployer.report.watch import MEANINGS
from engine.around import given_settings
from engine.cli.test_cli import SETTINGS
from engine.fakes import FakeAws, VirtualClock
from generating import GENERATED
from rules import reading

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for gh is a POSIX script")

SHA256 = "ab" * 32
GH = """#!{python}
import json, sys
with open({asked!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
print(json.loads({answers!r}).get(" ".join(sys.argv[1:3]), ""))
sys.exit({status})
"""
Gh = Callable[..., Callable[[], list[list[str]]]]


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gh:
    """Return what puts a `gh` on PATH that answers by its first two words, and what it was asked so far."""
    asked = tmp_path / "asked"

    def given(status: int = 0, **answers: object) -> Callable[[], list[list[str]]]:
        texts = {name.replace("_", " ", 1): json.dumps(answer) for name, answer in answers.items()}
        program = tmp_path / "gh"
        program.write_text(
            GH.format(python=sys.executable, asked=str(asked), answers=json.dumps(texts), status=status)
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return lambda: [json.loads(line) for line in asked.read_text().splitlines()]

    given_settings(tmp_path, SETTINGS)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_", "GH_"))]:
        monkeypatch.delenv(name)
    return given


def deploy(*argv: str) -> int:
    """Run one command against the strict fake."""
    clock = VirtualClock()
    return main(list(argv), clock=clock, aws=lambda _config, _environment: FakeAws(clock))


RED = json.dumps({"staging": {"result": "failure"}, "settings": {"result": "success"}})
GREEN = json.dumps({"staging": {"result": "success"}})


def test_live_is_the_digest_of_what_serves(gh: Gh, capsys: pytest.CaptureFixture[str]) -> None:
    """The output is the SHA-256 that names the artifact of the release."""
    gh()
    assert deploy("watch", "live") == Exit.DONE
    assert "image_sha256=" in capsys.readouterr().out


def test_the_newest_kept_inventory_is_found(gh: Gh, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the artifacts of an image the newest that has not expired is taken, whatever their order."""
    artifacts = [
        {"expired": False, "created_at": "2026-11-01T00:00:00Z", "workflow_run": {"id": 1}},
        {"expired": False, "created_at": "2026-11-02T00:00:00Z", "workflow_run": {"id": 2}},
        {"expired": True, "created_at": "2026-11-03T00:00:00Z", "workflow_run": {"id": 3}},
    ]
    path = f"repos/{{owner}}/{{repo}}/actions/artifacts?name=release-{SHA256}&per_page=100"
    asked = gh(**{f"api_{path}": {"artifacts": artifacts}})
    assert deploy("watch", "find", "--image-sha256", SHA256) == Exit.DONE
    assert asked() == [["api", path]]
    assert "run_id=2" in capsys.readouterr().out


def test_a_lost_inventory_is_red(gh: Gh, capsys: pytest.CaptureFixture[str]) -> None:
    """An image whose inventory has expired cannot be watched, and that is said."""
    path = f"repos/{{owner}}/{{repo}}/actions/artifacts?name=release-{SHA256}&per_page=100"
    gh(**{f"api_{path}": {"artifacts": []}})
    assert deploy("watch", "find", "--image-sha256", SHA256) == Exit.FAILED
    assert "the inventory of the live image is gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("results", "issues", "verbs"),
    [
        pytest.param(RED, [], ["create"], id="the first finding opens it"),
        pytest.param(RED, [{"number": 3, "body": "<!-- red: staging -->"}], ["edit"], id="the same edits it"),
        pytest.param(RED, [{"number": 3, "body": ""}], ["edit", "comment"], id="another is news"),
        pytest.param(GREEN, [{"number": 3, "body": ""}], ["close"], id="the end closes it"),
        pytest.param(GREEN, [], [], id="nothing is said of nothing"),
    ],
)
def test_there_is_one_issue(results: str, issues: list[object], verbs: list[str], gh: Gh) -> None:
    """Whatever was found, there is one open issue at most, and it is the one with the label."""
    asked = gh(issue_list=issues)
    assert deploy("watch", "tell", "--results", results) == Exit.DONE
    told = [words for words in asked() if words[:2] not in (["label", "create"], ["issue", "list"])]
    assert [words[1] for words in told] == verbs
    assert all(words[2] == "3" for words in told if words[1] != "create")


@pytest.mark.parametrize(
    ("runs", "exit_code"),
    [
        pytest.param([], Exit.DONE, id="none yet"),
        pytest.param([{"conclusion": "success", "url": "u"}], Exit.DONE, id="green"),
        pytest.param([{"conclusion": "failure", "url": "u"}], Exit.FAILED, id="red"),
        pytest.param([{"conclusion": "cancelled", "url": "u"}], Exit.FAILED, id="cancelled"),
        pytest.param([{"conclusion": "skipped", "url": "u"}], Exit.DONE, id="switched on since"),
        pytest.param(
            [{"conclusion": "skipped", "url": "u"}, {"conclusion": "failure", "url": "u"}],
            Exit.FAILED,
            id="red, then switched off for a week",
        ),
    ],
)
def test_a_game_day_that_was_not_green_is_found(runs: list[object], exit_code: Exit, gh: Gh) -> None:
    """The last game day that ended must have been green; before the first one there is nothing to say."""
    gh(run_list=runs)
    assert deploy("watch", "gameday") == exit_code


def test_what_github_refuses_is_one_error(gh: Gh, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the right to write issues the job is red, and names what was refused."""
    gh(status=1)
    assert deploy("watch", "tell", "--results", RED) == Exit.FAILED
    assert "GitHub refused `gh label create`" in capsys.readouterr().err


def test_every_job_of_the_watch_has_a_meaning() -> None:
    """The issue explains each job of watch.yml that can find something."""
    paths = [*(GENERATED / ".github").glob("workflows/*"), *(GENERATED / ".github").glob("actions/*/*")]
    files = {path.relative_to(GENERATED).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    jobs = dict(reading.workflows(files))[reading.WORKFLOWS + "watch.yml"]["jobs"]
    assert set(MEANINGS) == set(jobs) - {"settings", "tell"}
    assert set(jobs["tell"]["needs"]) == set(jobs) - {"tell"}
