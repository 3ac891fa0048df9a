"""The steps of a rollout as `deploy.toml` writes them: `"auto"`, or a list. Pure."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from deployer.model import MAX_STEPS, Step

LONGEST_BAKE_S = 7 * 86400  # one GetMetricData gives the minutes of about a week
LEAST_BAKE_S = 120
AUTO_TAG, LIST_TAG = "(auto)", "(list)"  # how pydantic tells the two kinds of steps apart


class StepSettings(BaseModel):
    """One step of a rollout: the canary's share of traffic, and for how long it is judged there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    weight_pct: Annotated[float, Field(ge=0.1, le=99.9)]
    bake_s: Annotated[int, Field(ge=60, le=LONGEST_BAKE_S)]

    @model_validator(mode="after")
    def _has_one_decimal(self) -> Self:
        # The marker keeps each weight, and has 256 characters for all of them.
        if round(self.weight_pct, 1) != self.weight_pct:
            raise ValueError(f"`weight_pct` with one decimal at most, found {self.weight_pct}")
        return self


def _kind_of_steps(value: Any) -> str:
    return AUTO_TAG if isinstance(value, str) else LIST_TAG


Steps = Annotated[
    Annotated[Literal["auto"], Tag(AUTO_TAG)]
    | Annotated[list[StepSettings], Field(max_length=MAX_STEPS - 1), Tag(LIST_TAG)],
    Discriminator(_kind_of_steps),
]


def plain(number: float) -> float:
    """Return a number as people write it: 10 and not 10.0."""
    return int(number) if number == int(number) else number


def check_listed(steps: tuple[Step, ...], final_bake_s: int, *, is_judged: bool) -> None:
    """Raise ValueError for listed steps whose weights do not rise, or which end before they can be judged."""
    weights = [step.weight_pct for step in steps]
    if any(later <= earlier for earlier, later in itertools.pairwise(weights)):
        raise ValueError(f"steps with increasing `weight_pct`, found {weights}")
    bakes = [step.bake_s for step in steps] + ([final_bake_s] if steps and final_bake_s else [])
    wrong = next((bake_s for bake_s in bakes if bake_s < LEAST_BAKE_S or bake_s % 60), None)
    if is_judged and wrong is not None:
        raise ValueError(
            f"steps and `final_bake_s` of whole minutes, at least {LEAST_BAKE_S} s, found {wrong}: "
            "what is worse must be seen in two judged minutes"
        )
