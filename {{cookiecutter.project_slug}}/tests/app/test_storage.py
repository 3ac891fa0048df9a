"""Reading from S3 while it arrives, writing to it, and what its errors become."""

import io
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import FlexibleChecksumError, IncompleteReadError, ReadTimeoutError
from PIL import Image

from app.events import StoredImage
from app.storage import ObjectRefusedError, Storage, StorageError, s3_client
from tests.app.fakes import FakeS3, aws_error, encoded, picture

IMAGE = StoredImage("source", "a.jpg")
CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def s3() -> FakeS3:
    """Return an S3 with one object of 256 KiB."""
    fake = FakeS3()
    fake.given_object("a.jpg", CONTENT)
    return fake


def read(s3: FakeS3, image: StoredImage = IMAGE, max_bytes: int = 1_000_000) -> bytes:
    """Read an object as the handler does."""
    with Storage(s3, max_bytes).reading(image) as download:
        return download.file.read()


def test_an_object_is_read_whole(s3: FakeS3) -> None:
    """All bytes come out, in order, however small the pieces in which they arrive."""
    assert read(s3) == CONTENT


def test_the_file_behaves_like_one_on_disk(s3: FakeS3) -> None:
    """Reading and seeking in any order gives what a file of the same bytes gives."""
    steps: list[tuple[str, tuple[int, ...]]] = [
        ("read", (10,)),
        ("seek", (0,)),
        ("read", (4,)),
        ("seek", (100_000,)),
        ("tell", ()),
        ("read", (3,)),
        ("seek", (-3, 1)),
        ("read", (6,)),
        ("seek", (-5, 2)),
        ("read", ()),
        ("read", (1,)),
        ("seek", (7,)),
        ("read", (0,)),
        ("read", (300_000,)),
        ("tell", ()),
    ]
    on_disk = io.BytesIO(CONTENT)
    with Storage(s3, 1_000_000).reading(IMAGE) as download:
        for name, arguments in steps:
            assert getattr(download.file, name)(*arguments) == getattr(on_disk, name)(*arguments), name


def test_nothing_is_read_ahead_of_need(s3: FakeS3) -> None:
    """The first bytes are handed out before the last ones have arrived."""
    with Storage(s3, 1_000_000).reading(IMAGE) as download:
        download.file.read(10)
        assert not s3.bodies[0].is_read_to_the_end


def test_a_decoder_can_read_from_it(s3: FakeS3) -> None:
    """Pillow takes the arriving object for a file."""
    s3.given_object("b.png", encoded(picture((200, 100)), "PNG"))
    with Storage(s3, 1_000_000).reading(StoredImage("source", "b.png")) as download:
        assert Image.open(download.file).convert("L").getpixel((10, 10)) == 40


def test_an_object_is_read_to_its_end(s3: FakeS3) -> None:
    """Whatever the decoder left unread is read, because only there is the checksum compared."""
    with Storage(s3, 1_000_000).reading(IMAGE) as download:
        download.file.read(10)
    assert s3.bodies[0].is_read_to_the_end
    assert s3.bodies[0].is_closed


def test_a_refused_object_is_not_read_to_its_end(s3: FakeS3) -> None:
    """An error of the reader ends the download at once and gives the connection back."""
    with pytest.raises(KeyError), Storage(s3, 1_000_000).reading(IMAGE):
        raise KeyError
    assert not s3.bodies[0].is_read_to_the_end
    assert s3.bodies[0].is_closed


def test_a_version_is_read_as_it_was(s3: FakeS3) -> None:
    """The uploaded version is read even if a newer one replaced it meanwhile."""
    s3.given_version("a.jpg", "v1", b"older")
    assert read(s3, StoredImage("source", "a.jpg", "v1")) == b"older"


