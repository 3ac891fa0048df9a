"""Each link a release needs, found against expected: one line, with the command that mends it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from deployer.aws.observed import StackState
from deployer.errors import DeployerError


class Mark(Enum):
    """What a line says."""

    OK = "ok  "  # as expected
    FAIL = "FAIL"  # not as expected; the hint mends it
    UNSEEN = "?   "  # whoever asks may not look, or there is nothing to look at yet


@dataclass(frozen=True)
class Line:
    """One link: its name, what was found, what was expected where that differs, and the next command."""

    name: str
    found: str
    mark: Mark = Mark.OK
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        more = [f"     expected {self.expected}"] if self.expected else []
        more += [f"     hint: {self.hint}"] if self.hint else []
        return "\n".join([f"{self.mark.value} {self.name:<12} {self.found}", *more])


def red(name: str, found: str, expected: str, hint: str) -> Line:
    """Return the line of a link that does not hold."""
    return Line(name, found, Mark.FAIL, expected, hint)


def failed(name: str, error: DeployerError, hint: str = "try again") -> Line:
    """Return the line of a link that could not be read, with the error's own next command."""
    told = ": ".join(filter(None, (error.what, (error.found or "").replace("\n", "; "))))
    named = error.hint if error.hint and error.hint != "deployer doctor" else hint
    return Line(name, told, Mark.FAIL, hint=named)


def account(found: str, expected: str | None, environment: str) -> Line:
    """Compare the account of the credentials with the one that `deploy.toml` names for the environment."""
    if expected is None or found == expected:
        return Line("account", found)
    hint = "sign in to that account: AWS_PROFILE, aws sso login"
    return red("account", found, f"{expected}, the account of {environment} in deploy.toml", hint)


def roles_stack(name: str, state: StackState | None, option: str) -> Line:
    """Tell whether a stack of `deployer bootstrap` is there and whole."""
    hint = f"deployer bootstrap {option}"
    if state is None:
        return red("bootstrap", f"no stack {name}", "the stack that `deployer bootstrap` makes", hint)
    if not state.status.endswith(
        ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "CLEANUP_IN_PROGRESS")
    ):
        return red("bootstrap", f"stack {name} is {state.status}", "a stack that was made", hint)
    return Line("bootstrap", f"stack {name} is {state.status}")


def subject(stack: str, parameters: Mapping[str, str], claim: str, repository_id: str) -> Line:
    """Compare whom the roles trust with how GitHub's tokens name this repository."""
    found = (parameters.get("GitHubSubject", ""), parameters.get("GitHubRepositoryId", ""))
    if found == (claim, repository_id):
        return Line("subject", f"{stack} trusts {claim}")
    hint = "deployer bootstrap; a renamed repository has another subject: docs/runbook.md"
    return red("subject", f"{stack} trusts {found[0]}, id {found[1]}", f"{claim}, id {repository_id}", hint)


def rights(role: str, missing: Sequence[str], total: int) -> Line:
    """Say which rights of its template a role does not have; organisation policies may take them as well."""
    if not missing:
        return Line("rights", f"{role} has its {total} rights")
    told = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    hint = "deployer bootstrap; if they stay missing, a policy of the organisation denies them"
    return red("rights", f"{role} lacks {told}", "what infra/ grants it", hint)


def repository_policy(policy: str | None, function_arn: str) -> Line:
    """Tell whether Lambda may pull this function's images."""
    for statement in _statements(policy):
        sources = _list(statement.get("Condition", {}).get("ArnLike", {}).get("aws:sourceArn", []))
        is_lambda = statement.get("Principal") == {"Service": "lambda.amazonaws.com"}
        pulls = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"} <= set(_list(statement.get("Action", [])))
        if statement.get("Effect") == "Allow" and is_lambda and pulls and function_arn in sources:
            return Line("repository", "lets Lambda pull for this function")
    found = "no policy" if policy is None else "no statement that lets Lambda pull for this function"
    return red(
        "repository", found, f"lambda.amazonaws.com for {function_arn}", "deployer bootstrap --registry"
    )


