"""The whole rehearsal, as `make rehearse` runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def rehearse(checkout: Path, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Play all acts to the end, as fast as this machine serves the requests they need."""
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", "--report", str(report), *FAST, *options],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


FAST = ("--speed", "120", "--per-second", "40")
ENDS = {
    1: "1. First release: smoke tests passed (as it should)",
    2: "2. A healthy change: promoted (as it should)",
    3: "3. A broken change: rolled back (as it should)",
    4: "4. Killed half-way, then resumed: promoted (as it should)",
    5: "5. A slow change: rolled back (as it should)",
    6: "6. An outage that hits both versions: promoted (as it should)",
    7: "7. Hardly any traffic: promoted (as it should)",
    8: "8. Nobody but the guard: rolled back by the guard (as it should)",
    9: "9. A game day: the net held (as it should)",
    10: "10. AWS is away for two minutes: promoted (as it should)",
    11: "11. Bad in the last minute: rolled back by the guard after it was done (as it should)",
    12: "12. Two calls a minute: promoted (as it should)",
}


def assert_acts(done: subprocess.CompletedProcess[str], report: Path, *acts: int) -> str:
    """Check what every rehearsal must end with; returns the page."""
    assert done.returncode == 0, done.stdout + done.stderr
    ended = [line for line in done.stdout.splitlines() if line.startswith(tuple(ENDS.values()))]
    assert len(ended) == len(acts)
    assert all(line.startswith(ENDS[act]) for act, line in zip(acts, ended, strict=True))
    page = report.read_text(encoding="utf-8")
    assert f"All {len(acts)} acts ended as they should." in page
    return page


def test_the_four_acts_without_docker(checkout: Path, tmp_path: Path) -> None:
    """Without containers the four acts are played, and one line says what was left out and why."""
    done = rehearse(checkout, tmp_path / "report.html", "--no-docker")
    assert_acts(done, tmp_path / "report.html", 1, 2, 3, 4)
    left_out = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert left_out == [
        "left out: build, smoke, scan, push (asked for with --no-docker); "
        "the function's code runs in a subprocess of the local AWS"
    ]
    assert "changed in the rehearsal's copy of deploy.toml: settle_s = 60" in done.stdout


def test_a_resource_without_its_right_is_denied(checkout: Path, tmp_path: Path) -> None:
    """A queue in infra/service.yaml that infra/permissions.yaml says nothing of ends the first act, which says where."""
    own = tmp_path / checkout.name
    shutil.copytree(checkout, own, ignore=shutil.ignore_patterns("build"))
    template = own / "infra" / "service.yaml"
    queue = "Resources:\n  Orders:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: !Sub ${FunctionName}-orders\n"
    template.write_text(template.read_text("utf-8").replace("Resources:\n", queue, 1), encoding="utf-8")
    done = rehearse(own, tmp_path / "report.html", "--no-docker", "--act", "1")
    assert done.returncode == 1
    role = f"{checkout.name}-production-stack-eu-central-1"
    right = f"`{role}` lacks sqs:CreateQueue on arn:aws:sqs:eu-central-1:000000000000:{checkout.name}-production-orders"
    assert f"{right}: add it to section `stack` of infra/permissions.yaml" in done.stdout


@pytest.mark.long
def test_the_other_acts_without_docker(checkout: Path, tmp_path: Path) -> None:
    """What a release may meet besides faults of its own ends as it should, and the page shows why."""
    others = tuple(part for act in (5, 6, 7, 8, 10, 11, 12) for part in ("--act", str(act)))
    done = rehearse(checkout, tmp_path / "report.html", "--no-docker", *others)
    page = assert_acts(done, tmp_path / "report.html", 1, 5, 6, 7, 8, 10, 11, 12)
    assert "evidence against the new version over time" in page
    assert "if the new version were no worse, fewer than 1 of" in page


