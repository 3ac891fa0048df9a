"""What AWS answers when it does not do what was asked, as our errors. Pure but for its imports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    WaiterError,
)
from botocore.exceptions import ConnectionError as NetworkError

from deployer.canary.decision import Tick
from deployer.errors import DeployerError

_TRANSIENT = frozenset(
    {"ServiceException", "InternalFailure", "InternalError", "ServiceUnavailable", "TooManyRequestsException"}
    | {"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestTimeout", "InternalServiceError"}
)
_NOT_FOUND = frozenset(
    {"ResourceNotFoundException", "RepositoryNotFoundException", "ImageNotFoundException"}
    | {"ProvisionedConcurrencyConfigNotFoundException", "ResourceNotFound"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"}
)


class Conflict(DeployerError):
    """Somebody else changed the function or the alias between our read and our write.

    `attempted` is the tick whose write got this answer: an earlier try of the same request, whose own answer
    was lost, may have been carried out all the same.
    """

    attempted: Tick | None = None


class Unavailable(DeployerError):
    """AWS did not answer, or asked to come back later; nothing is known about what it would have said.

    `attempted` is the tick whose write got no answer; it may have been carried out.
    """

    attempted: Tick | None = None


class NotFound(DeployerError):
    """What was asked for does not exist."""


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turn botocore's errors into ours; `call` says what was being done, for the message.

    Raises Conflict, Unavailable, NotFound or DeployerError; never shows a credential.
    """
    try:
        yield
    except WaiterError as error:
        raise DeployerError(f"{call} did not finish", found=str(error), hint="deployer status") from error
    except ClientError as error:
        raise _translate(call, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DeployerError(
            "there are no AWS credentials",
            found="found none in the environment, the profile or the role of this machine",
            hint="aws sso login, or set AWS_PROFILE; in GitHub Actions see docs/runbook.md",
        ) from error
    except (NetworkError, HTTPClientError) as error:
        raise Unavailable(f"{call}: AWS did not answer", found=str(error), hint="try again") from error
    except BotoCoreError as error:
        raise DeployerError(f"{call} failed", found=str(error), hint="deployer doctor") from error


def _translate(call: str, error: ClientError) -> DeployerError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", str(error))
    found = f"{code}: {message}"
    if code in ("PreconditionFailedException", "ResourceConflictException"):
        return Conflict(f"{call}: somebody else changed it meanwhile", found=found, hint="deployer status")
    if code in _TRANSIENT:
        return Unavailable(f"{call}: AWS asked to come back later", found=found, hint="try again")
    if code in _NOT_FOUND:
        return NotFound(f"{call}: not found", found=found, hint="deployer doctor")
    if code in _DENIED:
        return DeployerError(
            f"{call}: not allowed",
            found=found,
            hint="compare the role with infra/bootstrap.yaml and infra/permissions.yaml",
        )
    if code in _EXPIRED:
        return DeployerError(f"{call}: the credentials are not valid", found=found, hint="sign in again")
    return DeployerError(f"{call} failed", found=found, hint="deployer doctor")
