"""The guard as it is deployed: the text in infra/service.yaml, run with a Lambda client of the test's choice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from rules.templates import SERVICE, parse, text

NOW = 1_763_712_100.0

FUNCTION = "image-resizer-production"
VERSIONS = {"41", "42", "43"}


def source() -> str:
    """Return the inline code of the guard."""
    code: str = parse(text(SERVICE))["Resources"]["GuardFunction"]["Properties"]["Code"]["ZipFile"]
    return code


@dataclass
class FakeLambda:
    """One alias behind RevisionIds, as strict as Lambda; `before_update` is what others do in between."""

    alias: dict[str, Any] = field(default_factory=dict)
    updates: list[dict[str, Any]] = field(default_factory=list)
    before_update: list[Callable[[FakeLambda], None]] = field(default_factory=list)
    revision: int = 1
    reads: int = 0
    deleted: list[str] = field(default_factory=list)

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:  # noqa: N803
        """Delete alarms; CloudWatch says nothing about those that are not there."""
        self.deleted += AlarmNames

    def given_alias(
        self, description: str, *, stable: str = "41", weights: dict[str, float] | None = None
    ) -> None:
        """Put the alias where a rollout left it."""
        self.alias = {"FunctionVersion": stable, "Description": description}
        if weights:
            self.alias["RoutingConfig"] = {"AdditionalVersionWeights": weights}
        self.revision += 1

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, Any]:  # noqa: N803 - AWS's own names
        """Read the alias."""
        assert (FunctionName, Name) == (FUNCTION, "live")
        self.reads += 1
        return {**self.alias, "RevisionId": f"r{self.revision}"}

    def update_alias(self, *, FunctionName: str, Name: str, RevisionId: str, **write: Any) -> None:  # noqa: N803
        """Write the alias if it is still at that revision."""
        assert (FunctionName, Name) == (FUNCTION, "live")
        if self.before_update:
            self.before_update.pop(0)(self)
        if RevisionId != f"r{self.revision}":
            raise error("PreconditionFailedException")
        assert write.keys() == {"FunctionVersion", "RoutingConfig", "Description"}
        assert write["FunctionVersion"] in VERSIONS
        assert len(write["Description"]) <= 256
        weights = write["RoutingConfig"]["AdditionalVersionWeights"]
        self.given_alias(write["Description"], stable=write["FunctionVersion"], weights=weights)
        self.updates.append(write)


def error(code: str) -> ClientError:
    """Return what botocore raises for an AWS error."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "UpdateAlias")


def load(client: FakeLambda, function: str = FUNCTION) -> ModuleType:
    """Run the guard's text as the module Lambda would import, with `client` instead of AWS."""

    class Session:
        def create_client(self, service: str) -> FakeLambda:
            assert service in ("lambda", "cloudwatch")
            return client

    module, session = ModuleType("index"), ModuleType("botocore.session")
    session.get_session = Session  # type: ignore[attr-defined]
    kept = sys.modules["botocore.session"]
    os.environ["FUNCTION_NAME"] = function
    sys.modules["botocore.session"] = session
    try:
        exec(compile(source(), "index.py", "exec"), module.__dict__)  # noqa: S102 - it is the product
    finally:
        sys.modules["botocore.session"] = kept
        del os.environ["FUNCTION_NAME"]
    module.time = SimpleNamespace(sleep=lambda _seconds: None, time=lambda: NOW)  # type: ignore[attr-defined]
    return module
