"""The durable driver's part of infra/service.yaml on the local AWS: there when chosen, gone when not."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from deployer.drivers import handover
from infra.conftest import NAME, Client, Stacks


def test_durable_function_comes_and_goes_with_the_driver(client: Client, stacks: Stacks) -> None:
    """Choosing the driver adds the function that the deployer hands over to; choosing another one removes it."""
    function = f"{NAME}-staging"
    rollout_function = handover.function_name(function)
    stacks.service(function, Driver="durable")
    try:
        made = client("lambda").get_function_configuration(FunctionName=rollout_function)
        assert made["Handler"] == handover.HANDLER
        assert made["Role"].endswith(f"/{function}-rollout-eu-central-1")
        stacks.service(function, update=True, Driver="runner", LiveVersion="1")
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client("lambda").get_function_configuration(FunctionName=rollout_function)
    finally:
        stacks.delete(function)
