"""What the shipped thing must do: a photo put into one bucket is in the other one, smaller.

The same tests run against the container (`deployer smoke`), against the alias on the local AWS, and against
staging's alias. `invoke`, `client`, `resources` and `deployed` come from testbed/fixtures.py.
"""

from __future__ import annotations

import io
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from PIL import Image

HERE = Path(__file__).parent
PHOTO = (HERE / "photo.jpg").read_bytes()
APPEARS_WITHIN_S = 60


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    """Return S3, as the function sees it."""
    return client("s3")


@pytest.fixture
def key(s3: Any, resources: dict[str, str]) -> Iterator[str]:
    """Lend a key under `smoke/` that has to be decoded; what lies there is removed at the end."""
    name = f"smoke/{uuid.uuid4().hex}/first photo.jpg"
    yield name
    for bucket in ("SourceBucket", "ResizedBucket"):
        s3.delete_object(Bucket=resources[bucket], Key=name)


def put_photo(s3: Any, resources: dict[str, str], key: str) -> None:
    """Put the sample photo into the bucket whose new objects are resized."""
    s3.put_object(Bucket=resources["SourceBucket"], Key=key, Body=PHOTO, ContentType="image/jpeg")


def expected_px() -> tuple[int, int]:
    """Return the size that `deploy.toml` asks for: half, or the longest side at FIT_PX."""
    settings = tomllib.loads((HERE.parent / "deploy.toml").read_text(encoding="utf-8"))
    staging = settings.get("environments", {}).get("staging", {})
    fit_px = int((settings["function"].get("variables", {}) | staging.get("variables", {})).get("FIT_PX", 0))
    with Image.open(io.BytesIO(PHOTO)) as photo:
        width, height = photo.size
    scale = min(1.0, fit_px / max(width, height)) if fit_px else 0.5
    return round(width * scale), round(height * scale)


def size_px(body: bytes) -> tuple[int, int]:
    """Return width and height of a picture, which must be a JPEG."""
    with Image.open(io.BytesIO(body)) as picture:
        assert picture.format == "JPEG"
        return picture.size


def test_photo_is_resized(invoke: Callable[[Any], Any], s3: Any, resources: dict[str, str], key: str) -> None:
    """A photo is stored smaller under the same key, and the answer says so."""
    put_photo(s3, resources, key)
    bucket = {"name": resources["SourceBucket"]}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    answer = invoke({"Records": [{**record, "s3": {"bucket": bucket, "object": {"key": quote_plus(key)}}}]})
    assert [resized["key"] for resized in answer["resized"]] == [key]
    assert answer["skipped"] == []
    stored = s3.get_object(Bucket=resources["ResizedBucket"], Key=key)["Body"].read()
    assert size_px(stored) == expected_px()


@pytest.mark.usefixtures("deployed")
def test_new_photo_triggers_the_function(s3: Any, resources: dict[str, str], key: str) -> None:
    """A photo that is put into the bucket is resized without anybody calling the function."""
    put_photo(s3, resources, key)
    wanted = {"Bucket": resources["ResizedBucket"], "Key": key}
    deadline = time.monotonic() + APPEARS_WITHIN_S
    while not s3.list_objects_v2(Bucket=wanted["Bucket"], Prefix=key).get("KeyCount"):
        assert time.monotonic() < deadline, f"no resized photo within {APPEARS_WITHIN_S} s"
        time.sleep(0.5)
    assert size_px(s3.get_object(**wanted)["Body"].read()) == expected_px()
