"""The machinery knows no function: no word of the sample is in what a second function keeps unchanged."""

from __future__ import annotations

import re

import pytest

from generating import GENERATED, files_under

MACHINERY = ("deployer/", "rehearsal/", "testbed/", "infra/bootstrap.yaml", "infra/registry.yaml")
# The sample is about photos in two buckets; `s3:` begins a right or an event of it.
WORDS = re.compile(
    r"resiz\w*|photo\w*|portrait\w*|picture\w*|pillow|\bPIL\b|jpe?g\w*|thumbnail\w*|pixel\w*|megapixel\w*|fit_?px"
    r"|ObjectCreated|app\.images|\bs3:\w+|arn:aws:s3|s3\.amazonaws",
    re.IGNORECASE,
)

# What the local AWS knows of AWS's services, S3 among them: rights are data there, of every function.
OF_AWS = ("testbed/enforcement/", "testbed/excuses.py", "rehearsal/objects.py")
RIGHT = re.compile(r"s3:\w+|arn:aws:s3", re.IGNORECASE)


def words(name: str) -> set[str]:
    """Return the words of the sample in a file's path and text."""
    body = (GENERATED / name).read_bytes()
    text = "" if b"\0" in body else body.decode("utf-8")
    found = {word.lower() for word in WORDS.findall(f"{name}\n{text}")}
    return {word for word in found if not (name.startswith(OF_AWS) and RIGHT.fullmatch(word))}


FILES = [name for name in files_under(GENERATED) if name.startswith(MACHINERY)]


@pytest.mark.parametrize("name", FILES)
def test_machinery_knows_no_function(name: str) -> None:
    """A file that is the same in every repository has no word of the sample."""
    assert words(name) == set()


@pytest.mark.parametrize(
    "text",
    [
        "Action: s3:GetObject",
        "resized to half",
        "a photo",
        "import PIL",
        "image/jpeg",
        "FIT_PX",
        "portrait.jpg",
    ],
)
def test_a_word_is_found(text: str) -> None:
    """The check finds rights, nouns, packages, types and variables of the sample."""
    assert WORDS.search(text)


@pytest.mark.parametrize("text", ["trigger = s3", "the size in px", "an image by digest", "spiral", "s3"])
def test_a_common_word_is_none(text: str) -> None:
    """What a container, a service or a chart is called is no word of the sample."""
    assert not WORDS.search(text)
