"""What `deployer bootstrap` makes where: its parts, their parameters, and what GitHub is told after. Pure.

A part is one stack: the registry once, and the roles of each environment. All of them may be in one account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployer.aws.observed import StackState
from deployer.config import Config
from deployer.errors import DeployerError, Exit

ENVIRONMENTS = ("staging", "production")
PROVIDER = "oidc-provider/token.actions.githubusercontent.com"
# Where each output of a stack goes on GitHub: a variable's name, and the environment it is set in.
_REGISTRY = {"PruneRoleArn": ("AWS_PRUNE_ROLE_ARN", "prune"), "PushRoleArn": ("AWS_PUSH_ROLE_ARN", "")}
_ENVIRONMENT = {
    "DeployRoleArn": ("AWS_DEPLOY_ROLE_ARN", "{}"),
    "StackRoleArn": ("AWS_STACK_ROLE_ARN", "{}"),
    "SmokeRoleArn": ("AWS_SMOKE_ROLE_ARN", "{}"),
    "PlanRoleArn": ("AWS_PLAN_ROLE_ARN", "{}-plan"),
    "RollbackRoleArn": ("AWS_ROLLBACK_ROLE_ARN", "{}-rollback"),
    "GamedayRoleArn": ("AWS_GAMEDAY_ROLE_ARN", "{}-gameday"),
}
_PRUNE = {"staging": "AWS_STAGING_PRUNE_ROLE_ARN", "production": "AWS_PRODUCTION_PRUNE_ROLE_ARN"}


@dataclass(frozen=True)
class Holder:
    """The account that the credentials belong to."""

    partition: str
    account: str

    @property
    def provider_arn(self) -> str:
        """Return the ARN that the account's one provider for GitHub has, whether or not it exists."""
        return f"arn:{self.partition}:iam::{self.account}:{PROVIDER}"


@dataclass(frozen=True)
class Part:
    """One stack of `deployer bootstrap`; `environment` is empty for the registry."""

    environment: str
    account: str

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.environment or "registry"

    @property
    def option(self) -> str:
        """Return the option of `deployer bootstrap` that means this part alone."""
        return f"--env {self.environment}" if self.environment else "--registry"

    def stack_name(self, config: Config) -> str:
        """Return the name of its stack."""
        name = config.function.name
        return f"{name}-{self.environment}-bootstrap" if self.environment else f"{name}-registry"


@dataclass(frozen=True)
class Variable:
    """A variable of GitHub Actions; `environment` is empty where all jobs of the repository read it."""

    name: str
    value: str
    environment: str = ""


def holder(identity: str) -> Holder:
    """Return the account of an identity's ARN."""
    _, partition, _, _, account, *_ = identity.split(":")
    return Holder(partition, account)


def parts(config: Config, account: str) -> tuple[Part, ...]:
    """Return all parts in their order; those without an account in `deploy.toml` are in `account`."""
    given = config.accounts
    return (
        Part("", given.registry or account),
        Part("staging", given.staging or account),
        Part("production", given.production or account),
    )


def chosen(config: Config, account: str, name: str | None) -> tuple[Part, ...]:
    """Return the parts to make with the credentials of `account`: all that are held there, or the one named.

    Raises DeployerError (exit 5) when that account holds none of them.
    """
    every = parts(config, account)
    wanted = [part for part in every if name in (None, part.name)]
    here = tuple(part for part in wanted if part.account == account)
    if not here:
        where = ", ".join(f"{part.name} in {part.account}" for part in wanted)
        raise DeployerError(
            "nothing was changed, because the credentials are another account's",
            found=f"found account {account}, expected {where} as in deploy.toml's [accounts]",
            hint="sign in to that account, or correct deploy.toml",
            exit_code=Exit.REFUSED,
        )
    return here


def parameters(
    config: Config, part: Part, account: str, github: Mapping[str, str], provider: str
) -> dict[str, str]:
    """Return the values of a part's parameters; without `provider` its stack makes the OIDC provider.

    `github` is what tells the repository, by parameter.
    """
    registry, staging, production = parts(config, account)
    about = {
        "FunctionName": config.function.name,
        **github,
        "ExistingOidcProviderArn": provider,
        "RegistryAccount": registry.account,
    }
    if part.environment:
        return {**about, "Environment": part.environment}
    return {**about, "StagingAccount": staging.account, "ProductionAccount": production.account}


def provider(stack: StackState | None, existing: str, *, planned: str) -> str:
    """Return the provider that a stack is given; empty where the stack makes it, or made it.

    `existing` is the account's, if it has one; `planned` the one that an earlier part is about to make. A
    stack that made the provider keeps it: to give it its own would be to drop it from the template.
    """
    if stack is not None and not stack.parameters.get("ExistingOidcProviderArn", ""):
        return ""
    return existing or planned


def expected_outputs(config: Config, part: Part, holder: Holder) -> dict[str, str]:
    """Return the outputs that a part's stack will have, by the names that all roles follow."""
    name, region = config.function.name, config.function.region
    prefix = f"arn:{holder.partition}:iam::{part.account}:role/{name}"
    if not part.environment:
        return {f"{role}RoleArn": f"{prefix}-{role.lower()}-{region}" for role in ("Push", "Prune")}
    only_staging = ("Smoke", "Gameday") if part.environment == "staging" else ()
    roles = ("Deploy", "Stack", "Plan", "Rollback", "Prune", *only_staging)
    return {f"{role}RoleArn": f"{prefix}-{part.environment}-{role.lower()}-{region}" for role in roles}


def variables(part: Part, outputs: Mapping[str, str]) -> list[Variable]:
    """Return what GitHub has to know of a part, in the order in which it is to be told.

    The push role comes last: a release waits for it, and it needs all others.
    """
    if not part.environment:
        return [Variable(name, outputs[key], env) for key, (name, env) in _REGISTRY.items() if key in outputs]
    found = [
        Variable(name, outputs[key], environment.format(part.environment))
        for key, (name, environment) in _ENVIRONMENT.items()
        if key in outputs
    ]
    return [*found, Variable(_PRUNE[part.environment], outputs.get("PruneRoleArn", ""), "prune")]
