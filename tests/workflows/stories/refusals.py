"""The stories in which somebody or something is refused: scan, forgery, tokens, forks."""

from __future__ import annotations

import json
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from engine.image import trivy_fixture
from rehearsal import faults
from workflows.github.artifacts import folder_of
from workflows.github.event import Event
from workflows.github.records import JobRecord
from workflows.github.tokens import claims
from workflows.stories.account import PRODUCTION
from workflows.stories.story import all_well, decided
from workflows.stories.world import World

REHEARSAL = "python3 dev.py rehearse"
LOCKS = "python3 dev.py lock --check"
UNSAFE = "app/unsafe_lib-1.0.0.dist-info/METADATA"


def red_scan(world: World) -> None:
    """A vulnerable package in the image stops the release before anything is pushed."""
    before, images = decided(world), _images(world)
    path = world.edit / UNSAFE
    path.parent.mkdir()
    path.write_text("Metadata-Version: 2.1\nName: unsafe-lib\nVersion: 1.0.0\n", encoding="utf-8")
    world.push("Carry a vulnerable package")
    try:
        record = world.play()
    finally:
        path.unlink()
        path.parent.rmdir()
    assert record.results["image"] == "failure"
    assert record.results["push"] == record.results["staging"] == record.results[PRODUCTION] == "skipped"
    assert trivy_fixture.FIXED in record.job("image").summary
    assert _images(world) == images
    assert decided(world) == before, "a job reached AWS"


def tampered_image(world: World) -> None:
    """Somebody replaces the image between scan and push, and its records with it: the push refuses it."""
    images = _images(world)
    world.push("Be tampered with")
    run = world.run()

    def tamper(job: JobRecord) -> None:
        if job.id == "image":
            _forge(world, run.github["run_id"])

    record = world.execute(run, job_ended=tamper)
    assert record.results["image"] == "success"
    refused = [name for name, result in record.results.items() if result == "failure"]
    assert refused, "nobody noticed"
    assert record.results["staging"] == record.results[PRODUCTION] == "skipped"
    assert _images(world) == images


def _forge(world: World, run_id: str) -> None:
    """Put another image into the run's artifact, with records that say it was built and found clean."""
    folder = folder_of(world.folder / "artifacts", run_id) / "image"
    files = {"var/task/app/handler.py": b"def handler(event, context):\n    return 'stolen'\n"}
    digest = trivy_fixture.write_image(folder / "image.tar", {**trivy_fixture.debian("99"), **files})
    for name in ("image.json", "scan.json"):
        path = folder / name
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps({**record, "config_digest": digest}), encoding="utf-8")


def _images(world: World) -> set[str]:
    """Return the digests in the registry."""
    listed = world.client("ecr").describe_images(repositoryName=world.config.function.name)["imageDetails"]
    return {image["imageDigest"] for image in listed}


def fourteen_tokens(world: World) -> None:
    """Four tokens are what GitHub gives to the jobs of main; ten differ from them in one thing, and are refused."""
    github = world.hub.read()
    repository = world.hub.repository()
    context = Event().context(repository, workflow="Deploy", file="deploy.yml", sha="0" * 40, number=1)
    environments = github["environments"]
    push = github["variables"]["AWS_PUSH_ROLE_ARN"]
    staging = environments["staging"]["variables"]["AWS_DEPLOY_ROLE_ARN"]
    production = environments[PRODUCTION]["variables"]["AWS_DEPLOY_ROLE_ARN"]
    smoke = environments["staging"]["variables"]["AWS_SMOKE_ROLE_ARN"]
    main, of_staging = claims(context, repository, ""), claims(context, repository, "staging")
    of_production = claims(context, repository, PRODUCTION)
    for role, right in (
        (push, main),
        (staging, of_staging),
        (smoke, of_staging),
        (production, of_production),
    ):
        assert _assume(world, role, right) == "", f"the token for {role} is refused"
    request = Event("pull_request", "topic").context(
        repository, workflow="CI", file="ci.yml", sha="0" * 40, number=1
    )
    topic = {**context, "ref": "refs/heads/topic"}
    wrong: dict[str, tuple[str, dict[str, Any]]] = {
        "another branch": (push, claims(topic, repository, "")),
        "a pull request": (push, claims(request, repository, "")),
        "another repository": (push, {**main, "sub": main["sub"].replace(f"@{repository.id}:", "@9999:")}),
        "another owner": (push, {**main, "sub": main["sub"].replace(f"@{repository.owner_id}/", "@9999/")}),
        "a repository id that was forged into the name": (push, {**main, "repository_id": "9999"}),
        "staging's environment for production's role": (production, of_staging),
        "an environment for the push role": (push, of_production),
        "another audience": (push, {**main, "aud": "https://example.invalid"}),
        "another issuer": (push, {**main, "iss": "https://token.example.invalid"}),
        "a time that is over": (push, {**main, "iat": 1, "nbf": 1, "exp": 2}),
    }
    assert len(wrong) == 10
    for what, (role, forged) in wrong.items():
        assert _assume(world, role, forged), f"{what}: the token was accepted"


