"""Credentials that renew themselves: GitHub's token endpoint and STS on loopback, on a virtual clock."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deployer.aws import credentials
from deployer.aws.client import Aws
from deployer.aws.errors import Unavailable
from deployer.errors import DeployerError, Exit
from deployer.model import RolloutPlan, Step
from engine.fakes import VirtualClock

ROLE = "arn:aws:iam::123456789012:role/image-resizer-production-deploy-eu-west-1"
RIGHT = "right-to-ask-5c1e"
REGION = "eu-west-1"

ASSUMED = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA{number}</AccessKeyId>
<SecretAccessKey>secret{number}</SecretAccessKey><SessionToken>session{number}</SessionToken>
<Expiration>{end}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""
IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/x/y</Arn></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""


@dataclass
class Loopback:
    """GitHub's token endpoint and STS in one server; every ID token it gives is another one."""

    clock: VirtualClock
    address: str = ""
    refuse: int = 0  # the status with which GitHub answers instead of giving a token
    location: str = ""
    tokens: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    assumed: list[dict[str, str]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        """Return what a job with `id-token: write` has in its environment."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_RUN_ID": "77",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RIGHT,
            "AWS_DEPLOY_ROLE_ARN": ROLE,
        }

    def now(self) -> datetime:
        """Return the virtual time as botocore wants it."""
        return datetime.fromtimestamp(self.clock.now(), tz=UTC)

    def token(self, path: str, authorization: str) -> tuple[int, str]:
        """Answer as GitHub does."""
        self.asked.append({**parse_qs(urlsplit(path).query), "authorization": authorization})
        if self.refuse:
            return self.refuse, "no"
        self.tokens.append(f"id-token-{len(self.tokens) + 1}")
        return 200, json.dumps({"count": 1, "value": self.tokens[-1]})

    def sts(self, body: dict[str, list[str]], signature: str) -> tuple[int, str]:
        """Answer as STS does."""
        if body["Action"] == ["GetCallerIdentity"]:
            self.signatures.append(signature)
            return 200, IDENTITY
        assert not signature, "the token is the only credential"
        self.assumed.append({name: values[0] for name, values in body.items()})
        end = datetime.fromtimestamp(self.clock.now() + int(body["DurationSeconds"][0]), tz=UTC)
        return 200, ASSUMED.format(number=len(self.assumed), end=end.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve both for one test; botocore is sent there instead of to AWS."""
    state = Loopback(VirtualClock())

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self._answer(*state.token(self.path, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*state.sts(parse_qs(body), self.headers.get("Authorization", "")))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", state.address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()


def found(loopback: Loopback) -> Any:
    """Return the credentials of a session in the job."""
    return credentials.session(loopback.environ(), REGION, now=loopback.now).get_credentials()


def test_token_is_exchanged_at_the_first_use(loopback: Loopback) -> None:
    """Nothing is asked before; then GitHub gives a token for STS, and STS credentials for the role."""
    lazy = found(loopback)
    assert (loopback.asked, loopback.assumed) == ([], [])
    frozen = lazy.get_frozen_credentials()
    assert frozen.access_key == "ASIA1"
    assert loopback.asked == [
        {
            "api-version": ["2.0"],
            "audience": ["sts.amazonaws.com"],
            "authorization": f"bearer {RIGHT}",
        }
    ]
    (assumed,) = loopback.assumed
    assert assumed["RoleArn"] == ROLE
    assert assumed["RoleSessionName"] == "deployer-77"
    assert assumed["WebIdentityToken"] == "id-token-1"
    assert assumed["DurationSeconds"] == "3600"


def test_credentials_are_renewed_for_hours(loopback: Loopback) -> None:
    """A quarter of an hour before the end there are new ones, each by a new token, and none too often."""
    lazy, keys = found(loopback), []
    for _ in range(6 * 60):
        keys.append(lazy.get_frozen_credentials().access_key)
        loopback.clock.sleep(60)
    assert len(set(keys)) == len(loopback.tokens) == len(loopback.assumed) == 8
    assert keys[44:47] == ["ASIA1", "ASIA2", "ASIA2"] or keys[44:47] == ["ASIA1", "ASIA1", "ASIA2"]


def test_old_credentials_serve_while_github_is_silent(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing renewal costs nothing until the last minute, and then is an answer that is awaited."""
    lazy = found(loopback)
    lazy.get_frozen_credentials()
    loopback.refuse = 503
    loopback.clock.sleep(3500)
    assert lazy.get_frozen_credentials().access_key == "ASIA1"
    loopback.clock.sleep(60)
    with pytest.raises(Unavailable, match="GitHub gave no ID token"):
        lazy.get_frozen_credentials()
    loopback.refuse = 0
    assert lazy.get_frozen_credentials().access_key == "ASIA2"
    assert RIGHT not in caplog.text


def test_refusal_names_the_grant_that_is_missing(loopback: Loopback) -> None:
    """When GitHub refuses, the message names what to add to the job."""
    loopback.refuse = 403
    with pytest.raises(DeployerError) as caught:
        found(loopback).get_frozen_credentials()
    assert not isinstance(caught.value, Unavailable)
    assert str(caught.value).splitlines() == [
        "error: GitHub gave no ID token",
        "  found HTTP 403, expected a token for sts.amazonaws.com",
        "  hint: the job needs `permissions: id-token: write`",
    ]


@pytest.mark.parametrize("refuse", [200, 403, 503])
def test_right_to_ask_does_not_hang_on_the_error(loopback: Loopback, refuse: int) -> None:
    """An error about the ID token leads to no other error, on which the request with the right would hang."""
    job = credentials.GitHubJob.of(loopback.environ())
    assert job is not None
    loopback.refuse = refuse  # 200 answers "no", which is no JSON
    with pytest.raises(DeployerError) as caught:
        job.id_token()
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
    frames = traceback.walk_tb(caught.tb.tb_next)  # without this test's own, which knows the right
    shown = traceback.StackSummary.extract(frames, capture_locals=True).format()
    assert shown
    assert RIGHT not in "".join(shown)


def test_right_to_ask_is_not_carried_elsewhere(loopback: Loopback) -> None:
    """A redirection of the token endpoint is not followed."""
    loopback.refuse, loopback.location = 302, f"{loopback.address}/elsewhere"
    with pytest.raises(DeployerError, match="no ID token"):
        found(loopback).get_frozen_credentials()
    assert len(loopback.asked) == 1


def test_nothing_secret_is_logged_or_shown(
    loopback: Loopback, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every logger at DEBUG, and in every text of the job and its errors, there is no token and no secret."""
    caplog.set_level(logging.DEBUG)
    found(loopback).get_frozen_credentials()
    job = credentials.GitHubJob.of(loopback.environ())
    loopback.refuse = 500
    with pytest.raises(Unavailable) as caught:
        found(loopback).get_frozen_credentials()
    shown = f"{caplog.text} {job!r} {job} {caught.value} {caught.value.__cause__} {caught.value.__notes__ if hasattr(caught.value, '__notes__') else ''}"
    for secret in (RIGHT, "id-token-1", "secret1", "session1", "/token"):
        assert secret not in shown
    assert logging.root.manager.disable == logging.NOTSET


def test_a_refused_role_is_an_error_without_the_token(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What STS refuses is told in STS's words."""

    def refuse(_body: Any, _signature: str) -> tuple[int, str]:
        return 403, (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code>'
            "<Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>"
        )

    loopback.sts = refuse  # type: ignore[method-assign]
    with pytest.raises(DeployerError, match="assuming the deploy role: not allowed") as caught:
        found(loopback).get_frozen_credentials()
    assert "Not authorized to perform" in (caught.value.found or "")
    assert f"role `{ROLE.partition(':role/')[2]}` refused the token of this job" in (caught.value.found or "")
    assert "sub           not sent" in (caught.value.found or "")
    assert (caught.value.hint or "").startswith("deployer bootstrap; ")
    assert "id-token" not in str(caught.value)


def test_outside_a_job_the_usual_chain_applies(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the job's variables, or without a role, credentials come from where botocore looks."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUSUAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    for environ in ({}, {**loopback.environ(), "AWS_DEPLOY_ROLE_ARN": ""}):
        usual: Any = credentials.session(environ, REGION).get_credentials()
        assert usual.access_key == "AKIAUSUAL"
    assert loopback.asked == []


def test_the_port_signs_with_them(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a job, the deployer's calls carry the credentials by token, not those an earlier step left behind."""
    loopback.clock.time = datetime.now(UTC).timestamp()
    for name, value in {
        **loopback.environ(),
        "AWS_ACCESS_KEY_ID": "AKIAOLD",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    assert Aws("image-resizer-production", REGION).identity().endswith("assumed-role/x/y")
    assert "Credential=ASIA1/" in loopback.signatures[0]


NOW = 1_763_712_000.0
TEMPORARY = {"AWS_SESSION_TOKEN": "x"}
IN_A_JOB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "u",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
    "AWS_DEPLOY_ROLE_ARN": ROLE,
}


@pytest.mark.parametrize(
    ("environ", "left_s"),
    [
        ({}, None),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, None),
        (TEMPORARY, None),
        ({**TEMPORARY, "AWS_CREDENTIAL_EXPIRATION": "2025-11-21T08:30:00+00:00"}, 1800.0),
        ({**TEMPORARY, "AWS_CREDENTIAL_EXPIRATION": "2025-11-21T08:30:00Z"}, 1800.0),
        ({**TEMPORARY, "AWS_CREDENTIAL_EXPIRATION": "soon"}, None),
        ({**TEMPORARY, "GITHUB_ACTIONS": "true"}, 3600.0),
        ({**TEMPORARY, **IN_A_JOB, "GITHUB_ACTIONS": "true"}, None),
    ],
    ids=["profile", "for ever", "unknown", "said", "said in UTC", "said badly", "a job's hour", "renewed"],
)
def test_end_of_the_credentials(environ: dict[str, str], left_s: float | None) -> None:
    """Their end is known when the environment says it, or when a job holds them without renewing them."""
    expected = None if left_s is None else NOW + left_s
    assert credentials.ends_at(environ, NOW) == expected


PLAN = RolloutPlan("7.1", "42", (Step(10, 300), Step(50, 300), Step(95, 300)))


def test_a_plan_that_may_outlive_them_is_refused() -> None:
    """One message says how long both are and what to do, and the exit code is that of a refusal."""
    with pytest.raises(DeployerError) as caught:
        credentials.check(PLAN, {**TEMPORARY, "GITHUB_ACTIONS": "true"}, NOW)
    assert caught.value.exit_code == Exit.REFUSED
    assert str(caught.value).splitlines() == [
        "error: the rollout may outlive the AWS credentials, and with them the power to roll back",
        "  found credentials for 60 min, and a plan of up to 225 min",
        "  hint: set AWS_DEPLOY_ROLE_ARN in the job, or shorten bake_s and max_pause_s",
    ]


@pytest.mark.parametrize(
    ("plan", "environ"),
    [
        (PLAN, TEMPORARY),
        (PLAN, IN_A_JOB | TEMPORARY | {"GITHUB_ACTIONS": "true"}),
        (RolloutPlan("7.1", "42", ()), TEMPORARY | {"GITHUB_ACTIONS": "true"}),
        (
            RolloutPlan("7.1", "42", (Step(10, 300),), max_pause_s=600),
            TEMPORARY | {"GITHUB_ACTIONS": "true"},
        ),
    ],
    ids=["unknown end", "renewed", "all at once", "short"],
)
def test_a_plan_within_them_is_not(plan: RolloutPlan, environ: dict[str, str]) -> None:
    """What fits, renews, or has no known end is not held up."""
    credentials.check(plan, environ, NOW)
