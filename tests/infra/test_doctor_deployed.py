"""`deployer doctor` on a local AWS: nothing is red that was just made, and what is broken by hand is."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from deployer.cli.main import main
from deployer.errors import Exit
from generating import GENERATED
from infra.conftest import NAME, PROVIDER, SERVICE_PARAMETERS, SETTINGS_TEXT, Client
from infra.test_plan_deployed import Environment, environment

__all__ = ["environment"]  # a fixture of this file too
# Granted under a condition, whose values the local AWS's simulator does not take.
UNDER_CONDITION = {
    *("iam:PassRole", "iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "lambda:AddPermission"),
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of another function, and work in it."""
    (tmp_path / "infra").symlink_to(GENERATED / "infra")
    text = SETTINGS_TEXT.replace(f'"{NAME}"', '"examined"')
    (tmp_path / "deploy.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")  # neither gh nor Docker
    return tmp_path


def red(told: str) -> list[str]:
    """Return the red lines, but for Docker, git, and rights under a condition."""
    found = []
    for block in told.replace("\n     ", " | ").splitlines():
        lacking = set(re.findall(r"\b(?:iam|lambda):\w+(?= on )", block))
        is_expected = block.split()[1:2] == ["rights"] and lacking and lacking <= UNDER_CONDITION
        if block.startswith("FAIL") and block.split()[1] not in ("docker", "git") and not is_expected:
            found.append(block)
    return found


def test_what_was_just_made_is_whole(
    client: Client,
    environment: type[Environment],
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After bootstrap and a first release every link holds; an alarm that is deleted by hand is told."""
    staging = environment("examined")
    subject = ("--subject", "acme@7/examined@42", "--oidc-provider", PROVIDER, "--print-github", "--yes")
    assert main(["bootstrap", *subject]) == Exit.DONE
    staging.apply(SERVICE_PARAMETERS["ImageUri"])
    capsys.readouterr()

    main(["doctor", "--env", "staging"])
    told = capsys.readouterr().out
    assert red(told) == []
    for line in (
        "ok   bootstrap    stack examined-registry is",
        "ok   repository   lets Lambda pull for this function",
        "ok   rights       examined-production-rollback-eu-central-1 has its",
        "ok   alias        live -> version 1",
        "ok   trigger      SourceBucketPermission may invoke it",
        "ok   alarm        examined-staging-throttles is",
        "ok   guard        listens to the rollout topic",
        "ok   guard        cloudwatch.amazonaws.com may reach the rollout topic",
        "ok   guard        sns.amazonaws.com may reach the guard",
    ):
        assert line in told, line

    client("cloudwatch").delete_alarms(AlarmNames=["examined-staging-throttles"])
    policy = client("iam").get_role_policy(
        RoleName="examined-staging-deploy-eu-central-1", PolicyName="deploy"
    )
    document = policy["PolicyDocument"]
    document["Statement"][0]["Action"].remove("lambda:PublishVersion")
    client("iam").put_role_policy(
        RoleName=policy["RoleName"], PolicyName="deploy", PolicyDocument=json.dumps(document)
    )
    assert main(["doctor", "--env", "staging"]) == Exit.FAILED
    broken = red(capsys.readouterr().out)
    assert any("no alarm examined-staging-throttles" in line for line in broken)
    assert any("lacks lambda:PublishVersion on arn:aws:lambda:eu-central-1" in line for line in broken)


def run(client: Client, command: str) -> None:
    """Do what a command of the AWS CLI says; its options are the call's own parameters, spelled otherwise."""
    aws, service, operation, *options = shlex.split(command)
    assert aws == "aws"
    names = [name.removeprefix("--").title().replace("-", "") for name in options[::2]]
    getattr(client(service), operation.replace("-", "_"))(**dict(zip(names, options[1::2], strict=True)))


def test_what_is_said_to_mend_the_guard_mends_it(
    client: Client,
    environment: type[Environment],
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Statements that somebody removed are put back by the commands that doctor names, as the stack has them."""
    staging = environment("examined")
    staging.apply(SERVICE_PARAMETERS["ImageUri"])
    [topic] = [
        one["TopicArn"] for one in client("sns").list_topics()["Topics"] if "examined" in one["TopicArn"]
    ]

    def policies() -> tuple[object, list[dict[str, object]]]:
        published = json.loads(client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
        invoked = json.loads(client("lambda").get_policy(FunctionName="examined-staging-guard")["Policy"])
        return published, invoked["Statement"]

    before, [made] = policies()
    client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue="{}")
    client("lambda").remove_permission(FunctionName="examined-staging-guard", StatementId=made["Sid"])
    capsys.readouterr()
    main(["doctor", "--env", "staging"])
    hints = [line.partition("hint: ")[2] for line in red(capsys.readouterr().out) if " guard " in line]
    assert len(hints) == 2
    for hint in hints:
        run(client, hint)
    after, [again] = policies()
    assert after == before
    assert {**again, "Sid": made["Sid"]} == made
    main(["doctor", "--env", "staging"])
    assert not [line for line in red(capsys.readouterr().out) if " guard " in line]
