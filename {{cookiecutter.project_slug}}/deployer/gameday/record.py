"""What a game day writes down before it changes anything, and what is left to put back after a kill. Pure.

A game day leaves its name in three places, each written by the call that changes something there: the command
of `$LATEST` while it cannot answer, the description of the version that is made from it, and the rollout's
marker on the alias. The version's description also holds the alias's own, so that whoever comes next can put
it back:

    deployer-gameday 77.1-gate | my own words [lc1 id=9.1 from=41 to=42 … st=done]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployer.canary import marker as markers
from deployer.errors import DeployerError, Exit
from deployer.model import GAMEDAY, AliasState, AliasWrite

NAME = GAMEDAY
MAX_DESCRIPTION = 256  # of a version, as of an alias
_WRITTEN = re.compile(rf"^{NAME} (\S+) \| ?(.*)$")


def command(identifier: str) -> list[str]:
    """Return a command that names no handler: a module's name has no hyphen.

    It is another one each time: Lambda publishes no new version when nothing changed since the last one.
    Source: https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
    """
    return [f"{NAME}.{identifier.replace('.', '-')}"]


def is_ours(image_config: Mapping[str, Any]) -> bool:
    """Tell whether a game day set this."""
    return any(str(word).startswith(f"{NAME}.") for word in image_config.get("Command", ()))


def written_down(identifier: str, alias: AliasState) -> str:
    """Return the description of the version that cannot answer.

    Only the reason in the alias's marker is left out, where all of it does not fit. Raises DeployerError
    (exit 5) when the rest does not fit either.
    """
    lead = f"{NAME} {identifier} | "
    fits = len(alias.text) <= markers.MAX_TEXT  # a rollout's marker needs the room as well
    whole = lead + alias.description
    if len(whole) > MAX_DESCRIPTION and fits and alias.marker is not None:
        whole = lead + markers.render(alias.text, replace(alias.marker, why=""))
    if len(whole) <= MAX_DESCRIPTION and fits:
        return whole
    raise DeployerError(
        "the alias's description is too long to be written down before it is changed",
        found=f"found {len(alias.text)} characters of your own and {len(alias.description)} in all, "
        f"at most {markers.MAX_TEXT} and {MAX_DESCRIPTION - len(lead)} can be kept",
        hint="shorten your own words in it: aws lambda update-alias --description TEXT",
        exit_code=Exit.REFUSED,
    )


@dataclass(frozen=True)
class Leftover:
    """What an earlier game day left: to put back, in this order.

    `back` is the one UpdateAlias that gives the traffic and the description back, None when the alias is not
    touched; `resets_latest` whether `$LATEST` still cannot answer; `versions` are to be deleted.
    """

    back: AliasWrite | None = None
    resets_latest: bool = False
    versions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.back is not None or self.resets_latest or bool(self.versions)


def leftover(
    alias: AliasState,
    image_config: Mapping[str, Any],
    descriptions: Mapping[str, str],
    known: Mapping[str, str],
) -> Leftover:
    """Return what is left of game days; `descriptions` are those of all versions.

    `known` are the alias's descriptions by version that this process still holds; they win. What
    somebody else wrote to the alias since is never touched. Raises DeployerError (exit 5) when all traffic is
    on a version of a game day and nothing says where it was before.
    """
    ours = {version: _WRITTEN.match(text) for version, text in descriptions.items()}
    kept = {version: known.get(version, match[2]) for version, match in ours.items() if match}
    return Leftover(_back(alias, kept), is_ours(image_config), tuple(sorted(kept, key=int)))


def _back(alias: AliasState, kept: Mapping[str, str]) -> AliasWrite | None:
    routing, marker = alias.routing, alias.marker
    named = marker.to_version if marker is not None and marker.to_version in kept else None
    if routing.stable in kept:
        if marker is None or named is None or marker.from_version in kept:
            raise DeployerError(
                f"all traffic is on version {routing.stable}, which a game day made and which cannot answer",
                found="found no record on the alias of the version before it",
                hint="deployer rollback --to VERSION, then `deployer gameday --repair`",
                exit_code=Exit.REFUSED,
            )
        return AliasWrite(marker.from_version, kept[routing.stable])
    if routing.canary is not None and routing.canary in kept:
        # Without our marker the description is somebody's own, and stays.
        text = kept[routing.canary] if named is not None or marker is None else alias.description
        return AliasWrite(routing.stable, text)
    if named is not None:
        return AliasWrite(routing.stable, kept[named], routing.canary, routing.weight_pct)
    return None
