"""A timeline -> one self-contained HTML page: inline charts, no script, no network. Pure."""

from __future__ import annotations

from html import escape

from deployer.report.page.charts import tone, tracks
from deployer.report.page.svg import Scale, Track
from deployer.report.page.timeline import Act, Stage, Timeline

_STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5c6877;--line:#dfe4ea;
--stable:#7c8aa0;--canary:#0b8f86;--canary-soft:#0b8f8633;--bad:#c9304a;--bad-soft:#c9304a1c;
--good:#2c8a4b;--good-soft:#2c8a4b1c;--calm:#9aa5b3;--move:#2f6fb5;--focus:#2f6fb5;--slow:#a15c00}
@media (prefers-color-scheme:dark){:root{--page:#12161c;--card:#1a2028;--ink:#e7ecf2;--soft:#9aa7b6;
--line:#2c3540;--stable:#8796ad;--canary:#2fc4b6;--canary-soft:#2fc4b633;--bad:#ff6b81;--bad-soft:#ff6b8126;
--good:#58c47a;--good-soft:#58c47a26;--calm:#667386;--move:#6aa9ee;--focus:#6aa9ee;--slow:#f0a848}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1060px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:19px;margin:0;letter-spacing:-.005em}
h3{font-size:13px;margin:22px 0 8px;color:var(--soft);font-weight:600}
p{margin:0}
.soft{color:var(--soft)}
a{color:inherit}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:4px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:12px;margin:24px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:24px;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.tile.bad b{color:var(--bad)}.tile.good b{color:var(--good)}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin:16px 0}
.head{display:flex;gap:12px;align-items:flex-start;justify-content:space-between;margin-bottom:4px}
.badge{flex:none;border-radius:99px;padding:3px 11px;font-size:13px;font-weight:600;
background:var(--good-soft);color:var(--good)}
.badge.bad{background:var(--bad-soft);color:var(--bad)}
.chart{display:grid;grid-template-columns:148px 1fr;column-gap:14px;row-gap:12px;margin-top:20px}
.chart svg{display:block;width:100%;overflow:visible}
.name{font-size:12.5px;line-height:1.35;overflow-wrap:anywhere}
.name b{display:block;font-weight:600}
.name i{display:block;font-style:normal;color:var(--soft)}
.name b::before{content:"";display:none;width:9px;height:9px;border-radius:2px;margin-right:6px}
.name.stable b::before{display:inline-block;background:var(--stable)}
.name.canary b::before{display:inline-block;background:var(--canary)}
.plot{min-width:0}
text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}
.grid{stroke:var(--line)}.tick{stroke:var(--calm)}
.guide{stroke:var(--calm);stroke-dasharray:2 3;opacity:.7;pointer-events:none}
.weight{fill:var(--canary-soft)}.weight-edge{stroke:var(--canary);stroke-width:2}
.served-stable{fill:var(--stable)}.served-canary{fill:var(--canary)}.errors{fill:var(--bad)}
.served-stable:hover,.served-canary:hover,.errors:hover{opacity:.75}
.band-ok{fill:var(--good);opacity:.45}.band-alarm{fill:var(--bad)}.band-no-data{fill:var(--calm);opacity:.35}
.evidence{stroke-width:2;stroke:var(--soft);stroke-linecap:round}.evidence-end{fill:var(--soft)}
.evidence.kind-0{stroke:var(--bad)}.evidence-end.kind-0{fill:var(--bad)}
.evidence.kind-1{stroke:var(--slow)}.evidence-end.kind-1{fill:var(--slow)}
.evidence.kind-2{stroke:var(--move)}.evidence-end.kind-2{fill:var(--move)}
.limit{stroke:var(--ink);stroke-dasharray:5 4;opacity:.75}
.limit-text{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:4px}
.key{white-space:nowrap}
.key::before{content:"";display:inline-block;width:12px;border-top:3px solid var(--soft)}
.key::before{margin-right:5px;vertical-align:middle}
.key.kind-0::before{border-color:var(--bad)}.key.kind-1::before{border-color:var(--slow)}
.key.kind-2::before{border-color:var(--move)}
.failed{fill:var(--bad);font-weight:700;text-anchor:middle}
.mark{fill:var(--calm)}.mark.bad{fill:var(--bad)}.mark.good{fill:var(--good)}.mark.move{fill:var(--move)}
.mark-text{fill:var(--card);font-weight:700;font-size:10px;text-anchor:middle}
ol.why{list-style:none;margin:0;padding:0;font-size:14px}
ol.why li{display:grid;grid-template-columns:24px 74px 150px 1fr;gap:4px 10px;padding:6px 8px;
border-radius:6px;border-top:1px solid var(--line)}
ol.why li:target{background:var(--canary-soft)}
.dot{width:20px;height:20px;border-radius:50%;background:var(--calm);color:var(--card);
font:700 11px/20px system-ui,sans-serif;text-align:center}
.dot.bad{background:var(--bad)}.dot.good{background:var(--good)}.dot.move{background:var(--move)}
time{color:var(--soft);font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:14px;margin-top:14px}
.stages td{white-space:nowrap}.stages td:last-child{width:100%;white-space:normal;overflow-wrap:anywhere}
td,th{text-align:left;padding:6px 10px 6px 0;border-top:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);border-top:0}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.status-left-out{color:var(--soft);white-space:nowrap}.status-failed{color:var(--bad);font-weight:600}.status-done{color:var(--good)}
ul{margin:8px 0 0;padding-left:20px;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:13px;margin-top:28px}
@media (max-width:640px){main{padding:20px 14px 40px}h1{font-size:22px}.card{padding:16px 14px}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:10px 12px}.tile b{font-size:20px}
.chart{grid-template-columns:1fr;row-gap:3px}.chart .plot{margin-bottom:10px}
.name b,.name i{display:inline}.name i{margin-left:6px}
ol.why li{grid-template-columns:24px 64px 1fr}ol.why li span:last-child{grid-column:3}
.hide-small{display:none}}
@media print{body{background:#fff}.card{break-inside:avoid}}
"""


def render(timeline: Timeline) -> str:
    """Return the whole page; every text in it is escaped."""
    title = escape(timeline.title)
    acts = "".join(_act(act, number) for number, act in enumerate(timeline.acts, 1))
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in (*timeline.facts, *timeline.left_out))
    notes = f'<section class="card"><h2>How this was run</h2><ul>{facts}</ul></section>' if facts else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f'<header><h1>{title}</h1><p class="soft">{escape(_lead(timeline))}</p></header>'
        f"{_tiles(timeline)}{acts}{notes}"
        "<footer>Colours: the stable version is grey, the new one teal, failed requests red. "
        "Rest the pointer on a shape, or follow a decision's number, for details.</footer>"
        "</main></body></html>\n"
    )


def _lead(timeline: Timeline) -> str:
    """Say in one sentence how it ended."""
    if not timeline.acts:
        return "Nothing was played."
    if timeline.is_as_expected:
        return (
            f"All {len(timeline.acts)} acts ended as they should."
            if len(timeline.acts) > 1
            else "As it should."
        )
    wrong = [act.title for act in timeline.acts if not act.is_as_expected]
    return f"Not as it should: {'; '.join(wrong)}."


def _tiles(timeline: Timeline) -> str:
    """Return the summary at the top."""
    good = sum(act.is_as_expected for act in timeline.acts)
    lost_pct = 100 * timeline.errors / timeline.requests if timeline.requests else 0.0
    played_s = sum(act.ended_at - act.started_at for act in timeline.acts)
    rows = [
        (
            f"{good} of {len(timeline.acts)}",
            "acts ended as they should",
            "good" if timeline.is_as_expected else "bad",
        ),
        (_number(timeline.requests - timeline.errors), "requests served", ""),
        (_number(timeline.errors), f"requests lost ({_pct(lost_pct)})", "bad" if timeline.errors else "good"),
        (_duration(played_s), "of releases on the compressed clock", ""),
        (_duration(timeline.wall_s), f"in real time, compressed up to {timeline.speed:g} times", ""),
    ]
    tiles = "".join(
        f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for value, label, kind in rows
    )
    return f'<section class="tiles" aria-label="summary">{tiles}</section>'


def _act(act: Act, number: int) -> str:
    """Return one act: how it ended, its chart, its decisions with their reasons."""
    anchor = f"act{number}"
    badge = "badge" if act.is_as_expected else "badge bad"
    outcome = act.outcome if act.is_as_expected else f"{act.outcome} (expected: {act.expected})"
    notes = "".join(f"<li>{escape(note)}</li>" for note in act.notes)
    return (
        f'<section class="card" aria-labelledby="{anchor}"><div class="head">'
        f'<h2 id="{anchor}">{escape(act.title)}</h2><span class="{badge}">{escape(outcome)}</span></div>'
        f'<p class="soft">{escape(act.story)}</p>'
        f"{_stages(act.stages)}"
        f"{_chart(tracks(act, anchor))}{_decisions(act, anchor)}{_totals(act)}"
        f"{f'<ul>{notes}</ul>' if notes else ''}</section>"
    )


def _chart(rows: tuple[Track, ...]) -> str:
    """Return the tracks below each other with their names at the left."""
    cells = "".join(
        f'<div class="name {row.role}"><b>{escape(row.label)}</b><i>{escape(row.note)}</i>{_keys(row)}</div>'
        f'<div class="plot">{row.svg}</div>'
        if row.label
        else f'<div class="hide-small"></div><div class="plot">{row.svg}</div>'
        for row in rows
    )
    return f'<div class="chart">{cells}</div>' if cells else ""


def _keys(row: Track) -> str:
    """Return what the colours of a track mean."""
    return "".join(f'<i><span class="key {kind}">{escape(text)}</span></i>' for kind, text in row.keys)


def _decisions(act: Act, anchor: str) -> str:
    """Return every decision with its time and its reason."""
    scale = Scale(act.started_at, act.ended_at)
    rows = "".join(
        f'<li id="{anchor}-{number}"><span class="dot {tone(event)}">{number}</span>'
        f"<time>{escape(scale.minute(event.at))}</time><b>{escape(event.what)}</b>"
        f"<span>{escape(event.reason)}</span></li>"
        for number, event in enumerate(act.events, 1)
    )
    return f'<h3>Decisions and their reasons</h3><ol class="why">{rows}</ol>' if rows else ""


def _totals(act: Act) -> str:
    """Return the requests and errors per version in numbers."""
    if not act.served:
        return ""
    rows = ""
    for version in act.versions():
        requests, errors = act.totals(version)
        rate = _pct(100 * errors / requests) if requests else ""
        role = "new" if version == act.new_version() else "stable"
        rows += (
            f'<tr><td>version {escape(version)} <span class="soft">{role}</span></td>'
            f'<td class="number">{_number(requests)}</td><td class="number">{_number(errors)}</td>'
            f'<td class="number">{rate}</td></tr>'
        )
    numbers = "".join(f'<th class="number">{name}</th>' for name in ("requests", "failed", "rate"))
    return f"<h3>Requests</h3><table><tr><th>served by</th>{numbers}</tr>{rows}</table>"


def _stages(stages: tuple[Stage, ...]) -> str:
    """Return the stages before traffic as a table."""
    rows = "".join(
        f'<tr><td>{escape(stage.name)}</td><td class="status-{escape(stage.status.replace(" ", "-"))}">'
        f'{escape(stage.status)}</td><td class="number">{stage.seconds:.1f} s</td>'
        f"<td>{escape(stage.detail)}</td></tr>"
        for stage in stages
    )
    heads = '<th>stage</th><th></th><th class="number">real time</th><th></th>'
    return f'<table class="stages"><tr>{heads}</tr>{rows}</table>' if rows else ""


def _number(value: int) -> str:
    """Return 12345 as `12 345`."""
    return f"{value:,}".replace(",", " ")


def _pct(value: float) -> str:
    """Return a share in percent with two significant digits, or whole above ten."""
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def _duration(seconds: float) -> str:
    """Return seconds as `48 s`, `12 min 5 s` or `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:  # a minute
        return f"{whole} s"
    if whole < 3600:  # an hour
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
