"""An account in which every link holds, for tests that break one of them."""

# ruff: noqa: N803 - the arguments are AWS's own names

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployer.aws.errors import NotFound
from deployer.config import parse
from deployer.release import bootstrap, sources
from engine.cli.accounts import FakeAccount, FakeStack

FUNCTION = "resizer-production"
REGION, ACCOUNT = "eu-west-1", "111111111111"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{FUNCTION}-rollouts"
OUTPUTS = {"AlarmNames": f"{FUNCTION}-errors,{FUNCTION}-throttles", "RolloutTopicArn": TOPIC}


def letting(service: str, sid: str = "s") -> str:
    """Return a resource policy with one statement for a service."""
    statement = {"Sid": sid, "Effect": "Allow", "Principal": {"Service": service}, "Action": "x"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Whole(FakeAccount):
    """A deployed environment with all that belongs to it.

    `denies` are the actions that IAM would deny, `leaves_out` the outputs that the stack does not have.
    """

    def __init__(self, root: Path, settings: str) -> None:
        super().__init__(ACCOUNT, REGION)
        self.function_name = FUNCTION
        self.denies: set[str] = set()
        self.forbidden: set[str] = set()
        self.missing: set[str] = set()
        self.leaves_out: set[str] = set()
        self.resources = [
            {
                "LogicalResourceId": "SourcePermission",
                "ResourceType": "AWS::Lambda::Permission",
                "PhysicalResourceId": "sid-1",
            },
            {
                "LogicalResourceId": "GuardPermission",
                "ResourceType": "AWS::Lambda::Permission",
                "PhysicalResourceId": "sid-2",
            },
            {
                "LogicalResourceId": "Queue",
                "ResourceType": "AWS::Lambda::EventSourceMapping",
                "PhysicalResourceId": "uuid-1",
            },
        ]
        self.mapping = {"UUID": "uuid-1", "FunctionArn": f"{ARN}:live", "State": "Enabled"}
        self.policies: dict[str, str | None] = {
            f"{FUNCTION}:live": letting("s3.amazonaws.com", "sid-1"),
            f"{FUNCTION}-guard": letting("sns.amazonaws.com"),
            "topic": letting("cloudwatch.amazonaws.com"),
            "repository": json.dumps(
                {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                            "Condition": {"ArnLike": {"aws:sourceArn": [ARN, f"{ARN}:*"]}},
                        }
                    ]
                }
            ),
        }
        self.watched: dict[str, dict[str, Any]] = {
            name: {"AlarmName": name, "StateValue": "OK", "AlarmActions": [], "ActionsEnabled": True}
            for name in OUTPUTS["AlarmNames"].split(",")
        }
        self.mutes: dict[str, list[str]] = {}
        self.listeners = [f"{ARN}-guard"]
        config = parse(settings)
        about = {"GitHubSubject": "repo:acme@7/resizer@42", "GitHubRepositoryId": "42"}
        for part in bootstrap.parts(config, ACCOUNT):
            values = bootstrap.parameters(config, part, ACCOUNT, about, self.provider_arn)
            template = sources.bootstrap(root) if part.environment else sources.registry(root, config)
            self.stacks[part.stack_name(config)] = FakeStack(template, values)
        self.stacks[FUNCTION] = FakeStack({"Outputs": {}}, {})

    @property
    def ecr(self) -> Whole:
        """Return the account as any client."""
        return self

    cloudwatch = sns = ecr

    def client(self, service: str) -> Whole:
        """Return the account as a client of any service."""
        return self

    def _allowed(self, action: str) -> None:
        if action in self.forbidden:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, action)

    def alias(self) -> Any:
        """Return where the alias points."""
        if "alias" in self.missing:
            raise NotFound("reading alias `live`: not found", hint="deployer apply")

        class Alias:
            class routing:  # noqa: N801 - a stand-in of two attributes
                stable = "42"

        return Alias

    def describe_stacks(self, *, StackName: str) -> Any:
        """Return a stack; the environment's has its outputs."""
        self._allowed("cloudformation:DescribeStacks")
        answer = super().describe_stacks(StackName=StackName)
        if StackName == FUNCTION:
            outputs = {key: value for key, value in OUTPUTS.items() if key not in self.leaves_out}
            answer["Stacks"][0]["Outputs"] = [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()]
        return answer

    def simulate_principal_policy(self, **asked: Any) -> Any:
        """Answer the simulator's questions."""
        self._allowed("iam:SimulatePrincipalPolicy")
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": asked["ResourceArns"][0],
                    "EvalDecision": "implicitDeny" if action in self.denies else "allowed",
                }
                for action in asked["ActionNames"]
            ]
        }

    def get_repository_policy(self, *, repositoryName: str) -> Any:
        """Return the repository's policy."""
        return {"policyText": self.policies["repository"]}

    def describe_stack_resources(self, *, StackName: str) -> Any:
        """Return what the stack made."""
        return {"StackResources": self.resources}

    def get_policy(self, *, FunctionName: str, Qualifier: str = "") -> Any:
        """Return who may invoke a function or an alias."""
        policy = self.policies[":".join(filter(None, (FunctionName, Qualifier)))]
        if policy is None:
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "no policy"}}, "GetPolicy"
            )
        return {"Policy": policy}

    def get_event_source_mapping(self, *, UUID: str) -> Any:
        """Return what feeds the function."""
        return self.mapping

    def describe_alarms(self, *, AlarmNames: list[str], AlarmTypes: list[str]) -> Any:
        """Return those alarms that exist."""
        return {"MetricAlarms": [self.watched[name] for name in AlarmNames if name in self.watched]}

    def list_alarm_mute_rules(self, *, AlarmName: str, Statuses: list[str]) -> Any:
        """Return what keeps an alarm silent."""
        self._allowed("cloudwatch:ListAlarmMuteRules")
        rules = self.mutes.get(AlarmName, [])
        return {"AlarmMuteRuleSummaries": [{"AlarmMuteRuleArn": arn} for arn in rules]}

    def list_subscriptions_by_topic(self, *, TopicArn: str) -> Any:
        """Return who listens."""
        return {"Subscriptions": [{"Endpoint": end} for end in self.listeners]}

    def get_topic_attributes(self, *, TopicArn: str) -> Any:
        """Return the topic's policy."""
        return {"Attributes": {"Policy": self.policies["topic"]}}
