"""Which AWS account holds what: the table `[accounts]` of `deploy.toml`. Pure."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]


class Accounts(BaseModel):
    """An account for each part; all three are given, or none where one account holds everything."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    registry: AccountId | None = None
    staging: AccountId | None = None
    production: AccountId | None = None

    def of(self, part: str) -> str | None:
        """Return the account of `registry`, `staging` or `production`, None where any account holds it."""
        return {"registry": self.registry, "staging": self.staging, "production": self.production}[part]

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = {"registry": self.registry, "staging": self.staging, "production": self.production}
        missing = [name for name, account in given.items() if account is None]
        if 0 < len(missing) < len(given):
            raise ValueError(f"`registry`, `staging` and `production`, or none, no {missing[0]} found")
        return self
