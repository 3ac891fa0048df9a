"""GitHub's tokens at the local AWS: which are accepted, and that the issuer answers only who was granted claims."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from testbed.tokens import AUDIENCE, ISSUER, TokenIssuer

from enforced.worlds import CLAIMS, World, trusting_github, world


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    """Return an account with GitHub's provider."""
    with world() as made:
        yield made


NO_TRUST = "AccessDenied.*Not authorized to perform sts:AssumeRoleWithWebIdentity"
TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "as GitHub issues it": ({}, ""),
    "with a claim more": ({"workflow": "deploy"}, ""),
    "by another actor": ({"actor": "hubot"}, ""),
    "of another issuer": ({"iss": "https://token.example.com"}, "No OpenIDConnect provider found"),
    "for another audience": ({"aud": "https://github.com/acme"}, "Incorrect token audience"),
    "with another subject": ({"sub": "repo:acme@1/resizer@2:environment:production"}, NO_TRUST),
    "with the older form of the subject": ({"sub": "repo:acme/resizer:environment:staging"}, NO_TRUST),
    "of a pull request": ({"sub": "repo:acme@1/resizer@2:pull_request"}, NO_TRUST),
    "of another repository": ({"repository_id": "3"}, NO_TRUST),
    "for another environment": ({"environment": "production"}, NO_TRUST),
    "from another branch": ({"ref": "refs/heads/feature"}, NO_TRUST),
    "without a branch": ({"ref": None}, NO_TRUST),
    "without an environment": ({"environment": None}, NO_TRUST),
    "that is over": ({"exp": 1}, "ExpiredToken"),
    "that is not valid yet": ({"nbf": int(time.time()) + 3600}, "not valid yet"),
}


@pytest.mark.parametrize(("changed", "refused"), TOKENS.values(), ids=TOKENS)
def test_tokens(here: World, changed: dict[str, Any], refused: str) -> None:
    """A token is accepted when it is genuine, in time, and each claim that the role wants is as it wants it."""
    role = here.role()
    if not refused:
        assert here.assume(role, **changed)("sts").get_caller_identity()["Arn"].endswith("/job")
        return
    with pytest.raises(ClientError, match=refused):
        here.assume(role, **changed)


def test_a_token_signed_by_somebody_else_is_refused(here: World) -> None:
    """Right claims under a wrong signature are worth nothing, and neither is a token whose claims were changed."""
    role = here.role()
    with TokenIssuer(b"another key") as forger, pytest.raises(ClientError, match="InvalidIdentityToken"):
        here.exchange(role, forger.token({**CLAIMS, "aud": AUDIENCE}))
    head, _, signature = here.issuer.token({**CLAIMS, "aud": AUDIENCE}).split(".")
    other = here.issuer.token({**CLAIMS, "aud": AUDIENCE, "ref": "refs/heads/feature"}).split(".")[1]
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        here.exchange(role, f"{head}.{other}.{signature}")


def test_a_claim_that_aws_does_not_know_is_never_met(here: World) -> None:
    """A trust policy on a claim that is no condition key trusts nobody, whatever the token says."""
    known = here.role(trust=trusting_github(actor="octocat"))
    unknown = here.role(trust=trusting_github(event_name="push"))
    assert here.assume(known)
    with pytest.raises(ClientError, match=NO_TRUST):
        here.assume(unknown)


def test_a_session_is_no_longer_than_the_role_allows(here: World) -> None:
    """A longer session than the role's MaxSessionDuration is refused, as AWS does."""
    role, token = here.role(), here.issuer.token({**CLAIMS, "aud": AUDIENCE})
    assert here.exchange(role, token, DurationSeconds=3600)
    with pytest.raises(ClientError, match="exceeds the MaxSessionDuration"):
        here.exchange(role, token, DurationSeconds=3601)


def test_every_exchange_is_recorded(here: World) -> None:
    """Each exchange of a token is a decision with the claims that the trust policy could see."""
    role = here.role()
    here.assume(role)
    with pytest.raises(ClientError):
        here.assume(role, ref="refs/heads/feature")
    first, second = [decision for decision in here.aws.decisions() if decision.resource == role]
    assert (first.allowed, second.allowed) == (True, False)
    assert second.context["token.actions.githubusercontent.com:ref"] == "refs/heads/feature"
    assert first.action == "sts:AssumeRoleWithWebIdentity"


def ask(issuer: TokenIssuer, right: str) -> tuple[int, dict[str, Any]]:
    """Ask for a token as a job does; return status and answer."""
    address = urlsplit(issuer.url)
    path = f"{address.path}?{address.query}&audience={AUDIENCE}"
    with contextlib.closing(http.client.HTTPConnection(address.netloc)) as connection:
        connection.request("GET", path, headers={"Authorization": f"bearer {right}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_issuer_answers_who_was_granted_claims_until_they_are_revoked(here: World) -> None:
    """The token has the granted claims, issuer, audience and times; without a grant there is none."""
    right = here.issuer.grant({**CLAIMS, "run_id": "7"})
    status, answer = ask(here.issuer, right)
    token = answer["value"]
    assert status == 200
    assert here.exchange(here.role(), token)
    body = token.split(".")[1]
    claims = json.loads(_decoded(body))
    assert claims.items() >= {**CLAIMS, "run_id": "7", "iss": ISSUER, "aud": AUDIENCE}.items()
    assert {"iat", "nbf", "exp", "jti"} <= set(claims)
    here.issuer.revoke(right)
    for wrong in (right, "", "guess"):
        assert ask(here.issuer, wrong) == (401, {})


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
