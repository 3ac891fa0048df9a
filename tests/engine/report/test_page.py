"""The timeline's round trip, and the page made from it."""

import html.parser
import json
import re

import pytest

from deployer.report.page.evidence_chart import EVIDENCE_PX
from deployer.report.page.html import render
from deployer.report.page.timeline import (
    Act,
    Event,
    Sample,
    Served,
    Stage,
    Strength,
    Timeline,
    from_engine,
    from_json,
)

EVIL = "<script>alert('x')</script>\" & \u2028 </title>"


EVIDENCE = (
    Strength(6180.0, "errors", -0.2, 4.7),
    Strength(6180.0, "slow calls", 0.4, 5.3),
    Strength(6240.0, "errors", 2.5, 4.7),
    Strength(6255.0, "errors", 2.5, 4.7),
    Strength(6300.0, "errors", 6.2, 4.7),
)


def act(**changed: object) -> Act:
    """Return a short act in which version 2 gets 10 % and is rolled back."""
    values: dict[str, object] = {
        "title": "3. A broken change",
        "story": "It raises.",
        "expected": "rolled back",
        "outcome": "rolled back",
        "started_at": 6000.0,
        "ended_at": 6600.0,
        "samples": (
            Sample(6000.0, "1", None, 0, {"fn-errors": "OK"}),
            Sample(6120.0, "1", "2", 10, {"fn-errors": "OK"}),
            Sample(6300.0, "1", None, 0, {"fn-errors": "ALARM"}),
        ),
        "served": (Served(6060.0, "1", 40, 0), Served(6120.0, "1", 36, 0), Served(6120.0, "2", 4, 2)),
        "events": (Event(6120.0, "decision", "set weight 10 %", "first step"),),
        "stages": (Stage("scan", "left out", 0.5, "not scanned: no network"),),
        "notes": ("version 1 served all the while",),
    }
    return Act(**(values | changed))  # type: ignore[arg-type]


