"""What is wanted against what is live -> the actions that close the gap. Pure.

An empty plan means there is no drift. The stack's three live parameters (image, alias version, alias
description) are never compared: the deployer changes what they speak of, not the stack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.aws import stack_states
from deployer.aws.observed import FunctionState, Observed, StackState
from deployer.config import Config

# Filled by `live_parameters`, never compared.
LIVE_PARAMETERS = ("ImageUri", "LiveVersion", "LiveDescription")


@dataclass(frozen=True)
class Desired:
    """What the repository asks for. `image_uri` is `REPOSITORY@sha256:…`, or None to keep the live one."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    image_uri: str | None = None

    @property
    def image_digest(self) -> str | None:
        """Return `sha256:…` of the wanted image."""
        return self.image_uri.partition("@")[2] if self.image_uri else None


@dataclass(frozen=True)
class CreateStack:
    """The environment does not exist: function, first version, alias, trigger and alarms are created."""

    name: str


@dataclass(frozen=True)
class UpdateStack:
    """The stack's template or parameters changed; one line each."""

    name: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class RepairFunction:
    """Somebody changed the function itself; the stack's parameters still say what is wanted."""

    changes: tuple[str, ...]


@dataclass(frozen=True)
class UpdateCode:
    """`$LATEST` runs another image than the wanted one."""

    found: str
    wanted: str


@dataclass(frozen=True)
class ReleaseVersion:
    """A version is published and the alias moved to it by the environment's steps."""

    stable: str


@dataclass(frozen=True)
class ClearWeights:
    """The alias shares its traffic although no rollout runs."""

    canary: str
    weight_pct: float


Action = CreateStack | UpdateStack | RepairFunction | UpdateCode | ReleaseVersion | ClearWeights


@dataclass(frozen=True)
class Plan:
    """The actions in the order they are taken; `blocked` says why none of them may be taken now."""

    actions: tuple[Action, ...]
    blocked: str | None = None


def parameters(config: Config, environment: str) -> dict[str, str]:
    """Return the values of those parameters of `infra/service.yaml` that every function has."""
    return {
        "FunctionName": config.function_name(environment),
        "Architecture": config.function.architecture,
        "MemoryMb": str(config.function.memory_mb),
        "TimeoutS": str(config.function.timeout_s),
        "ReservedConcurrency": str(config.function.reserved_concurrency),
        "LogRetentionDays": str(config.function.log_retention_days),
        "Trigger": config.function.trigger,
        "Driver": config.environment(environment).driver,
    }


def live_parameters(observed: Observed, image_uri: str, *, is_alias_touched: bool = False) -> dict[str, str]:
    """Return the parameters that keep a stack update from moving traffic.

    The alias's are those of the stack's last update: what has not changed CloudFormation does not write, not
    even when it rolls an update back, and its UpdateAlias knows no RevisionId. Only where the template itself
    changes the alias (`is_alias_touched`) are they what is live. The image is the live version's; `image_uri`
    is used on the very first deployment only.
    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks.html
    """
    if observed.alias is None or observed.stack is None:
        return {"ImageUri": image_uri, "LiveVersion": "", "LiveDescription": ""}
    before, alias = observed.stack.parameters, observed.alias
    kept = {name: before.get(name, "") for name in ("LiveVersion", "LiveDescription")}
    live = {"LiveVersion": alias.routing.stable, "LiveDescription": alias.description}
    return {"ImageUri": observed.live_image_uri or image_uri, **(live if is_alias_touched else kept)}


