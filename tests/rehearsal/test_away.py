"""AWS away for a while: who gets the bare 503, and for how long."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from rehearsal import away


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """Return a port to an AWS at an address of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address[0]}:{address[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    return Aws("any", "eu-central-1")


def test_each_client_is_refused_and_counted(port: Aws, tmp_path: Path) -> None:
    """Clients that exist and those that are made later get a 503, and each request of theirs is counted."""
    away.may_be_away(port, tmp_path)
    away.go_away(tmp_path)
    with pytest.raises(Unavailable, match="503"):
        port.brisk.alias()  # one try of a client that is made now
    assert away.come_back(tmp_path) == 1
    away.go_away(tmp_path)
    with pytest.raises(Unavailable, match="503"):
        port.identity()
    assert away.come_back(tmp_path) == 5  # a client that was there before, with its patience


def test_whoever_is_not_away_reaches_aws(port: Aws, tmp_path: Path) -> None:
    """Without the file requests are sent; here nobody listens, and nothing is counted."""
    away.may_be_away(port, tmp_path)
    with pytest.raises(Unavailable) as caught:
        port.brisk.alias()
    assert "503" not in str(caught.value)
    assert not (tmp_path / away.AWAY).exists()
