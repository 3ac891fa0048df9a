"""As whom the product's commands run: the administrator, or a GitHub job that assumed its own role. Shell.

`deployer bootstrap` runs as the administrator, and what it prints for GitHub's variables is obeyed. A command
of the workflows runs as there: with a token for its environment, exchanged for a session of the role
that the variable names. Commands that need no AWS get no credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from deployer.errors import DeployerError
from testbed.local_aws import LocalAws
from testbed.tokens import AUDIENCE, TokenIssuer

OWNER = "rehearsal@1"
REPOSITORY_ID = "2"
MAIN = "refs/heads/main"
STACK_ROLE = "AWS_STACK_ROLE_ARN"
_VARIABLE = re.compile(
    r"^\s*gh variable set (\w+)(?: --env (\S+))? --body (\S+)(?: --repo \S+)?\s*$", re.MULTILINE
)
# What a person types with an administrator's credentials; every other command is a workflow's.
_BY_HAND = ("bootstrap", "gameday")


@dataclass(frozen=True)
class Job:
    """A job's environment on GitHub, empty for none, and the variable that names its role."""

    environment: str
    variable: str


def job_of(command: Sequence[str], environment: str) -> Job | None:
    """Return the job that runs a command in one environment, None for one without credentials. Pure."""
    match list(command[:2]):
        case ["push", *_]:
            return Job("", "AWS_PUSH_ROLE_ARN")
        case ["plan" | "drift" | "status", *_]:
            return Job(f"{environment}-plan", "AWS_PLAN_ROLE_ARN")
        case ["apply", *_] | ["rollout", "start" | "resume"]:
            return Job(environment, "AWS_DEPLOY_ROLE_ARN")
        case ["rollback", *_] | ["rollout", _]:  # the buttons: rollback.yml and control.yml
            return Job(f"{environment}-rollback", "AWS_ROLLBACK_ROLE_ARN")
    return None


def variables_of(printed: str) -> dict[str, dict[str, str]]:
    """Return the variables that `deployer bootstrap` says to set, by environment; `""` is none. Pure."""
    found: dict[str, dict[str, str]] = {}
    for name, environment, value in _VARIABLE.findall(printed):
        found.setdefault(environment, {})[name] = value
    return found


def claims_of(repository: str, environment: str) -> dict[str, str]:
    """Return what GitHub's token for a job says, as far as trust policies may ask. Pure.

    Source: https://docs.github.com/en/actions/reference/security/oidc
    """
    subject = f"repo:{OWNER}/{repository}@{REPOSITORY_ID}"
    claims = {
        "sub": f"{subject}:environment:{environment}" if environment else f"{subject}:ref:{MAIN}",
        "aud": AUDIENCE,
        "ref": MAIN,
        "repository": f"{OWNER.partition('@')[0]}/{repository}",
        "repository_id": REPOSITORY_ID,
        "actor": "rehearsal",
        "event_name": "push",
    }
    return claims | ({"environment": environment} if environment else {})


@dataclass
class Jobs:
    """Who the commands run as on one local AWS; sessions are kept."""

    local_aws: LocalAws
    issuer: TokenIssuer
    repository: str
    environment: str
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    _sessions: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Return what `deployer bootstrap --subject` takes."""
        return f"{OWNER}/{self.repository}@{REPOSITORY_ID}"

    def obey(self, printed: str) -> None:
        """Set the variables that `deployer bootstrap` printed."""
        self.variables = variables_of(printed)

    def settings(self, command: Sequence[str]) -> dict[str, str]:
        """Return the AWS settings of a command's environment: addresses, and the credentials it runs with.

        Raises DeployerError when its variable was not set, or the role does not trust the job.
        """
        shared = self.local_aws.environment()
        if command and command[0] in _BY_HAND:
            return shared
        credentials = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        without = {name: value for name, value in shared.items() if name not in credentials}
        job = job_of(tuple(command), self.environment)
        if job is None:
            return without
        stack_role = self.variables.get(job.environment, {}).get(STACK_ROLE)
        return without | self._session(job) | ({STACK_ROLE: stack_role} if stack_role else {})

    def _session(self, job: Job) -> dict[str, str]:
        role = self.variables.get(job.environment, {}).get(job.variable)
        if role is None:
            where = f"environment `{job.environment}`" if job.environment else "the repository"
            raise DeployerError(
                f"`deployer bootstrap` did not say what to set `{job.variable}` to",
                found=f"found nothing for {where}",
                hint="restore what it prints: git checkout -- deployer/ infra/",
            )
        if role not in self._sessions:
            self._sessions[role] = self._assume(role, job.environment)
        return self._sessions[role]

    def _assume(self, role: str, environment: str) -> dict[str, str]:
        make: Any = boto3.session.Session(region_name=self.local_aws.region).client
        sts = make(
            "sts", endpoint_url=self.local_aws.endpoint, config=ClientConfig(signature_version=UNSIGNED)
        )
        token = self.issuer.token(claims_of(self.repository, environment))
        try:
            keys: Mapping[str, str] = sts.assume_role_with_web_identity(
                RoleArn=role, RoleSessionName="GitHubActions", WebIdentityToken=token
            )["Credentials"]
        except ClientError as error:
            where = f"with environment `{environment}`" if environment else "without environment"
            raise DeployerError(
                f"role `{role.rpartition('/')[2]}` does not trust the job {where}",
                found=f"found {error.response['Error']['Message']}",
                hint="open infra/bootstrap.yaml and infra/registry.yaml, AssumeRolePolicyDocument",
            ) from error
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
