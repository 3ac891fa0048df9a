"""What is tried before traffic: the probe, and the real sample as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployer.errors import DeployerError, Exit
from deployer.rollout import sample as samples
from generating import GENERATED

SAMPLE = """
event = "sample.json"
[[before]]
call = "s3.put_object"
arguments = { Bucket = "${Source}", Key = "smoke/a" }
files = { Body = "photo.jpg" }
[expect]
answer = { done = ["${Source}/smoke/a"] }
[[expect.calls]]
call = "s3.head_object"
arguments = { Bucket = "${Source}", Key = "smoke/b" }
answer = { ContentType = "image/jpeg" }
[[after]]
call = "s3.delete_object"
arguments = { Bucket = "${Source}", Key = "smoke/a" }
[[after]]
call = "s3.delete_object"
arguments = { Bucket = "${Source}", Key = "smoke/b" }
"""
NAMES = {"Source": "mine"}
ALL = ["put_object smoke/a", "head_object smoke/b", "delete_object smoke/a", "delete_object smoke/b"]


@dataclass
class FakeS3:
    """S3's three calls of the sample; `calls` is what was made, `refuses` what is denied."""

    calls: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    content_type: str = "image/jpeg"

    @property
    def meta(self) -> SimpleNamespace:
        """Return the operations there are."""
        return SimpleNamespace(
            method_to_api_mapping=dict.fromkeys(["put_object", "head_object", "delete_object"])
        )

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append(f"{operation} {arguments['Key']}")
            if self.calls[-1] in self.refuses:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
            return {"ContentType": self.content_type}

        return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with a sample."""
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "photo.jpg").write_bytes(b"a photo")
    (tmp_path / "smoke" / "sample.json").write_text('{"bucket": "${Source}"}')
    (tmp_path / "smoke" / "sample.toml").write_text(SAMPLE)
    return tmp_path


def loaded(root: Path) -> samples.Sample:
    """Return the sample, which is there."""
    found = samples.load(root)
    assert found is not None
    return found


def send(root: Path, s3: FakeS3, answer: Any = None, failure: str | None = None) -> str:
    """Send the sample to a function that gives that answer."""
    events: list[Any] = []

    def invoke(event: Any) -> tuple[str | None, Any]:
        events.append(event)
        return failure, {"done": ["mine/smoke/a"], "more": 1} if answer is None else answer

    said = samples.send(loaded(root), invoke, {"s3": s3}.__getitem__, NAMES)
    assert events == [{"bucket": "mine"}]
    return said


def test_good_answer_passes(root: Path) -> None:
    """The calls are made in their order, the event has the resources' names, and one sentence says what came back."""
    s3 = FakeS3()
    assert send(root, s3) == "the answer and 1 look at what it left are as expected"
    assert s3.calls == ALL


@pytest.mark.parametrize(
    ("answer", "failure", "content_type", "found"),
    [
        ({"done": []}, None, "image/jpeg", "answer.done: found `[]`, expected `['mine/smoke/a']`"),
        (
            {"errorMessage": "no idea"},
            "Unhandled",
            "image/jpeg",
            "found Unhandled: no idea, expected an answer",
        ),
        (None, None, "text/plain", "s3.head_object.ContentType: found `text/plain`, expected `image/jpeg`"),
    ],
    ids=["another answer", "it failed", "it left something else"],
)
def test_wrong_answer_is_said_and_tidied_up(
    root: Path, answer: Any, failure: str | None, content_type: str, found: str
) -> None:
    """What was found is set against what was expected, and the calls after are made all the same."""
    s3 = FakeS3(content_type=content_type)
    with pytest.raises(DeployerError, match="the sample did not give what is expected") as error:
        send(root, s3, answer, failure)
    assert found in str(error.value.found)
    assert s3.calls[-2:] == ALL[-2:]


def test_what_came_first_is_told(root: Path) -> None:
    """When a call before fails and tidying up as well, the first is the error, and all calls after were tried."""
    s3 = FakeS3(refuses={"put_object smoke/a", "delete_object smoke/a"})
    with pytest.raises(DeployerError, match=r"calling `s3.put_object` .* not allowed"):
        send(root, s3)
    assert s3.calls == [ALL[0], *ALL[-2:]]


def test_what_cannot_be_removed_is_an_error(root: Path) -> None:
    """A sample that passes and leaves something behind is an error; the other calls after are made."""
    s3 = FakeS3(refuses={"delete_object smoke/a"})
    with pytest.raises(DeployerError, match="what it left cannot be removed"):
        send(root, s3)
    assert s3.calls == ALL


def test_without_a_sample_nothing_is_tried(tmp_path: Path) -> None:
    """The file is optional, and the plan says that nothing real is tried without it."""
    assert samples.load(tmp_path) is None
    assert samples.outlook(None) == (
        "sample     none: there is no smoke/sample.toml, so nothing real is tried before traffic"
    )


