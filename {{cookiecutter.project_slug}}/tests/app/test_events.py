"""What each event is read as."""

import json
from typing import Any

import pytest

from app.events import Ignored, StoredImage, UnknownEventError, read_event
from tests.app.fakes import notification, record


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("photo.jpg", "photo.jpg", id="a plain key stays"),
        pytest.param("a/b/photo.jpg", "a/b/photo.jpg", id="slashes stay"),
        pytest.param("my+photo.jpg", "my photo.jpg", id="a plus is a space"),
        pytest.param("1%2B1.jpg", "1+1.jpg", id="an escaped plus is a plus"),
        pytest.param("%C3%A4%F0%9F%93%B7.jpg", "ä📷.jpg", id="UTF-8 is decoded"),
        pytest.param("100%25.jpg", "100%.jpg", id="a percent sign is decoded once"),
        pytest.param("../../etc/passwd", "../../etc/passwd", id="dots are nothing but a name"),
        pytest.param("k" * 1024, "k" * 1024, id="the longest key S3 has"),
    ],
)
def test_keys_are_decoded(written: str, meant: str) -> None:
    """A key is taken as the uploader wrote it, not as S3's notification escapes it."""
    assert read_event(notification(written)) == [StoredImage("source", meant)]


def test_every_record_is_read_in_order() -> None:
    """An event with several records asks for several pictures."""
    assert read_event(notification("a.jpg", "b/c.png")) == [
        StoredImage("source", "a.jpg"),
        StoredImage("source", "b/c.png"),
    ]


def test_a_version_is_honoured() -> None:
    """A bucket that keeps versions says which one was uploaded, and that one is meant."""
    assert read_event(notification("a.jpg", version_id="v1")) == [StoredImage("source", "a.jpg", "v1")]


def test_the_test_event_asks_for_nothing() -> None:
    """What S3 sends when a notification is set up is understood and empty."""
    event = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Bucket": "source",
        "RequestId": "1",
        "HostId": "2",
    }
    assert read_event(event) == []


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "ObjectRestore:Completed", "s3:Replication"])
def test_other_s3_events_are_ignored_with_their_reason(name: str) -> None:
    """A notification about something else than a new object names what it was about."""
    assert read_event(notification("a.jpg", eventName=name)) == [
        Ignored("source", "a.jpg", f"nothing to resize after `{name}`")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:Post",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
    ],
)
def test_every_way_of_creating_an_object_counts(name: str) -> None:
    """It makes no difference how an object was uploaded."""
    assert read_event(notification("a.jpg", eventName=name)) == [StoredImage("source", "a.jpg")]


def test_a_damaged_record_does_not_cost_the_others() -> None:
    """A record without bucket or key is ignored, and the ones beside it are read."""
    damaged = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}
    ignored, found = read_event({"Records": [damaged, record("a.jpg")]})
    assert isinstance(ignored, Ignored)
    assert "`eventSource`, `eventName`, `s3`" in ignored.reason
    assert found == StoredImage("source", "a.jpg")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param({}, "expected an S3 notification with `Records`, found nothing", id="empty"),
        pytest.param(
            {"version": "0", "source": "aws.s3"},
            "expected an S3 notification with `Records`, found `version`, `source`",
            id="EventBridge",
        ),
        pytest.param(
            {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(notification("a.jpg"))}]},
            "expected records from `aws:s3`, found `aws:sqs`",
            id="a queue in between",
        ),
        pytest.param(
            {"Records": None}, "expected an S3 notification with `Records`, found `Records`", id="null"
        ),
        pytest.param(
            {"Records": ["a.jpg"]}, "expected a record from S3, found a `str`", id="a word as record"
        ),
        pytest.param([], "expected an S3 notification, found a `list`", id="a list"),
        pytest.param(None, "expected an S3 notification, found a `NoneType`", id="nothing"),
    ],
)
def test_an_unknown_event_is_one_clear_error(event: Any, message: str) -> None:
    """An event from somewhere else fails, naming what was found: answering it would acknowledge it."""
    with pytest.raises(UnknownEventError) as error:
        read_event(event)
    assert str(error.value) == message
