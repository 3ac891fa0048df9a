"""The whole rehearsal, as `make rehearse` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def rehearse(checkout: Path, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Play all acts to the end."""
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", "--report", str(report), *options],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def assert_all_acts(done: subprocess.CompletedProcess[str], report: Path) -> None:
    """Check what every rehearsal must end with."""
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "1. First release: photo resized (as it should)",
        "2. A healthy change: promoted (as it should)",
        "3. A broken change: rolled back (as it should)",
        "4. Killed half-way, then resumed: promoted (as it should)",
    ):
        assert line in done.stdout
    assert "All 4 acts ended as they should." in report.read_text(encoding="utf-8")


def test_all_acts_without_docker(checkout: Path, tmp_path: Path) -> None:
    """Without containers all four acts are played, and one line says what was left out and why."""
    done = rehearse(checkout, tmp_path / "report.html", "--no-docker")
    assert_all_acts(done, tmp_path / "report.html")
    left_out = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert left_out == [
        "left out: build, smoke, scan, push (asked for with --no-docker); "
        "the function's code runs in a subprocess of the local AWS"
    ]


@pytest.mark.docker
def test_all_acts_with_docker(checkout: Path, docker: list[str], tmp_path: Path) -> None:
    """With an engine all four acts are played with real containers, and no container or image name is left."""
    before = _names(docker)
    done = rehearse(checkout, tmp_path / "report.html")
    assert_all_acts(done, tmp_path / "report.html")
    left = {name for name in _names(docker) - before if f"{checkout.name}:candidate-" in name}
    assert not {name for name in left if name in done.stdout}


def test_an_unknown_act_is_refused(tmp_path: Path) -> None:
    """A wrong option is a usage error before anything is started."""
    done = rehearse(Path(__file__).parents[2], tmp_path / "report.html", "--act", "9")
    assert done.returncode == 2
    assert "invalid choice: 9" in done.stderr
    assert not (tmp_path / "report.html").exists()


def _names(docker: list[str]) -> set[str]:
    """Return the names of all images."""
    command = [*docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
