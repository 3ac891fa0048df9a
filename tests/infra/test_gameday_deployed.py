"""A game day's version on a local AWS: made from the live one, found again after a kill, and taken away."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.aws.errors import Conflict
from deployer.aws.versions import Versions
from deployer.gameday import record
from infra.conftest import Client, Stacks

FUNCTION = "tried-production"


@pytest.fixture(scope="module")
def lambda_(client: Client, stacks: Stacks) -> Any:
    """Return a client of the Lambda on which the stack was deployed."""
    stacks.service(FUNCTION)
    return client("lambda")


def latest(lambda_: Any) -> dict[str, Any]:
    """Return `$LATEST`."""
    found: dict[str, Any] = lambda_.get_function_configuration(FunctionName=FUNCTION)
    return found


def test_a_version_that_cannot_answer_is_made_and_removed(lambda_: Any) -> None:
    """`$LATEST` keeps its code, loses its command again, and the version has what the next start needs."""
    port = Versions(lambda_, FUNCTION)
    before = latest(lambda_)
    found = port.read()
    port.set_image_config(
        {**found.image_config, "Command": record.command("1.1-gate")}, revision=found.revision
    )
    broken = port.read()
    assert record.is_ours(broken.image_config)
    version = port.publish(broken, description="deployer-gameday 1.1-gate | mine")
    port.set_image_config(found.image_config, revision=port.read().revision)
    port.wait_active(version)
    assert record.is_ours(port.read(version).image_config)
    assert port.read().image_config == found.image_config
    assert latest(lambda_)["CodeSha256"] == before["CodeSha256"]
    assert port.descriptions()[version] == "deployer-gameday 1.1-gate | mine"
    port.delete(version)
    port.delete(version)
    assert version not in port.descriptions()
    assert latest(lambda_)["FunctionName"] == FUNCTION


def test_a_revision_that_is_not_the_latest_is_refused(lambda_: Any) -> None:
    """A command is set, and a version made, of nothing but what was read."""
    port = Versions(lambda_, FUNCTION)
    stale = port.read()
    port.set_image_config({"Command": ["a.b"]}, revision=stale.revision)
    with pytest.raises(Conflict):
        port.set_image_config({}, revision=stale.revision)
    port.set_image_config({}, revision=port.read().revision)
    assert port.read().image_config == {}
