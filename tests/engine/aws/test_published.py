"""Versions and images as `prune` reads and deletes them, call by call against botocore's own models."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from deployer.aws.errors import Conflict
from deployer.aws.observed import AliasSeen, StoredImage
from deployer.aws.published import Images, PublishedVersions
from deployer.errors import DeployerError

D = "sha256:" + "a" * 64


@pytest.fixture
def clients():
    """Return clients that can only be called through stubs."""
    session = boto3.session.Session("test", "test", region_name="eu-west-1")
    return {name: session.client(name) for name in ("lambda", "cloudwatch", "ecr")}


@pytest.fixture
def port(clients):
    """Return the port to one function."""
    return PublishedVersions(clients["lambda"], clients["cloudwatch"], "fn")


def test_a_version_is_deleted_by_its_number(clients, port):
    """The number is the qualifier: without one Lambda would delete the function."""
    with Stubber(clients["lambda"]) as stub:
        stub.add_response("delete_function", {}, {"FunctionName": "fn", "Qualifier": "7"})
        port.delete("7")
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("number", ["", "$LATEST", "live", "7 "])
def test_nothing_but_a_number_is_deleted(clients, port, number):
    """An empty qualifier, `$LATEST` and an alias never reach DeleteFunction."""
    with Stubber(clients["lambda"]), pytest.raises(ValueError, match="is no version"):
        port.delete(number)


def test_a_version_that_lambda_keeps_is_a_conflict(clients, port):
    """Lambda refuses to delete what an alias references, and says so in its own words."""
    text = "Unable to delete version 7 because the following aliases reference it: [live]"
    with Stubber(clients["lambda"]) as stub:
        stub.add_client_error("delete_function", "ResourceConflictException", text)
        with pytest.raises(Conflict) as caught:
            port.delete("7")
    assert text in caught.value.found


def test_everybody_who_needs_a_version_is_read(clients, port):
    """Aliases of all pages with their weights, and the alarms of this function's canaries only."""
    with Stubber(clients["lambda"]) as lambda_, Stubber(clients["cloudwatch"]) as cloudwatch:
        weights = {"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.1}}, "Description": "mine"}
        live = {"Name": "live", "FunctionVersion": "8", **weights}
        lambda_.add_response("list_aliases", {"Aliases": [live], "NextMarker": "more"})
        lambda_.add_response("list_aliases", {"Aliases": [{"Name": "blue", "FunctionVersion": "2"}]})
        alarms = [{"AlarmName": "fn-canary-5"}, {"AlarmName": "fn-canary-6"}]
        cloudwatch.add_response("describe_alarms", {"MetricAlarms": alarms})
        assert port.read_users() == (
            (AliasSeen("live", ("8", "9"), "mine"), AliasSeen("blue", ("2",))),
            frozenset({"5", "6"}),
        )


def test_a_version_whose_image_is_unknown_stops_everything(clients, port):
    """An image named by tag alone could be any: nothing is removed as long as one version is like that."""
    with Stubber(clients["lambda"]) as stub:
        stub.add_response("list_versions_by_function", {"Versions": [{"Version": "$LATEST"}]})
        stub.add_response("get_function", {"Code": {"ImageUri": "repo:latest"}})
        with pytest.raises(DeployerError, match="nobody knows which image"):
            port.read()


def test_the_archive_is_read_too(clients):
    """Every page, with what is archived, what is attached, and when it was pushed."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    image = {"imageDigest": D, "imageTags": ["one"], "imagePushedAt": at, "imageStatus": "ARCHIVED"}
    signed = {"imageDigest": D.replace("a", "b"), "imagePushedAt": at, "subjectManifestDigest": D}
    asked = {"repositoryName": "repo", "filter": {"imageStatus": "ANY"}}
    with Stubber(clients["ecr"]) as stub:
        stub.add_response("describe_images", {"imageDetails": [image], "nextToken": "more"}, asked)
        stub.add_response("describe_images", {"imageDetails": [signed]}, {**asked, "nextToken": "more"})
        assert Images(clients["ecr"], "repo").read() == (
            StoredImage(D, ("one",), at.timestamp(), "", "ARCHIVED"),
            StoredImage(D.replace("a", "b"), (), at.timestamp(), D, "ACTIVE"),
        )


def test_images_are_deleted_a_hundred_at_once(clients):
    """ECR takes a hundred digests in one call; one that is gone already is no failure, another is."""
    digests = tuple(f"sha256:{number:064x}" for number in range(150))
    with Stubber(clients["ecr"]) as stub:
        for some in (digests[:100], digests[100:]):
            asked = {"repositoryName": "repo", "imageIds": [{"imageDigest": d} for d in some]}
            gone = {"imageId": {"imageDigest": some[0]}, "failureCode": "ImageNotFound"}
            stub.add_response("batch_delete_image", {"failures": [gone]}, asked)
        Images(clients["ecr"], "repo").delete(digests)
        stub.assert_no_pending_responses()
        kept = {"imageId": {"imageDigest": D}, "failureCode": "ImageReferencedByManifestList"}
        stub.add_response("batch_delete_image", {"failures": [kept]})
        with pytest.raises(DeployerError, match="ECR did not delete every image") as caught:
            Images(clients["ecr"], "repo").delete((D,))
    assert caught.value.found == f"{D}: ImageReferencedByManifestList"
