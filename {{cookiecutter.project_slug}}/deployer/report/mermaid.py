"""The canary's weight over time as a Mermaid chart, which GitHub draws on the summary page. Pure.

Source: https://mermaid.js.org/syntax/xyChart.html
"""

from __future__ import annotations

from collections.abc import Sequence

from deployer.canary.decision import Tick

_MOST_POINTS = 60
_EVERY_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)


def weight_chart(ticks: Sequence[Tick], started_at: float) -> list[str]:
    """Return the lines of a fenced chart; none when there is nothing to draw.

    One point per minute, or per so many minutes that 60 points are enough. Each is the weight at that moment.
    """
    weights = [((tick.at - started_at) / 60, _weight(tick)) for tick in ticks]
    if not any(weight for _, weight in weights):
        return []
    minutes = max(1, -int(-weights[-1][0] // 1))
    every = next((step for step in _EVERY_MIN if minutes / step <= _MOST_POINTS), _EVERY_MIN[-1])
    count = -(-minutes // every)
    values = [_weight_at(weights, number * every) for number in range(count + 1)]
    return [
        "```mermaid",
        "xychart-beta",
        '    title "Traffic of the new version"',
        f'    x-axis "minutes since the start" 0 --> {count * every}',
        '    y-axis "per cent" 0 --> 100',
        f"    line [{', '.join(map(str, values))}]",
        "```",
    ]


def _weight_at(weights: Sequence[tuple[float, float]], minute: float) -> float:
    """Return the weight that holds at a minute: that of the last tick until then, 0 before the first."""
    return next((weight for at, weight in reversed(weights) if at <= minute), 0)


def _weight(tick: Tick) -> float:
    """Return the new version's share of the traffic after a tick, in per cent."""
    marker = tick.alias.marker
    target = marker.to_version if marker else None
    if tick.written is not None:
        if tick.written.canary is not None:
            return tick.written.weight_pct
        return 100 if f"to={tick.written.version} " in tick.written.description else 0
    routing = tick.alias.routing
    if routing.canary is not None:
        return routing.weight_pct
    return 100 if target is not None and routing.stable == target else 0
