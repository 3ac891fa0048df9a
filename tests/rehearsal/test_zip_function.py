"""The function without containers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from deployer.errors import DeployerError
from generating import GENERATED
from rehearsal.dockerfile import Handler, handler_of, services_of
from rehearsal.zip_function import is_needed, locked, packed, transformed

HANDLER = Handler("app.handler", "handler")


def test_the_stack_can_be_deployed_without_containers() -> None:
    """In the service template the image function becomes a Zip function, and nothing else changes."""
    before = (GENERATED / "infra" / "service.yaml").read_text(encoding="utf-8").splitlines()
    after = transformed("\n".join(before) + "\n", HANDLER).splitlines()
    gone = [line.strip() for line in before if line not in after]
    assert gone == ["PackageType: Image", "ImageUri: !Ref ImageUri"]
    new = [line.strip() for line in after if line not in before]
    assert [line.partition(":")[0] for line in new] == [
        "PackageType",
        "Runtime",
        "Handler",
        "S3Bucket",
        "S3Key",
    ]
    assert "Handler: app.handler.handler" in new


@pytest.mark.parametrize("extra", ["", "      PackageType: Image\n" * 2], ids=["none", "two"])
def test_a_template_without_one_image_function_is_refused(extra: str) -> None:
    """Where it is not clear what to replace, the error says what is expected."""
    with pytest.raises(DeployerError, match="cannot be rehearsed without Docker"):
        transformed(f"Resources:\n  A:\n{extra}", HANDLER)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('CMD ["app.handler.handler"]', "app.handler.handler"),
        ('CMD [ "app/api/entry.answer" ]', "app.api.entry.answer"),
        ('CMD ["app.old.x"]\nCMD ["app.new.y"]', "app.new.y"),
    ],
)
def test_the_handler_is_the_last_command(line: str, expected: str) -> None:
    """The last `CMD` counts, as it does for Docker."""
    assert str(handler_of(f"FROM x\n{line}\n")) == expected


@pytest.mark.parametrize("text", ["", "CMD app.handler.handler\n", 'CMD ["other.handler"]\n'])
def test_an_unknown_command_is_one_clear_error(text: str) -> None:
    """A Dockerfile whose handler cannot be read is refused with what is expected."""
    with pytest.raises(DeployerError, match="cannot find the function's handler"):
        handler_of(text)


def test_services_are_those_of_the_image() -> None:
    """What the image keeps of the SDK is what the Zip keeps; without a list it is everything."""
    services = services_of('ARG AWS_SERVICES="dynamodb sqs"\n')
    kept = [
        name
        for name in ("dynamodb", "sqs", "sts", "ec2")
        if is_needed(f"botocore/data/{name}/x.json", services)
    ]
    assert kept == ["dynamodb", "sqs", "sts"]
    assert is_needed("botocore/data/endpoints.json", services)
    assert is_needed("botocore/data/ec2/x.json", services_of("FROM x\n"))


@pytest.mark.parametrize("name", ["../../bin/x", "a/__pycache__/b.py", "a/b.pyi"])
def test_what_no_function_reads_is_left_out(name: str) -> None:
    """Scripts, byte-code and stubs are not carried."""
    assert not is_needed(name, None)


def test_a_lock_file_may_have_markers() -> None:
    """A package that only some platforms need may be missing here; all others may not."""
    text = "a-b==1.0 \\\n    --hash=sha256:0\nwin[x]==2 ; sys_platform == 'win32' \\\n    --hash=sha256:1\n"
    assert locked(text) == [("a-b", False), ("win", True)]


def test_equal_code_has_an_equal_name(tmp_path: Path) -> None:
    """The archive's name is its digest, its files are all of app/ but byte-code, and a missing package is told."""
    app = tmp_path / "app"
    (app / "__pycache__").mkdir(parents=True)
    for name in ("handler.py", "words.txt", "__pycache__/handler.pyc"):
        (app / name).write_text("x", encoding="utf-8")
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements" / "app.txt"
    lock.write_text("pyyaml==6\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM x\n", encoding="utf-8")
    name, body = packed(tmp_path)
    assert (name, body) == packed(tmp_path)
    files = zipfile.ZipFile(io.BytesIO(body)).namelist()
    assert {"app/handler.py", "app/words.txt", "yaml/__init__.py"} <= set(files)
    assert not [file for file in files if file.endswith(".pyc")]
    lock.write_text("no-such-package-at-all==1\n", encoding="utf-8")
    with pytest.raises(DeployerError, match="`no-such-package-at-all` is not installed here"):
        packed(tmp_path)
