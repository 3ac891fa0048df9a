"""The rollouts that are proven: the standard plans, and what can be wrong with a version."""

from __future__ import annotations

from dataclasses import replace

from deployer.model import AlarmState, OnSlow, RolloutPlan, Step
from engine.fakes import Traffic, VirtualClock
from engine.proof.process import Scenario

# Three places, as last week's traffic makes them; each is judged for its whole time.
STANDARD = RolloutPlan(
    id="77.1",
    target="42",
    steps=(Step(10, 300), Step(50, 300), Step(95, 300)),
    max_pause_s=3600,
)
LONG = replace(STANDARD, steps=(Step(5, 600), Step(10, 600), Step(25, 1800), Step(95, 600)))

HEALTHY = Traffic(errors={"41": 0.002, "42": 0.002}, slow={"41": 0.1, "42": 0.1})
BROKEN = Traffic(errors={"41": 0.002, "42": 0.2}, slow={"41": 0.1, "42": 0.1})
SUBTLE = Traffic(errors={"41": 0.002, "42": 0.03}, slow={"41": 0.1, "42": 0.1})
SLOWER = Traffic(errors={"41": 0.002, "42": 0.002}, slow={"41": 0.1, "42": 0.6})
QUIET = Traffic(per_minute=6)
NOBODY = Traffic(per_minute=0)
_START = VirtualClock().now()
OUTAGE = replace(HEALTHY, outage=(_START + 200, _START + 500, 0.3))


def of(plan: RolloutPlan, name: str) -> tuple[Scenario, ...]:
    """Return every scenario of a plan."""
    # The same rules as for an hour, and far fewer seconds to look at.
    impatient = replace(plan, max_pause_s=300)
    return (
        Scenario(f"{name}, healthy", plan, HEALTHY),
        Scenario(f"{name}, broken", plan, BROKEN),
        Scenario(f"{name}, slightly worse", plan, SUBTLE),
        Scenario(f"{name}, slower", impatient, SLOWER),
        Scenario(f"{name}, slower, alarm in the pause", impatient, SLOWER, ((500, AlarmState.ALARM),)),
        Scenario(f"{name}, slower, goes back", replace(plan, on_slow=OnSlow.ROLLBACK), SLOWER),
        Scenario(f"{name}, outage of both", plan, OUTAGE),
        Scenario(f"{name}, alarm in the first step", plan, HEALTHY, ((130, AlarmState.ALARM),)),
        Scenario(f"{name}, alarm deleted", plan, HEALTHY, ((730, AlarmState.MISSING),)),
        Scenario(f"{name}, hardly any traffic", impatient, QUIET),
        Scenario(f"{name}, no traffic", plan, NOBODY),
        Scenario(f"{name}, broken, observed", replace(plan, only_observes=True), BROKEN),
        Scenario(f"{name}, healthy, cancel holds", plan, HEALTHY, holds_on_cancel=True),
        Scenario(f"{name}, healthy, CloudWatch is late", impatient, replace(HEALTHY, lag_s=480.0)),
        Scenario(f"{name}, provisioned concurrency moves", plan, HEALTHY, transient_s=100.0),
    )