def make(desired: Desired, observed: Observed) -> Plan:
    """Compare and return the actions; an empty tuple when everything is as wanted."""
    name = desired.parameters["FunctionName"]
    if observed.stack is None:
        return Plan((CreateStack(name),))
    if stack_states.state_in_words(observed.stack.status):
        return Plan((CreateStack(name),), _blocked(observed))
    actions: list[Action] = []
    stack_changes = _stack_changes(desired, observed.stack)
    if stack_changes:
        actions.append(UpdateStack(name, stack_changes))
    elif observed.function is not None:
        repairs = _function_changes(desired.parameters, observed.function)
        if repairs:
            actions.append(RepairFunction(repairs))
    alias = observed.alias
    rolling_out = alias is not None and alias.marker is not None and alias.marker.is_active
    if alias is not None and alias.routing.canary is not None and not rolling_out:
        actions.append(ClearWeights(alias.routing.canary, alias.routing.weight_pct))
    wanted, live = desired.image_digest, _digest(observed.live_image_uri)
    latest = observed.function.image_digest if observed.function else ""
    if wanted is not None and wanted != latest:
        actions.append(UpdateCode(found=latest or "none", wanted=wanted))
    if alias is not None and (stack_changes or (wanted is not None and wanted != live)):
        actions.append(ReleaseVersion(stable=alias.routing.stable))
    return Plan(tuple(actions), _blocked(observed) if actions else None)


def _blocked(observed: Observed) -> str | None:
    """Return why nothing may be changed now: traffic is being shifted, or the stack is being changed."""
    alias = observed.alias
    if observed.stack and (words := stack_states.state_in_words(observed.stack.status)):
        return f"the stack is {observed.stack.status}: {words}"
    if alias is not None and alias.routing.canary is not None:
        return f"the alias sends {alias.routing.weight_pct} % to version {alias.routing.canary}"
    if alias is not None and alias.marker is not None and alias.marker.is_active:
        return "a rollout is watched at all traffic"
    if observed.stack is not None and observed.stack.status.endswith("_IN_PROGRESS"):
        return f"the stack is {observed.stack.status}"
    return None


def _stack_changes(desired: Desired, stack: StackState) -> tuple[str, ...]:
    """Compare parameters and template, both as data: comments and the form of the text do not count."""
    changes = [
        f"{key}: {stack.parameters.get(key, 'unset')} -> {value}"
        for key, value in desired.parameters.items()
        if stack.parameters.get(key) != value
    ]
    if isinstance(stack.template, str):
        return (*changes, "infra changed: the stack's own template cannot be read")
    before = _variables(stack.template, stack.parameters)
    after = _variables(desired.template, desired.parameters)
    changes += [
        f"variable {name}: {before.get(name, 'unset')} -> {after.get(name, 'unset')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    found, expected = _parts(stack.template), _parts(desired.template)
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    return (*changes, f"infra changed: {', '.join(names)}") if names else tuple(changes)


def _variables(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the function's variables; one that names a parameter has that parameter's value."""
    found = template
    for key in ("Resources", "Function", "Properties", "Environment", "Variables"):
        found = found.get(key) or {}
    return {name: _value(value, parameters) for name, value in found.items()}


def _value(value: Any, parameters: Mapping[str, str]) -> str:
    match value:
        case {"Ref": str(name)} if name in parameters:
            return parameters[name]
        case str():
            return value
    return json.dumps(value)


def _parts(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return resources and sections by name, without variables and what is no change by itself.

    For another description, or other limits of a parameter, CloudFormation finds nothing to change and keeps
    the old template.
    """
    resources = dict(template.get("Resources") or {})
    if "Function" in resources:
        function = resources["Function"]
        properties = {**(function.get("Properties") or {}), "Environment": None}
        resources["Function"] = {**function, "Properties": properties}
    sections = {
        name: value for name, value in template.items() if name in ("Conditions", "Mappings", "Outputs")
    }
    return {**sections, **resources}


def _function_changes(wanted: Mapping[str, str], found: FunctionState) -> tuple[str, ...]:
    pairs = (
        ("MemoryMb", str(found.memory_mb)),
        ("TimeoutS", str(found.timeout_s)),
        ("Architecture", found.architecture),
    )
    return tuple(f"{key}: {value} -> {wanted[key]}" for key, value in pairs if wanted[key] != value)


def _digest(image_uri: str | None) -> str | None:
    return image_uri.partition("@")[2] if image_uri else None
