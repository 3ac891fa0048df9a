"""What may be decided about a rollout, and the tick that carried it out. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.model import AliasState, AliasWrite, Evidence, RolloutState


@dataclass(frozen=True)
class Wait:
    """Nothing to do for that many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class SetWeight:
    """Give the canary the share of step `step` (from 1)."""

    step: int
    weight_pct: float
    reason: str


@dataclass(frozen=True)
class Promote:
    """Give the canary all traffic; it is still watched when the plan has a final bake."""

    reason: str


@dataclass(frozen=True)
class Pause:
    """Keep the weight and wait for a person."""

    reason: str


@dataclass(frozen=True)
class Finish:
    """The final bake is over: record that the rollout is done."""

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


Decision = Wait | SetWeight | Promote | Pause | Finish | Rollback | Refuse | Done


@dataclass(frozen=True)
class Tick:
    """One reading and what was decided on it; `written` is the UpdateAlias that carried it out."""

    at: float
    alias: AliasState
    evidence: Evidence
    decision: Decision
    written: AliasWrite | None = None
