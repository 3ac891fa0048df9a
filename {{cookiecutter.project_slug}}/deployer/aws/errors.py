"""What AWS answers when it does not do what was asked, as our errors. Pure but for its imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    WaiterError,
)
from botocore.exceptions import ConnectionError as NetworkError
from botocore.parsers import ResponseParserError

from deployer.aws import denied
from deployer.canary.decision import Tick
from deployer.errors import DeployerError

# By code, since some services say so with HTTP 400.
_TRANSIENT = frozenset(
    {"ServiceException", "InternalFailure", "InternalError", "InternalServiceError", "InternalServiceFault"}
    | {"ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException"}
    | {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"}
    | {"RequestLimitExceeded", "IDPCommunicationError"}
)
_TOO_MANY_REQUESTS, _SERVER_ERRORS = 429, 500
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
        if _is_unwell(error.last_response):
            raise _come_back_later(call, str(error)) from error
        raise DeployerError(f"{call} did not finish", found=str(error), hint="deployer status") from error
    except ClientError as error:
        raise _translate(call, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DeployerError(
            "there are no AWS credentials",
            found="found none in the environment, the profile or the role of this machine",
            hint="aws sso login, or set AWS_PROFILE; in GitHub Actions see docs/runbook.md",
        ) from error
    # An answer that was cut short, or is none of AWS's, says as little as none at all.
    except (NetworkError, HTTPClientError, IncompleteReadError, ResponseParserError) as error:
        raise Unavailable(f"{call}: AWS did not answer", found=str(error), hint="try again") from error
    except BotoCoreError as error:
        raise DeployerError(f"{call} failed", found=str(error), hint="deployer doctor") from error


def _translate(call: str, error: ClientError) -> DeployerError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", str(error))
    found = f"{code}: {message}"
    if _is_unwell(error.response):
        return _come_back_later(call, found)
    if code == "ResourceConflictException" and "provisioned concurrency" in message.lower():
        # It sits on an alias and on a version at once, which Lambda refuses; trying again changes nothing.
        return DeployerError(
            f"{call}: provisioned concurrency sits elsewhere",
            found=found,
            hint="aws lambda list-provisioned-concurrency-configs --function-name NAME, and delete that one",
        )
    if code in ("PreconditionFailedException", "ResourceConflictException"):
        return Conflict(f"{call}: somebody else changed it meanwhile", found=found, hint="deployer status")
    if code in _NOT_FOUND:
        return NotFound(f"{call}: not found", found=found, hint="deployer doctor")
    mended = denied.mends(message)
    if code in _DENIED or mended:
        said, hint = mended or ("", "compare the role with infra/bootstrap.yaml and infra/permissions.yaml")
        return DeployerError(f"{call}: not allowed", found="\n".join(filter(None, [said, found])), hint=hint)
    if code in _EXPIRED:
        return DeployerError(f"{call}: the credentials are not valid", found=found, hint="sign in again")
    return DeployerError(f"{call} failed", found=found, hint="deployer doctor")


def _is_unwell(answer: Mapping[str, Any] | None) -> bool:
    """Tell whether AWS could not do what was asked just now, whatever else the answer says.

    A load balancer in front of a service answers 5xx without any error code.
    Source: https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html
    """
    answer = answer or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = answer.get("Error", {}).get("Code", "")
    return status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS or code in _TRANSIENT


def _come_back_later(call: str, found: str) -> Unavailable:
    return Unavailable(f"{call}: AWS asked to come back later", found=found, hint="try again")
