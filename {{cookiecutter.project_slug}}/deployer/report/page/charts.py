"""One act of a timeline -> inline SVG tracks that share one time axis. Pure.

Everything is drawn with rectangles, lines and circles whose horizontal positions are per cent, so that a
track fits any width without scaling its text. Colours are CSS variables of `deployer.report_html`.
"""

from __future__ import annotations

from html import escape

from deployer.report.page.evidence_chart import evidence_track
from deployer.report.page.svg import Scale, Track, grid, rect, svg
from deployer.report.page.timeline import Act, Event, Served

TRACK_PX = 64
BAND_PX = 18
AXIS_PX = 22
MARKS_PX = 30
_TICKS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 960)
_MAX_TICKS = 6


def tracks(act: Act, anchor: str) -> tuple[Track, ...]:
    """Return the rows of one act's chart; `anchor` makes the decisions' links unique in the page."""
    scale = Scale(act.started_at, act.ended_at)
    new = act.new_version()
    peak = max((bucket.requests for bucket in act.served), default=0)
    rows = [_weight_track(act, scale, new)] if act.samples and new else []
    for version in act.versions():
        role = "canary" if version == new else "stable"
        mine = [bucket for bucket in act.served if bucket.version == version]
        if mine:
            rows.append(_served_track(act, scale, mine, peak, role))
    evidence = evidence_track(act, scale, _guides(act, scale))
    rows += [evidence] if evidence else []
    names = _alarm_names(act)
    shared = _shared_prefix(names)
    rows += [_alarm_track(act, scale, name, name.removeprefix(shared)) for name in names]
    if act.events:
        rows.append(_decision_track(act, scale, anchor))
    return (*rows, Track("", "", _axis(scale))) if rows else ()


def tone(event: Event) -> str:
    """Return which colour an event has: `bad`, `good`, `move` or `calm`."""
    what = event.what.lower()
    if any(
        word in what
        for word in ("rollback", "rolled", "refuse", "alarm", "killed", "fail", "abort", "outage")
    ):
        return "bad"
    if any(word in what for word in ("promote", "done", "finish")):
        return "good"
    return "move" if any(word in what for word in ("weight", "start", "resume", "pause")) else "calm"


def _weight_track(act: Act, scale: Scale, new: str | None) -> Track:
    """Draw which share of the traffic the new version had."""
    shapes = [grid(level, TRACK_PX) for level in (0.0, 0.5, 1.0)]
    spans: list[tuple[float, float, float]] = []
    following = [sample.at for sample in act.samples[1:]] + [act.ended_at]
    for sample, until in zip(act.samples, following, strict=True):
        share = sample.share_pct(new)
        if spans and spans[-1][2] == share:
            spans[-1] = (spans[-1][0], until, share)
        else:
            spans.append((sample.at, until, share))
    for since, until, share in spans:
        if share:
            left, right = scale.at(since), scale.at(until)
            height = round(TRACK_PX * share / 100, 2)
            title = f"version {new}: {share} % from {scale.minute(since)} to {scale.minute(until)}"
            top = round(TRACK_PX - height, 2)
            shapes.append(rect(left, right - left, (top, height), "weight", title))
            shapes.append(f'<line x1="{left}%" x2="{right}%" y1="{top}" y2="{top}" class="weight-edge"/>')
            if share < 100 and right - left > 6:  # too narrow for its label
                shapes.append(f'<text x="{left}%" dx="6" y="{max(top - 5, 10)}">{share} %</text>')
    name = f"share of traffic of version {new} over time"
    return Track("canary weight", "0 to 100 %", svg(TRACK_PX, shapes, name, _guides(act, scale)), "canary")


def _served_track(act: Act, scale: Scale, served: list[Served], peak: int, role: str) -> Track:
    """Draw one version's requests per bucket, the failed ones at the bottom in the colour of errors."""
    version = served[0].version
    shapes = [grid(0.0, TRACK_PX)]
    for bucket in served:
        left = scale.at(bucket.at)
        width = max(scale.at(bucket.at + act.bucket_s) - left, 0.05)
        height = TRACK_PX * bucket.requests / max(peak, 1)
        bad = TRACK_PX * bucket.errors / max(peak, 1)
        title = (
            f"version {version} at {scale.minute(bucket.at)}: "
            f"{bucket.requests} requests, {bucket.errors} failed"
        )
        place = (left + width * 0.08, width * 0.84)
        shapes.append(rect(*place, (TRACK_PX - height, height), f"served-{role}", title))
        if bad:
            shapes.append(rect(*place, (TRACK_PX - max(bad, 2), max(bad, 2)), "errors", title))
            middle, top = left + width / 2, max(TRACK_PX - height - 4, 10)
            shapes.append(f'<text x="{middle:.3f}%" y="{top:.1f}" class="failed">{bucket.errors}</text>')
    requests, errors = act.totals(version)
    note = f"{_count(requests, 'request')}, {errors} failed"
    name = f"requests of version {version} over time: {note}"
    return Track(f"version {version}", note, svg(TRACK_PX, shapes, name, _guides(act, scale)), role)