def page(*acts: Act, title: str = "Rehearsal") -> str:
    """Return the page of a timeline with these acts."""
    return render(Timeline(title, 45.0, 97.0, acts, ("scan: left out",), ("base image x",)))


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text of a page, and checks that its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.lines: list[dict[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.lines += [{name: value or "" for name, value in attrs}] if tag == "line" else []
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append(tag)
        self.lines += [{name: value or "" for name, value in attrs}] if tag == "line" else []

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost tag."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words.append(data)


def test_timeline_survives_json() -> None:
    """A timeline written as JSON and read again is equal."""
    timeline = Timeline(
        "Rehearsal", 45.0, 97.5, (act(), act(title="ä", evidence=EVIDENCE)), ("left out",), ("fact",)
    )
    assert from_json(timeline.to_json()) == timeline


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 99, "acts": []}'])
def test_other_json_is_refused(text: str) -> None:
    """JSON of another format raises ValueError instead of being half read."""
    with pytest.raises(ValueError, match="not a timeline of format 3"):
        from_json(text)


def test_all_text_is_escaped() -> None:
    """Text from a release never becomes markup, wherever it is shown."""
    evil = act(
        title=EVIL,
        story=EVIL,
        outcome=EVIL,
        events=(Event(6120.0, EVIL, EVIL, EVIL),),
        stages=(Stage(EVIL, EVIL, 1.0, EVIL),),
        notes=(EVIL,),
        samples=(Sample(6000.0, EVIL, EVIL, 10, {EVIL: EVIL}),),
        served=(Served(6060.0, EVIL, 3, 1),),
    )
    read = Reader(page(evil, title=EVIL))
    assert "script" not in read.tags
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert "alert('x')" in "".join(read.words)


def test_page_is_self_contained() -> None:
    """The page loads nothing: no script, no image, no address, no import."""
    text = page(act())
    read = Reader(text)
    sources = [value for _, name, value in read.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert sources
    assert all(value.startswith("#") for value in sources)
    assert not {"script", "link", "iframe", "img", "object"} & set(read.tags)
    assert not re.search(r"https?://|url\(|@import", text)


def test_decisions_lead_to_their_reasons() -> None:
    """Every mark of the chart is a link to an entry that exists, with its reason as text."""
    read = Reader(page(act(), act()))
    ids = {value for _, name, value in read.attributes if name == "id"}
    targets = {value[1:] for _, name, value in read.attributes if name == "href"}
    assert targets
    assert targets <= ids
    assert "first step" in read.words


def test_page_says_when_an_act_did_not_end_as_it_should() -> None:
    """A wrong outcome is named with what was expected, on top and at the act."""
    text = page(act(), act(title="2. Healthy", outcome="rolled back", expected="promoted"))
    assert "Not as it should: 2. Healthy." in text
    assert "rolled back (expected: promoted)" in text
    assert "1 of 2" in text


def test_page_without_acts_does_not_claim_success() -> None:
    """A rehearsal that was stopped before the first act says that nothing was played."""
    assert "Nothing was played." in page()


def test_lost_requests_are_on_top() -> None:
    """The summary shows requests served and lost."""
    words = " ".join(Reader(page(act())).words)
    assert "78 requests served" in words
    assert "2 requests lost (2.5 %)" in words


def test_engine_lines_become_decisions() -> None:
    """Waiting is no decision, a repeated one is told once, and a line torn by a kill is left out."""
    base = {"kind": "decision", "stable": "1", "canary": "2", "weight_pct": 10, "alarms": {"a": "OK"}}
    lines = [
        json.dumps(base | {"at": 1, "decision": "set-weight", "reason": "first step"}),
        json.dumps(base | {"at": 2, "decision": "wait", "reason": "1 of 300 s"}),
        json.dumps(
            base | {"at": 3, "decision": "rollback", "reason": "alarm", "canary": None, "weight_pct": 0}
        ),
        json.dumps(
            base | {"at": 4, "decision": "rollback", "reason": "alarm", "canary": None, "weight_pct": 0}
        ),
        '{"at": 5, "decis',
    ]
    told = from_engine(lines)
    assert [event.what for event in told.events] == ["set weight 10 %", "rollback"]
    assert [sample.share_pct("2") for sample in told.samples] == [10, 10, 0, 0]


def test_engine_lines_carry_the_evidence() -> None:
    """The evidence of every tick, waiting included, is read with its limit; lines of older engines have none."""
    line = {"at": 7, "kind": "decision", "decision": "wait", "stable": "1"}
    known = {"metric": "errors", "log_e": 1.5, "limit": 4.7}
    told = from_engine([json.dumps(line), json.dumps(line | {"evidence": [known]})])
    assert told.evidence == (Strength(7.0, "errors", 1.5, 4.7),)


def test_evidence_is_drawn_against_its_limit() -> None:
    """The chart shows the evidence below its limit or above it, and says in words what the limit means."""
    read = Reader(page(act(evidence=EVIDENCE)))
    assert "evidence" in read.words
    meaning = "limit 4.7: if the new version were no worse, fewer than 1 of 110 rollouts would get here"
    assert meaning in read.words
    label = "evidence against the new version over time, highest: errors 6.2 of 4.7, slow calls 0.4 of 5.3"
    assert ("svg", "aria-label", label) in read.attributes
    limit_y = min(_heights(read, "limit"))
    assert min(_heights(read, "evidence kind-0")) < limit_y < min(_heights(read, "evidence kind-1"))


def test_evidence_beyond_all_bounds_stays_in_the_chart() -> None:
    """However strong or weak the evidence is, its line stays inside the track."""
    extreme = tuple(Strength(6120.0 + 60 * n, "errors", log_e, 4.7) for n, log_e in enumerate((-80.0, 900.0)))
    heights = _heights(Reader(page(act(evidence=extreme))), "evidence kind-0")
    assert 0 <= min(heights) <= max(heights) <= EVIDENCE_PX


def test_no_evidence_no_chart() -> None:
    """An act in which nothing was measured has no empty chart of evidence."""
    assert "evidence" not in Reader(page(act())).words


def _heights(read: Reader, kind: str) -> list[float]:
    """Return every vertical position of the lines of one class."""
    return [float(found["y1"]) for found in read.lines if found.get("class") == kind]
