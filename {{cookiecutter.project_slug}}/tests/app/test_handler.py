"""The function as a whole: events in, pictures, log lines and metrics out."""

import io
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.events import UnknownEventError
from app.handler import ResizeFailedError, Settings, SettingsError, handler
from tests.app.conftest import Function
from tests.app.fakes import aws_error, encoded, notification, picture

JPEG = encoded(picture((40, 20)))


def test_a_picture_comes_out_half_the_size(function: Function) -> None:
    """An uploaded picture is written under the same key, half as large, and the answer says so."""
    function.s3.given_object("a/b.jpg", JPEG)
    answer = function(notification("a/b.jpg"))
    written = function.s3.written["resized", "a/b.jpg"]
    assert Image.open(io.BytesIO(written["Body"])).size == (20, 10)
    assert written["ContentType"] == "image/jpeg"
    assert answer == {
        "resized": [
            {"bucket": "resized", "key": "a/b.jpg", "width": 20, "height": 10, "bytes": len(written["Body"])}
        ],
        "skipped": [],
    }


def test_the_answer_is_json(function: Function) -> None:
    """Lambda can encode whatever is answered."""
    function.s3.given_object("a.jpg", JPEG)
    assert json.loads(json.dumps(function(notification("a.jpg", "gone.jpg"))))


def test_the_fitting_size_is_a_setting(given_function: Callable[..., Function]) -> None:
    """With a size to fit, that size decides."""
    function = given_function(fit_px=8)
    function.s3.given_object("a.jpg", JPEG)
    assert function(notification("a.jpg"))["resized"][0]["width"] == 8


def test_similar_keys_do_not_collide(function: Function) -> None:
    """Keys that differ by where their slash is are different pictures."""
    function.s3.given_object("a/bc.jpg", JPEG)
    function.s3.given_object("ab/c.jpg", encoded(picture((80, 40))))
    answer = function(notification("a/bc.jpg", "ab/c.jpg"))
    assert [(found["key"], found["width"]) for found in answer["resized"]] == [
        ("a/bc.jpg", 20),
        ("ab/c.jpg", 40),
    ]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        pytest.param("no-extension", "no-extension", id="no extension"),
        pytest.param("photo.txt", "photo.txt", id="an extension that lies"),
        pytest.param("my+holiday%2Fday+1.jpg", "my holiday/day 1.jpg", id="spaces and slashes"),
        pytest.param("k" * 1024, "k" * 1024, id="the longest key"),
        pytest.param("..%2F..%2Fetc", "../../etc", id="dots"),
    ],
)
def test_the_key_decides_nothing_but_the_place(function: Function, written: str, key: str) -> None:
    """The format is in the bytes; a key of any form works."""
    function.s3.given_object(key, JPEG)
    assert function(notification(written))["resized"][0]["key"] == key
    assert ("resized", key) in function.s3.written


def test_the_uploaded_version_is_resized(function: Function) -> None:
    """A picture replaced before the function ran is resized as it was uploaded."""
    function.s3.given_object("a.jpg", encoded(picture((80, 40))))
    function.s3.given_version("a.jpg", "v1", JPEG)
    assert function(notification("a.jpg", version_id="v1"))["resized"][0]["width"] == 20


def test_a_bad_picture_is_skipped_and_named(function: Function) -> None:
    """A picture that cannot be resized is one warning with bucket, key and reason, and part of the answer."""
    function.s3.given_object("bad.jpg", b"not a picture")
    skipped = {
        "bucket": "source",
        "key": "bad.jpg",
        "reason": "not a readable image of the formats JPEG, PNG, WEBP",
    }
    assert function(notification("bad.jpg")) == {"resized": [], "skipped": [skipped]}
    (line,) = function.log_lines
    assert (line["level"], line["message"]) == ("WARNING", "image skipped")
    assert {name: line[name] for name in skipped} == skipped


def test_limits_are_refusals(given_function: Callable[..., Function]) -> None:
    """Too many bytes and too many pixels are skipped, each with its own reason."""
    function = given_function(max_bytes=2_000, max_pixels=1_000)
    function.s3.given_object("heavy.jpg", JPEG + b"\0" * 2_000)
    function.s3.given_object("wide.jpg", encoded(Image.new("L", (100, 20))))
    function.s3.given_object("empty.jpg", b"")
    answer = function(notification("heavy.jpg", "wide.jpg", "empty.jpg", "gone.jpg"))
    assert [skipped["reason"].split(":")[0] for skipped in answer["skipped"]] == [
        "too large",
        "too many pixels",
        "empty object",
        "the object is no longer there",
    ]
    assert not function.s3.written


def test_it_never_feeds_on_its_own_output(function: Function) -> None:
    """A picture in the bucket for resized ones is skipped unread: it would trigger itself."""
    (skipped,) = function(notification("a.jpg", bucket="resized"))["skipped"]
    assert skipped["reason"] == "the source is the bucket for resized images: that would never end"
    assert not function.s3.bodies
    assert not function.s3.written


def test_a_bad_record_does_not_cost_the_others(function: Function) -> None:
    """Whatever is wrong with one picture, those before and after it are resized."""
    function.s3.given_object("a.jpg", JPEG)
    function.s3.given_object("bad.jpg", JPEG[:100])
    function.s3.given_object("z.jpg", JPEG)
    answer = function(notification("a.jpg", "bad.jpg", "gone.jpg", "z.jpg"))
    assert [found["key"] for found in answer["resized"]] == ["a.jpg", "z.jpg"]
    assert [found["key"] for found in answer["skipped"]] == ["bad.jpg", "gone.jpg"]


