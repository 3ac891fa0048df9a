"""What a rehearsal needs of `smoke/`, before anything is started, and what its traffic is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.aws.calls import Call
from deployer.errors import DeployerError
from deployer.rollout.sample import Sample
from rehearsal.stage import Options, Requests, Stage, set_up
from rehearsal.view import View


def _remove(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def _write(name: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / name).write_text(text, encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_remove("smoke"), "`smoke/` is missing"),
        (_remove("smoke/probe.json"), r"there is no `smoke/probe\.json`"),
        (_write("smoke/probe.json", "{"), r"`smoke/probe\.json` is no JSON"),
        (_write("smoke/sample.toml", "event = 1"), r"`smoke/sample\.toml` names no event"),
        (_write("smoke/test_more.py", "import not_there_at_all"), "imports what is not there"),
        (_remove("app/handler.py"), r"names `app\.handler\.handler`, which is not there"),
    ],
)
def test_what_cannot_be_rehearsed_is_told_first(
    change: Callable[[Path], None],
    told: str,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing or broken `smoke/`, or no handler, is one clear error, and no local AWS is started."""
    root = tmp_path / repository.name
    shutil.copytree(repository, root)
    change(root)
    monkeypatch.chdir(root)
    with pytest.raises(DeployerError, match=told), set_up(Options(without_docker="a test"), View()):
        pass
    assert not (root / "build" / "local-aws").exists()


class Account:
    """A client of any service that remembers what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.meta = SimpleNamespace(method_to_api_mapping={"put_item": "PutItem"})

    def put_item(self, **request: str) -> dict[str, str]:
        """Remember the request."""
        self.asked.append(request)
        return {}


class StageWithout(Stage):
    """A stage without a local AWS: its stack has one output."""

    def __init__(self, sample: Sample | None) -> None:
        self.account, self.facts, self.view = Account(), [], View()
        self.requests = Requests({"probe": True}, sample)

    def outputs(self) -> dict[str, str]:
        """Return what a stack would."""
        return {"Table": "items"}

    def client(self, service: str) -> Any:
        """Return the one client."""
        return self.account


def test_traffic_is_the_sample_once_it_is_valid() -> None:
    """The sample's calls before are made once, and the event has the names of the stack's resources."""
    before = (Call("dynamodb", "put_item", {"TableName": "${Table}"}),)
    stage = StageWithout(Sample({"table": "${Table}"}, before=before))
    stage.set_traffic()
    assert stage.event == {"table": "items"}
    assert stage.account.asked == [{"TableName": "items"}]
    assert stage.facts == []
    assert stage.requests.spared == ({"probe": True},)


def test_traffic_without_a_sample_is_the_probe_and_says_so() -> None:
    """Where there is no sample, one line says that the traffic proves little."""
    stage = StageWithout(None)
    stage.set_traffic()
    assert stage.event == {"probe": True}
    assert stage.requests.spared == ()
    assert stage.facts == ["traffic is smoke/probe.json, which proves little: there is no smoke/sample.toml"]
