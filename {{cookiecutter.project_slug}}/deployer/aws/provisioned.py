"""Provisioned concurrency on versions, and the weights Lambda itself shows while it moves. Shell.

It sits on versions, since an alias with weights cannot have it; the canary's is ready before it gets traffic,
and the version that no longer serves loses its own after the rollout.
Source: https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployer.aws.errors import NotFound, translated
from deployer.clock import Clock
from deployer.errors import DeployerError, Exit
from deployer.model import AliasState

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

READY_S = 26 * 60.0
TRANSIENT_S = 300.0
_POLL_S = 5.0


@dataclass(frozen=True)
class Readiness:
    """How far a version's provisioned concurrency is; `status` as Lambda names it, `reason` if it failed."""

    status: str
    requested: int
    available: int
    reason: str = ""


@dataclass(frozen=True)
class Provisioned:
    """The provisioned concurrency of one function's versions. Each method is one call."""

    client: LambdaClient
    function_name: str

    def read(self, version: str) -> Readiness | None:
        """Return how far a version's is, None when it has none."""
        try:
            with translated(f"reading the provisioned concurrency of version {version}"):
                found = self.client.get_provisioned_concurrency_config(
                    FunctionName=self.function_name, Qualifier=version
                )
        except NotFound:
            return None
        return Readiness(
            found["Status"],
            found["RequestedProvisionedConcurrentExecutions"],
            found.get("AvailableProvisionedConcurrentExecutions", 0),
            found.get("StatusReason", ""),
        )

    def put(self, version: str, count: int) -> None:
        """Ask for it; it becomes ready later."""
        with translated(f"putting provisioned concurrency on version {version}"):
            self.client.put_provisioned_concurrency_config(
                FunctionName=self.function_name,
                Qualifier=version,
                ProvisionedConcurrentExecutions=count,
            )

    def remove(self, version: str) -> None:
        """Take it away; nothing happens when there is none."""
        try:
            with translated(f"removing the provisioned concurrency of version {version}"):
                self.client.delete_provisioned_concurrency_config(
                    FunctionName=self.function_name, Qualifier=version
                )
        except NotFound:
            return


def make_ready(port: Provisioned, version: str, count: int, clock: Clock, say: Callable[[str], None]) -> None:
    """Put provisioned concurrency on a version and wait, at most 26 minutes, until all of it is ready.

    Raises DeployerError when Lambda gives up or takes longer; the version has none then, nothing moved.
    """
    found = port.read(version)
    if found is None or found.requested != count or found.status == "FAILED":
        port.put(version, count)
        say(f"provision  {count} on version {version}")
        found = port.read(version)
    until = clock.now() + READY_S
    try:
        while (found is None or found.status == "IN_PROGRESS") and clock.now() < until:
            clock.sleep(_POLL_S)
            found = port.read(version)
    except KeyboardInterrupt:
        port.remove(version)
        raise
    if found is not None and found.status == "READY":
        say(f"provision  {found.available} of {count} are ready on version {version}")
        return
    port.remove(version)
    raise DeployerError(
        f"the provisioned concurrency of version {version} did not become ready",
        found=f"found {_described(found)}, expected {count} within {READY_S / 60:.0f} minutes",
        hint="lower provisioned_concurrency, or raise the account's limit",
    )


def _described(found: Readiness | None) -> str:
    if found is None:
        return "none"
    reason = f": {found.reason}" if found.reason else ""
    return f"{found.available} of {found.requested} ready, {found.status}{reason}"


def settled(read: Callable[[], AliasState], clock: Clock, say: Callable[[str], None]) -> AliasState:
    """Return the alias once it has no weights but a rollout's; wait at most 5 minutes for Lambda's own.

    While provisioned concurrency moves, Lambda shows weights nobody set. Raises DeployerError (exit 5) when
    they stay, with the command that clears them.
    """
    alias, until, is_told = read(), clock.now() + TRANSIENT_S, False
    while alias.routing.canary is not None and not (alias.marker and alias.marker.is_active):
        if clock.now() >= until:
            raise DeployerError(
                "the alias shares its traffic, and not by a rollout of this tool",
                found=f"found {alias.routing.weight_pct} % on version {alias.routing.canary} "
                f"for {TRANSIENT_S:.0f} s, expected all on one version",
                hint=f"deployer rollback --to {alias.routing.stable}",
                exit_code=Exit.REFUSED,
            )
        if not is_told:
            say(
                f"waiting    {alias.routing.weight_pct} % on version {alias.routing.canary}, not by a rollout"
            )
            is_told = True
        clock.sleep(_POLL_S)
        alias = read()
    return alias