@pytest.mark.parametrize("call", ["get", "put"])
def test_trouble_with_s3_fails_the_invocation_after_the_rest_is_done(function: Function, call: str) -> None:
    """What may work later is an error, so that Lambda tries again; the other pictures are done first."""
    for key in ("a.jpg", "m.jpg", "z.jpg"):
        function.s3.given_object(key, JPEG)
    function.s3.given_fault(call, "m.jpg", aws_error("AccessDenied"))
    with pytest.raises(ResizeFailedError) as error:
        function(notification("a.jpg", "m.jpg", "z.jpg"))
    did = "read" if call == "get" else "write"
    assert str(error.value) == (
        f"1 of 3 objects failed: `m.jpg` in `source`: could not {did} the object: AccessDenied"
    )
    assert set(function.s3.written) == {("resized", "a.jpg"), ("resized", "z.jpg")}
    assert [line["key"] for line in function.log_lines if line["level"] == "ERROR"] == ["m.jpg"]


def test_a_download_that_breaks_is_not_taken_for_a_bad_picture(function: Function) -> None:
    """A connection lost in the middle of decoding is tried again, and nothing half-read is stored."""
    function.s3.given_object("a.jpg", JPEG[:300])
    function.s3.given_late_fault("a.jpg", ConnectionResetError("reset by peer"))
    with pytest.raises(ResizeFailedError, match="reset by peer"):
        function(notification("a.jpg"))
    assert not function.s3.written


def test_a_bug_does_not_cost_the_others(function: Function) -> None:
    """An error nobody thought of is logged with its traceback, and the other pictures are done first."""
    function.s3.given_object("a.jpg", JPEG)
    function.s3.given_object("z.jpg", JPEG)
    function.s3.given_fault("put", "a.jpg", RuntimeError("surprise"))
    with pytest.raises(ResizeFailedError, match="1 of 2 objects failed"):
        function(notification("a.jpg", "z.jpg"))
    assert ("resized", "z.jpg") in function.s3.written
    assert "RuntimeError: surprise" in function.log_lines[0]["exception"]


def test_every_outcome_is_counted(function: Function) -> None:
    """Three metrics say what became of the pictures, zeros included."""
    function.s3.given_object("a.jpg", JPEG)
    function(notification("a.jpg", "gone.jpg"))
    metrics = function.resizer.metrics.serialize_metric_set()
    counts = {name: metrics[name] for name in ("ImagesResized", "ImagesSkipped", "ImagesFailed")}
    assert counts == {"ImagesResized": [1.0], "ImagesSkipped": [1.0], "ImagesFailed": [0.0]}


def test_an_unknown_event_is_an_error_and_counted(function: Function) -> None:
    """An event from elsewhere fails the invocation and shows in a metric."""
    with pytest.raises(UnknownEventError):
        function({"hello": "world"})
    assert function.resizer.metrics.serialize_metric_set()["UnknownEvents"] == [1.0]


def test_keys_cannot_forge_log_lines(function: Function) -> None:
    """A line break in a key stays inside its log line."""
    function(notification('x%0A{"level":"ERROR"}'))
    (line,) = function.log_lines
    assert line["key"] == 'x\n{"level":"ERROR"}'


def test_nothing_is_left_on_disk(function: Function, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file is written, not even for a while: there is no directory for temporary files at all."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    for name in ("JPEG", "PNG", "WEBP"):
        function.s3.given_object(name, encoded(picture((640, 480)), name))
    assert len(function(notification("JPEG", "PNG", "WEBP"))["resized"]) == 3
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # Path.iterdir() would make no difference here


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        pytest.param({}, Settings("b", 0, 25_000_000, 50_000_000), id="defaults"),
        pytest.param(
            {"FIT_PX": "800", "MAX_OBJECT_MB": "5", "MAX_MEGAPIXELS": "12"},
            Settings("b", 800, 5_000_000, 12_000_000),
            id="all set",
        ),
        pytest.param({"FIT_PX": ""}, Settings("b"), id="empty is unset"),
    ],
)
def test_settings(environment: dict[str, str], settings: Settings) -> None:
    """The settings come from environment variables, in the units their names say."""
    assert Settings.from_environment({"RESIZED_BUCKET": "b", **environment}) == settings


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RESIZED_BUCKET": ""}, "`RESIZED_BUCKET` is not set; expected the name of a bucket"),
        ({"FIT_PX": "-1"}, "`FIT_PX` is `-1`; expected a whole number from 0"),
        ({"FIT_PX": "half"}, "`FIT_PX` is `half`; expected a whole number from 0"),
        ({"MAX_OBJECT_MB": "0"}, "`MAX_OBJECT_MB` is `0`; expected a whole number from 1"),
        ({"MAX_MEGAPIXELS": "1.5"}, "`MAX_MEGAPIXELS` is `1.5`; expected a whole number from 1"),
    ],
)
def test_wrong_settings_are_named(environment: dict[str, str], message: str) -> None:
    """A setting that makes no sense stops the function as it starts, with the variable and what it holds."""
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"RESIZED_BUCKET": "b", **environment})
    assert str(error.value) == message


@dataclass
class Context:
    """What Lambda passes besides the event."""

    function_name: str = "image-resizer"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:image-resizer:live"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def test_the_entry_point_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Lambda's way in works, and publishes its metrics as lines CloudWatch reads."""
    assert handler({"Service": "Amazon S3", "Event": "s3:TestEvent"}, Context()) == {
        "resized": [],
        "skipped": [],
    }
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    published = [line for line in lines if "ImagesResized" in line]
    assert published[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Test"
