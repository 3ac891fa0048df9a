"""The function under test, over an S3 in memory."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from app.storage import Storage
from tests.app.fakes import FakeS3

# The handler reads its settings while it is imported, as it does when Lambda starts it.
with pytest.MonkeyPatch.context() as environment:
    environment.setenv("RESIZED_BUCKET", "resized")
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    environment.setenv("POWERTOOLS_METRICS_NAMESPACE", "Test")
    from app.handler import Resizer, Settings


@dataclass(frozen=True)
class Function:
    """The function over an S3 in memory, with what it logs and measures."""

    s3: FakeS3
    resizer: Resizer
    stream: io.StringIO

    def __call__(self, event: Any) -> dict[str, Any]:
        """Handle an event."""
        return self.resizer.handle(event)

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """Return what was logged, line by line."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def given_function() -> Callable[..., Function]:
    """Return a maker of functions with the settings a test is about."""

    def make(**settings: Any) -> Function:
        s3, stream = FakeS3(), io.StringIO()
        chosen = Settings(resized_bucket="resized", **settings)
        metrics = Metrics(namespace="Test")
        metrics.clear_metrics()
        log = Logger(service=f"test-{id(stream)}", stream=stream)
        return Function(s3, Resizer(chosen, Storage(s3, chosen.max_bytes), log, metrics), stream)

    return make


@pytest.fixture
def function(given_function: Callable[..., Function]) -> Function:
    """Return the function with the settings it has out of the box."""
    return given_function()
