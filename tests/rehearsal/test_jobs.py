"""As whom a rehearsal runs the product's commands, and how it says what was denied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from testbed.local_aws import running
from testbed.roles import Decision, Roles
from testbed.tokens import TokenIssuer

from deployer.errors import DeployerError
from rehearsal import denials
from rehearsal.jobs import Job, Jobs, claims_of, job_of, variables_of

PRINTED = """\
now tell GitHub, once:
  gh variable set AWS_DEPLOY_ROLE_ARN --env production --body arn:aws:iam::1:role/deploy
  gh variable set AWS_STACK_ROLE_ARN --env production --body arn:aws:iam::1:role/stack --repo acme/x
  gh variable set AWS_PUSH_ROLE_ARN --body arn:aws:iam::1:role/push
"""


@pytest.mark.parametrize(
    ("command", "job"),
    [
        ("push --tag x", Job("", "AWS_PUSH_ROLE_ARN")),
        ("plan --env production", Job("production-plan", "AWS_PLAN_ROLE_ARN")),
        ("status --env production", Job("production-plan", "AWS_PLAN_ROLE_ARN")),
        ("apply --env production", Job("production", "AWS_DEPLOY_ROLE_ARN")),
        ("rollout start --env production", Job("production", "AWS_DEPLOY_ROLE_ARN")),
        ("rollout resume --env production", Job("production", "AWS_DEPLOY_ROLE_ARN")),
        ("rollout abort --env production", Job("production-rollback", "AWS_ROLLBACK_ROLE_ARN")),
        ("rollback --env production", Job("production-rollback", "AWS_ROLLBACK_ROLE_ARN")),
        ("build", None),
        ("smoke", None),
        ("scan", None),
    ],
)
def test_each_command_has_its_job(command: str, job: Job | None) -> None:
    """A command runs in the environment, and with the role, of the workflow's job that has it."""
    assert job_of(tuple(command.split()), "production") == job


def test_what_bootstrap_prints_is_obeyed() -> None:
    """Variables are read from the printed commands, each for its environment or for the repository."""
    assert variables_of(PRINTED) == {
        "production": {
            "AWS_DEPLOY_ROLE_ARN": "arn:aws:iam::1:role/deploy",
            "AWS_STACK_ROLE_ARN": "arn:aws:iam::1:role/stack",
        },
        "": {"AWS_PUSH_ROLE_ARN": "arn:aws:iam::1:role/push"},
    }


def test_a_job_without_environment_has_the_branch_in_its_subject() -> None:
    """GitHub puts the environment into the subject, and the branch where there is none."""
    assert claims_of("fn", "staging")["sub"] == "repo:rehearsal@1/fn@2:environment:staging"
    assert claims_of("fn", "")["sub"] == "repo:rehearsal@1/fn@2:ref:refs/heads/main"
    assert "environment" not in claims_of("fn", "")


@pytest.fixture(scope="module")
def jobs() -> Iterator[Jobs]:
    """Return the jobs of a repository that was not bootstrapped."""
    roles = Roles()
    with running(roles=roles) as local_aws, TokenIssuer(roles.issuer_key) as issuer:
        yield Jobs(local_aws, issuer, "fn", "production")


def test_only_what_a_person_types_has_the_administrators_key(jobs: Jobs) -> None:
    """Build and smoke test get no credentials at all, and bootstrap the administrator's."""
    key = jobs.local_aws.credentials[0]
    assert jobs.settings(("bootstrap",))["AWS_ACCESS_KEY_ID"] == key
    assert key not in jobs.settings(("build",)).values()
    assert "AWS_SECRET_ACCESS_KEY" not in jobs.settings(("smoke",))


def test_a_missing_variable_and_a_role_that_does_not_trust_are_told(jobs: Jobs) -> None:
    """What bootstrap should have made is named before the command runs."""
    with pytest.raises(DeployerError, match="did not say what to set `AWS_PUSH_ROLE_ARN` to"):
        jobs.settings(("push",))
    jobs.obey(PRINTED.replace("::1:", "::000000000000:"))
    with pytest.raises(DeployerError, match="role `push` does not trust the job without environment"):
        jobs.settings(("push",))


@pytest.mark.parametrize(
    ("by", "role", "told"),
    [
        (
            "cloudformation AWS::SQS::Queue",
            "fn-production-stack-r",
            "section `stack` of infra/permissions.yaml",
        ),
        ("api", "fn-production-function-r", "section `function` of infra/permissions.yaml"),
        ("api", "fn-staging-smoke-r", "section `smoke` of infra/permissions.yaml"),
        ("api", "fn-production-deploy-r", "infra/bootstrap.yaml or infra/registry.yaml grants it"),
    ],
)
def test_a_denial_names_role_right_resource_and_file(by: str, role: str, told: str) -> None:
    """Whoever reads it knows what to write where; a denial that happened twice is told once."""
    who = f"arn:aws:sts::000000000000:assumed-role/{role}/session"
    denied = Decision(by, who, "sqs:CreateQueue", "arn:aws:sqs:r:1:q", {}, allowed=False)
    allowed = Decision(by, who, "sqs:TagQueue", "arn:aws:sqs:r:1:q", {}, allowed=True)
    (line,) = denials.explained([denied, allowed, denied])
    assert line.startswith(f"`{role}` lacks sqs:CreateQueue on arn:aws:sqs:r:1:q: ")
    assert line.endswith(told)
