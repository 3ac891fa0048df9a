"""One AWS call as data: what is refused before it is made, and what AWS gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deployer.aws import calls
from deployer.errors import DeployerError, Exit

WHERE = "`smoke/sample.toml`, before 1,"
PUT = {
    "call": "s3.put_object",
    "arguments": {"Bucket": "${Source}", "Key": "smoke/${Source}/a"},
    "files": {"Body": "photo.jpg"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file in it, and one beside it."""
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "photo.jpg").write_bytes(b"a photo")
    (tmp_path / "secret").write_bytes(b"a secret")
    return tmp_path / "smoke"


def stubbed() -> tuple[Any, Stubber]:
    """Return an S3 client that answers only what it is told to."""
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    return client, Stubber(client)


def test_call_is_made_with_names_and_files(folder: Path) -> None:
    """Names of resources and the bytes of files arrive in boto3's call, and its answer comes back."""
    client, stub = stubbed()
    stub.add_response(
        "put_object", {"ETag": "e"}, {"Bucket": "mine", "Key": "smoke/mine/a", "Body": b"a photo"}
    )
    call = calls.filled(calls.parse(PUT, folder, where=WHERE), {"Source": "mine"})
    with stub:
        assert calls.make(call, {"s3": client}.__getitem__)["ETag"] == "e"
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"call": None}, "found call = `None`, expected a name like `s3.put_object`"),
        ({"call": "put_object"}, "found call = `put_object`, expected a name like `s3.put_object`"),
        ({"call": "s3.__init__"}, "found call = `s3.__init__`, expected a name like `s3.put_object`"),
        ({"arguments": ["a"]}, "found arguments = `['a']`, expected a table like { Key = \"a\" }"),
        ({"files": "photo.jpg"}, 'found files = `photo.jpg`, expected a table like { Key = "a" }'),
        ({"files": {"Body": "none.jpg"}}, "found no file `smoke/none.jpg`, expected its content"),
        ({"files": {"Body": "../secret"}}, "found the file `../secret`, expected one inside `smoke/`"),
        ({"files": {"Body": "/etc/hosts"}}, "found the file `/etc/hosts`, expected one inside `smoke/`"),
        ({"files": {"Body": 3}}, "found the file `3`, expected one inside `smoke/`"),
    ],
    ids=[
        *("no call", "no service", "no operation of AWS", "arguments are a list", "files are a text"),
        *("missing file", "file above", "absolute path", "file is a number"),
    ],
)
def test_what_is_no_call_is_one_error(folder: Path, changed: dict[str, Any], found: str) -> None:
    """A table that is no call is refused when it is read, with its place."""
    with pytest.raises(DeployerError) as error:
        calls.parse({**PUT, **changed}, folder, where=WHERE)
    assert (error.value.what, error.value.found) == (f"{WHERE} cannot be used", found)
    assert error.value.exit_code == Exit.USAGE


def test_file_behind_a_link_is_not_read(folder: Path) -> None:
    """A link that leads out of the folder is refused as well."""
    (folder / "link").symlink_to(folder.parent / "secret")
    with pytest.raises(DeployerError, match="cannot be used") as error:
        calls.parse({**PUT, "files": {"Body": "link"}}, folder, where=WHERE)
    assert "expected one inside `smoke/`" in str(error.value)


def test_unknown_resource_says_which_there_are(folder: Path) -> None:
    """A key that no resource has is refused, with the keys that there are."""
    with pytest.raises(DeployerError) as error:
        calls.filled(calls.parse(PUT, folder, where=WHERE), {"Table": "t", "Queue": "q"})
    assert error.value.found == "found no resource `Source`, expected one of: `Queue`, `Table`"


def test_names_are_filled_in_everywhere() -> None:
    """Texts inside lists and tables get their names; everything else stays what it is."""
    value = {"a": [{"b": "arn:${X}/${X}"}, 3, True, b"${X}"], "${X}": None}
    assert calls.fill(value, {"X": "x"}, where="") == {
        "a": [{"b": "arn:x/x"}, 3, True, b"${X}"],
        "${X}": None,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3.put_objects", "found no operation `put_objects` of `s3`, expected one like put_"),
        ("s3.meta", "found no operation `meta` of `s3`"),
        ("s3.get_paginator", "found no operation `get_paginator` of `s3`"),
        ("nosuch.do_it", "Unknown service"),
    ],
)
def test_unknown_call_is_one_error(folder: Path, name: str, words: str) -> None:
    """A service or an operation that boto3 does not have is one error with its place."""
    call = calls.parse({"call": name}, folder, where=WHERE)
    session = boto3.session.Session(region_name="eu-west-1")
    with pytest.raises(DeployerError) as error:
        calls.make(call, session.client)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "smoke/sample.toml" in error.value.what


def test_wrong_argument_is_one_error(folder: Path) -> None:
    """An argument that boto3 does not take is one error with its place."""
    client, _ = stubbed()
    call = calls.parse({"call": "s3.head_object", "arguments": {"Bukket": "a"}}, folder, where=WHERE)
    with pytest.raises(DeployerError, match=r"calling `s3.head_object`") as error:
        calls.make(call, {"s3": client}.__getitem__)
    assert "Bukket" in str(error.value.found)


@pytest.mark.parametrize(
    ("expected", "found", "problem"),
    [
        ({}, {"a": 1}, None),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, None),
        ([{"a": 1}], [{"a": 1, "b": 2}], None),
        ({"a": 1}, {}, "answer.a: found none, expected `1`"),
        ({"a": [1, 2]}, {"a": [1]}, "answer.a: found `[1]`, expected `[1, 2]`"),
        ([{"a": 1}], [{"a": 2}], "answer[0].a: found `2`, expected `1`"),
        ({"a": {"b": 1}}, {"a": "text"}, "answer.a: found `text`, expected `{'b': 1}`"),
        ("a", None, "answer: found `None`, expected `a`"),
    ],
)
def test_what_is_missing_in_an_answer_is_said(expected: Any, found: Any, problem: str | None) -> None:
    """A table may hold more than expected, a list may not, and the first difference is named by its path."""
    assert calls.mismatch(expected, found) == problem
