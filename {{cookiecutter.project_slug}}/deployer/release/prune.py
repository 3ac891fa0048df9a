"""Which versions and images nobody needs any more. Pure.

Kept is what serves, what a way back leads to, what is guarded, what is newest; the rest may go. In doubt a
version is kept: a version that is deleted cannot be published again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.aws.observed import Published, StoredImage
from deployer.errors import DeployerError, Exit
from deployer.model import GAMEDAY

FRESH_S = 3600  # how old an environment's list may be; a release in between uses an image among the newest
_AHEAD_S = 300  # how far another machine's clock may be ahead
_NAMED = re.compile(r"\b(?:from|to|prev)=(\d+)\b")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def kept_versions(found: Published, newest: int) -> dict[str, str]:
    """Return the versions to keep, each with its first reason; `newest` is how many of the last ones.

    A marker is read by its words, also one that this tool could not read any more. Raises ValueError unless
    at least one version is kept.
    """
    if newest < 1:
        raise ValueError(f"keeps {newest} versions, expected at least 1")
    known = {version.number for version in found.versions}
    reasons: dict[str, str] = {}
    for alias in found.aliases:
        for number in alias.versions:
            reasons.setdefault(number, f"alias {alias.name} sends traffic to it")
        for number in _NAMED.findall(alias.description):
            reasons.setdefault(number, f"the marker of alias {alias.name} names it")
    for number in found.armed:
        reasons.setdefault(number, "a guard's alarm watches it")
    for version in found.versions:
        if version.description.startswith(GAMEDAY):
            reasons.setdefault(version.number, "a game day keeps in it what is to be put back")
    for number in sorted(known, key=int, reverse=True)[:newest]:
        reasons.setdefault(number, f"one of the newest {newest}")
    return {number: why for number, why in reasons.items() if number in known}


def removable_versions(found: Published, newest: int) -> tuple[str, ...]:
    """Return the versions that may go, oldest first."""
    kept = kept_versions(found, newest)
    return tuple(
        sorted((v.number for v in found.versions if v.number not in kept), key=int),
    )


@dataclass(frozen=True)
class InUse:
    """The digests that an environment's versions and `$LATEST` use, as of `at` (seconds since the epoch)."""

    environment: str
    function: str
    at: float
    digests: frozenset[str]

    def to_json(self) -> str:
        """Return it as the text of its file."""
        found = {"environment": self.environment, "function": self.function, "at": self.at}
        return json.dumps({**found, "digests": sorted(self.digests)}, indent=2) + "\n"


def in_use(found: Published, *, environment: str, function: str, at: float) -> InUse:
    """Return every digest that is in use; those of versions that may go count until they are gone."""
    digests = {version.digest for version in found.versions} | {found.latest_digest}
    return InUse(environment, function, at, frozenset(filter(None, digests)))


def parse_in_use(text: str, *, name: str) -> InUse:
    """Read an environment's file. Raises DeployerError (exit 2) for anything but what `prune` writes."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        made = InUse(
            str(found["environment"]),
            str(found["function"]),
            float(found["at"]),
            frozenset(str(digest) for digest in found["digests"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(
            name, f"found {error!r}, expected the file that `deployer prune --env` writes"
        ) from error
    wrong = sorted(digest for digest in made.digests if not _DIGEST.fullmatch(digest))
    if wrong or not made.digests:
        raise _unusable(name, f"found {wrong or 'no digest'}, expected the digests in use")
    return made


def check_in_use(files: Iterable[InUse], functions: Mapping[str, str], now: float) -> frozenset[str]:
    """Return every digest in use anywhere. `functions` are the names by environment.

    Raises DeployerError (exit 5) when an environment's file is missing, is another function's, or is older
    than an hour: then nobody knows what is in use.
    """
    by_environment = {found.environment: found for found in files}
    digests: set[str] = set()
    for environment, function in functions.items():
        found = by_environment.get(environment)
        if found is None:
            raise _unknown(environment, "found no file, expected one for each environment")
        if found.function != function:
            raise _unknown(environment, f"found one of `{found.function}`, expected one of `{function}`")
        age_s = now - found.at
        if not -_AHEAD_S <= age_s <= FRESH_S:
            raise _unknown(environment, f"found one {age_s / 60:.0f} min old, expected at most 60 min")
        digests |= found.digests
    return frozenset(digests)


def kept_images(images: Iterable[StoredImage], digests: frozenset[str], newest: int) -> dict[str, str]:
    """Return the digests to keep, each with its first reason. `digests` are those in use.

    What has no tag is left to the repository's own rule: it may be half of a push. What is attached to an
    image stays and goes with it. Raises ValueError unless at least one image is kept.
    """
    if newest < 1:
        raise ValueError(f"keeps {newest} images, expected at least 1")
    images = tuple(images)
    reasons = {image.digest: "in use" for image in images if image.digest in digests}
    roots = [image for image in images if image.tags and not image.subject]
    for image in sorted(roots, key=lambda image: (image.pushed_at, image.digest), reverse=True)[:newest]:
        reasons.setdefault(image.digest, f"one of the newest {newest}")
    for image in images:
        if not image.tags and not image.subject:
            reasons.setdefault(image.digest, "has no tag: the repository's own rule removes it")
    while attached := [i for i in images if i.subject in reasons and i.digest not in reasons]:
        reasons |= {image.digest: f"belongs to {image.subject[:19]}…" for image in attached}
    return reasons


def removable_images(
    images: Iterable[StoredImage], digests: frozenset[str], newest: int
) -> tuple[StoredImage, ...]:
    """Return the images that may go, what is attached to others first, then the oldest."""
    images = tuple(images)
    kept = kept_images(images, digests, newest)
    gone = [image for image in images if image.digest not in kept]
    return tuple(sorted(gone, key=lambda image: (not image.subject, image.pushed_at, image.digest)))


def _unusable(name: str, found: str) -> DeployerError:
    return DeployerError(
        f"`{name}` does not say what is in use",
        found=found,
        hint="deployer prune --env staging, then --env production: each writes its file",
        exit_code=Exit.USAGE,
    )


def _unknown(environment: str, found: str) -> DeployerError:
    return DeployerError(
        f"no image is removed, because nobody knows what {environment} uses",
        found=found,
        hint=f"deployer prune --env {environment}, then again with --in-use FILE for each environment",
        exit_code=Exit.REFUSED,
    )
