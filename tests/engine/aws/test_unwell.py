"""The real clients against a server that answers as AWS does when it is unwell: nothing is known, try again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import IncompleteReadError

from deployer.aws.client import Aws
from deployer.aws.errors import Conflict, NotFound, Unavailable
from deployer.aws.registry import Registry
from deployer.aws.stack import Stack
from deployer.aws.tries import BRISK, PATIENT, refuse_what_is_no_answer
from deployer.drivers.deployments import Deployments
from deployer.errors import DeployerError
from deployer.judge.counts import Counts
from deployer.model import AliasWrite
from deployer.rollout.guard import Guard
from engine.aws.unwell import HTML, PAGE, SLOW_S, Answer, Unwell, running, said
from engine.fakes import VirtualClock

FN = "image-resizer-production"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:rollouts"
ONE_TRY = Config(read_timeout=SLOW_S / 4, retries={"mode": "standard", "total_max_attempts": 1})

# Every call that a rollout, a way back or a driver makes, by service.
CALLS: dict[str, tuple[str, Callable[[Aws], object]]] = {
    "alias": ("lambda", lambda aws: aws.alias()),
    "update_alias": ("lambda", lambda aws: aws.update_alias(AliasWrite("41", "", "42", 10), revision="r")),
    "brisk alias": ("lambda", lambda aws: aws.brisk.alias()),
    "brisk update_alias": (
        "lambda",
        lambda aws: aws.brisk.update_alias(AliasWrite("41", "", "42", 10), revision="r"),
    ),
    "function": ("lambda", lambda aws: aws.function()),
    "image_of": ("lambda", lambda aws: aws.image_of("41")),
    "describe_version": ("lambda", lambda aws: aws.describe_version("41")),
    "newest_version": ("lambda", lambda aws: aws.newest_version()),
    "invoke": ("lambda", lambda aws: aws.invoke("42", {})),
    "invoke_later": ("lambda", lambda aws: aws.invoke_later("x", {}, execution_name="e")),
    "put_code": ("lambda", lambda aws: aws.put_code("x", b"", code_sha256="c")),
    "update_code": ("lambda", lambda aws: aws.update_code("repo@sha256:a", revision="r")),
    "wait_updated": ("lambda", lambda aws: aws.wait_updated()),
    "publish": ("lambda", lambda aws: aws.publish(code_sha256="c", description="")),
    "provisioned read": ("lambda", lambda aws: aws.provisioned().read("42")),
    "provisioned put": ("lambda", lambda aws: aws.provisioned().put("42", 1)),
    "provisioned remove": ("lambda", lambda aws: aws.provisioned().remove("42")),
    "alarms": ("cloudwatch", lambda aws: aws.alarms(("errors",))),
    "alarms without data": ("cloudwatch", lambda aws: aws.alarms_without_data(("errors",))),
    "baseline": ("cloudwatch", lambda aws: aws.metrics().baseline("41", 1_763_712_000)),
    "minutes": (
        "cloudwatch",
        lambda aws: aws.metrics().minutes(("41", "42"), 1_763_712_000, 1_763_712_600, None),
    ),
    "week": ("cloudwatch", lambda aws: aws.metrics().history(1_763_712_000)),
    "arm": ("cloudwatch", lambda aws: Guard(aws.cloudwatch, FN, TOPIC).arm("42", Counts())),
    "disarm": ("cloudwatch", lambda aws: Guard(aws.cloudwatch, FN, TOPIC).disarm()),
    "stack": ("cloudformation", lambda aws: Stack(aws.cloudformation, FN, VirtualClock()).read()),
    "propose": (
        "cloudformation",
        lambda aws: Stack(aws.cloudformation, FN, VirtualClock()).propose("{}", {}, exists=True),
    ),
    "repository": ("ecr", lambda aws: Registry(aws.ecr, "repo").repository_uri()),
    "manifest": ("ecr", lambda aws: Registry(aws.ecr, "repo").manifest("tag")),
    "login": ("ecr", lambda aws: Registry(aws.ecr, "repo").login()),
    "identity": ("sts", lambda aws: aws.identity()),
    "deployment": ("codedeploy", lambda aws: Deployments(aws.codedeploy).read("d-1")),
    "stop": ("codedeploy", lambda aws: Deployments(aws.codedeploy, brisk=aws.brisk.codedeploy).stop("d-1")),
}
AILMENTS: dict[str, Answer] = {
    **{f"{status}, empty": Answer(status) for status in (500, 502, 503, 504)},
    **{f"{status}, HTML": Answer(status, HTML) for status in (500, 502, 503, 504)},
    "502, a page": Answer(502, PAGE),
    "503, cut": Answer(503, HTML, promised=10_000),
    "429, empty": Answer(429),
    "cut connection": Answer(cut=True),
    "cut answer": Answer(200, b'{"FunctionVersion": "4', "application/json", promised=10_000),
    "a page for people": Answer(200, PAGE),
    "slower than the read timeout": Answer(after_s=SLOW_S),
}
# An event is accepted by the status alone, and what a function answers may be a page.
READ_BY_STATUS = {
    ("invoke_later", "cut answer"),
    ("invoke_later", "a page for people"),
    ("invoke", "a page for people"),
}
# By service, the code and status with which it asks to come back later.
THROTTLES = {
    "lambda": [("TooManyRequestsException", 429), ("ServiceException", 500), ("EC2ThrottledException", 502)],
    "cloudwatch": [("Throttling", 400), ("ThrottlingException", 400), ("InternalServiceFault", 500)],
    "cloudformation": [("Throttling", 400), ("ServiceUnavailable", 503), ("RequestLimitExceeded", 400)],
    "ecr": [("ThrottlingException", 400), ("ServerException", 500)],
    "sts": [("Throttling", 400), ("IDPCommunicationError", 400), ("InternalFailure", 500)],
    "codedeploy": [("ThrottlingException", 400), ("InternalServiceError", 500)],
}
NAMED = (
    "ServiceUnavailableException",
    "ThrottledException",
    "ThrottlingException",
    "RequestTimeoutException",
    "InternalServiceFault",
    "IDPCommunicationError",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Unwell]:
    """Return a server that can be told how to be unwell."""
    with running() as unwell:
        yield unwell


@pytest.fixture(scope="module")
def environment(server: Unwell) -> Iterator[None]:
    """Send every client to that server, with credentials that are none."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "ACTIONS_ID_TOKEN_REQUEST_URL"):
            patch.delenv(name, raising=False)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": server.url,
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def aws(environment: None) -> Aws:
    """Return the real port, which tries once and not for long."""
    return Aws(FN, "eu-west-1", patient=PATIENT.merge(ONE_TRY), brisk=BRISK.merge(ONE_TRY))