def test_plan_says_what_the_sample_does(root: Path) -> None:
    """The plan's line counts what the sample does."""
    assert samples.outlook(loaded(root)) == (
        "sample     smoke/sample.toml: 1 call before, the event, its answer, 1 look at what it left, "
        "2 calls after; `deployer sample VERSION` sends it to one version"
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[expect]", "[expect", "`smoke/sample.toml` cannot be read"),
        ('event = "sample.json"', "", "`smoke/sample.toml` names no event"),
        ('"sample.json"', '"../deploy.toml"', "found `../deploy.toml`, expected a file in `smoke/`"),
        ('"sample.json"', '"none.json"', "there is no `smoke/none.json`"),
        ('"sample.json"', '"photo.jpg"', "`smoke/photo.jpg` is no JSON"),
        ("[[before]]", "[[befor]]", "found `befor`"),
        ("[[expect.calls]]", "[[expect.looks]]", "found `expect.looks`"),
        ("s3.head_object", "head_object", "`smoke/sample.toml`, expect.calls 1, cannot be used"),
        ("photo.jpg", "none.jpg", "found no file `smoke/none.jpg`"),
        ("photo.jpg", "\\u0000", "expected one inside `smoke/`"),
        ('"sample.json"', '"\\u0000"', "`smoke/sample.toml` names no event"),
        (
            'event = "sample.json"\n[[before]]',
            'event = "sample.json"\n[before]',
            "expected tables like [[before]]",
        ),
        ("[[expect.calls]]", "[expect.calls]", "expected tables like [[expect.calls]]"),
        (
            '"${Source}", Key = "smoke/b" }\nanswer',
            '"${Sink}", Key = "smoke/b" }\nanswer',
            "found no resource `Sink`",
        ),
    ],
)
def test_bad_sample_is_one_error(root: Path, old: str, new: str, words: str) -> None:
    """A sample that cannot be sent is one error with its place, before or when it is sent."""
    assert old in SAMPLE
    (root / "smoke" / "sample.toml").write_text(SAMPLE.replace(old, new))
    with pytest.raises(DeployerError) as error:
        send(root, FakeS3())
    assert words in str(error.value)
    assert error.value.exit_code == Exit.USAGE


def test_sample_that_expects_nothing_is_refused(root: Path) -> None:
    """A sample without an expectation would pass whatever comes back."""
    text = SAMPLE.partition("[expect]")[0] + SAMPLE[SAMPLE.index("[[after]]") :]
    (root / "smoke" / "sample.toml").write_text(text)
    with pytest.raises(DeployerError, match="expects nothing"):
        samples.load(root)


def test_probe_is_the_owners(tmp_path: Path) -> None:
    """The probe is smoke/probe.json; a missing or damaged one is an error with the next step."""
    (tmp_path / "smoke").mkdir()
    with pytest.raises(DeployerError, match=r"there is no `smoke/probe.json`") as error:
        samples.load_probe(tmp_path)
    assert error.value.hint
    (tmp_path / "smoke" / "probe.json").write_text("{")
    with pytest.raises(DeployerError, match=r"`smoke/probe.json` is no JSON"):
        samples.load_probe(tmp_path)
    (tmp_path / "smoke" / "probe.json").write_text('{"a": 1}')
    assert samples.load_probe(tmp_path) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    ["expect = 3", 'expect = ["answer"]', "before = 3", 'after = ["x"]', "expect = { calls = { a = 1 } }"],
)
def test_key_that_is_no_table_is_one_error(root: Path, text: str) -> None:
    """A key that holds no table, or no tables, is named with what was found."""
    expect = "" if text.startswith("expect") else "\n[expect]\nanswer = 1"
    (root / "smoke" / "sample.toml").write_text(f'event = "sample.json"\n{text}{expect}')
    with pytest.raises(DeployerError, match=r"`smoke/sample\.toml`, ") as error:
        samples.load(root)
    assert "like [" in str(error.value)
    assert error.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": NaN}', "\ufeff{}"])
def test_probe_that_is_no_json_is_one_error(tmp_path: Path, text: str) -> None:
    """What Lambda would refuse is an error here, also what Python alone takes for JSON."""
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "probe.json").write_text(text, encoding="utf-8")
    with pytest.raises(DeployerError, match=r"`smoke/probe\.json` is no JSON") as error:
        samples.load_probe(tmp_path)
    assert error.value.found
    assert error.value.exit_code == Exit.USAGE


def test_own_sample_keeps_below_its_prefix() -> None:
    """Every object that the template's sample touches lies under `smoke/`, and so does its event's."""
    sample = loaded(GENERATED)
    touched = [*sample.before, *(call for call, _ in sample.expected), *sample.after]
    assert touched
    assert all(call.arguments["Key"].startswith("smoke/") for call in touched)
    assert sample.event["Records"][0]["s3"]["object"]["key"].startswith("smoke/")
    assert sample.event["Records"][0]["s3"]["object"]["size"] == len(sample.before[0].arguments["Body"])
    assert json.dumps(samples.load_probe(GENERATED))
