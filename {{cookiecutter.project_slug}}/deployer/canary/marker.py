"""The rollout's state as text in the alias's Description. Pure.

    my own words [lc1 id=7f3a from=41 to=42 step=2/3 at=1763712000+312 w=5+50+95 st=run]

`at` is when the first place began and how long each later one began after the one before; `w` are the
canary's shares in all places, in percent. `t`, if there, is how many seconds after the last of them the
present state began; `ok`, if there, how many seconds after the first slowness was last accepted; `p`, if
there, how many pauses the engine began, and the first letter of the present one's cause (`p=1s`).

The Description is the only place that one UpdateAlias changes together with the traffic; aliases take no
tags. Source: at most 256 characters, https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate, pairwise

from deployer.model import Cause, Marker, RolloutState

MAX_DESCRIPTION = 256
MAX_TEXT = 80
_MARKER = re.compile(r" ?\[lc1 (?P<fields>[^\[\]]*)\]")
_CAUSES = {cause.value[0]: cause for cause in Cause}
_FIELD = re.compile(r"(\w+)=(\S+)")


def parse(description: str) -> tuple[str, Marker | None]:
    """Split a Description into the people's own text, before and behind the marker, and the marker.

    A marker that cannot be read counts as none: its weights are then somebody else's, and refused. Of several
    the last one counts.
    """
    match = next(reversed(list(_MARKER.finditer(description))), None)
    if match is None:
        return description, None
    text = " ".join(filter(None, (description[: match.start()], description[match.end() :].strip())))
    head, _, why = match["fields"].partition(" why=")
    fields = dict(_FIELD.findall(head))
    pauses = fields.get("p", "0")
    cause = _CAUSES.get(pauses[-1])
    try:
        step, _ = (int(number) for number in fields["step"].split("/"))
        first, *gaps = (int(number) for number in fields["at"].split("+"))
        starts = tuple(accumulate(gaps, initial=first))
        if len(starts) != step:
            return text, None
        marker = Marker(
            id=fields["id"],
            from_version=fields["from"],
            to_version=fields["to"],
            weights=tuple(map(_number, filter(None, fields.get("w", "").split("+")))),
            starts=starts,
            # What an earlier form of the marker called the time at all traffic.
            state=RolloutState("run" if fields["st"] == "bake" else fields["st"]),
            since_s=int(fields.get("t", "0")),
            accepted_s=int(fields.get("ok", "0")),
            pauses=int(pauses[:-1] if cause else pauses),
            cause=cause,
            why=why,
        )
    except (KeyError, ValueError):
        return text, None
    return text, marker


def render(text: str, marker: Marker) -> str:
    """Return the Description that holds both; only `why` is shortened, and only to fit 256 characters.

    Raises ValueError when the people's own text leaves no room; up to 80 characters always do.
    """
    gaps = "".join(f"+{later - earlier}" for earlier, later in pairwise(marker.starts))
    since = f" t={marker.since_s}" if marker.since_s else ""
    since += f" ok={marker.accepted_s}" if marker.accepted_s else ""
    since += f" p={marker.pauses}" if marker.pauses or marker.cause else ""
    since += marker.cause.value[0] if marker.cause else ""
    shares = "+".join(f"{weight:g}".removeprefix("0") for weight in marker.weights)
    weights = f" w={shares}" if shares else ""
    fields = (
        f"id={marker.id} from={marker.from_version} to={marker.to_version} step={marker.step}/{marker.steps} "
        f"at={marker.starts[0]}{gaps}{since}{weights} st={marker.state.value}"
    )
    lead = f"{text} " if text else ""
    why = re.sub(r"[\[\]\s]+", " ", marker.why).strip()
    if len(f"{lead}[lc1 {fields}]") > MAX_DESCRIPTION:
        raise ValueError(f"the alias description has {len(text)} characters, which leave no room")
    room = MAX_DESCRIPTION - len(f"{lead}[lc1 {fields} why=]")
    tail = f" why={why[:room].rstrip()}" if why and room > 0 else ""
    return f"{lead}[lc1 {fields}{tail}]"


def leaves_room(text: str, marker: Marker) -> bool:
    """Tell whether the people's own text leaves room for the marker up to the rollout's end."""
    day_s = 86_400
    starts = list(marker.starts)
    while len(starts) < marker.steps or not starts:
        starts.append(starts[-1] + day_s if starts else day_s)
    last = replace(
        marker,
        starts=tuple(starts),
        since_s=day_s,
        accepted_s=day_s,
        pauses=max(3, marker.pauses),
        cause=Cause.THROTTLES,
        state=RolloutState.ROLLED_BACK,
        why="",
    )
    try:
        render(text, last)
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    """Return a percentage, as an integer where it is one. Raises ValueError."""
    found = float(text)
    if not 0 < found <= 100:
        raise ValueError(f"{text} is no percentage")
    return int(found) if found == int(found) else found
