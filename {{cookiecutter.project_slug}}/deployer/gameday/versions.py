"""Make a version of the live image that cannot answer, and put back what was there. Shell.

Nothing of the function's code is touched: its image is started with a command that names no handler. It is so
in `$LATEST` for the moment of one PublishVersion; what triggers invoke is the alias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, Unavailable
from deployer.aws.versions import Configuration, Versions
from deployer.clock import Clock
from deployer.errors import DeployerError, Exit
from deployer.gameday import record
from deployer.model import AliasState
from deployer.rollout.surroundings import Surroundings, put_away

ATTEMPTS = 10
_PAUSE_S = 2.0


def check_latest(aws: Aws, stable: str) -> Configuration:
    """Return `$LATEST`; refuse (exit 5) one that is not what is live, whose versions had another image."""
    versions = aws.versions()
    latest, live = versions.read(), versions.read(stable)
    if latest.code_sha256 == live.code_sha256 and latest.image_config == live.image_config:
        return latest
    raise DeployerError(
        f"`$LATEST` is not what version {stable} was made from",
        found=f"found code {latest.code_sha256[:12]} with {_said(latest.image_config)}, "
        f"expected {live.code_sha256[:12]} with {_said(live.image_config)}",
        hint="deployer status; release or take back what was applied, then try again",
        exit_code=Exit.REFUSED,
    )


def publish(aws: Aws, identifier: str, alias: AliasState, clock: Clock) -> str:
    """Publish a version that cannot answer and return its number; `$LATEST` is as before when this returns.

    Raises DeployerError when it cannot be made, Conflict when somebody else changed the function meanwhile.
    """
    description, wanted = record.written_down(identifier, alias), record.command(identifier)
    versions = aws.versions()
    versions.wait_updated()
    before = versions.read()
    try:
        versions.set_image_config({**before.image_config, "Command": wanted}, revision=before.revision)
        latest = versions.read()
        if latest.image_config.get("Command") != wanted:
            raise Conflict(
                "`$LATEST` was changed while a version of it was made",
                found=f"found {_said(latest.image_config)}, expected the command {wanted[0]}",
                hint="deployer status",
            )
        version = versions.publish(latest, description=description)
    finally:
        put_back(versions, before.image_config, clock)
    versions.wait_active(version)
    return version


def put_back(versions: Versions, image_config: Mapping[str, Any], clock: Clock) -> None:
    """Let `$LATEST` be started as before, unless somebody else has changed that already.

    Raises DeployerError when it could not be done in ten tries.
    """
    problem: DeployerError | None = None
    for _ in range(ATTEMPTS):
        try:
            versions.wait_updated()
            found = versions.read()
            if not record.is_ours(found.image_config):
                return
            versions.set_image_config(image_config, revision=found.revision)
        except (Conflict, Unavailable) as error:
            problem = error
            clock.sleep(_PAUSE_S)
    raise DeployerError(
        "`$LATEST` still cannot answer",
        found=f"found {problem.found if problem else 'its command unchanged'}; the alias is not affected",
        hint="deployer gameday --repair",
    )


def repair(around: Surroundings, say: Callable[[str], None], known: Mapping[str, str] | None = None) -> bool:
    """Put back what game days left: traffic, description, `$LATEST`, alarms, versions. True if there was any.

    `known` are aliases' descriptions by version, of this process, where a version's own may be shortened.
    Raises DeployerError for what could not be put back; repeating it goes on.
    """
    aws, clock = around.aws, around.context.clock
    versions = aws.versions()
    problem: DeployerError | None = None
    for _ in range(ATTEMPTS):
        alias, descriptions = aws.alias(), versions.descriptions()
        left = record.leftover(alias, versions.read().image_config, descriptions, known or {})
        if left.back is None:
            break
        try:
            aws.update_alias(left.back, revision=alias.revision)
            say(f"put back   all traffic is on version {left.back.version}, with the alias's own description")
        except (Conflict, Unavailable) as error:
            problem = error
            clock.sleep(_PAUSE_S)
    else:
        raise DeployerError(
            "the alias could not be put back",
            found=problem.found if problem else "found it changed again each time",
            hint="deployer status, then `deployer gameday --repair`",
        )
    if left.resets_latest:
        put_back(versions, versions.read(alias.routing.stable).image_config, clock)
        say("put back   $LATEST is started as the live version is")
    if left.versions:
        put_away(aws, around.guard, aws.alias(), has_provisioned=False)
    for version in left.versions:
        versions.delete(version)
        say(f"deleted    version {version}, which could not answer")
    return bool(left) or problem is not None


def _said(image_config: Mapping[str, Any]) -> str:
    return (
        f"the command {image_config['Command']}" if image_config.get("Command") else "the image's own command"
    )