def trigger(logical: str, sid: str, policy: str | None) -> Line:
    """Tell whether what the stack lets invoke the function is in the policy of the alias, or of the guard."""
    if sid in {str(statement.get("Sid")) for statement in _statements(policy)}:
        return Line("trigger", f"{logical} may invoke it")
    hint = f"take {logical} out of infra/service.yaml, deployer apply, put it back, deployer apply"
    return red("trigger", f"{logical} is not in the policy of what it invokes", f"the statement {sid}", hint)


def mapping(logical: str, found: Mapping[str, Any], alias_arn: str) -> Line:
    """Tell whether an event source feeds the alias, and is switched on."""
    where, state = str(found.get("FunctionArn")), str(found.get("State"))
    if where != alias_arn:
        hint = "name the alias in infra/service.yaml: FunctionName: !Ref LiveAlias, then deployer apply"
        return red("trigger", f"{logical} feeds {where}", alias_arn, hint)
    if state not in ("Enabled", "Creating", "Enabling", "Updating"):
        hint = f"aws lambda update-event-source-mapping --uuid {found.get('UUID')} --enabled"
        return red(
            "trigger", f"{logical} is {state}: {found.get('StateTransitionReason', '')}", "Enabled", hint
        )
    return Line("trigger", f"{logical} feeds the alias")


def alarm(name: str, found: Mapping[str, Any] | None, *, is_ours: bool) -> Line:
    """Tell whether an alarm that a rollout watches is there, and acts where it has actions."""
    if found is None:
        hint = "deployer apply" if is_ours else "correct `alarms` in deploy.toml"
        return red("alarm", f"no alarm {name}", "the alarm that a rollout watches", hint)
    state = found.get("StateValue", "INSUFFICIENT_DATA")
    actions = [*found.get("AlarmActions", []), *found.get("OKActions", [])]
    if actions and not found.get("ActionsEnabled", True):
        hint = f"aws cloudwatch enable-alarm-actions --alarm-names {name}"
        return red(
            "alarm", f"{name} has actions, which are switched off", "actions that are carried out", hint
        )
    told = f", tells {len(actions)}" if actions else ", tells nobody"
    return Line("alarm", f"{name} is {state}{told}")


def mute(alarm_name: str, arns: Sequence[str]) -> Line | None:
    """Say which rules keep an alarm silent; None where there is none."""
    if not arns:
        return None
    rule = arns[0].rpartition(":")[2]
    hint = f"aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name {rule}, or wait until it ends"
    return red("alarm", f"{alarm_name} is muted by {', '.join(arns)}", "an alarm that is heard", hint)


def listener(topic: str, endpoints: Sequence[str], guard_arn: str) -> Line:
    """Tell whether the guard hears of the rollout topic."""
    if guard_arn in endpoints:
        return Line("guard", "listens to the rollout topic")
    hint = f"aws sns subscribe --topic-arn {topic} --protocol lambda --notification-endpoint {guard_arn}"
    return red("guard", f"{', '.join(endpoints) or 'nobody'} listens to {topic}", guard_arn, hint)


def may(what: str, policy: str | None, service: str, hint: str) -> Line:
    """Tell whether a resource policy lets a service in; `hint` is the command that lets it in again."""
    for statement in _statements(policy):
        principal = statement.get("Principal", {})
        services = _list(principal.get("Service", [])) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow" and service in services:
            return Line("guard", f"{service} may reach {what}")
    return red("guard", f"{service} may not reach {what}", f"a statement for {service} in its policy", hint)


def database(age_h: float | None, limit_h: int) -> Line:
    """Tell whether the scanner's database is young enough; the next scan downloads one that is missing."""
    if age_h is None:
        return Line("trivy", "no database yet; `deployer scan` downloads it", Mark.UNSEEN)
    if age_h > limit_h:
        return red("trivy", f"the database is {age_h:.0f} h old", f"at most {limit_h} h", "deployer scan")
    return Line("trivy", f"the database is {age_h:.0f} h old")


def _statements(policy: str | None) -> list[dict[str, Any]]:
    try:
        return list(_list(json.loads(policy or "{}").get("Statement", [])))
    except (ValueError, AttributeError):
        return []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
