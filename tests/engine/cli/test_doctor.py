"""`deployer doctor`: a line for each link, and for each that is broken the command that mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployer.cli.main import main
from deployer.config import parse
from deployer.doctor import rights
from deployer.errors import DeployerError, Exit
from deployer.release import bootstrap as parts
from deployer.release import sources
from engine.cli.test_bootstrap_command import ACCOUNTS, SETTINGS, GitHub, github
from engine.doctor_fakes import ACCOUNT, ARN, FUNCTION, TOPIC, Whole, letting
from engine.fakes import VirtualClock
from generating import GENERATED

__all__ = ["github"]  # a fixture of this file too
Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout, and work in it."""
    checkout = tmp_path / "checkout"
    shutil.copytree(GENERATED / "infra", checkout / "infra")
    (checkout / "deploy.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.chdir(checkout)
    return checkout


@pytest.fixture
def whole(root: Path) -> Whole:
    """Return an account in which every link holds."""
    return Whole(root, SETTINGS)


@pytest.fixture
def doctor(
    root: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Return a function that runs `deployer doctor` and returns its status and what it said."""
    docker = root.parent / "bin" / "docker"
    answer = json.dumps({"Client": {"Version": "20.1"}, "Server": {"Os": "linux"}})
    docker.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("DOCKER", str(docker))
    given_github(root, github)

    def run(account: Whole, *options: str) -> tuple[int, str]:
        status = main(["doctor", *options], clock=VirtualClock(), aws=lambda *_: account)
        return status, capsys.readouterr().out

    return run


def given_github(root: Path, github: GitHub) -> None:
    """Let the repository have all that `deployer bootstrap` sets up."""
    config, holder = parse(SETTINGS), parts.Holder("aws", ACCOUNT)
    variables: dict[str, dict[str, str]] = {}
    for part in parts.parts(config, ACCOUNT):
        for variable in parts.variables(part, parts.expected_outputs(config, part, holder)):
            variables.setdefault(variable.environment, {})[variable.name] = variable.value
    custom = {"protection_rules": [], "deployment_branch_policy": {"custom_branch_policies": True}}
    environments = {name: {"about": custom, "branches": ["main"]} for name in variables if name}
    rules = json.loads((GENERATED / ".github/ruleset-main.json").read_text(encoding="utf-8"))["rules"]
    github.given(variables=variables, environments=environments, rules=rules)


def red(told: str) -> list[str]:
    """Return the red lines, each with what was expected and the hint."""
    blocks = told.replace("\n     ", " | ").splitlines()
    return [block for block in blocks if block.startswith("FAIL")]


def test_every_link_holds(doctor: Doctor, whole: Whole) -> None:
    """Where everything is as it should be, each link has a line that says so, and the command succeeds."""
    status, told = doctor(whole)
    assert (status, red(told)) == (Exit.DONE, [])
    for line in (
        "ok   subject      resizer-production-bootstrap trusts repo:acme@7/resizer@42",
        "ok   rights       resizer-production-deploy-eu-west-1 has its",
        "ok   rights       resizer-staging-smoke-eu-west-1 has its",
        "ok   repository   lets Lambda pull for this function",
        "ok   alias        live -> version 42",
        "ok   trigger      SourcePermission may invoke it",
        "ok   trigger      Queue feeds the alias",
        f"ok   alarm        {FUNCTION}-errors is OK, tells nobody",
        "ok   guard        listens to the rollout topic",
        "ok   guard        cloudwatch.amazonaws.com may reach the rollout topic",
        "ok   guard        sns.amazonaws.com may reach the guard",
        "ok   github       acme/resizer has its environments, variables and rule",
    ):
        assert line in told, line


def deny_one(account: Whole) -> None:
    """Let the simulator deny a right on one of the resources that it was asked about, and say so as IAM does."""
    inner = account.simulate_principal_policy

    def simulate(**asked: Any) -> Any:
        answer = inner(**asked)
        for result in answer["EvaluationResults"]:
            about = [(arn, result["EvalActionName"]) for arn in asked["ResourceArns"]]
            result["ResourceSpecificResults"] = [
                {
                    "EvalResourceName": arn,
                    "EvalResourceDecision": "implicitDeny"
                    if (arn, action) == (f"{ARN}:1", "lambda:UpdateAlias")
                    else "allowed",
                }
                for arn, action in about
            ]
        return answer

    account.simulate_principal_policy = simulate  # type: ignore[method-assign]


def sign_out(account: Whole) -> None:
    """Let AWS not know who asks."""

    def identity() -> str:
        raise DeployerError("no credentials were found", found="found none", hint="sign in")

    account.identity = identity  # type: ignore[method-assign]


ALARM = f"{FUNCTION}-errors"
BROKEN: dict[str, tuple[Callable[[Whole], object], str, str]] = {
    "roles of an environment are missing": (
        lambda a: a.stacks.pop("resizer-staging-bootstrap"),
        "bootstrap    no stack resizer-staging-bootstrap",
        "deployer bootstrap --env staging",
    ),
    "the registry is missing": (
        lambda a: a.stacks.pop("resizer-registry"),
        "bootstrap    no stack resizer-registry",
        "deployer bootstrap --registry",
    ),
    "a stack of roles failed": (
        lambda a: setattr(a.stacks["resizer-registry"], "status", "UPDATE_ROLLBACK_FAILED"),
        "bootstrap    stack resizer-registry is UPDATE_ROLLBACK_FAILED",
        "deployer bootstrap --registry",
    ),
    "the repository was renamed": (
        lambda a: a.stacks["resizer-production-bootstrap"].parameters.update(
            GitHubSubject="repo:acme@7/old@42"
        ),
        "subject      resizer-production-bootstrap trusts repo:acme@7/old@42, id 42 | expected repo:acme@7/resizer@42",
        "deployer bootstrap; a renamed repository",
    ),
    "the repository was made anew": (
        lambda a: a.stacks["resizer-production-bootstrap"].parameters.update(GitHubRepositoryId="41"),
        "trusts repo:acme@7/resizer@42, id 41 | expected repo:acme@7/resizer@42, id 42",
        "deployer bootstrap",
    ),
    "a role lost a right": (
        lambda a: a.denies.add("lambda:PublishVersion"),
        f"rights       resizer-production-deploy-eu-west-1 lacks lambda:PublishVersion on {ARN}",
        "deployer bootstrap; if they stay missing",
    ),
    "a role lost a right on some of its resources": (
        deny_one,
        f"rights       resizer-production-deploy-eu-west-1 lacks lambda:UpdateAlias on {ARN}:1",
        "deployer bootstrap; if they stay missing",
    ),
    "nobody is signed in": (sign_out, "credentials  no credentials were found", "sign in"),
    "the stack is older than the guard": (
        lambda a: a.leaves_out.add("RolloutTopicArn"),
        "guard        the stack has no rollout topic",
        "deployer apply",
    ),
    "Lambda may not pull": (
        lambda a: a.policies.update(repository=letting("lambda.amazonaws.com")),
        "repository   no statement that lets Lambda pull",
        "deployer bootstrap --registry",
    ),
    "the repository has no policy": (
        lambda a: a.policies.update(repository=None),
        "repository   no policy",
        "deployer bootstrap --registry",
    ),
    "nothing was deployed": (
        lambda a: a.stacks.pop(FUNCTION),
        f"stack        `{FUNCTION}` does not exist",
        "the first deployment creates it",
    ),
    "the alias is gone": (
        lambda a: a.missing.add("alias"),
        "alias        reading alias `live`: not found",
        "deployer apply",
    ),
    "a trigger may not invoke": (
        lambda a: a.policies.update({f"{FUNCTION}:live": None}),
        "trigger      SourcePermission is not in the policy",
        "take SourcePermission out of infra/service.yaml",
    ),
    "a queue feeds the function and not the alias": (
        lambda a: a.mapping.update(FunctionArn=ARN),
        f"trigger      Queue feeds {ARN} | expected {ARN}:live",
        "FunctionName: !Ref LiveAlias",
    ),
    "a queue is switched off": (
        lambda a: a.mapping.update(State="Disabled", StateTransitionReason="User action"),
        "trigger      Queue is Disabled: User action",
        "aws lambda update-event-source-mapping --uuid uuid-1 --enabled",
    ),
    "an alarm is gone": (lambda a: a.watched.pop(ALARM), f"alarm        no alarm {ALARM}", "deployer apply"),
    "an alarm's actions are off": (
        lambda a: a.watched[ALARM].update(AlarmActions=[TOPIC], ActionsEnabled=False),
        f"alarm        {ALARM} has actions, which are switched off",
        f"aws cloudwatch enable-alarm-actions --alarm-names {ALARM}",
    ),
    "an alarm is muted": (
        lambda a: a.mutes.update({ALARM: ["arn:aws:cloudwatch:eu-west-1:1:alarm-mute-rule:night"]}),
        f"alarm        {ALARM} is muted by arn:",
        "aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name night",
    ),
    "the guard does not listen": (
        lambda a: setattr(a, "listeners", ["someone@example.org"]),
        f"guard        someone@example.org listens to {TOPIC} | expected {ARN}-guard",
        f"aws sns subscribe --topic-arn {TOPIC} --protocol lambda --notification-endpoint {ARN}-guard",
    ),
    "alarms may not tell the topic": (
        lambda a: a.policies.update(topic=letting("events.amazonaws.com")),
        "guard        cloudwatch.amazonaws.com may not reach the rollout topic",
        f"aws sns set-topic-attributes --topic-arn {TOPIC} --attribute-name Policy",
    ),
    "the topic may not wake the guard": (
        lambda a: a.policies.update({f"{FUNCTION}-guard": None}),
        "guard        sns.amazonaws.com may not reach the guard",
        f"aws lambda add-permission --function-name {FUNCTION}-guard",
    ),
}


@pytest.mark.parametrize(("break_it", "found", "hint"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_link_is_red(
    doctor: Doctor, whole: Whole, break_it: Callable[[Whole], object], found: str, hint: str
) -> None:
    """A broken link is told with what was found and expected, and with the command that mends it."""
    break_it(whole)
    status, told = doctor(whole)
    assert status == Exit.FAILED
    [line] = [line for line in red(told) if found in line]
    assert hint in line.partition("hint: ")[2]


def test_only_what_is_broken_is_red(doctor: Doctor, whole: Whole) -> None:
    """One muted alarm is one red line."""
    whole.mutes = {ALARM: ["arn:x:night"]}
    assert len(red(doctor(whole)[1])) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param(
            {"environments": {}},
            (
                "missing: make environment production-rollback",
                "gh api --silent -X PUT repos/acme/resizer/environments/production-rollback",
            ),
            id="no environment",
        ),
        pytest.param(
            {"variables": {}},
            ("missing: set variable AWS_PUSH_ROLE_ARN", "gh variable set"),
            id="no variable",
        ),
        pytest.param({"rules": []}, ("missing: require a pull request", "rulesets"), id="no rule for main"),
        pytest.param(
            {"oidc": {"use_default": False}},
            ("makes the subject of its tokens itself", "use_default=true"),
            id="template",
        ),
    ],
)
def test_what_github_lacks_is_red(
    doctor: Doctor, whole: Whole, github: GitHub, changed: dict[str, Any], words: tuple[str, str]
) -> None:
    """What the roles need on GitHub and is not there is told with the call that makes it; nothing is changed."""
    github.given(**changed)
    status, told = doctor(whole)
    assert status == Exit.FAILED
    assert any(all(word in line for word in words) for line in red(told)), told
    assert github.calls() == []


def test_an_environment_that_every_branch_may_use_is_red(
    doctor: Doctor, whole: Whole, github: GitHub
) -> None:
    """Its jobs on another branch become no role, and read its secrets: it is told with the calls that close it."""
    environments = github["environments"]
    environments["production"] = {"about": {"deployment_branch_policy": None}, "branches": []}
    github.given(environments=environments)
    status, told = doctor(whole)
    assert status == Exit.FAILED
    closes, names = red(told)
    assert "gh api --silent -X PUT repos/acme/resizer/environments/production" in closes
    assert "environments/production/deployment-branch-policies" in names
    assert github.calls() == []


def test_another_account_is_red(doctor: Doctor, whole: Whole, root: Path) -> None:
    """Credentials of another account than the environment's are told, and nothing of that account is held against it."""
    (root / "deploy.toml").write_text(SETTINGS + ACCOUNTS, encoding="utf-8")
    status, told = doctor(whole, "--env", "production")
    assert status == Exit.FAILED
    assert f"FAIL account      {ACCOUNT}" in told
    assert "expected 333333333333, the account of production in deploy.toml" in told
    assert "alias" not in told


def test_what_may_not_be_looked_at_is_not_red(doctor: Doctor, whole: Whole, github: GitHub) -> None:
    """A role that only reads sees less than an administrator: such a link is neither good nor bad."""
    github.given(signed_in=False)
    whole.forbidden = {"iam:SimulatePrincipalPolicy", "cloudwatch:ListAlarmMuteRules"}
    status, told = doctor(whole)
    assert (status, red(told)) == (Exit.DONE, [])
    assert "?    github       not asked: `gh` is not signed in" in told
    assert "?    rights       not looked at: these credentials may not" in told
    assert "?    mute rules   not looked at: these credentials may not" in told


def test_an_old_database_is_red(doctor: Doctor, whole: Whole, root: Path) -> None:
    """A vulnerability database that a scan would refuse is told; one that is missing is not a fault."""
    assert "?    trivy        no database yet" in doctor(whole)[1]
    folder = root / ".cache" / "trivy" / "db"
    folder.mkdir(parents=True)
    (folder / "trivy.db").write_bytes(b"")
    made = datetime.fromtimestamp(VirtualClock().now(), tz=UTC) - timedelta(hours=80)
    (folder / "metadata.json").write_text(
        json.dumps({"Version": 2, "UpdatedAt": made.isoformat()}), encoding="utf-8"
    )
    status, told = doctor(whole)
    assert status == Exit.FAILED
    assert (
        "FAIL trivy        the database is 80 h old\n     expected at most 72 h\n     hint: deployer scan"
        in told
    )


def test_a_machine_without_docker_is_red(
    doctor: Doctor, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline, the machine alone is looked at."""
    monkeypatch.setenv("DOCKER", "/no/such/program")
    status, told = doctor(whole, "--offline")
    assert status == Exit.FAILED
    assert "FAIL docker" in told
    assert "credentials" not in told


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_every_grant_is_asked_about(root: Path, environment: str) -> None:
    """IAM is asked about each action that the template grants, on names and not on patterns, with its conditions."""
    template = sources.bootstrap(root)
    values = {
        "FunctionName": "resizer",
        "Environment": environment,
        "RegistryAccount": "1" * 12,
        "AWS::Partition": "aws",
        "AWS::Region": "eu-west-1",
        "AWS::AccountId": ACCOUNT,
        "AWS::URLSuffix": "amazonaws.com",
    }
    asked = list(rights.questions(template, values))
    roles = {name for name, one in template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}
    only_staging = {name for name in roles if template["Resources"][name].get("Condition") == "IsStaging"}
    assert len({one.role for one in asked}) == len(
        roles - (set() if environment == "staging" else only_staging)
    )
    for question in asked:
        arguments = question.arguments()
        assert not [arn for arn in arguments["ResourceArns"] if ("*" in arn and arn != "*") or "${" in arn]
    passing = {
        one.resources: dict(one.context)["iam:PassedToService"]
        for one in asked
        if one.actions == ("iam:PassRole",) and one.role.endswith("deploy-eu-west-1")
    }
    named = f"arn:aws:iam::{ACCOUNT}:role/resizer-{environment}"
    assert passing == {
        (f"{named}-stack-eu-west-1",): "cloudformation.amazonaws.com",
        (f"{named}-schedule-eu-west-1",): "scheduler.amazonaws.com",
    }
    ceilings = {
        dict(one.context).get("iam:PermissionsBoundary", "")
        for one in asked
        if "iam:CreateRole" in one.actions
    }
    assert f"arn:aws:iam::{ACCOUNT}:policy/resizer-{environment}-guard-boundary-eu-west-1" in ceilings