@pytest.mark.parametrize("call", CALLS)
def test_an_aws_that_is_unwell_is_unavailable(aws: Aws, server: Unwell, call: str) -> None:
    """Whatever is wrong with the answer, each call says that nothing is known, and never something else."""
    service, ask = CALLS[call]
    throttles = {code: said(service, code, status) for code, status in THROTTLES[service]}
    for name, answer in {**AILMENTS, **throttles}.items():
        if (call, name) in READ_BY_STATUS:
            continue
        server.given(answer)
        with pytest.raises(DeployerError) as caught:
            ask(aws)
        assert type(caught.value) is Unavailable, f"{name}: {caught.value!r}"
        assert caught.value.hint == "try again", name


@pytest.mark.parametrize("service", THROTTLES)
@pytest.mark.parametrize("code", NAMED)
def test_a_code_that_means_later_is_enough(aws: Aws, server: Unwell, service: str, code: str) -> None:
    """Some services ask to come back later with HTTP 400: then the code says so."""
    ask = next(ask for of, ask in CALLS.values() if of == service)
    server.given(said(service, code, 400))
    with pytest.raises(Unavailable):
        ask(aws)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ResourceConflictException", 409, Conflict),
        ("ResourceNotFoundException", 404, NotFound),
        ("AccessDeniedException", 403, DeployerError),
        ("InvalidParameterValueException", 400, DeployerError),
        ("ResourceConflictException", 503, Unavailable),
        ("AccessDeniedException", 500, Unavailable),
        ("ResourceNotFoundException", 429, Unavailable),
    ],
)
def test_the_status_decides_before_the_code(
    aws: Aws, server: Unwell, code: str, status: int, kind: type[DeployerError]
) -> None:
    """A refusal is one with its own status only: behind a 5xx or a 429 nobody has looked at the request."""
    server.given(said("lambda", code, status))
    with pytest.raises(DeployerError) as caught:
        aws.alias()
    assert type(caught.value) is kind


@pytest.fixture
def fresh(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unwell]:
    """Return a server that no earlier request can still reach, and send every new client to it."""
    with running() as unwell:
        monkeypatch.setenv("AWS_ENDPOINT_URL", unwell.url)
        yield unwell


def test_a_patient_call_survives_what_is_over_in_a_moment(fresh: Unwell) -> None:
    """With the configuration that ships, one bare 503 is followed by another try, and the answer is used."""
    fine = b'{"FunctionVersion": "41", "RevisionId": "r1", "Description": ""}'
    fresh.given(Answer(503), Answer(200, fine, "application/json"))
    assert Aws(FN, "eu-west-1").alias().routing.stable == "41"
    assert fresh.requests == 2


def test_a_brisk_call_is_one_try(fresh: Unwell) -> None:
    """Whoever moves the alias hears at once that AWS is unwell, with the configuration that ships."""
    fresh.given(Answer(503))
    with pytest.raises(Unavailable):
        Aws(FN, "eu-west-1").brisk.alias()
    assert fresh.requests == 1


def test_an_answer_to_head_has_no_body() -> None:
    """Its length is that of what a GET would bring; the same answer to a GET was cut."""
    model = botocore.session.get_session().get_service_model("s3")
    response = {"status_code": 200, "headers": {"content-length": "42"}, "body": b""}
    refuse_what_is_no_answer(response_dict=response, operation_model=model.operation_model("HeadObject"))
    with pytest.raises(IncompleteReadError):
        refuse_what_is_no_answer(
            response_dict=response, operation_model=model.operation_model("GetBucketAcl")
        )
