"""The account that the tests of a module share: registry and roles of both environments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deployer.cli.main import main
from enforced.worlds import CLAIMS, REGION, Client, World, world
from infra.conftest import (
    BOOTSTRAP_BODY,
    NAME,
    REGISTRY_BODY,
    REGISTRY_PARAMETERS,
    SERVICE_BODY,
    SERVICE_PARAMETERS,
    Stacks,
    bootstrap_parameters,
)

SUBJECT = "repo:acme@123/resizer@456"


@dataclass
class Deployed:
    """An account in which `deployer bootstrap` was run, with its roles by name."""

    here: World

    def job(self, role: str, environment: str) -> Client:
        """Make clients of a job's role, as a token for its environment gives them."""
        subject = f"{SUBJECT}:environment:{environment}" if environment else f"{SUBJECT}:ref:refs/heads/main"
        claims = {**CLAIMS, "sub": subject, "repository_id": "456", "environment": environment or None}
        return self.here.assume(role_arn(role), **claims)

    def stack(self, kind: str, template: str = SERVICE_BODY, **changed: str) -> str:
        """Create or update staging's service stack as the deploy role does; return how it ended, with reasons."""
        client = self.job("staging-deploy", "staging")
        cloudformation, name = client("cloudformation"), f"{NAME}-staging"
        parameters = {**SERVICE_PARAMETERS, "FunctionName": name, **changed}
        made = cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=self.here.unique("change"),
            ChangeSetType=kind,
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            RoleARN=role_arn("staging-stack"),
        )
        cloudformation.execute_change_set(StackName=name, ChangeSetName=made["Id"])
        return " ".join(self.here.settled(name))

    def policies(self) -> dict[str, Any]:
        """Return what every deployed role of staging and of the registry holds: its policies and its boundary."""
        iam, found = self.here.admin("iam"), {}
        for role in iam.list_roles()["Roles"]:
            name = role["RoleName"]
            if not name.startswith(f"{NAME}-") or "-production-" in name:
                continue
            inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
            limit = role.get("PermissionsBoundary") or iam.get_role(RoleName=name)["Role"].get(
                "PermissionsBoundary"
            )
            found[name] = {
                "policies": [
                    iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in inline
                ],
                "boundary": [self._document(limit["PermissionsBoundaryArn"])] if limit else [],
            }
        return json.loads(json.dumps(found))

    def _document(self, arn: str) -> Any:
        iam = self.here.admin("iam")
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def role_arn(role: str) -> str:
    """Return the ARN of a role from the part of its name between the function's and the region's."""
    return f"arn:aws:iam::000000000000:role/{NAME}-{role}-{REGION}"


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    """Return an account with the roles of registry and both environments, and without a service stack."""
    with world() as made:
        stacks = Stacks(made.admin("cloudformation"))
        stacks.apply(f"{NAME}-registry", REGISTRY_BODY, REGISTRY_PARAMETERS)
        for environment in ("staging", "production"):
            stacks.apply(f"{NAME}-{environment}-bootstrap", BOOTSTRAP_BODY, bootstrap_parameters(environment))
        yield Deployed(made)


def as_role(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, role: str, environment: str, *command: str
) -> int:
    """Run one command of the deployer as a job's role, in the current folder; return its exit code."""
    deployed.here.become(deployed.job(role, environment), monkeypatch)
    return main(list(command))
