"""The clients of one region, each made when it is first used. Shell: the door to botocore.

A client takes tens of milliseconds to make, and a command needs few of them. boto3 would be a second layer,
slower to import than all of botocore.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config as ClientConfig

from deployer.aws import credentials
from deployer.aws.errors import translated
from deployer.aws.tries import PATIENT, refuse_what_is_no_answer

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sts import STSClient


class Clients:
    """One session in one region, and its clients."""

    def __init__(self, region: str, *, patient: ClientConfig = PATIENT) -> None:
        self.region = region
        self._patient = patient
        self._made: list[Any] = []
        with translated("reading the AWS configuration"):
            self._session = credentials.session(os.environ, region)
            self._session.register("before-parse", refuse_what_is_no_answer)

    def register(self, event: str, handler: Callable[..., Any]) -> None:
        """Register a handler of one of botocore's events with every client, those made later included.

        Source: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
        """
        self._session.register(event, handler)  # clients made later take theirs from the session
        for client in self._made:
            client.meta.events.register(event, handler)

    def made(self, service: str, config: ClientConfig, doing: str = "reading the AWS configuration") -> Any:
        """Return a new client of a service. Raises DeployerError, which says what was being done."""
        with translated(doing):
            client = self._session.create_client(service, region_name=self.region, config=config)
        self._made.append(client)
        return client

    @cached_property
    def _lambda(self) -> LambdaClient:
        """Return the client of Lambda."""
        client: LambdaClient = self.made("lambda", self._patient)
        return client

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """Return the client of CloudWatch: metrics and alarms."""
        client: CloudWatchClient = self.made("cloudwatch", self._patient)
        return client

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """Return the client of CloudFormation, which a rollout does not need."""
        client: CloudFormationClient = self.made("cloudformation", self._patient)
        return client

    @cached_property
    def ecr(self) -> ECRClient:
        """Return the client of the image registry."""
        client: ECRClient = self.made("ecr", self._patient)
        return client

    @cached_property
    def sts(self) -> STSClient:
        """Return the client that says who we are."""
        client: STSClient = self.made("sts", self._patient)
        return client

    @cached_property
    def codedeploy(self) -> CodeDeployClient:
        """Return the client of the codedeploy driver, which most environments never need."""
        client: CodeDeployClient = self.made("codedeploy", self._patient)
        return client

    @cached_property
    def sns(self) -> Any:
        """Return the client that announces transitions; it does not try for long."""
        return self.made("sns", ClientConfig(connect_timeout=2, read_timeout=3))

    def client(self, service: str) -> Any:
        """Return a client of any service, for calls that the repository's owner wrote down."""
        # A local AWS has one host name for all buckets.
        style: Any = {"addressing_style": "path" if "AWS_ENDPOINT_URL" in os.environ else "auto"}
        config = self._patient.merge(ClientConfig(s3=style))
        return self.made(service, config, f"making a client of `{service}`")
