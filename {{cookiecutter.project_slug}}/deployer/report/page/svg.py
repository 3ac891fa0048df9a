"""What every track of a chart is drawn with: the time axis's scale, and shapes of SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Scale:
    """Where a point in time lies on the axis, in per cent of its width."""

    start: float
    end: float

    def at(self, moment: float) -> float:
        """Return 0-100; moments outside the axis lie on its ends."""
        length = max(self.end - self.start, 1.0)
        return round(100 * min(max((moment - self.start) / length, 0.0), 1.0), 3)

    def minute(self, moment: float) -> str:
        """Return the time since the start as people say it, e.g. `7.5 min`."""
        return f"{(moment - self.start) / 60:.1f} min"


@dataclass(frozen=True)
class Track:
    """One row of a chart: its name at the left, its SVG at the right.

    `keys` explains colours: (class, what is drawn in it).
    """

    label: str
    note: str
    svg: str
    role: str = ""
    keys: tuple[tuple[str, str], ...] = ()


def svg(height: int, shapes: Iterable[str], name: str, extra: str = "") -> str:
    """Wrap shapes into an SVG that says in words what it shows."""
    label = escape(name)
    return f'<svg height="{height}" role="img" aria-label="{label}">{"".join(shapes)}{extra}</svg>'


def rect(left: float, width: float, vertical: tuple[float, float], kind: str, title: str) -> str:
    """Return a rectangle with its tooltip; `vertical` is top and height, in px."""
    top, height = vertical
    return (
        f'<rect x="{left:.3f}%" width="{max(width, 0.05):.3f}%" y="{top:.2f}" height="{height:.2f}" '
        f'class="{kind}"><title>{escape(title)}</title></rect>'
    )


def grid(level: float, height: int) -> str:
    """Return a horizontal line at `level` (0 bottom, 1 top)."""
    y = min(max(height * (1 - level), 0.5), height - 0.5)
    return f'<line x1="0" x2="100%" y1="{y}" y2="{y}" class="grid"/>'
