"""What is deployed, as AWS reports it: function, stack, and both with the alias. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model import AliasState


@dataclass(frozen=True)
class FunctionState:
    """The function's `$LATEST` as Lambda reports it. `image_digest` is `sha256:…`."""

    image_uri: str
    image_digest: str
    code_sha256: str
    revision: str
    memory_mb: int
    timeout_s: int
    architecture: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> FunctionState:
        """Return what GetFunction answered.

        Source: https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html
        """
        configuration, code = found["Configuration"], found["Code"]
        uri = code.get("ImageUri", "")
        return cls(
            image_uri=uri,
            image_digest=code.get("ResolvedImageUri", uri).partition("@")[2],
            code_sha256=configuration["CodeSha256"],
            revision=configuration["RevisionId"],
            memory_mb=configuration["MemorySize"],
            timeout_s=configuration["Timeout"],
            architecture=configuration["Architectures"][0],
        )


@dataclass(frozen=True)
class StackState:
    """A CloudFormation stack as it is: its template and its parameters' values.

    The template is data; it is text where it was written in YAML and nobody has read that yet.
    """

    status: str
    template: Mapping[str, Any] | str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Observed:
    """Everything `plan` compares with what the repository asks for; None where a thing does not exist."""

    stack: StackState | None
    function: FunctionState | None = None
    alias: AliasState | None = None
    live_image_uri: str | None = None


@dataclass(frozen=True)
class PublishedVersion:
    """A published version and the digest of its image (`sha256:…`; empty for a function without one)."""

    number: str
    digest: str
    description: str = ""


@dataclass(frozen=True)
class AliasSeen:
    """An alias of any name: the versions it sends traffic to, and its description."""

    name: str
    versions: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True)
class Published:
    """All versions of a function, and everything that may need one of them.

    `latest_digest` is the image of `$LATEST`; `armed` are the versions that a guard's alarm watches.
    """

    versions: tuple[PublishedVersion, ...]
    latest_digest: str = ""
    aliases: tuple[AliasSeen, ...] = ()
    armed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StoredImage:
    """What a repository holds under one digest.

    `subject` is the digest that an attestation or signature is about, empty for an image; `pushed_at` is in
    seconds since the epoch; `status` is ECR's: ACTIVE, ARCHIVED or ACTIVATING.
    """

    digest: str
    tags: tuple[str, ...] = ()
    pushed_at: float = 0.0
    subject: str = ""
    status: str = "ACTIVE"
