"""A small account on a local AWS with enforced roles: a provider, roles made for one test each, and who calls as whom."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from testbed.local_aws import LocalAws, running
from testbed.roles import Roles
from testbed.tokens import AUDIENCE, ISSUER, TokenIssuer

ACCOUNT, REGION = "000000000000", "eu-central-1"
HOST = ISSUER.removeprefix("https://")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
CLAIMS = {
    "sub": "repo:acme@1/resizer@2:environment:staging",
    "repository": "acme/resizer",
    "repository_id": "2",
    "repository_owner_id": "1",
    "environment": "staging",
    "ref": "refs/heads/main",
    "actor": "octocat",
    "event_name": "push",
}
Client = Callable[[str], Any]
Statement = Mapping[str, Any]


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> Statement:
    """Return a statement that allows."""
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policy(*statements: Statement) -> str:
    """Return a policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting_service(service: str, **condition: Any) -> str:
    """Return a trust policy for an AWS service."""
    more = {"Condition": condition} if condition else {}
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", **more}
    return policy(statement)


def trusting_github(**expected: str) -> str:
    """Return a trust policy that wants each of these claims, and GitHub's audience."""
    wanted = {f"{HOST}:{name}": value for name, value in {"aud": AUDIENCE, **expected}.items()}
    return policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": wanted},
        }
    )


TRUSTED = trusting_github(**{key: CLAIMS[key] for key in ("sub", "repository_id", "environment", "ref")})


@dataclass
class World:
    """The local AWS, GitHub's issuer, and roles."""

    aws: LocalAws
    issuer: TokenIssuer
    _names: Iterator[int] = field(default_factory=itertools.count)

    def client(self, key: str, secret: str, token: str | None = None) -> Client:
        """Make clients for credentials."""

        def make(service: str) -> Any:
            return boto3.session.Session(key, secret, token, REGION).client(
                service,
                endpoint_url=self.aws.endpoint,
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )

        return make

    @property
    def admin(self) -> Client:
        """Make clients of the administrator."""
        return self.client(*self.aws.credentials)

    def become(self, session: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let what runs from here on have that session, and nothing else of AWS or GitHub."""
        keys = session("sts")._request_signer._credentials
        for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "ACTIONS_"))]:
            monkeypatch.delenv(name)
        for name, value in (
            ("AWS_ENDPOINT_URL", self.aws.endpoint),
            ("AWS_ACCESS_KEY_ID", keys.access_key),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_key),
            ("AWS_SESSION_TOKEN", keys.token),
            ("AWS_CONFIG_FILE", os.devnull),
            ("AWS_SHARED_CREDENTIALS_FILE", os.devnull),
        ):
            monkeypatch.setenv(name, value)

    def unique(self, word: str) -> str:
        """Return a name nobody else has."""
        return f"{word}-{next(self._names)}"

    def role(
        self, *statements: Statement, trust: str = TRUSTED, boundary: Sequence[Statement] = (), **more: Any
    ) -> str:
        """Create a role with one policy and return its ARN."""
        name, iam = self.unique("role"), self.admin("iam")
        if boundary:
            made = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=policy(*boundary))
            more["PermissionsBoundary"] = made["Policy"]["Arn"]
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy(*statements))
        return arn

    def assume(self, role: str, **changed: Any) -> Client:
        """Make clients of a role, assumed with a token whose claims are GitHub's but for what is changed."""
        claims = {
            key: value for key, value in {**CLAIMS, "aud": AUDIENCE, **changed}.items() if value is not None
        }
        return self.exchange(role, self.issuer.token(claims))

    def exchange(self, role: str, token: str, **more: Any) -> Client:
        """Make clients of a role, assumed with this token."""
        unsigned = self.client("none", "none")("sts")
        unsigned.meta.events.register("choose-signer.sts.AssumeRoleWithWebIdentity", lambda **_: "none")
        keys = unsigned.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="job", WebIdentityToken=token, **more
        )["Credentials"]
        return self.client(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def session(self, *statements: Statement, **more: Any) -> Client:
        """Make clients of a role that has these rights."""
        return self.assume(self.role(*statements, **more))

    def stack(self, client: Client, template: Mapping[str, Any], role: str = "") -> tuple[str, list[str]]:
        """Create a stack by change set and return its name, status first, and why resources failed."""
        name, cloudformation = self.unique("stack"), client("cloudformation")
        made = cloudformation.create_change_set(
            StackName=name,
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps(template),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **({"RoleARN": role} if role else {}),
        )
        cloudformation.execute_change_set(StackName=name, ChangeSetName=made["Id"])
        return name, self.settled(name)

    def settled(self, name: str) -> list[str]:
        """Return a stack's status when nothing is going on any more, then why resources failed."""
        cloudformation = self.admin("cloudformation")
        while True:
            status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                break
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            e.get("ResourceStatusReason", "") for e in events if e["ResourceStatus"].endswith("FAILED")
        ]
        return [status, *reasons]


@contextlib.contextmanager
def world(*, left_out: tuple[str, ...] = (), docker: Sequence[str] | None = None) -> Iterator[World]:
    """Run a local AWS with enforced roles and a provider for GitHub."""
    roles = Roles(left_out=left_out)
    with running(roles=roles, docker=docker, region=REGION) as aws, TokenIssuer(roles.issuer_key) as issuer:
        made = World(aws, issuer)
        made.admin("iam").create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])
        yield made
