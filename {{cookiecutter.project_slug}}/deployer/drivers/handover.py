"""What `rollout start` hands to the durable function, and what that function is called. Pure.

The settings travel along, as checked and as JSON: the rollout goes on by those it was started with, whatever
is pushed meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deployer.errors import DeployerError
from deployer.model import Ends, Step

POLL_S = 60
HANDLER = "deployer.durable.handler"
_NAME_LENGTH = 64


@dataclass(frozen=True)
class Handover:
    """One rollout for the durable function to go on with; `poll_s` is the longest wait between two looks.

    A minute: CloudWatch has nothing new to say sooner. `places` are those that last week's traffic gave.
    `topic` is the ARN the transitions are announced to, empty for none.
    """

    settings: str
    environment: str
    rollout_id: str
    version: str
    alarms: tuple[str, ...]
    places: tuple[Step, ...] = ()
    is_forced: bool = False
    armed_s: int = 3600
    proves: bool = True
    topic: str = ""
    poll_s: int = POLL_S

    def event(self) -> dict[str, Any]:
        """Return it as the JSON object the function is invoked with."""
        places = [{**asdict(place), "ends": place.ends.value} for place in self.places]
        return {**asdict(self), "alarms": list(self.alarms), "places": places}

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> Handover:
        """Read the function's event. Raises DeployerError when it is not one."""
        try:
            places = tuple(Step(**{**place, "ends": Ends(place["ends"])}) for place in event["places"])
            made = cls(**{**event, "alarms": tuple(event["alarms"]), "places": places})
        except (KeyError, TypeError, ValueError) as error:
            raise DeployerError(
                "the event is not a rollout",
                found=f"found {error}",
                hint="deployer rollout resume",
            ) from error
        return made


def function_name(target: str) -> str:
    """Return the name of the durable function that rolls out the function `target`."""
    return f"{target}-rollout"


def execution_name(rollout_id: str, at: float) -> str:
    """Return a name for one durable execution: the rollout's id and when it was handed over.

    A name is good for one execution only, and a rollout that is resumed needs a second one.
    Source: 64 letters, digits, `-` and `_`, https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """
    tail = f"-{int(at)}"
    return re.sub(r"[^a-zA-Z0-9_-]", "-", rollout_id)[: _NAME_LENGTH - len(tail)] + tail
