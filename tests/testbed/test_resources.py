"""What smoke/local.toml asks for, made on a stubbed AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from testbed import resources

from deployer.errors import DeployerError, Exit
from generating import GENERATED

LOCAL = """
[variables]
GREETING = "hello"
COUNT = 3
[variables_from_resources]
BUCKET = "Bucket"
QUEUE_URL = "Queue"
[[resources]]
key = "Bucket"
name = "smoke-bucket"
call = "s3.create_bucket"
arguments = { Bucket = "${Bucket}" }
[[resources]]
key = "Queue"
answer = "QueueUrl"
call = "sqs.create_queue"
arguments = { QueueName = "of-${Bucket}" }
"""
TEMPLATE = (
    "Outputs:\n  Bucket:\n    Value: !Ref Bucket\n  Queue:\n    Value: !GetAtt [Q, Url]\n  Other: !Sub x\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with a local.toml and a template."""
    for folder in ("smoke", "infra"):
        (tmp_path / folder).mkdir()
    (tmp_path / "smoke" / "local.toml").write_text(LOCAL)
    (tmp_path / "infra" / "service.yaml").write_text(TEMPLATE)
    return tmp_path


class Stubbed:
    """S3 and SQS, which answer only what they are told to."""

    def __init__(self) -> None:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        self.clients: dict[str, Any] = {
            name: boto3.client(name, region_name="eu-west-1", **keys) for name in ("s3", "sqs")
        }
        self.s3, self.sqs = (Stubber(client) for client in self.clients.values())
        self.s3.activate()
        self.sqs.activate()

    def __call__(self, service: str) -> Any:
        """Return the client of a service."""
        return self.clients[service]


@pytest.mark.parametrize("code", [None, "BucketAlreadyOwnedByYou", "BucketAlreadyExists"])
def test_resources_are_made_in_their_order(root: Path, code: str | None) -> None:
    """Names are given or come from the answer, later ones may use earlier ones, and what is there is fine."""
    aws = Stubbed()
    if code:
        aws.s3.add_client_error("create_bucket", code)
    else:
        aws.s3.add_response("create_bucket", {}, {"Bucket": "smoke-bucket"})
    aws.sqs.add_response("create_queue", {"QueueUrl": "http://q"}, {"QueueName": "of-smoke-bucket"})
    names = resources.make(root, aws)
    assert names == {"Bucket": "smoke-bucket", "Queue": "http://q"}
    assert resources.container_variables(root, names, {"FIT_PX": "0"}) == {
        "FIT_PX": "0",
        "GREETING": "hello",
        "COUNT": "3",
        "BUCKET": "smoke-bucket",
        "QUEUE_URL": "http://q",
    }


def test_other_refusals_are_errors(root: Path) -> None:
    """Only what is there already is fine."""
    aws = Stubbed()
    aws.s3.add_client_error("create_bucket", "InvalidBucketName", "no")
    with pytest.raises(DeployerError, match=r"calling `s3.create_bucket`"):
        resources.make(root, aws)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('key = "Queue"', 'key = "Tabel"', "found `Tabel`, expected one of: `Bucket`, `Queue`, `Other`"),
        ('QUEUE_URL = "Queue"', 'QUEUE_URL = "Other"', "found `Other`, expected one of: `Bucket`, `Queue`"),
        ('name = "smoke-bucket"', "", "resource 1 without a key or a name"),
        ('answer = "QueueUrl"', 'answer = "QueueUrl"\nname = "q"', "resource 2 without a key or a name"),
        ("[variables]", "[variable]", "found `variable`"),
        ("[[resources]]", "[[resources", "cannot be read"),
        ("s3.create_bucket", "create_bucket", "`smoke/local.toml`, resource 1, cannot be used"),
        ('name = "smoke-bucket"', "name = 3", "resource 1 without a key or a name"),
        ('key = "Queue"', 'key = "Bucket"', "has a key twice"),
        ("[variables]\n", "[[variables]]\n", "expected a table like [variables]"),
        ("COUNT = 3", "COUNT = true", "COUNT: expected a text or a whole number, found `True`"),
        ("COUNT", '"A=B"', "A=B"),
        ("COUNT", "AWS_REGION", "expected a name that Lambda does not set itself, found `AWS_REGION`"),
        ('"Bucket"\nQUEUE_URL', '["Bucket"]\nQUEUE_URL', "expected a text or a whole number"),
    ],
)
def test_bad_file_is_one_error(root: Path, old: str, new: str, words: str) -> None:
    """A file that cannot be followed is one error, before anything is made."""
    assert old in LOCAL
    (root / "smoke" / "local.toml").write_text(LOCAL.replace(old, new, 1))
    with pytest.raises(DeployerError) as error:
        resources.load(root)
    assert words in str(error.value)
    assert error.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("text", ["resources = 3", 'resources = ["x"]', "variables_from_resources = 3"])
def test_key_that_is_no_table_is_one_error(root: Path, text: str) -> None:
    """A key that holds no table is named with what was found."""
    (root / "smoke" / "local.toml").write_text(text)
    with pytest.raises(DeployerError, match=r"`smoke/local\.toml`, ") as error:
        resources.load(root)
    assert "like [" in str(error.value)
    assert error.value.exit_code == Exit.USAGE


def test_answer_without_the_name_is_one_error(root: Path) -> None:
    """A field that the answer does not have is named, with those it has."""
    (root / "smoke" / "local.toml").write_text(LOCAL.replace('"QueueUrl"', '"Queue.Url"'))
    aws = Stubbed()
    aws.s3.add_response("create_bucket", {})
    aws.sqs.add_response("create_queue", {"QueueUrl": "http://q"})
    with pytest.raises(DeployerError, match="finds no name for `Queue`") as error:
        resources.make(root, aws)
    assert "found no `Queue` in the answer of `sqs.create_queue`, which has: QueueUrl" in str(error.value)


def test_variable_with_two_values_is_one_error(root: Path) -> None:
    """A literal of deploy.toml that also names a resource has two values, and none of them wins silently."""
    with pytest.raises(DeployerError, match="gives `BUCKET` a second value"):
        resources.container_variables(root, {"Bucket": "b", "Queue": "q"}, {"BUCKET": "literal"})


def test_without_the_file_nothing_is_made(root: Path) -> None:
    """A function that needs no resource needs no local.toml."""
    (root / "smoke" / "local.toml").unlink()
    assert resources.make(root, Stubbed()) == {}
    assert resources.container_variables(root, {}, {"A": "b"}) == {"A": "b"}


def test_damaged_template_is_one_error(root: Path) -> None:
    """A template that is no YAML, or no table, is one error."""
    for text in ("Outputs: [", "- a\n"):
        (root / "infra" / "service.yaml").write_text(text)
        with pytest.raises(DeployerError, match=r"`infra/service.yaml` cannot be read"):
            resources.outputs_of(root)


def test_own_file_names_outputs_of_the_own_template() -> None:
    """The template's local.toml makes both buckets under the keys that the stack has them."""
    assert [resource.key for resource in resources.load(GENERATED).resources] == [
        "SourceBucket",
        "ResizedBucket",
    ]
