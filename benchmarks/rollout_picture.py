"""Draw the gate's evidence over time for three simulated releases: docs/rollout.svg.

python -m benchmarks.rollout_picture
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from benchmarks.rules import STARTS, minutes_of
from benchmarks.traffic import RAMP, Case, Poisson, simulate
from deployer.judge.counts import RolloutSoFar
from deployer.judge.eprocess import Trace
from deployer.judge.evidence import judge
from deployer.model import GateSettings

DOCS = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}" / "docs"
RELEASES = (
    ("healthy", "healthy", Case(100, 0.01, 0.01)),
    ("outage", "healthy, 30 % of all calls fail in minutes 22 to 26", Case(100, 0.01, 0.01, (22, 27))),
    ("broken", "fails 5 % of its calls, the stable version 1 %", Case(100, 0.01, 0.05)),
)
LEFT, RIGHT, TOP, BOTTOM, LOWEST, HIGHEST = 150, 850, 60, 330, -1.5, 7.5
STYLE = """
    svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; --card: #ffffff;
          --line: #d0d7de; --ink: #1f2328; --soft: #59636e; --step: #f6f8fa;
          --healthy: #1f883d; --outage: #8250df; --broken: #cf222e; }
    @media (prefers-color-scheme: dark) {
      svg { --card: #0d1117; --line: #3d444d; --ink: #f0f6fc; --soft: #9198a1; --step: #151b23;
            --healthy: #3fb950; --outage: #ab7df8; --broken: #f85149; }
    }
    .card { fill: var(--card); stroke: var(--line); } .step { fill: var(--step); stroke: var(--line); }
    text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 12px; } .right { text-anchor: end; }
    .middle { text-anchor: middle; } .head { font-weight: 600; }
    .limit { stroke: var(--ink); stroke-dasharray: 6 4; fill: none; } .grid { stroke: var(--line); }
    path.healthy, path.outage, path.broken { fill: none; stroke-width: 2; stroke-linejoin: round; }
    path.healthy { stroke: var(--healthy); } path.outage { stroke: var(--outage); stroke-dasharray: 5 3; }
    path.broken { stroke: var(--broken); } circle { fill: var(--broken); }
"""


def trace_of(case: Case, seed: int) -> Trace:
    """Return the evidence of one simulated rollout."""
    rows = simulate(case, Poisson(seed)).ramp[: len(RAMP)]
    now = (len(RAMP) + 3) * 60.0
    rollout = RolloutSoFar("41", "42", STARTS, read_at=now)
    return judge(GateSettings(), minutes_of(rows), rollout, now).traces[0]


def picture(seed: int) -> str:
    """Return the picture as SVG."""
    shapes = [f'<text class="head" x="{LEFT}" y="34">Evidence that the new version is worse</text>']
    for start, end in zip(STARTS, [*(s.at for s in STARTS[1:]), len(RAMP) * 60], strict=True):
        x, width = _x(start.at), _x(end) - _x(start.at)
        shapes.append(
            f'<rect class="step" x="{x:.1f}" y="{TOP}" width="{width:.1f}" height="{BOTTOM - TOP}"/>'
            f'<text class="soft middle" x="{x + width / 2:.1f}" y="{BOTTOM + 20}">{start.weight_pct} % for '
            f"{(end - start.at) / 60:.0f} min</text>"
        )
    for chance in (1, 10, 1000):
        y = _y(math.log(chance))
        name = "none" if chance == 1 else f"1 in {chance:,} rollouts".replace(",", " ")
        shapes.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
            f'<text class="soft right" x="{LEFT - 8}" y="{y + 4:.1f}">{name}</text>'
        )
    for place, (name, words, case) in enumerate(RELEASES):
        trace = trace_of(case, seed)
        if not place:
            y = _y(trace.limit)
            shapes.append(
                f'<path class="limit" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
                f'<text class="right" x="{LEFT - 8}" y="{y + 4:.1f}">roll back</text>'
            )
        found = ""
        points = [p for p in trace.points if trace.failed_at is None or p.at <= trace.failed_at]
        line = "L".join(f"{_x(p.at + 60):.1f} {_y(p.log_e):.1f}" for p in points)
        shapes.append(f'<path class="{name}" d="M{LEFT} {_y(0):.1f}L{line}"/>')
        if trace.failed_at is not None:
            shapes.append(
                f'<circle cx="{_x(points[-1].at + 60):.1f}" cy="{_y(points[-1].log_e):.1f}" r="5"/>'
            )
            found = f": found after {len(points)} minutes"
        y = BOTTOM + 50 + 22 * place
        shapes.append(
            f'<path class="{name}" d="M{LEFT} {y - 4}h36"/>'
            f'<text x="{LEFT + 46}" y="{y}">{words}{found}</text>'
        )
    drawn = "\n  ".join(shapes)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 440" role="img" \
aria-labelledby="title desc">
  <title id="title">How the evidence against a new version grows, or does not</title>
  <desc id="desc">Three simulated rollouts at 100 calls per minute. Neither the healthy release nor an outage
  of both versions comes near the limit; the broken release crosses it and is rolled back.</desc>
  <style>{STYLE}  </style>
  <rect class="card" x="0.5" y="0.5" width="879" height="439" rx="10"/>
  {drawn}
</svg>
"""


def _x(at: float) -> float:
    return LEFT + (RIGHT - LEFT) * at / (len(RAMP) * 60)


def _y(log_e: float) -> float:
    share = (min(max(log_e, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return BOTTOM - (BOTTOM - TOP) * share


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="draw docs/rollout.svg")
    parser.add_argument("--seed", type=int, default=3, help="which three rollouts are drawn")
    parser.add_argument("--out", type=Path, default=DOCS / "rollout.svg")
    options = parser.parse_args()
    options.out.write_text(picture(options.seed), encoding="utf-8")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
