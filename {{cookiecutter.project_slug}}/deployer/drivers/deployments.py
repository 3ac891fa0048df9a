"""A deployment of AWS CodeDeploy, from creation to its end. Shell: talks through the client `aws` made.

Exercised against the API's own model (botocore's Stubber) only: no emulator in use here has StopDeployment,
and none moves an alias. The first release with this driver is its first meeting with the real service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable, translated
from deployer.clock import Clock
from deployer.drivers.codedeploy import Deployment
from deployer.errors import DeployerError, Exit
from deployer.rollout.signals import Stop
from deployer.rollout.way_back import JOB_S, SIGNAL_S, Patience, roll_back

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient

POLL_S = 15.0
_SLICE_S = 0.5
_ROLLBACK_LIMIT_S = 600.0
_ENDED = ("Succeeded", "Failed", "Stopped")


@dataclass(frozen=True)
class Status:
    """What GetDeployment says: `status` as CodeDeploy names it, why, and which deployment undoes it."""

    status: str
    reason: str = ""
    rollback_id: str | None = None


class Deployments:
    """CodeDeploy's deployments. Every method is one call unless it says otherwise."""

    def __init__(self, client: CodeDeployClient, *, brisk: CodeDeployClient | None = None) -> None:
        self._client = client
        self._brisk = brisk or client

    def create(self, deployment: Deployment) -> str:
        """Create the configuration unless it is there, and start (two calls); returns the deployment's id."""
        wanted = deployment.config_request()
        if wanted is not None:
            # One that exists is the right one: its name says all that is in it.
            exists = self._client.exceptions.DeploymentConfigAlreadyExistsException
            with translated("creating the deployment configuration"), contextlib.suppress(exists):
                self._client.create_deployment_config(**wanted)
        with translated("creating the deployment"):
            return self._client.create_deployment(**deployment.request())["deploymentId"]

    def read(self, deployment_id: str) -> Status:
        """Return how a deployment is doing."""
        with translated(f"reading deployment `{deployment_id}`"):
            found = self._client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        return Status(
            found["status"],
            found.get("errorInformation", {}).get("message", ""),
            found.get("rollbackInfo", {}).get("rollbackDeploymentId"),
        )

    def stop(self, deployment_id: str) -> None:
        """End a deployment and have CodeDeploy put the traffic back; one short try."""
        with translated(f"stopping deployment `{deployment_id}`"):
            self._brisk.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)


@dataclass(frozen=True)
class Ended:
    """How a deployment ended; `status` is Succeeded, Failed or Stopped."""

    deployment_id: str
    status: Status


def run(
    deployments: Deployments, deployment: Deployment, stop: Stop, clock: Clock, say: Callable[[str], None]
) -> Ended:
    """Start the deployment and watch it to its end; a signal stops it and has it rolled back.

    Raises DeployerError (exit 130) after a signal. An AWS that does not answer is asked again: CodeDeploy
    goes on by itself.
    """
    deployment_id = deployments.create(deployment)
    say(f"deployment {deployment_id} with {deployment.traffic.name}")
    told = ""
    while True:
        if stop.signal:
            _stop(deployments, deployment_id, stop, clock)
            raise DeployerError(
                f"stopped by {stop.signal}, and CodeDeploy was told to put the traffic back",
                hint=f"aws deploy get-deployment --deployment-id {deployment_id}",
                exit_code=Exit.INTERRUPTED,
            )
        try:
            status = deployments.read(deployment_id)
        except Unavailable as error:
            say(f"wait       {error.what}")
        else:
            if status.status != told:
                say(f"codedeploy {status.status}{f': {status.reason}' if status.reason else ''}")
                told = status.status
            if status.status in _ENDED:
                return Ended(deployment_id, status)
        _wait(clock, POLL_S, stop)


def settle(aws: Aws, deployments: Deployments, deployment: Deployment, ended: Ended, clock: Clock) -> None:
    """Return when all traffic is on the target version.

    Raises DeployerError: exit 4 when it is back on the stable one, by CodeDeploy or, if that has not happened
    ten minutes after the end, by us; exit 1 when a deployment that succeeded left the alias elsewhere.
    """
    if ended.status.status == "Succeeded":
        routing = aws.alias().routing
        if (routing.stable, routing.canary) == (deployment.target, None):
            return
        raise DeployerError(
            "CodeDeploy says it succeeded, and the alias says otherwise",
            found=f"found version {routing.stable}, expected {deployment.target}",
            hint="deployer status",
        )
    by_whom = "CodeDeploy"
    if not _is_back(aws, deployments, deployment, ended, clock):
        roll_back(
            aws,
            reason=f"deployment {ended.deployment_id} failed",
            to=deployment.stable,
            patience=Patience(clock, JOB_S),
        )
        by_whom = "the deployer"
    raise DeployerError(
        f"version {deployment.target} was rolled back by {by_whom}",
        found=ended.status.reason or f"deployment {ended.deployment_id} is {ended.status.status}",
        hint="docs/runbook.md, section Rolled back",
        exit_code=Exit.ROLLED_BACK,
    )


def _stop(deployments: Deployments, deployment_id: str, stop: Stop, clock: Clock) -> None:
    """Have CodeDeploy put the traffic back; tried while a cancelled job may. Raises Unavailable."""
    until = (clock.now() if stop.at is None else stop.at) + SIGNAL_S
    while True:
        try:
            deployments.stop(deployment_id)
        except Unavailable as error:
            if clock.now() >= until:
                error.hint = (
                    f"aws deploy stop-deployment --auto-rollback-enabled --deployment-id {deployment_id}"
                )
                error.exit_code = Exit.INTERRUPTED
                raise
            clock.sleep(_SLICE_S)
        else:
            return


def _is_back(aws: Aws, deployments: Deployments, deployment: Deployment, ended: Ended, clock: Clock) -> bool:
    """Wait until the alias is back and no rollback of CodeDeploy's is under way any more."""
    until = clock.now() + _ROLLBACK_LIMIT_S
    while True:
        with contextlib.suppress(Unavailable):  # what AWS does not tell now it tells later
            undo = deployments.read(ended.deployment_id).rollback_id
            is_over = undo is None or deployments.read(undo).status in _ENDED
            routing = aws.alias().routing
            if is_over and (routing.stable, routing.canary) == (deployment.stable, None):
                return True
        if clock.now() >= until:
            return False
        clock.sleep(POLL_S)


def _wait(clock: Clock, seconds: float, stop: Stop) -> None:
    """Sleep in slices, so that a signal is answered within half a second."""
    until = clock.now() + seconds
    while not stop.signal and (left := until - clock.now()) > 0:
        clock.sleep(min(left, _SLICE_S))