def _assume(world: World, role: str, said: dict[str, Any]) -> str:
    """Exchange a token for a role; returns the error code, empty when it worked."""
    token = world.issuer.token({"aud": "sts.amazonaws.com", **said})
    sts: Any = Session().create_client(
        "sts",
        region_name=world.config.function.region,
        endpoint_url=world.local_aws.endpoint,
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
    )
    try:
        sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="story", WebIdentityToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


THIEF = """on: pull_request
jobs:
  asks:
    runs-on: ubuntu-24.04
    permissions: { id-token: write, contents: write }
    steps:
      - id: token
        continue-on-error: true
        uses: aws-actions/configure-aws-credentials@v6
        with: { role-to-assume: THE-ROLE, aws-region: THE-REGION }
      - run: test -z "$ACTIONS_ID_TOKEN_REQUEST_TOKEN$AWS_ACCESS_KEY_ID" && test -z "${{ vars.AWS_PUSH_ROLE_ARN }}"
      - run: test "${{ steps.token.outcome }}" = failure
  enters:
    runs-on: ubuntu-24.04
    environment: production
    permissions: { id-token: write }
    steps: [ { run: exit 0 } ]
"""


def pull_request_of_a_fork(world: World) -> None:
    """A fork's pull request is checked, built, scanned and smoked by jobs that may read this repository and no more."""
    before = decided(world)
    world.left_out[REHEARSAL] = "the tests of the rehearsal play it"
    world.left_out[LOCKS] = "it asks the package index about each platform: a job of the template's own does"
    faults.make_healthy_change(world.edit, "a change of somebody else")
    world.push("Change it in a fork", branch="topic")
    record = world.play("ci.yml", Event("pull_request", "topic", is_fork=True))
    all_well(record)
    assert set(record.results.values()) == {"success"}
    for job in record.jobs:
        assert job.permissions in ({"contents": "read"}, {}), job.id
        assert not job.environment
    assert decided(world) == before, "a fork reached AWS"


def pull_request_of_a_fork_that_steals(world: World) -> None:
    """A fork's pull request that changes the workflows reaches no token, no secret, no environment, no AWS."""
    before = decided(world)
    role = world.hub.read()["variables"]["AWS_PUSH_ROLE_ARN"]
    thief = world.edit / ".github/workflows/thief.yml"
    thief.write_text(
        THIEF.replace("THE-ROLE", role).replace("THE-REGION", world.config.function.region), "utf-8"
    )
    world.push("Steal", branch="topic")
    thief.unlink()
    record = world.play("thief.yml", Event("pull_request", "topic", is_fork=True))
    assert record.job("asks").result == "success", record.job("asks").text
    assert record.job("asks").permissions == {"contents": "read"}
    assert record.job("enters").result == "failure", "a fork entered production"
    assert record.job("enters").steps == []
    assert decided(world) == before, "a fork reached AWS"
