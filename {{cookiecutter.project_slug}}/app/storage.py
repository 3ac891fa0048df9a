"""Read pictures from S3 and write them back. The only module that talks to AWS."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET, BytesIO, RawIOBase
from typing import IO, Any, Protocol, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.events import StoredImage

_GONE = {"NoSuchKey", "NoSuchVersion"}
_READ_AHEAD_BYTES = 64 * 1024


class S3Client(Protocol):
    """The two calls of boto3's S3 client that are used."""

    def get_object(self, **request: Any) -> dict[str, Any]:
        """Start a download."""

    def put_object(self, **request: Any) -> dict[str, Any]:
        """Upload."""


class ObjectRefusedError(Exception):
    """The object will not be read, and trying again would not change that."""


class StorageError(Exception):
    """S3 did not do what was asked of it; trying again may help."""


@dataclass(frozen=True)
class Download:
    """An object that is arriving: its bytes as a file, and the content type its owner gave it."""

    file: IO[bytes]
    content_type: str


def s3_client(environment: Mapping[str, str]) -> S3Client:
    """Return a client that gives up soon enough to leave time for a retry within one invocation."""
    # A local AWS has one host name for all buckets; botocore reads the address itself.
    is_local = "AWS_ENDPOINT_URL" in environment or "AWS_ENDPOINT_URL_S3" in environment
    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if is_local else "auto"},
    )
    return cast("S3Client", boto3.client("s3", config=config))


class Storage:
    """S3 as this function needs it, with a limit on what it will read."""

    def __init__(self, client: S3Client, max_bytes: int) -> None:
        self._client = client
        self._max_bytes = max_bytes

    @contextmanager
    def reading(self, image: StoredImage) -> Iterator[Download]:
        """Lend an object while it is still arriving; leaving without an error reads it to its end.

        Only at its end is a body's checksum compared: what was made of it must not be stored before.
        Raises ObjectRefusedError if it is gone or too large, StorageError for all else.
        """
        where = {"Bucket": image.bucket, "Key": image.key}
        if image.version_id:
            where["VersionId"] = image.version_id
        with _aws_errors("read"):
            answer = self._client.get_object(**where)
        body = answer["Body"]
        try:
            self._check_size(answer["ContentLength"])
            file = _ArrivingFile(body)
            yield Download(cast("IO[bytes]", file), answer.get("ContentType") or "")
            file.seek(0, SEEK_END)
        finally:
            body.close()

    def write(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store bytes under a key, replacing what is there. Raises StorageError."""
        with _aws_errors("write"):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def _check_size(self, found_bytes: int) -> None:
        if found_bytes == 0:
            raise ObjectRefusedError("empty object")
        if found_bytes > self._max_bytes:
            raise ObjectRefusedError(
                f"too large: {found_bytes / 1e6:.1f} MB, allowed are {self._max_bytes / 1e6:g} MB"
            )


class _ArrivingFile(RawIOBase):
    """A seekable file over a body that can only be read forward: what has arrived is kept.

    The decoder works on the first rows of a picture while S3 still sends the last ones.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._kept = BytesIO()
        self._arrived = 0
        self._is_complete = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._kept.tell()

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        if whence == SEEK_END:
            self._fetch(None)
        elif whence == SEEK_CUR:
            offset, whence = offset + self.tell(), SEEK_SET
        return self._kept.seek(offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        wanted = None if size is None or size < 0 else self.tell() + size
        self._fetch(wanted)
        return self._kept.read(-1 if wanted is None else size)

    def _fetch(self, until: int | None) -> None:
        """Keep what arrives up to a position, or to the end."""
        position = self.tell()
        while not self._is_complete and (until is None or self._arrived < until):
            missing = _READ_AHEAD_BYTES if until is None else max(until - self._arrived, _READ_AHEAD_BYTES)
            with _aws_errors("read"):
                chunk = self._body.read(missing)
            self._is_complete = not chunk
            self._kept.seek(self._arrived)
            self._arrived += self._kept.write(chunk)
        self._kept.seek(position)


@contextmanager
def _aws_errors(action: str) -> Iterator[None]:
    """Translate what AWS and the network raise, here and nowhere else."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code in _GONE:
            raise ObjectRefusedError("the object is no longer there") from error
        raise StorageError(f"could not {action} the object: {code}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageError(f"could not {action} the object: {error}") from error
