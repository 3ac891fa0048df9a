"""What each role should be allowed, as questions for IAM's policy simulator. Pure.

The simulator reads the policies as they are deployed, and those of the organisation, and carries nothing out.
Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.release.template import Template

_NAME = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Question:
    """Whether a role may carry out these actions on these resources, under these conditions (key, value)."""

    role: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of SimulatePrincipalPolicy."""
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in self.context
        ]
        return {
            "PolicySourceArn": self.role,
            "ActionNames": list(self.actions),
            "ResourceArns": list(self.resources),
            "ContextEntries": entries,
        }


def questions(template: Template, values: Mapping[str, str]) -> Iterator[Question]:
    """Yield a question for every grant of every role; `values` are the parameters and AWS's own names.

    `AWS::Region` and so on are among the values. A pattern is asked about one thing that it covers.
    """
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::IAM::Role" or not _is_made(resource, values):
            continue
        role = _arn(resource, values)
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield _question(template, role, statement, values)


def _is_made(resource: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    return resource.get("Condition") != "IsStaging" or values.get("Environment") == "staging"


def _question(
    template: Template, role: str, statement: Mapping[str, Any], values: Mapping[str, str]
) -> Question:
    wheres = [_resolved(one, template, values) for one in _list(statement["Resource"])]
    return Question(
        role,
        tuple(_list(statement["Action"])),
        tuple(where if where == "*" else where.replace("*", "1") for where in wheres),
        tuple(
            (key, _resolved(_list(value)[0], template, values))
            for operator in statement.get("Condition", {}).values()
            for key, value in operator.items()
        ),
    )


def _resolved(value: Any, template: Template, values: Mapping[str, str]) -> str:
    match value:
        case {"Fn::Sub": str(text)}:
            return _NAME.sub(lambda found: values[found[1]], text)
        case {"Ref": str(name)}:
            return values[name] if name in values else _arn(template["Resources"][name], values)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return _arn(template["Resources"][name], values)
    return str(value)


def _arn(resource: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Return the ARN that a resource has, by its type and name."""
    properties, partition = resource["Properties"], values["AWS::Partition"]
    account, region = values["AWS::AccountId"], values["AWS::Region"]
    match resource["Type"]:
        case "AWS::IAM::Role":
            return f"arn:{partition}:iam::{account}:role/{_resolved(properties['RoleName'], {}, values)}"
        case "AWS::IAM::ManagedPolicy":
            named = _resolved(properties["ManagedPolicyName"], {}, values)
            return f"arn:{partition}:iam::{account}:policy/{named}"
    named = _resolved(properties["RepositoryName"], {}, values)
    return f"arn:{partition}:ecr:{region}:{account}:repository/{named}"


def denied(answer: Mapping[str, Any], question: Question) -> list[str]:
    """Return what IAM would deny of a question, one `ACTION on RESOURCE` each."""
    found = []
    for result in answer["EvaluationResults"]:
        action, about = result["EvalActionName"], result.get("ResourceSpecificResults") or []
        if about:
            found += [
                f"{action} on {one['EvalResourceName']}"
                for one in about
                if one["EvalResourceDecision"] != "allowed"
            ]
        elif result["EvalDecision"] != "allowed":
            found.append(f"{action} on {result.get('EvalResourceName', question.resources[0])}")
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
