"""AWS credentials that outlast a long rollout. Shell: asks GitHub and STS; no token is ever shown or logged.

A job in GitHub Actions holds credentials for an hour, but can ask for a new ID token as long as it runs; what
would be lost with the credentials is the power to roll back. So inside such a job the session asks again by
itself, shortly before the hour is over. Everywhere else botocore's own chain applies.

Source: the request for a token,
https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
"""

from __future__ import annotations

import http.client
import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.session import Session

from deployer import web
from deployer.aws import trust
from deployer.aws.errors import Unavailable, translated
from deployer.errors import DeployerError, Exit
from deployer.model import RolloutPlan

AUDIENCE = "sts.amazonaws.com"
LAG_S = 600  # of a place, until its last minute is closed and read
SESSION_S = 3600
_TIMEOUT_S = 10
_REFUSED = (400, 401, 403, 404)


class _Refreshing(DeferredRefreshableCredentials):
    """Renewed from a quarter of an hour before the end; while that fails, the old ones serve to the last."""

    _advisory_refresh_timeout = 15 * 60
    _mandatory_refresh_timeout = 60


@dataclass(frozen=True)
class GitHubJob:
    """What a job with `id-token: write` has: where to ask for an ID token, by what right, for which role."""

    url: str
    right: str
    role_arn: str
    session_name: str

    def __repr__(self) -> str:
        return f"GitHubJob({self.role_arn})"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> GitHubJob | None:
        """Return the job of this process, or None outside of one or without AWS_DEPLOY_ROLE_ARN."""
        names = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_DEPLOY_ROLE_ARN")
        url, right, role_arn = (environ.get(name, "") for name in names)
        if not (url and right and role_arn):
            return None
        return cls(url, right, role_arn, f"deployer-{environ.get('GITHUB_RUN_ID', 'run')}")

    def id_token(self) -> str:
        """Ask GitHub for an ID token. Raises Unavailable, or DeployerError when it refuses."""
        separator = "&" if "?" in self.url else "?"
        request = urllib.request.Request(  # noqa: S310 - GitHub's own address, from the runner
            f"{self.url}{separator}audience={urllib.parse.quote(AUDIENCE)}",
            headers={"Authorization": f"bearer {self.right}", "Accept": "application/json"},
        )
        try:
            with web.send(request, timeout_s=_TIMEOUT_S) as answer:
                token = json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            error.close()
            # `from None`: the request, with the right to ask, hangs on the original error.
            raise _no_token(f"found HTTP {error.code}", refused=error.code in _REFUSED) from None
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            raise _no_token(f"found {type(error).__name__}", refused=False) from None
        return str(token)


def _refused(error: DeployerError, token: str, role_arn: str) -> DeployerError:
    """Return a refusal of STS with what was sent beside what the role expects; it holds no token."""
    role = role_arn.partition(":role/")[2] or role_arn
    compared = trust.explain(trust.claims(token), role_arn, AUDIENCE)
    return DeployerError(
        error.what,
        found=f"{error.found}\nrole `{role}` refused the token of this job:\n{compared}",
        hint="deployer bootstrap; docs/runbook.md#credentials-in-github-actions",
    )


def _no_token(found: str, *, refused: bool) -> DeployerError:
    kind = DeployerError if refused else Unavailable
    return kind(
        "GitHub gave no ID token",
        found=f"{found}, expected a token for {AUDIENCE}",
        hint="the job needs `permissions: id-token: write`" if refused else "try again",
    )


class _FromGitHub(CredentialProvider):
    """Credentials of the deploy role, by an ID token that is asked for each time they are renewed."""

    METHOD = "assume-role-with-web-identity"
    CANONICAL_NAME = "GitHubActions"

    def __init__(self, job: GitHubJob, region: str, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._job = job
        self._region = region
        self._now = now

    def load(self) -> DeferredRefreshableCredentials:
        """Return credentials that are asked for at their first use."""
        return _Refreshing(refresh_using=self._refresh, method=self.METHOD, time_fetcher=self._now)

    def _refresh(self) -> dict[str, str]:
        token = self._job.id_token()
        sts: Any = Session().create_client(
            "sts", region_name=self._region, config=Config(signature_version=UNSIGNED, connect_timeout=5)
        )
        try:
            with translated("assuming the deploy role"), _nothing_is_logged():
                found = sts.assume_role_with_web_identity(
                    RoleArn=self._job.role_arn,
                    RoleSessionName=self._job.session_name,
                    WebIdentityToken=token,
                    DurationSeconds=SESSION_S,
                )["Credentials"]
        except Unavailable:
            raise
        except DeployerError as error:
            raise _refused(error, token, self._job.role_arn) from None
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }


@contextmanager
def _nothing_is_logged() -> Iterator[None]:
    """Keep botocore from writing the request, and with it the ID token, into a debug log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def session(environ: Mapping[str, str], region: str, *, now: Callable[[], datetime] = _utc_now) -> Session:
    """Return botocore's session; in a GitHub job its credentials renew themselves."""
    made = Session()
    job = GitHubJob.of(environ)
    if job is not None:
        made.register_component("credential_provider", CredentialResolver([_FromGitHub(job, region, now)]))
    return made


def ends_at(environ: Mapping[str, str], now: float) -> float | None:
    """Return when the credentials end for good, in epoch seconds; None if they renew or nobody knows.

    Temporary credentials in a GitHub job's environment say no end: it is an hour at the most.
    """
    if GitHubJob.of(environ) is not None or "AWS_SESSION_TOKEN" not in environ:
        return None
    said = environ.get("AWS_CREDENTIAL_EXPIRATION")
    if said:
        try:
            return datetime.fromisoformat(said).timestamp()
        except ValueError:
            return None
    return now + SESSION_S if "GITHUB_ACTIONS" in environ else None


def longest_s(plan: RolloutPlan) -> int:
    """Return how long a rollout may last: each place takes its longest, and is paused to the end."""
    return sum(step.bake_s + LAG_S + plan.max_pause_s for step in plan.steps)


def check(plan: RolloutPlan, environ: Mapping[str, str], now: float) -> None:
    """Refuse, before any traffic, a plan that may outlive the credentials (exit 5)."""
    end, longest = ends_at(environ, now), longest_s(plan)
    if end is None or longest < end - now:
        return
    raise DeployerError(
        "the rollout may outlive the AWS credentials, and with them the power to roll back",
        found=f"found credentials for {_minutes(end - now)}, and a plan of up to {_minutes(longest)}",
        hint="set AWS_DEPLOY_ROLE_ARN in the job, or shorten bake_s and max_pause_s",
        exit_code=Exit.REFUSED,
    )


def _minutes(seconds: float) -> str:
    return f"{max(0, seconds) / 60:.0f} min"