def _alarm_track(act: Act, scale: Scale, name: str, label: str) -> Track:
    """Draw one alarm's state as a band; `label` is what tells it from the others."""
    shapes: list[str] = []
    spans: list[tuple[float, float, str]] = []
    following = [sample.at for sample in act.samples[1:]] + [act.ended_at]
    for sample, until in zip(act.samples, following, strict=True):
        state = sample.alarms.get(name, "none")
        if spans and spans[-1][2] == state:
            spans[-1] = (spans[-1][0], until, state)
        else:
            spans.append((sample.at, until, state))
    for since, until, state in spans:
        kind = {"OK": "ok", "ALARM": "alarm"}.get(state, "no-data")
        title = f"{name}: {state} from {scale.minute(since)} to {scale.minute(until)}"
        left = scale.at(since)
        shapes.append(rect(left, scale.at(until) - left, (4, BAND_PX - 8), f"band-{kind}", title))
    states = list(dict.fromkeys(span[2] for span in spans))
    drawn = svg(BAND_PX, shapes, f"state of alarm {name}: {', then '.join(states)}", _guides(act, scale))
    return Track(f"alarm {label}", ", ".join(states), drawn)


def _decision_track(act: Act, scale: Scale, anchor: str) -> Track:
    """Draw the decisions as numbered marks that lead to their reasons."""
    shapes: list[str] = []
    previous = -100.0
    lane = 0
    for number, event in enumerate(act.events, 1):
        left = scale.at(event.at)
        lane = (lane + 1) % 2 if left - previous < 4 else 0  # marks closer than 4 % overlap
        previous = left
        middle = 9 + lane * 11
        title = escape(f"{number}. {scale.minute(event.at)}: {event.what}. {event.reason}")
        shapes.append(
            f'<a href="#{anchor}-{number}" aria-label="{title}"><title>{title}</title>'
            f'<circle cx="{left}%" cy="{middle}" r="8" class="mark {tone(event)}"/>'
            f'<text x="{left}%" y="{middle + 3.5}" class="mark-text">{number}</text></a>'
        )
    body = "".join(shapes)
    drawn = f'<svg height="{MARKS_PX}" role="group" aria-label="decisions">{body}</svg>'
    return Track("decisions", "reasons below", drawn)


def _axis(scale: Scale) -> str:
    """Draw the time axis in minutes since the act began."""
    minutes = (scale.end - scale.start) / 60
    every = next((tick for tick in _TICKS_MIN if minutes / tick <= _MAX_TICKS), _TICKS_MIN[-1])
    shapes = []
    for minute in range(0, int(minutes) + 1, every):
        left = scale.at(scale.start + minute * 60)
        place = "start" if left < 3 else "end" if left > 97 else "middle"  # stay inside
        shapes.append(f'<line x1="{left}%" x2="{left}%" y1="0" y2="4" class="tick"/>')
        shapes.append(f'<text x="{left}%" y="17" text-anchor="{place}">{minute} min</text>')
    return f'<svg height="{AXIS_PX}" aria-hidden="true">{"".join(shapes)}</svg>'


def _alarm_names(act: Act) -> list[str]:
    """Return every alarm seen in the act, by name."""
    return sorted({name for sample in act.samples for name in sample.alarms})


def _shared_prefix(names: list[str]) -> str:
    """Return what all names begin with, up to a hyphen: the function's name, which only takes room here."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("-", 0, same) + 1]


def _guides(act: Act, scale: Scale) -> str:
    """Return one thin line through a track per decision that moved traffic."""
    moments = [event.at for event in act.events if tone(event) != "calm"]
    return "".join(
        f'<line x1="{left}%" x2="{left}%" y1="0" y2="100%" class="guide"/>' for left in map(scale.at, moments)
    )


def _count(number: int, noun: str) -> str:
    """Return `1 request`, `2 requests`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", " ")