@pytest.mark.long
def test_a_game_day_without_docker(checkout: Path, tmp_path: Path) -> None:
    """The product's own game day finds a sound net on the local AWS, and says in a line how long it took."""
    done = rehearse(checkout, tmp_path / "report.html", "--no-docker", "--act", "9")
    page = assert_acts(done, tmp_path / "report.html", 1, 9)
    assert re.search(r"gate \d+ min, guard alone \d+ min, \d+ \w{3}", page)
    assert done.stdout.count("refused    by the pre-flight, as it should be") == 2


# What is changed in a checkout, and what the game day finds.
BROKEN = {
    "the alarm lacks a dimension": (
        "deployer/rollout/guard.py",
        '            "ExecutedVersion": version,\n',
        "",
        "the canary's alarm does not watch the canary",
    ),
    "the guard is not subscribed": (
        "infra/service.yaml",
        "        - Protocol: lambda\n          Endpoint: !GetAtt GuardFunction.Arn\n",
        "        - Protocol: email\n          Endpoint: nobody@example.invalid\n",
        "the guard does not listen to the rollout topic",
    ),
    "the comparison reads another metric": (
        "deployer/aws/metrics.py",
        '"MetricName": metric_name,',
        '"MetricName": f"{metric_name}s",',
        "the comparison did not find a version that cannot answer",
    ),
    "the pre-flight lets all pass": (
        "deployer/rollout/preflight.py",
        "    if error is not None:\n",
        "    if error is not None and False:\n",
        "the pre-flight lets a version pass that cannot answer",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(("path", "before", "after", "finds"), BROKEN.values(), ids=BROKEN)
def test_a_game_day_finds_what_is_broken(  # noqa: PLR0917
    checkout: Path, tmp_path: Path, path: str, before: str, after: str, finds: str
) -> None:
    """A net with one broken part is red on the local AWS too, names the part, and leaves nothing behind."""
    broken = tmp_path / "broken" / checkout.name
    shutil.copytree(checkout, broken, symlinks=True)
    file = broken / path
    assert file.read_text(encoding="utf-8").count(before) == 1
    file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    done = rehearse(broken, tmp_path / "report.html", "--no-docker", "--act", "9")
    assert done.returncode == 1, done.stdout + done.stderr
    assert finds in done.stdout
    assert "9. A game day: ended with 1 (expected the net held)" in done.stdout
    assert "left behind" not in done.stdout


@pytest.mark.docker
def test_acts_with_docker(checkout: Path, docker: list[str], tmp_path: Path) -> None:
    """With an engine real containers serve a broken version and the guard; none is left."""
    before = _names(docker)
    acts = tuple(part for act in (3, 8) for part in ("--act", str(act)))
    done = rehearse(checkout, tmp_path / "report.html", *acts)
    assert_acts(done, tmp_path / "report.html", 1, 3, 8)
    left = {name for name in _names(docker) - before if f"{checkout.name}:candidate-" in name}
    assert not {name for name in left if name in done.stdout}


@pytest.mark.long
@pytest.mark.docker
def test_the_other_acts_with_docker(checkout: Path, docker: list[str], tmp_path: Path) -> None:
    """With an engine real containers serve the acts that the suite leaves out."""
    acts = tuple(part for act in (2, 4, 5, 6, 7, 9, 10, 11, 12) for part in ("--act", str(act)))
    done = rehearse(checkout, tmp_path / "report.html", *acts)
    assert_acts(done, tmp_path / "report.html", 1, 2, 4, 5, 6, 7, 9, 10, 11, 12)


def test_an_unknown_act_is_refused(checkout: Path, tmp_path: Path) -> None:
    """A wrong option is a usage error before anything is started."""
    done = rehearse(checkout, tmp_path / "report.html", "--act", "99")
    assert done.returncode == 2
    assert "invalid choice: '99'" in done.stderr
    assert not (tmp_path / "report.html").exists()


def _names(docker: list[str]) -> set[str]:
    """Return the names of all images."""
    command = [*docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
