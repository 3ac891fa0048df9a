"""An S3 in memory, the notifications it sends, and pictures."""

import io
from typing import Any

from botocore.exceptions import ClientError
from PIL import Image


class Body:
    """A download as botocore hands it out: forward only, in pieces, with a checksum at its end."""

    def __init__(self, content: bytes, error: Exception | None) -> None:
        self._rest = io.BytesIO(content)
        self._error = error
        self.is_closed = False
        self.is_read_to_the_end = False

    def read(self, amount: int) -> bytes:
        """Return at most so many bytes, less than asked for now and then, and at last none."""
        piece = self._rest.read(max(1, amount - 7))
        if not piece and self._error:
            raise self._error
        self.is_read_to_the_end = not piece
        return piece

    def close(self) -> None:
        """Give the connection back."""
        self.is_closed = True


class FakeS3:
    """An S3 in memory with the two calls the function makes, and faults on request."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str | None], tuple[bytes, str | None]] = {}
        self._faults: dict[tuple[str, str], Exception] = {}
        self._late_faults: dict[str, Exception] = {}
        self._claimed_bytes: dict[str, int] = {}
        self.bodies: list[Body] = []
        self.written: dict[tuple[str, str], dict[str, Any]] = {}

    def given_object(self, key: str, content: bytes, content_type: str | None = "image/jpeg") -> None:
        """Put an object into the source bucket."""
        self._objects["source", key, None] = content, content_type

    def given_version(self, key: str, version_id: str, content: bytes) -> None:
        """Keep a version of an object in the source bucket, under its newest one."""
        self._objects["source", key, version_id] = content, "image/jpeg"

    def given_size(self, key: str, claimed_bytes: int) -> None:
        """Announce another size than the object's."""
        self._claimed_bytes[key] = claimed_bytes

    def given_fault(self, call: str, key: str, error: Exception) -> None:
        """Fail a call, `get` or `put`, for a key."""
        self._faults[call, key] = error

    def given_late_fault(self, key: str, error: Exception) -> None:
        """Fail a download after its last byte, where checksums are compared and connections break."""
        self._late_faults[key] = error

    def get_object(self, **request: Any) -> dict[str, Any]:
        """Answer as S3 does, content type left out where there is none."""
        key = request["Key"]
        if fault := self._faults.get(("get", key)):
            raise fault
        found = self._objects.get((request["Bucket"], key, request.get("VersionId")))
        if not found:
            raise aws_error("NoSuchKey")
        content, content_type = found
        body = Body(content, self._late_faults.get(key))
        self.bodies.append(body)
        answer = {"Body": body, "ContentLength": self._claimed_bytes.get(key, len(content))}
        return answer | ({"ContentType": content_type} if content_type else {})

    def put_object(self, **request: Any) -> dict[str, Any]:
        """Keep what was written."""
        if fault := self._faults.get(("put", request["Key"])):
            raise fault
        self.written[request["Bucket"], request["Key"]] = request
        return {}


def aws_error(code: str) -> ClientError:
    """Return the error botocore raises for an answer with this code."""
    return ClientError({"Error": {"Code": code, "Message": ""}}, "AnOperation")


def notification(*keys: str, bucket: str = "source", **changes: Any) -> dict[str, Any]:
    """Return the event S3 sends for these keys, given as S3 writes them: URL-encoded."""
    return {"Records": [record(key, bucket=bucket, **changes) for key in keys]}


def record(
    key: str, *, bucket: str = "source", version_id: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Return one record of a notification, with the fields S3 sends and the function does not use left in."""
    stored = {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0A1B2C"}
    if version_id:
        stored["versionId"] = version_id
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": stored,
        },
        **changes,
    }


def picture(size: tuple[int, int] = (40, 20), mode: str = "RGB") -> Image.Image:
    """Return a picture whose left half is dark and whose right half is light, in any mode."""
    image = Image.new("L", size, 40)
    image.paste(200, (size[0] // 2, 0, *size))
    return image.convert(mode)


def encoded(image: Image.Image, name: str = "JPEG", **options: Any) -> bytes:
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()
