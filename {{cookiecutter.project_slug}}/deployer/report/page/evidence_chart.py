"""The evidence against the canary over time, against its limit -> one SVG track. Pure.

The vertical axis is ln E in nats, so that equal evidence has equal height: 0 is none, and at the limit
ln(1/alpha) a canary that is no worse is blamed in at most alpha of all rollouts.
"""

from __future__ import annotations

import math
from html import escape

from deployer.report.page.svg import Scale, Track, grid, svg
from deployer.report.page.timeline import Act, Strength

EVIDENCE_PX = 92
_KINDS = ("errors", "slow calls", "error rate")  # as deployer.evidence names its tests; a colour for each
_MOST_LIMITS = 2.0  # what is above twice the limit is drawn at the upper edge


def evidence_track(act: Act, scale: Scale, guides: str) -> Track | None:
    """Return the track of an act, None when the engine measured nothing."""
    points = [known for known in act.evidence if act.started_at <= known.at <= act.ended_at]
    if not points:
        return None
    limits = {known.limit for known in points}
    axis = _Axis.of(points, max(limits))
    shapes = [grid(axis.level(0.0), EVIDENCE_PX)]
    metrics = list(dict.fromkeys(known.metric for known in points))
    for metric in metrics:
        mine = [known for known in points if known.metric == metric]
        shapes += _steps(mine, axis, scale)
    shapes += [_limit(limit, axis, is_named=limit == min(limits)) for limit in sorted(limits)]
    peaks = ", ".join(f"{metric} {_peak(points, metric)}" for metric in metrics)
    name = f"evidence against the new version over time, highest: {peaks}"
    keys = tuple((_kind(metric), metric) for metric in metrics)
    drawn = svg(EVIDENCE_PX, shapes, name, guides)
    return Track("evidence", "that it is worse, ln E", drawn, keys=keys)


class _Axis:
    """Where an amount of evidence lies between the lower (0) and the upper edge (1)."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    @classmethod
    def of(cls, points: list[Strength], limit: float) -> _Axis:
        lowest = min(known.log_e for known in points)
        highest = max(known.log_e for known in points)
        return cls(min(lowest, -0.1 * limit), min(max(1.35 * limit, 1.1 * highest), _MOST_LIMITS * limit))

    def level(self, log_e: float) -> float:
        return min(max((log_e - self._low) / (self._high - self._low), 0.0), 1.0)

    def y(self, log_e: float) -> float:
        return round(EVIDENCE_PX * (1 - self.level(log_e)), 2)


def _steps(points: list[Strength], axis: _Axis, scale: Scale) -> list[str]:
    """Draw one metric's evidence as steps: what was known holds until more is."""
    kind = _kind(points[0].metric)
    shapes = []
    until = [known.at for known in points[1:]] + [points[-1].at]
    run_at = points[0].at
    for index, (known, end) in enumerate(zip(points, until, strict=True)):
        following = points[index + 1] if index + 1 < len(points) else None
        if following is not None and following.log_e == known.log_e:
            continue  # one line for as long as nothing new is known
        title = (
            f"{known.metric}: {_number(known.log_e)} of {_number(known.limit)} at {scale.minute(known.at)}"
        )
        left, right, y = scale.at(run_at), scale.at(end), axis.y(known.log_e)
        place = f'x1="{left}%" x2="{max(right, left + 0.15):.3f}%" y1="{y}" y2="{y}"'
        shapes.append(f'<line {place} class="evidence {kind}"><title>{escape(title)}</title></line>')
        if following is not None:
            up = axis.y(following.log_e)
            shapes.append(f'<line x1="{right}%" x2="{right}%" y1="{y}" y2="{up}" class="evidence {kind}"/>')
            run_at = following.at
    last = points[-1]
    shapes.append(
        f'<circle cx="{scale.at(last.at)}%" cy="{axis.y(last.log_e)}" r="3" class="evidence-end {kind}"/>'
    )
    return shapes


def _limit(limit: float, axis: _Axis, *, is_named: bool) -> str:
    """Draw the limit and what it means."""
    y = axis.y(limit)
    meaning = (
        f"limit {_number(limit)}: if the new version were no worse, "
        f"fewer than 1 of {round(math.exp(min(limit, 50.0)))} rollouts would get here"
    )
    line = f'<line x1="0" x2="100%" y1="{y}" y2="{y}" class="limit"><title>{meaning}</title></line>'
    return line + (f'<text x="0" dx="2" y="{y + 13}" class="limit-text">{meaning}</text>' if is_named else "")


def _peak(points: list[Strength], metric: str) -> str:
    highest = max((known for known in points if known.metric == metric), key=lambda known: known.log_e)
    return f"{_number(highest.log_e)} of {_number(highest.limit)}"


def _kind(metric: str) -> str:
    return f"kind-{_KINDS.index(metric)}" if metric in _KINDS else "kind-other"


def _number(value: float) -> str:
    return f"{value:.1f}"
