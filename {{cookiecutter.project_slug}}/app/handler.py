"""Lambda's entry point: resize each picture an event speaks of into the bucket for resized ones.

A picture that can never be resized is skipped, with a warning that names it. Trouble with S3 is remembered,
the other pictures are done, and then the invocation fails, so that Lambda repeats it and finally reports it
to the failure destination: doing a picture twice writes the same bytes again.
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from app.events import Ignored, StoredImage, UnknownEventError, read_event
from app.images import ImageRefusedError, resize
from app.storage import ObjectRefusedError, Storage, s3_client


class SettingsError(Exception):
    """An environment variable of the function is missing or makes no sense."""


class ResizeFailedError(Exception):
    """At least one picture could not be resized now; a repeated invocation may succeed."""


@dataclass(frozen=True)
class Settings:
    """What `deploy.toml` decides, as it arrives in environment variables."""

    resized_bucket: str
    fit_px: int = 0
    max_bytes: int = 25_000_000
    max_pixels: int = 50_000_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings; raises SettingsError with the variable, what it holds, and what it may hold."""
        bucket = environment.get("RESIZED_BUCKET", "")
        if not bucket:
            raise SettingsError("`RESIZED_BUCKET` is not set; expected the name of a bucket")
        return cls(
            resized_bucket=bucket,
            fit_px=_whole_number(environment, "FIT_PX", default=0, least=0),
            max_bytes=_whole_number(environment, "MAX_OBJECT_MB", default=25, least=1) * 1_000_000,
            max_pixels=_whole_number(environment, "MAX_MEGAPIXELS", default=50, least=1) * 1_000_000,
        )


@dataclass
class Outcome:
    """What became of the pictures of one event."""

    resized: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Resizer:
    """The function with everything it talks to."""

    settings: Settings
    storage: Storage
    log: Logger
    metrics: Metrics

    def handle(self, event: Any) -> dict[str, Any]:
        """Resize what the event speaks of, all of it, and only then raise ResizeFailedError if any failed.

        Raises UnknownEventError, before anything is done, for an event that is not from S3.
        """
        outcome = Outcome()
        try:
            items = read_event(event)
        except UnknownEventError:
            self._count("UnknownEvents", 1)
            raise
        for item in items:
            self._handle_one(item, outcome)
        self._count("ImagesResized", len(outcome.resized))
        self._count("ImagesSkipped", len(outcome.skipped))
        self._count("ImagesFailed", len(outcome.failed))
        _count_failure(self.metrics.namespace, is_failure=bool(outcome.skipped or outcome.failed))
        if outcome.failed:
            names = "; ".join(outcome.failed)
            raise ResizeFailedError(f"{len(outcome.failed)} of {len(items)} objects failed: {names}")
        return {"resized": outcome.resized, "skipped": outcome.skipped}

    def _handle_one(self, item: StoredImage | Ignored, outcome: Outcome) -> None:
        named = {"bucket": item.bucket, "key": item.key}
        try:
            if isinstance(item, Ignored):
                raise ObjectRefusedError(item.reason)
            resized = self._resize(item)
        except (ImageRefusedError, ObjectRefusedError) as refusal:
            skipped = {**named, "reason": str(refusal)}
            self.log.warning("image skipped", extra=skipped)
            outcome.skipped.append(skipped)
        except Exception as error:  # one picture's trouble, even a bug of ours, must not cost the others
            self.log.exception("image failed", extra={**named, "reason": str(error)})
            outcome.failed.append(f"`{item.key}` in `{item.bucket}`: {error or type(error).__name__}")
        else:
            self.log.info("image resized", extra={"source_bucket": item.bucket, **resized})
            outcome.resized.append(resized)

    def _resize(self, image: StoredImage) -> dict[str, Any]:
        target = self.settings.resized_bucket
        if image.bucket == target:
            raise ObjectRefusedError("the source is the bucket for resized images: that would never end")
        with self.storage.reading(image) as download:
            resized = resize(
                download.file,
                declared_type=download.content_type,
                fit_px=self.settings.fit_px,
                max_pixels=self.settings.max_pixels,
            )
        self.storage.write(target, image.key, resized.body, resized.content_type)
        size = {"width": resized.width, "height": resized.height, "bytes": len(resized.body)}
        return {"bucket": target, "key": image.key, **size}

    def _count(self, name: str, value: int) -> None:
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def _count_failure(namespace: str | None, *, is_failure: bool) -> None:
    """Publish `Failures`, 1 or 0, by version: what a rollout compares with `errors_from = "app"`.

    A version that refuses every picture makes no errors; this is how it is told from one that does its work.
    """
    version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    with single_metric(
        name="Failures", unit=MetricUnit.Count, value=int(is_failure), namespace=namespace
    ) as metric:
        metric.add_dimension(name="version", value=version)


def _whole_number(environment: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise SettingsError(f"`{name}` is `{text}`; expected a whole number from {least}")
    return int(text)


# Made once per environment, while it starts: Lambda reuses them for every event it sends there.
log = Logger()
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "ImageResizer"))
_SETTINGS = Settings.from_environment(os.environ)
_RESIZER = Resizer(_SETTINGS, Storage(s3_client(os.environ), _SETTINGS.max_bytes), log, metrics)


@log.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one invocation with what was resized and what was skipped, and why."""
    return _RESIZER.handle(event)
