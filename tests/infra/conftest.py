"""The local AWS both templates are deployed on, without containers: creating a function needs none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from testbed.local_aws import running

from deployer import config
from deployer.release import sources
from deployer.release.template import render
from rules.templates import BOOTSTRAP, INFRA, REGISTRY, SERVICE, merged

ACCOUNT = "000000000000"
# The local AWS knows neither the resource type AWS::IAM::OIDCProvider nor the IAM calls behind it, so the
# stacks are given a provider here; the condition that creates one is read from the templates instead.
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
NAME = "image-resizer"

GITHUB = {
    "FunctionName": NAME,
    "GitHubSubject": "repo:acme@123/resizer@456",
    "GitHubRepositoryId": "456",
    "ExistingOidcProviderArn": PROVIDER,
    "RegistryAccount": ACCOUNT,
}
REGISTRY_PARAMETERS = {**GITHUB, "StagingAccount": ACCOUNT, "ProductionAccount": ACCOUNT}


def bootstrap_parameters(environment: str) -> dict[str, str]:
    """Return the parameters of one environment's roles."""
    return {**GITHUB, "Environment": environment}


ROOT = INFRA.parent
ANSWERS = {
    "project_name": "Image Resizer",
    "description": "",
    "project_slug": NAME,
    "aws_region": "eu-central-1",
    "architecture": "x86_64",
}
# The template's deploy.toml as it is generated, and what it makes of the templates.
SETTINGS_TEXT = re.sub(
    r'"\{\{ cookiecutter\.(\w+).*?\}\}"',
    lambda answer: json.dumps(ANSWERS[answer[1]]),
    (ROOT / "deploy.toml").read_text(encoding="utf-8"),
)
DESIRED = sources.desired(ROOT, config.parse(SETTINGS_TEXT), "production")
SERVICE_BODY = render(DESIRED.template, name=SERVICE)
BOOTSTRAP_BODY = render(merged(BOOTSTRAP), name=BOOTSTRAP)
REGISTRY_BODY = render(merged(REGISTRY), name=REGISTRY)
SERVICE_PARAMETERS = {
    **DESIRED.parameters,
    "ImageUri": f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{NAME}@sha256:{'1' * 64}",
}

Client = Callable[[str], Any]


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Make clients of a local AWS that runs as long as the tests do."""
    with running(docker=None) as local_aws:

        def make(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=local_aws.endpoint,
                region_name=local_aws.region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
            )

        yield make


Outputs = dict[str, str]


class Stacks:
    """Creates and updates stacks by change sets, as the deployer does."""

    def __init__(self, cloudformation: Any) -> None:
        self._cloudformation = cloudformation

    def apply(self, name: str, template: str, parameters: dict[str, str], *, update: bool = False) -> Outputs:
        """Bring a stack to a template and parameters and return its outputs."""
        kind = "UPDATE" if update else "CREATE"
        created = self._cloudformation.create_change_set(
            StackName=name,
            ChangeSetName=f"{name}-{kind.lower()}",
            ChangeSetType=kind,
            TemplateBody=template,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        every_second = {"Delay": 1, "MaxAttempts": 60}
        self._cloudformation.get_waiter("change_set_create_complete").wait(
            ChangeSetName=created["Id"], WaiterConfig=every_second
        )
        self._cloudformation.execute_change_set(ChangeSetName=created["Id"])
        self._cloudformation.get_waiter(f"stack_{kind.lower()}_complete").wait(
            StackName=name, WaiterConfig=every_second
        )
        stack = self._cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def delete(self, name: str) -> None:
        """Delete a stack and wait until it is gone."""
        self._cloudformation.delete_stack(StackName=name)
        self._cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def service(self, function: str, *, update: bool = False, **changed: str) -> Outputs:
        """Create or update the service stack of a function."""
        parameters = {**SERVICE_PARAMETERS, "FunctionName": function, **changed}
        return self.apply(function, SERVICE_BODY, parameters, update=update)


@pytest.fixture(scope="session")
def stacks(client: Client) -> Stacks:
    """Apply stacks on the local AWS."""
    return Stacks(client("cloudformation"))


@pytest.fixture(scope="session")
def registry(stacks: Stacks) -> Outputs:
    """Create the registry's stack once and return its outputs."""
    return stacks.apply(f"{NAME}-registry", REGISTRY_BODY, REGISTRY_PARAMETERS)


@pytest.fixture(scope="session")
def bootstrap(stacks: Stacks, registry: Outputs) -> dict[str, Outputs]:
    """Create the stacks of registry and both environments' roles once and return their outputs."""
    environments = {
        name: stacks.apply(f"{NAME}-{name}-bootstrap", BOOTSTRAP_BODY, bootstrap_parameters(name))
        for name in ("staging", "production")
    }
    return {"registry": registry, **environments}


@pytest.fixture(scope="session")
def service(stacks: Stacks) -> Outputs:
    """Create one service stack, that of production, and return its outputs; no test changes it."""
    return stacks.service(f"{NAME}-production")
