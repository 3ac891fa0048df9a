"""A fake of an AWS account as `deployer bootstrap` meets it: stacks by change sets, and OIDC providers."""

# ruff: noqa: N803 - the arguments are AWS's own names

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

PROVIDER = "oidc-provider/token.actions.githubusercontent.com"


def refused(operation: str, code: str, message: str) -> ClientError:
    """Return the error AWS answers with."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class FakeStack:
    """A stack as it is: what it was made from."""

    template: dict[str, Any]
    parameters: dict[str, str]
    status: str = "CREATE_COMPLETE"


def _names(template: dict[str, Any]) -> list[str]:
    """Return what CloudFormation takes over by: kept repositories whose name is no reference."""
    return [
        about["Properties"]["RepositoryName"]
        for about in template["Resources"].values()
        if about["Type"] == "AWS::ECR::Repository"
        and about.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
        and isinstance(about["Properties"]["RepositoryName"], str)
    ]


@dataclass
class FakeAccount:
    """One account; `executed` are the stacks that were changed, in order, `asked` the change sets made.

    `repositories` are in it without a stack; `taken_over` are those that a change set imports. `refuses` says which
    call is refused for a stack, by both names, and why.
    """

    account: str = "111111111111"
    region: str = "eu-west-1"
    stacks: dict[str, FakeStack] = field(default_factory=dict)
    providers: dict[str, list[str]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    pending: dict[str, FakeStack] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)
    iam_is_denied: bool = False
    repositories: tuple[str, ...] = ()
    taken_over: list[str] = field(default_factory=list)
    refuses: dict[tuple[str, str], str] = field(default_factory=dict)

    def _refuse(self, operation: str, stack: str) -> None:
        if (operation, stack) in self.refuses:
            raise refused(operation, "ValidationError", self.refuses[operation, stack])

    @property
    def provider_arn(self) -> str:
        """Return the ARN of the account's provider, if it has one."""
        return f"arn:aws:iam::{self.account}:{PROVIDER}"

    @property
    def cloudformation(self) -> FakeAccount:
        """Return the account as CloudFormation's client."""
        return self

    def client(self, service: str) -> FakeAccount:
        """Return the account as a client of IAM."""
        assert service == "iam"
        return self

    def identity(self) -> str:
        """Return who asks."""
        return f"arn:aws:iam::{self.account}:user/admin"

    def given_provider(self, audience: str = "sts.amazonaws.com") -> FakeAccount:
        """Let the account have a provider that somebody else made."""
        self.providers[self.provider_arn] = [audience]
        return self

    def list_open_id_connect_providers(self) -> Any:
        """List the providers."""
        if self.iam_is_denied:
            raise refused("ListOpenIDConnectProviders", "AccessDenied", "not authorized")
        others = [f"arn:aws:iam::{self.account}:oidc-provider/example.org"]
        return {"OpenIDConnectProviderList": [{"Arn": arn} for arn in (*others, *self.providers)]}

    def get_open_id_connect_provider(self, *, OpenIDConnectProviderArn: str) -> Any:
        """Return a provider's audiences."""
        return {"ClientIDList": self.providers[OpenIDConnectProviderArn]}

    def describe_stacks(self, *, StackName: str) -> Any:
        """Return a stack with its outputs."""
        name = StackName.partition("#")[0]
        self._refuse("DescribeStacks", name)
        if name not in self.stacks:
            raise refused("DescribeStacks", "ValidationError", f"Stack with id {name} does not exist")
        stack = self.stacks[name]
        return {
            "Stacks": [
                {
                    "StackName": name,
                    "StackStatus": stack.status,
                    "Parameters": _pairs(stack.parameters, "Parameter"),
                    "Outputs": _pairs(self._outputs(stack), "Output"),
                }
            ]
        }

    def get_template(self, *, StackName: str, TemplateStage: str) -> Any:
        """Return what a stack was made from."""
        assert TemplateStage == "Original"
        return {"TemplateBody": self.stacks[StackName].template}

    def create_change_set(self, *, StackName: str, TemplateBody: str, Parameters: Any, **about: Any) -> Any:
        """Note what is proposed."""
        self._refuse("CreateChangeSet", StackName)
        assert (about["ChangeSetType"] == "UPDATE") == (StackName in self.stacks)
        values = {one["ParameterKey"]: one["ParameterValue"] for one in Parameters}
        template = json.loads(TemplateBody)
        assert set(values) == set(template["Parameters"])
        if about.get("ImportExistingResources"):
            self.taken_over = [name for name in _names(template) if name in self.repositories]
        self.pending[StackName] = FakeStack(template, values)
        return {"Id": StackName, "StackId": f"{StackName}#1"}

    def describe_change_set(self, *, ChangeSetName: str, StackName: str) -> Any:
        """Return what would change."""
        new, old = self.pending[StackName], self.stacks.get(StackName)
        if old is not None and (new.template, new.parameters) == (old.template, old.parameters):
            return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        action = "Modify" if old else "Add"
        changes = [
            {"ResourceChange": {"Action": action, "LogicalResourceId": name, "ResourceType": about["Type"]}}
            for name, about in new.template["Resources"].items()
        ]
        return {"Status": "CREATE_COMPLETE", "Changes": changes}

    def delete_change_set(self, *, ChangeSetName: str, StackName: str) -> None:
        """Forget what was proposed."""
        del self.pending[StackName]

    def execute_change_set(self, *, ChangeSetName: str, StackName: str) -> None:
        """Change the stack, or fail as the test wants it."""
        stack = self.pending.pop(StackName)
        if StackName in self.fails:
            stack.status = "ROLLBACK_COMPLETE" if StackName in self.stacks else "DELETE_COMPLETE"
            self.stacks[StackName] = stack
            return
        self.executed.append(StackName)
        stack.status = "UPDATE_COMPLETE" if StackName in self.stacks else "CREATE_COMPLETE"
        given = stack.parameters["ExistingOidcProviderArn"]
        if given and given not in self.providers:
            raise AssertionError(f"{StackName} trusts a provider that does not exist")
        owned_before = (
            StackName in self.stacks and not self.stacks[StackName].parameters["ExistingOidcProviderArn"]
        )
        if not given and not owned_before:
            assert self.provider_arn not in self.providers, "an account has one provider"
            self.providers[self.provider_arn] = ["sts.amazonaws.com"]
        self.stacks[StackName] = stack

    def get_paginator(self, operation: str) -> FakeAccount:
        """Return what lists the events."""
        assert operation == "describe_stack_events"
        return self

    def paginate(self, *, StackName: str) -> Any:
        """Return why a stack failed, on one page."""
        reason = self.fails.get(StackName.partition("#")[0], "")
        event = {
            "LogicalResourceId": "Role",
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": reason,
            "ResourceType": "AWS::IAM::Role",
        }
        return [{"StackEvents": [event]}]

    def owners(self) -> list[str]:
        """Return the stacks that hold a provider."""
        return [
            name for name, stack in self.stacks.items() if not stack.parameters["ExistingOidcProviderArn"]
        ]

    def _outputs(self, stack: FakeStack) -> dict[str, str]:
        found = {}
        for name, output in stack.template["Outputs"].items():
            if output.get("Condition") == "IsStaging" and stack.parameters.get("Environment") != "staging":
                continue
            match output["Value"]:
                case {"Fn::GetAtt": [str(resource), "Arn"]}:
                    named = stack.template["Resources"][resource]["Properties"]["RoleName"]["Fn::Sub"]
                    for key, value in {**stack.parameters, "AWS::Region": self.region}.items():
                        named = named.replace(f"${{{key}}}", value)
                    found[name] = f"arn:aws:iam::{self.account}:role/{named}"
                case _:
                    found[name] = f"{name} of {self.account}"
        return found


def _pairs(values: dict[str, str], kind: str) -> list[dict[str, str]]:
    return [{f"{kind}Key": key, f"{kind}Value": value} for key, value in values.items()]