def test_the_content_type_comes_along(s3: FakeS3) -> None:
    """The owner's content type is known before the first byte is read, and may be missing."""
    s3.given_object("b.jpg", b"x", content_type=None)
    with Storage(s3, 10).reading(StoredImage("source", "b.jpg")) as download:
        assert download.content_type == ""
    with Storage(s3, 1_000_000).reading(IMAGE) as download:
        assert download.content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("size_bytes", "reason"),
    [(0, "empty object"), (1_000_001, "too large: 1.0 MB, allowed are 1 MB")],
)
def test_empty_and_large_objects_are_refused_unread(s3: FakeS3, size_bytes: int, reason: str) -> None:
    """What is empty or over the limit is refused by its announced size."""
    s3.given_size("a.jpg", size_bytes)
    with pytest.raises(ObjectRefusedError) as error:
        read(s3)
    assert str(error.value) == reason
    assert not s3.bodies[0].is_read_to_the_end
    assert s3.bodies[0].is_closed


def test_the_limit_itself_passes(s3: FakeS3) -> None:
    """An object of exactly the limit is read."""
    assert read(s3, max_bytes=len(CONTENT)) == CONTENT


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchVersion"])
def test_an_object_that_is_gone_is_refused(s3: FakeS3, code: str) -> None:
    """An object deleted since its notification is nothing to try again."""
    s3.given_fault("get", "a.jpg", aws_error(code))
    with pytest.raises(ObjectRefusedError, match="no longer there"):
        read(s3)


FAULTS = [
    pytest.param(aws_error("AccessDenied"), "AccessDenied", id="access denied"),
    pytest.param(aws_error("SlowDown"), "SlowDown", id="throttled"),
    pytest.param(aws_error("InternalError"), "InternalError", id="S3 is ill"),
    pytest.param(aws_error("NoSuchBucket"), "NoSuchBucket", id="no such bucket"),
    pytest.param(ReadTimeoutError(endpoint_url="https://s3"), "timeout", id="time-out"),
    pytest.param(ConnectionResetError("reset by peer"), "reset by peer", id="connection lost"),
]


@pytest.mark.parametrize(("fault", "named"), FAULTS)
@pytest.mark.parametrize("call", ["get", "put"])
def test_trouble_with_s3_is_a_storage_error(s3: FakeS3, call: str, fault: Exception, named: str) -> None:
    """Every fault of S3 or the network becomes one error that says what was tried and what came back."""
    s3.given_fault(call, "a.jpg", fault)
    write = partial(Storage(s3, 1).write, "resized", "a.jpg", b"x", "image/jpeg")
    with pytest.raises(StorageError) as error:
        read(s3) if call == "get" else write()
    assert str(error.value).startswith(f"could not {'read' if call == 'get' else 'write'} the object: ")
    assert named in str(error.value)


@pytest.mark.parametrize(
    "fault",
    [
        FlexibleChecksumError(error_msg="Expected checksum did not match"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
)
def test_a_download_that_breaks_at_its_end_is_an_error(s3: FakeS3, fault: Exception) -> None:
    """A wrong checksum found after everything was decoded still keeps the outcome from being stored."""
    s3.given_late_fault("a.jpg", fault)
    with pytest.raises(StorageError), Storage(s3, 1_000_000).reading(IMAGE) as download:
        download.file.read(len(CONTENT))


def test_what_is_written_says_where_and_what(s3: FakeS3) -> None:
    """Bucket, key, bytes and content type arrive as they were given."""
    Storage(s3, 1).write("resized", "x/y z.png", b"123", "image/png")
    assert s3.written["resized", "x/y z.png"] == {
        "Bucket": "resized",
        "Key": "x/y z.png",
        "Body": b"123",
        "ContentType": "image/png",
    }


@pytest.mark.parametrize(
    ("environment", "style"),
    [
        ({}, "auto"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "path"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4566"}, "path"),
    ],
)
def test_the_client_finds_a_local_aws(environment: dict[str, str], style: str) -> None:
    """Buckets are part of the path where one host name serves all of them."""
    client: Any = s3_client(environment)
    assert client.meta.config.s3["addressing_style"] == style
    assert client.meta.config.retries["total_max_attempts"] == 3
