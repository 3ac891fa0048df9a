"""Input that would only show after traffic moved is refused before, with one message each."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer import config
from deployer.cli.main import main
from deployer.errors import DeployerError, Exit
from engine.around import given_settings

SETTINGS = """
[project]
name = "Image Resizer"
[function]
name = "image-resizer"
region = "eu-west-1"
architecture = "arm64"
[environments.production]
"""


def refusal(line: str) -> str:
    """Return why a line in the production environment is refused."""
    with pytest.raises(DeployerError) as caught:
        config.parse(SETTINGS + line)
    return caught.value.found or ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("steps = [{ weight_pct = 10, bake_s = 90 }]", "whole minutes, at least 120 s", id="bake of a minute and a half"),
        pytest.param('settle_s = 300\nsteps = "auto"\nwithin_s = 500', "`within_s` of at least 540", id="search shorter than metrics need"),
        pytest.param('alarms = ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:mine"]', "alarms of region eu-west-1", id="alarm of another region"),
        pytest.param("alpha = 0.0", "alpha", id="alpha of zero"),
        pytest.param("alpha = 0.5", "alpha", id="alpha of a half"),
        pytest.param("steps = [{ weight_pct = 0, bake_s = 300 }]", "weight_pct", id="weight of zero"),
        pytest.param("steps = [{ weight_pct = 100, bake_s = 300 }]", "weight_pct", id="weight of a hundred"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused(line, words):
    """The message names the key and what would be allowed."""
    assert words in refusal(line)


def test_an_alarm_by_arn_is_watched_by_its_name():
    """An alarm of the function's own region may be named either way."""
    read = config.parse(
        SETTINGS + 'alarms = ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:mine", "other"]'
    )
    assert read.environment("production").alarm_names() == ("mine", "other")


def test_a_file_where_the_results_go_is_told(tmp_path: Path, monkeypatch, capsys):
    """A file called `build` is one error in three parts, and stays."""
    given_settings(tmp_path, SETTINGS)
    (tmp_path / "build").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["scan"]) == Exit.FAILED
    what, found, hint = capsys.readouterr().err.splitlines()
    assert what == f"error: `{tmp_path / 'build'}` cannot be written"
    assert found.endswith("expected a folder")
    assert hint.startswith(f"  hint: ls -ld {tmp_path / 'build'}")
    assert (tmp_path / "build").read_text(encoding="utf-8") == "mine"
