"""A denied call names role, action, resource and the command that mends it, in whatever words AWS says it."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError

from deployer.aws import denied, trust
from deployer.aws.denied import Denied
from deployer.aws.errors import translated
from deployer.errors import DeployerError

ACCOUNT = "123456789012"
REGION = "eu-central-1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:image-resizer-production"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/image-resizer"


def session(role: str) -> str:
    """Return how AWS names a role's session."""
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/deployer-77"


DEPLOY = f"image-resizer-production-deploy-{REGION}"
PUSH = f"image-resizer-push-{REGION}"
STACK = f"image-resizer-staging-stack-{REGION}"

# As AWS words them: services, handlers of CloudFormation, `docker push`.
TEXTS = {
    "identity": (
        f"User: {session(DEPLOY)} is not authorized to perform: lambda:GetFunction on resource: {FUNCTION}:42 "
        "because no identity-based policy allows the lambda:GetFunction action",
        Denied(
            f"role `{DEPLOY}`", "lambda:GetFunction", f"{FUNCTION}:42", "no identity-based policy allows it"
        ),
    ),
    "without because": (
        f"User: {session(DEPLOY)} is not authorized to perform: lambda:UpdateAlias on resource: {FUNCTION}",
        Denied(f"role `{DEPLOY}`", "lambda:UpdateAlias", FUNCTION),
    ),
    "without resource": (
        f"User: {session(DEPLOY)} is not authorized to perform: cloudwatch:GetMetricData because no "
        "identity-based policy allows the cloudwatch:GetMetricData action",
        Denied(f"role `{DEPLOY}`", "cloudwatch:GetMetricData", "", "no identity-based policy allows it"),
    ),
    "neither": (
        f"User: {session(DEPLOY)} is not authorized to perform: cloudwatch:ListMetrics",
        Denied(f"role `{DEPLOY}`", "cloudwatch:ListMetrics"),
    ),
    "boundary": (
        f"User: {session(DEPLOY)} is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::x/y "
        "because no permissions boundary allows the s3:PutObject action",
        Denied(f"role `{DEPLOY}`", "s3:PutObject", "arn:aws:s3:::x/y", "no permissions boundary allows it"),
    ),
    "explicit deny": (
        f"User: {session(DEPLOY)} is not authorized to perform: lambda:UpdateAlias on resource: {FUNCTION} "
        "with an explicit deny in a service control policy",
        Denied(
            f"role `{DEPLOY}`",
            "lambda:UpdateAlias",
            FUNCTION,
            "with an explicit deny in a service control policy",
        ),
    ),
    "bare explicit deny": (
        f"User: {session(DEPLOY)} is not authorized to perform: lambda:UpdateAlias on resource: {FUNCTION} "
        "with an explicit deny",
        Denied(f"role `{DEPLOY}`", "lambda:UpdateAlias", FUNCTION, "with an explicit deny"),
    ),
    "pass role": (
        f"User: {session(DEPLOY)} is not authorized to perform: iam:PassRole on resource: "
        f"arn:aws:iam::{ACCOUNT}:role/{STACK} because no identity-based policy allows the iam:PassRole action",
        Denied(
            f"role `{DEPLOY}`",
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/{STACK}",
            "no identity-based policy allows it",
        ),
    ),
    "ECR": (
        f"User: {session(PUSH)} is not authorized to perform: ecr:DescribeRepositories on resource: "
        f"{REPOSITORY} because no identity-based policy allows the ecr:DescribeRepositories action",
        Denied(
            f"role `{PUSH}`", "ecr:DescribeRepositories", REPOSITORY, "no identity-based policy allows it"
        ),
    ),
    "docker push": (
        f"The push refers to repository [x]\n5f70bf18a086: Preparing\ndenied: User: {session(PUSH)} is not "
        f"authorized to perform: ecr:InitiateLayerUpload on resource: {REPOSITORY} because no identity-based "
        "policy allows the ecr:InitiateLayerUpload action",
        Denied(f"role `{PUSH}`", "ecr:InitiateLayerUpload", REPOSITORY, "no identity-based policy allows it"),
    ),
    "docker push, older": (
        f"denied: User: {session(PUSH)} is not authorized to perform: ecr:PutImage on resource: {REPOSITORY}\n",
        Denied(f"role `{PUSH}`", "ecr:PutImage", REPOSITORY),
    ),
    "another account's repository": (
        f"denied: User: {session(PUSH)} is not authorized to perform: ecr:BatchGetImage on resource: "
        f"{REPOSITORY} because no resource-based policy allows the ecr:BatchGetImage action",
        Denied(f"role `{PUSH}`", "ecr:BatchGetImage", REPOSITORY, "no resource-based policy allows it"),
    ),
    "CloudFormation's handler": (
        f'SourceBucket: Resource handler returned message: "User: arn:aws:sts::{ACCOUNT}:assumed-role/{STACK}/'
        "AWSCloudFormation is not authorized to perform: s3:CreateBucket on resource: "
        '"arn:aws:s3:::x" because no identity-based policy allows the s3:CreateBucket action (Service: S3, '
        'Status Code: 403, Request ID: 1)" (RequestToken: 2, HandlerErrorCode: AccessDenied)',
        Denied(f"role `{STACK}`", "s3:CreateBucket", "arn:aws:s3:::x", "no identity-based policy allows it"),
    ),
    "CloudFormation's handler, resource last": (
        f'Q: Resource handler returned message: "User: {session(STACK)} is not authorized to perform: '
        'sqs:createqueue on resource: arn:aws:sqs:::x (Service: Sqs, Status Code: 403)"',
        Denied(f"role `{STACK}`", "sqs:createqueue", "arn:aws:sqs:::x"),
    ),
    "CloudFormation's older handler": (
        "Bucket: API: s3:CreateBucket Access Denied",
        Denied("", "s3:CreateBucket"),
    ),
    "CloudFormation's older handler, with user": (
        f"Role: API: iam:CreateRole User: {session(STACK)} is not authorized to perform: iam:CreateRole on "
        f"resource: arn:aws:iam::{ACCOUNT}:role/x",
        Denied(f"role `{STACK}`", "iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/x"),
    ),
    "a user": (
        f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: cloudformation:CreateChangeSet on "
        f"resource: arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/x/*",
        Denied(
            "`user/ann`",
            "cloudformation:CreateChangeSet",
            f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/x/*",
        ),
    ),
    "root": (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::x",
        Denied("`root`", "s3:PutObject", "arn:aws:s3:::x"),
    ),
}


@pytest.mark.parametrize("form", TEXTS)
def test_every_form_is_read(form):
    """Role, action, resource and reason are found wherever AWS says them, and nothing is made up."""
    text, expected = TEXTS[form]
    assert denied.parse(text) == expected


@pytest.mark.parametrize("form", TEXTS)
def test_every_form_has_its_three_parts(form):
    """The error names who, what and on what, keeps AWS's words, and ends with what to do."""
    text, expected = TEXTS[form]
    with pytest.raises(DeployerError, match="reading: not allowed") as caught, translated("reading"):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": text}}, "x")
    assert all(part in caught.value.found for part in (expected.role, expected.action, expected.resource))
    assert text.splitlines()[-1] in caught.value.found
    assert caught.value.hint


@pytest.mark.parametrize(
    ("role", "where"),
    [
        (
            "x-push-eu-central-1",
            "deployer bootstrap --registry; the push role in infra/registry.yaml must grant it",
        ),
        (
            "x-prune-us-gov-west-1",
            "deployer bootstrap --registry; the prune role in infra/registry.yaml must grant it",
        ),
        (
            DEPLOY,
            "deployer bootstrap --env production; the deploy role in infra/bootstrap.yaml must grant it",
        ),
        (
            "x-staging-plan-eu-central-1",
            "deployer bootstrap --env staging; the plan role in infra/bootstrap.yaml must grant it",
        ),
        (
            "x-staging-prune-eu-central-1",
            "deployer bootstrap --env staging; the prune role in infra/bootstrap.yaml must grant it",
        ),
        (
            "x-production-rollback-eu-central-1",
            "deployer bootstrap --env production; the rollback role in infra/bootstrap.yaml must grant it",
        ),
        (
            STACK,
            "deployer bootstrap --env staging; section `stack` of infra/permissions.yaml, or the stack role in "
            "infra/bootstrap.yaml, must grant it",
        ),
        (
            "x-staging-smoke-eu-central-1",
            "deployer bootstrap --env staging; section `smoke` of infra/permissions.yaml, or the smoke role in "
            "infra/bootstrap.yaml, must grant it",
        ),
        (
            "x-production-function-eu-central-1",
            "deployer bootstrap --env production, then `deployer apply --env production`; section `function` of "
            "infra/permissions.yaml, or the function role in infra/bootstrap.yaml, must grant it",
        ),
        (
            "x-production-guard-eu-central-1",
            "deployer bootstrap --env production, then `deployer apply --env production`; the guard role in infra/service.yaml "
            "must grant it",
        ),
        (
            "AWSReservedSSO_Admin_1",
            "sign in as an administrator, or as the command's own role: docs/release.md, section Rights",
        ),
        (
            "x-deploy-staging",
            "sign in as an administrator, or as the command's own role: docs/release.md, section Rights",
        ),
    ],
)
def test_the_hint_names_the_place_that_grants_it(role, where):
    """Each role's rights stand in one file, which is named with the command that brings them into the account."""
    text = f"User: {session(role)} is not authorized to perform: a:B on resource: arn:aws:a:::b"
    assert denied.mends(text)[1] == where


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("boundary", "must grant it and in the boundary"),
        ("explicit deny", "ask whoever administers the organisation"),
        ("another account's repository", "the repository's policy in infra/registry.yaml"),
        ("a user", "sign in as an administrator"),
    ],
)
def test_the_kind_of_policy_decides_what_to_do(form, words):
    """A boundary, an organisation's policy and a repository's policy are each mended somewhere else."""
    assert words in denied.mends(TEXTS[form][0])[1]


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (
            "InvalidParameterValueException",
            "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
            "deployer bootstrap --registry: the repository's policy in infra/registry.yaml",
        ),
        (
            "ValidationError",
            f"Role arn:aws:iam::{ACCOUNT}:role/{STACK} is invalid or cannot be assumed",
            "deployer bootstrap, which sets AWS_STACK_ROLE_ARN",
        ),
        ("AccessDenied", "Access Denied", "compare the role with infra/bootstrap.yaml"),
    ],
)
def test_denials_that_name_nobody_have_a_way_on_too(code, text, words):
    """Some services deny in words of their own, or in none."""
    with pytest.raises(DeployerError, match="not allowed") as caught, translated("reading"):
        raise ClientError({"Error": {"Code": code, "Message": text}}, "x")
    assert words in caught.value.hint


@pytest.mark.parametrize("text", ["", "Rate exceeded", "User: x", "not authorized", "API: x"])
def test_other_errors_are_no_denial(text):
    """What is not denied is not called denied."""
    assert denied.mends(text) is None


def token(**claims: object) -> str:
    """Return an ID token with those claims; nobody looks at its signature here."""
    parts = ({"alg": "RS256"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, "signature"])


GOOD = {
    "aud": "sts.amazonaws.com",
    "sub": "repo:acme@1/x@2:environment:production",
    "repository_id": "2",
    "environment": "production",
    "ref": "refs/heads/main",
}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{DEPLOY}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"environment": "staging"}, "environment   sent `staging`, the role expects `production`"),
        ({"environment": None}, "environment   not sent, the role expects `production`"),
        (
            {"ref": "refs/heads/topic"},
            "ref           sent `refs/heads/topic`, the role expects `refs/heads/main`",
        ),
        ({"aud": "https://github.com/acme"}, "the role expects `sts.amazonaws.com`"),
        ({"sub": "repo:acme@1/x@2:ref:refs/heads/main"}, "ends otherwise than the role expects"),
        ({"sub": "repo:acme/x:environment:production"}, "the subject is of the older form, without ids"),
        ({"repository_id": "3"}, "trusts another repository or form of the subject, or does not exist"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refused_token_says_which_claim_differs(change, words):
    """What was sent stands beside what the role expects; what only the account knows is said to be that."""
    sent = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    found = trust.explain(trust.claims(token(**sent)), ROLE, "sts.amazonaws.com")
    assert words in found
    assert all(f"sent `{value}`" in found for value in sent.values())


@pytest.mark.parametrize(
    ("role", "environment"),
    [
        (f"x-push-{REGION}", None),
        (f"x-prune-{REGION}", "prune"),
        (f"x-staging-prune-{REGION}", "prune"),
        (f"x-staging-deploy-{REGION}", "staging"),
        (f"x-staging-smoke-{REGION}", "staging"),
        (f"x-production-plan-{REGION}", "production-plan"),
        (f"x-production-rollback-{REGION}", "production-rollback"),
    ],
)
def test_each_role_expects_its_own_environment(role, environment):
    """A role's name says which environment's jobs it trusts; the push role trusts the branch alone."""
    found = trust.explain(trust.claims(token(**GOOD)), f"arn:aws:iam::{ACCOUNT}:role/{role}", GOOD["aud"])
    if environment is None:
        assert "`:ref:refs/heads/main`" in found
    elif environment == "production":
        assert "expects" not in found
    else:
        assert f"the role expects `{environment}`" in found


@pytest.mark.parametrize("text", ["", "id-token-1", "a.b.c", "a.bm90IGpzb24.c", "a.WzFd.c", "a.MQ.c"])
def test_what_is_no_token_has_no_claims(text):
    """A token that cannot be read is compared as one without claims, and breaks nothing."""
    assert trust.claims(text) == {}
    assert "not sent" in trust.explain({}, ROLE, "sts.amazonaws.com")


def test_no_signature_is_shown():
    """Only claims are shown that say which job it was; neither the token nor any other claim."""
    sent = trust.claims(token(**GOOD, actor="ann", jti="secret"))
    assert set(sent) == set(GOOD)
    assert "signature" not in trust.explain(sent, ROLE, "sts.amazonaws.com")
