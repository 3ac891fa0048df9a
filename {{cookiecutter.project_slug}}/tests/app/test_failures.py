"""The metric a rollout can compare: whether an invocation did its work, by version."""

from __future__ import annotations

import json

import pytest

from app.handler import _count_failure


@pytest.mark.parametrize("is_failure", [True, False])
def test_each_invocation_says_whether_it_failed(capsys, monkeypatch, is_failure):
    """One EMF line with `Failures` of 1 or 0, under exactly the dimensions that the deployer asks for."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "42")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "fn")
    _count_failure("fn", is_failure=is_failure)
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    (described,) = written["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "fn"
    assert [sorted(names) for names in described["Dimensions"]] == [["service", "version"]]
    assert (written["service"], written["version"]) == ("fn", "42")
    assert written["Failures"] == [float(is_failure)]


def test_a_version_that_refuses_every_picture_fails(function, capsys):
    """A picture that is skipped is no error to Lambda, and still one that was not resized."""
    function.s3.given_object("source", "note.txt", b"no picture")
    event = {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "source"}, "object": {"key": "note.txt"}},
            }
        ]
    }
    assert function(event)["skipped"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["Failures"] for line in lines if "Failures" in line] == [[1.0]]
