"""What the owner's settings and rights add to the templates of an environment. Pure: data in, data out.

The service stack gets the function's variables and rights. The bootstrap stack gets the same rights for
the boundary above the function, and those of the roles of stack, smoke tests and releases.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deployer.config import Config
from deployer.errors import DeployerError, Exit
from deployer.release import plan as plans
from deployer.release.permissions import Permissions
from deployer.release.template import Template
from deployer.validation import refused

SERVICE, BOOTSTRAP, REGISTRY = "infra/service.yaml", "infra/bootstrap.yaml", "infra/registry.yaml"
# All variables together, names and values.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_VARIABLES_BYTES = 4096


def service(template: Template, permissions: Permissions, variables: Mapping[str, str]) -> Template:
    """Return the service template with the function's literal variables and its rights.

    Raises DeployerError (exit 2) when the template sets one of the variables already, or they are too long.
    """
    merged = copy.deepcopy(template)
    function = _properties(merged, "Function", SERVICE)
    environment = _mapping(function.setdefault("Environment", {}), "Function.Properties.Environment")
    found = _mapping(environment.setdefault("Variables", {}), "Function.Properties.Environment.Variables")
    problems = [f"{name}: {SERVICE} sets it already" for name in variables if name in found]
    if problems:
        raise DeployerError(
            "a variable of the function is set twice",
            found="\n".join(problems),
            hint=f"remove it from deploy.toml's [function.variables] or from {SERVICE}",
            exit_code=Exit.USAGE,
        )
    found.update(variables)
    _check_size(found)
    rights = [statement.rendered() for statement in permissions.function]
    _extend(merged, "FunctionRole", rights, file=SERVICE)
    return merged


def bootstrap(template: Template, permissions: Permissions) -> Template:
    """Return the bootstrap template with the owner's rights in boundary, stack role, and those that try it.

    Below the boundary a right ends at the account, unless its statement says where else it reaches.
    Raises DeployerError (exit 2) when one of these is not in the template.
    """
    merged = copy.deepcopy(template)
    function = "${FunctionName}-${Environment}"
    ceiling = [_within_the_account(statement.rendered(function)) for statement in permissions.function]
    for holder, statements in (
        ("Boundary", ceiling),
        ("StackRole", [statement.rendered(function) for statement in permissions.stack]),
        ("DeployRole", [statement.rendered(function) for statement in permissions.smoke]),
        ("SmokeRole", [statement.rendered(function) for statement in permissions.smoke]),
    ):
        _extend(merged, holder, statements, file=BOOTSTRAP)
    return merged


def registry(template: Template, config: Config) -> Template:
    """Return the registry's template with the repository's name in it, where the template refers to it.

    CloudFormation takes a kept repository over only when its name stands in the template itself.
    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
    """
    merged = copy.deepcopy(template)
    repository = _properties(merged, "Repository", REGISTRY)
    if repository.get("RepositoryName") == {"Ref": "FunctionName"}:
        repository["RepositoryName"] = config.function.name
    return merged


def _within_the_account(statement: dict[str, Any]) -> dict[str, Any]:
    """Return what a statement allows in the stack's own account; one that names an account is left as it is.

    IfExists: some actions have no resource whose account could be compared.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceaccount
    """
    condition = statement.get("Condition", {})
    keys = {key.lower() for operator in condition.values() for key in operator}
    if statement["Effect"] != "Allow" or "aws:resourceaccount" in keys:
        return statement
    ours = {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}
    both = {**condition.get("StringEqualsIfExists", {}), **ours}
    return {**statement, "Condition": {**condition, "StringEqualsIfExists": both}}


def parameters(template: Template, config: Config, environment: str) -> dict[str, str]:
    """Return the values of the template's parameters, but for those filled from what is live.

    A parameter of the owner that `deploy.toml` leaves out gets its default, so that a line that is removed
    there is a change like any other.
    Raises DeployerError (exit 2) when a parameter is unknown, is the deployer's, or has no value.
    """
    declared = _mapping(template.get("Parameters", {}), "Parameters")
    for name, about in declared.items():
        _mapping(about, f"Parameters.{name}")
    ours = plans.parameters(config, environment)
    if "Trigger" not in declared and config.function.trigger == "none":
        del ours["Trigger"]  # a function that is only called need not keep the parameter
    given = config.own_parameters(environment)
    owners = [name for name in declared if name not in {*ours, *plans.LIVE_PARAMETERS}]
    known = f"expected one of {', '.join(f'`{name}`' for name in owners)}" if owners else "expected none"
    problems = [
        f"parameters.{name}: "
        + ("the deployer fills it itself" if name in declared else f"{SERVICE} has no such parameter")
        + f", {known}"
        for name in given
        if name not in owners
    ]
    problems += [
        f"parameters.{name}: missing, and {SERVICE} has no Default for it"
        for name in owners
        if name not in given and "Default" not in declared[name]
    ]
    problems += [
        f"{SERVICE} has no parameter `{name}`, which the deployer fills"
        for name in ours
        if name not in declared
    ]
    if problems:
        raise DeployerError(
            f"the parameters of `{SERVICE}` and deploy.toml do not fit together",
            found="\n".join(problems),
            hint=f"correct deploy.toml's [parameters], or Parameters in {SERVICE}",
            exit_code=Exit.USAGE,
        )
    defaults = {name: _text(declared[name]["Default"]) for name in owners if name not in given}
    return {**ours, **defaults, **given}


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a part of the service template that has to be a mapping. Raises DeployerError (exit 2)."""
    if not isinstance(value, dict):
        raise refused(SERVICE, [f"{where}: found `{value}`, expected keys with their values"])
    return value


def _text(default: Any) -> str:
    """Return a parameter's default as CloudFormation gives it back."""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _check_size(variables: Mapping[str, Any]) -> None:
    """Refuse more than Lambda takes; of a value that comes from a resource only the name counts here."""
    size = sum(
        len(name.encode()) + (len(value.encode()) if isinstance(value, str) else 0)
        for name, value in variables.items()
    )
    if size > MAX_VARIABLES_BYTES:
        raise DeployerError(
            "the function's variables are too long for Lambda",
            found=f"found {size} bytes of names and values, expected at most {MAX_VARIABLES_BYTES}",
            hint="keep large values in a file of app/, or in a parameter store",
            exit_code=Exit.USAGE,
        )


def _properties(template: Template, resource: str, file: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = template["Resources"][resource]["Properties"]
    except (KeyError, TypeError) as error:
        raise DeployerError(
            f"`{file}` has no resource `{resource}`",
            found="expected it with its Properties, because the deployer adds to it",
            hint=f"keep `{resource}` in {file}",
            exit_code=Exit.USAGE,
        ) from error
    return found


def _extend(template: Template, holder: str, statements: list[dict[str, Any]], *, file: str) -> None:
    """Add statements to the one policy of a role, or to a managed policy."""
    properties = _properties(template, holder, file)
    try:
        policy = properties if "PolicyDocument" in properties else properties["Policies"][0]
        policy["PolicyDocument"]["Statement"] += statements
    except (KeyError, IndexError, TypeError) as error:
        raise DeployerError(
            f"`{file}` has no policy in `{holder}`",
            found="expected a PolicyDocument with a list of statements, because the deployer adds to it",
            hint=f"keep the policy of `{holder}` in {file}",
            exit_code=Exit.USAGE,
        ) from error
