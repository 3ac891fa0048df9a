"""`deploy.toml` text -> Config. Pure except for `load`, which reads the one file.

Every error names the file, the key, the value found and the values allowed.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployer.accounts import Accounts
from deployer.errors import DeployerError, Exit
from deployer.model import GateSettings, OnSlow, RolloutPlan, Step
from deployer.steps import LEAST_BAKE_S, LONGEST_BAKE_S, Steps, check_listed, plain
from deployer.validation import Parameters, Variables, describe, refused

ALIAS = "live"
RUNNER_BAKE_S = 6 * 3600  # a GitHub job ends after six hours
_ALARM_ARN = re.compile(r"^arn:[a-z-]+:cloudwatch:([a-z0-9-]+):\d{12}:alarm:(.+)$")

Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


class _Section(BaseModel):
    """A table of `deploy.toml`: unknown keys are errors, values are never coerced, nothing is mutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Project(_Section):
    """What this repository is called, for people."""

    name: str
    description: str = ""


class Function(_Section):
    """The Lambda function's configuration; `infra/service.yaml` takes these as parameters.

    Source: limits of https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; the name
    is shorter than Lambda allows because role names of at most 64 characters are made from it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,27}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[a-z]+)+-\d$")]
    architecture: Literal["arm64", "x86_64"]
    memory_mb: Annotated[int, Field(ge=128, le=10240)] = 1024
    timeout_s: Annotated[int, Field(ge=1, le=900)] = 60
    reserved_concurrency: Annotated[int, Field(ge=0, le=1000)] = 10  # 0 reserves none
    provisioned_concurrency: Annotated[int, Field(ge=0, le=1000)] = 0  # per version; 0 provisions none
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 30
    trigger: Annotated[str, Field(pattern=r"^[a-z0-9]+$")] = "none"  # infra/service.yaml says which there are
    variables: Variables = {}

    @model_validator(mode="after")
    def _provisioned_fits_twice(self) -> Self:
        # During a rollout both versions have theirs, and all of it comes out of what is reserved.
        if self.reserved_concurrency and 2 * self.provisioned_concurrency > self.reserved_concurrency:
            raise ValueError(
                f"`reserved_concurrency` of at least twice `provisioned_concurrency`, "
                f"found {self.reserved_concurrency} and {self.provisioned_concurrency}"
            )
        return self


class Scan(_Section):
    """What the vulnerability gate refuses."""

    severities: Annotated[list[Severity], Field(min_length=1)] = ["CRITICAL", "HIGH"]
    ignore_unfixed: bool = True
    max_database_age_h: Annotated[int, Field(ge=1, le=720)] = 72


class Prune(_Section):
    """How many of the newest `deployer prune` keeps, whoever needs them or not."""

    keep_versions: Annotated[int, Field(ge=1, le=1000)] = 10
    keep_images: Annotated[int, Field(ge=1, le=1000)] = 20


class Environment(_Section):
    """How a release reaches one environment; no steps means all at once."""

    steps: Steps = []
    find_pct: Annotated[float, Field(gt=0, le=50)] = 2.0
    within_s: Annotated[int, Field(ge=60, le=RUNNER_BAKE_S)] = 1800
    final_bake_s: Annotated[int, Field(ge=0, le=LONGEST_BAKE_S)] = 600
    max_pause_s: Annotated[int, Field(ge=60, le=86400)] = 3600
    mode: Literal["act", "observe"] = "act"
    driver: Literal["runner", "durable", "codedeploy"] = "runner"
    errors_from: Literal["lambda", "app"] = "lambda"
    on_slow: Literal["pause", "rollback", "off"] = "pause"
    on_cancel: Literal["rollback", "hold"] = "rollback"
    second_rollout: Literal["refuse", "supersede"] = "refuse"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    error_floor_pct: Annotated[float, Field(gt=0, le=100)] = 0.5
    max_error_pct: Annotated[float, Field(gt=0, le=100)] = 1.0
    slow_ms: Annotated[int, Field(ge=0)] = 0  # 0 is the stable version's own median
    sample_every_s: Annotated[int, Field(ge=0, le=3600)] = 0  # 0 sends none
    settle_s: Annotated[int, Field(ge=0, le=900)] = 120
    alarms: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    variables: Variables = {}  # of this environment only; they win
    parameters: Parameters = {}

    @model_validator(mode="after")
    def _steps_can_be_judged(self) -> Self:
        check_listed(self.listed_steps(), self.final_bake_s, is_judged=self.driver != "codedeploy")
        return self

    @model_validator(mode="after")
    def _search_can_find(self) -> Self:
        if self.steps != "auto":
            return self
        if self.find_pct < self.error_floor_pct:
            raise ValueError(
                f"`find_pct` of at least `error_floor_pct`, found {self.find_pct:g} and "
                f"{self.error_floor_pct:g}: a smaller difference never rolls back"
            )
        least = self.settle_s + 120 + LEAST_BAKE_S
        if self.within_s < least:
            raise ValueError(
                f"`within_s` of at least {least} (`settle_s` and four minutes), found {self.within_s}: "
                "a shorter search ends before a minute of it can be judged"
            )
        return self

    @model_validator(mode="after")
    def _somebody_waits_that_long(self) -> Self:
        longest = max([*(step.bake_s for step in self.listed_steps()), self.final_bake_s])
        if self.driver == "runner" and longest > RUNNER_BAKE_S:
            raise ValueError(
                f'bakes of at most {RUNNER_BAKE_S} s, or `driver = "durable"`, found {longest} s'
            )
        return self

    @property
    def is_shared(self) -> bool:
        """Tell whether a rollout has steps, in which both versions serve."""
        return bool(self.steps)

    def listed_steps(self) -> tuple[Step, ...]:
        """Return the steps as the file lists them; none for `auto` and for all at once."""
        if self.steps == "auto":
            return ()
        return tuple(Step(plain(step.weight_pct), step.bake_s) for step in self.steps)

    def alarm_names(self) -> tuple[str, ...]:
        """Return the names of the alarms, also of those given by ARN."""
        return tuple(_ALARM_ARN.sub(r"\2", alarm) for alarm in self.alarms)

    def gate_settings(self) -> GateSettings:
        """Return what counts as worse; `on_slow` says what follows where a canary is only slower."""
        return GateSettings(
            alpha=self.alpha,
            floor_pct=self.error_floor_pct,
            compare_slow=self.on_slow != "off",
            settle_s=self.settle_s,
            slo_error_pct=self.max_error_pct,
        )

    def rollout_plan(
        self,
        rollout_id: str,
        target: str,
        places: tuple[Step, ...],
        *,
        armed_s: int = 3600,
        proves: bool = True,
    ) -> RolloutPlan:
        """Return the plan `canary.decide` follows, with these places (`judge.planned`)."""
        return RolloutPlan(
            id=rollout_id,
            target=target,
            steps=places,
            max_pause_s=self.max_pause_s,
            on_slow=OnSlow(self.on_slow),
            only_observes=self.mode == "observe",
            armed_s=armed_s,
            proves=proves,
        )


class Environments(_Section):
    """The two environments; one function, one stack, one alias each."""

    staging: Environment = Environment()
    production: Environment = Environment()


class Config(_Section):
    """The whole of `deploy.toml`."""

    project: Project
    function: Function
    parameters: Parameters = {}
    accounts: Accounts = Accounts()
    scan: Scan = Scan()
    prune: Prune = Prune()
    environments: Environments = Environments()

    @model_validator(mode="after")
    def _alarms_are_of_this_region(self) -> Self:
        for name, environment in (
            ("staging", self.environments.staging),
            ("production", self.environments.production),
        ):
            for alarm in environment.alarms:
                region = alarm.split(":")[3] if _ALARM_ARN.match(alarm) else self.function.region
                if region != self.function.region:
                    raise ValueError(
                        f"environments.{name}.alarms: alarms of region {self.function.region}, "
                        f"found `{alarm}`; CloudWatch reads alarms of one region only"
                    )
        return self

    def environment(self, name: str) -> Environment:
        """Return the settings of `staging` or `production`."""
        match name:
            case "staging":
                return self.environments.staging
            case "production":
                return self.environments.production
        raise DeployerError(
            f"there is no environment `{name}`",
            found=f"found `{name}`, expected `staging` or `production`",
            hint="deployer status --env production",
            exit_code=Exit.USAGE,
        )

    def variables(self, environment: str) -> dict[str, str]:
        """Return the function's literal variables in that environment, as the text Lambda takes."""
        own = {**self.function.variables, **self.environment(environment).variables}
        return {name: str(value) for name, value in own.items()}

    def own_parameters(self, environment: str) -> dict[str, str]:
        """Return the owner's own parameters of `infra/service.yaml` in that environment."""
        own = {**self.parameters, **self.environment(environment).parameters}
        return {name: str(value) for name, value in own.items()}

    def function_name(self, environment: str) -> str:
        """Return the function's name in that environment; its stack has the same name."""
        return f"{self.function.name}-{environment}"

    def platform(self) -> str:
        """Return the container platform, e.g. `linux/arm64`."""
        return "linux/arm64" if self.function.architecture == "arm64" else "linux/amd64"


def load(path: Path) -> Config:
    """Read and check the settings file.

    Raises DeployerError (exit 2) when it is missing, not TOML, or holds a value that is not allowed.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise DeployerError(
            f"there is no `{path}`",
            found=f"looked in `{path.resolve().parent}`",
            hint="run this in the repository's top folder, or pass --config PATH",
            exit_code=Exit.USAGE,
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DeployerError(
            f"`{path}` cannot be read",
            found=str(error),
            hint=f"restore it: git checkout -- {path}",
            exit_code=Exit.USAGE,
        ) from error
    return parse(text, name=path.name)


def parse(text: str, *, name: str = "deploy.toml") -> Config:
    """Turn the text of a settings file into Config; all wrong values are reported at once.

    Raises DeployerError (exit 2).
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeployerError(
            f"`{name}` is not valid TOML", found=str(error), hint=f"open {name} there", exit_code=Exit.USAGE
        ) from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise refused(name, [describe(detail) for detail in error.errors()]) from error
