"""What may be decided about a rollout, and the tick that carried it out. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.model import AliasState, AliasWrite, Cause, Evidence, RolloutState


@dataclass(frozen=True)
class Wait:
    """Nothing to do for that many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class SetWeight:
    """Give the canary the share of place `step` (from 1)."""

    step: int
    weight_pct: float
    reason: str


@dataclass(frozen=True)
class Promote:
    """Give the canary all traffic, and record that the rollout is done."""

    reason: str


@dataclass(frozen=True)
class Pause:
    """Keep the weight; a person goes on, or the engine when its `cause` is over."""

    reason: str
    cause: Cause


@dataclass(frozen=True)
class Resume:
    """Go on from a pause whose cause is over."""

    reason: str


@dataclass(frozen=True)
class Rollback:
    """Give all traffic back to the version that was stable before."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """Change nothing: starting or going on would not be safe."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Done:
    """Nothing is left to do; `state` says how it ended."""

    state: RolloutState
    reason: str


Decision = Wait | SetWeight | Promote | Pause | Resume | Rollback | Refuse | Done


@dataclass(frozen=True)
class Tick:
    """One reading and what was decided on it; `written` is the UpdateAlias that carried it out."""

    at: float
    alias: AliasState
    evidence: Evidence
    decision: Decision
    written: AliasWrite | None = None
