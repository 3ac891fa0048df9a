"""The links that are in AWS: read, compared, told. Shell; changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.aws import statements
from deployer.aws.client import Aws
from deployer.aws.errors import NotFound, translated
from deployer.aws.observed import StackState
from deployer.aws.stack import Stack, stack_of
from deployer.context import Context
from deployer.doctor import links, rights
from deployer.doctor.links import Line, Mark
from deployer.errors import DeployerError
from deployer.github import Subject
from deployer.release import bootstrap, sources
from deployer.release.bootstrap import Holder, Part


@dataclass(frozen=True)
class Place:
    """What every look needs: where the command is, what it may ask, and whose credentials these are."""

    context: Context
    aws: Aws
    holder: Holder

    @property
    def function_arn(self) -> str:
        """Return the function's ARN."""
        where = f"{self.aws.region}:{self.holder.account}"
        return f"arn:{self.holder.partition}:lambda:{where}:function:{self.aws.function_name}"

    def looked(self, name: str, look: Callable[[], Iterator[Line] | list[Line]]) -> list[Line]:
        """Return the lines of a look; one that is not allowed says so, and is not held against anything."""
        try:
            with translated(f"looking at {name}"):
                return list(look())
        except DeployerError as error:
            if error.what.endswith(": not allowed"):
                hint = "run it with an administrator's credentials"
                return [Line(name, "not looked at: these credentials may not", Mark.UNSEEN, hint=hint)]
            if "InvalidAction" in (error.found or ""):
                return [Line(name, "not looked at: this region does not have them", Mark.UNSEEN)]
            return [links.failed(name, error)]


def bootstrapped(place: Place, subject: Subject | None) -> list[Line]:
    """Look at what `deployer bootstrap` made in this account: stacks, whom they trust, what the roles may."""
    lines: list[Line] = []
    for part in bootstrap.parts(place.context.config, place.holder.account):
        if part.account == place.holder.account:
            lines += place.looked("bootstrap", lambda part=part: _part(place, part, subject))  # type: ignore[misc]
    return lines


def _part(place: Place, part: Part, subject: Subject | None) -> Iterator[Line]:
    name = part.stack_name(place.context.config)
    state = Stack(place.aws.cloudformation, name, place.context.clock).read()
    yield links.roles_stack(name, state, part.option)
    if state is None:
        return
    if subject is not None:
        yield links.subject(name, state.parameters, subject.claim, subject.repository_id)
    yield from place.looked("rights", lambda: _rights(place, part, state))
    if not part.environment:
        yield from place.looked("repository", lambda: [_repository(place)])


def _rights(place: Place, part: Part, state: StackState) -> Iterator[Line]:
    root, config = place.context.root, place.context.config
    template = sources.bootstrap(root) if part.environment else sources.registry(root, config)
    values = {
        **state.parameters,
        "AWS::Partition": place.holder.partition,
        "AWS::Region": place.aws.region,
        "AWS::AccountId": place.holder.account,
        "AWS::URLSuffix": "amazonaws.com",
    }
    iam = place.aws.client("iam")
    asked = rights.questions(template, values)
    for role, questions in itertools.groupby(asked, key=lambda question: question.role):
        missing, total = list[str](), 0
        for question in questions:
            answer = iam.simulate_principal_policy(**question.arguments())
            missing += rights.denied(answer, question)
            total += len(question.actions)
        yield links.rights(role.rpartition("/")[2], missing, total)


def _repository(place: Place) -> Line:
    name = place.context.config.function.name
    found = place.aws.ecr.get_repository_policy(repositoryName=name)
    return links.repository_policy(found.get("policyText"), place.function_arn)


def deployed(place: Place) -> list[Line]:
    """Look at the environment's stack: function, alias, triggers, alarms, guard."""
    stack = stack_of(place.context, place.aws)
    state = stack.read()
    if state is None:
        hint = "the first deployment creates it: docs/release.md"
        return [Line("stack", f"`{stack.name}` does not exist", Mark.FAIL, hint=hint)]
    lines = [Line("stack", f"{stack.name} is {state.status}")]
    for name, look in (
        ("alias", lambda: [Line("alias", f"live -> version {place.aws.alias().routing.stable}")]),
        ("trigger", lambda: _triggers(place)),
        ("alarm", lambda: _alarms(place, state)),
        ("guard", lambda: _guard(place, state)),
    ):
        lines += place.looked(name, look)
    return lines


def _triggers(place: Place) -> Iterator[Line]:
    described = place.aws.cloudformation.describe_stack_resources(StackName=place.aws.function_name)
    lambda_, name = place.aws.client("lambda"), place.aws.function_name

    def policy(**which: str) -> str | None:
        try:
            with translated("reading a function's policy"):
                return str(lambda_.get_policy(**which)["Policy"])
        except NotFound:
            return None

    alias = policy(FunctionName=name, Qualifier="live")
    for resource in described["StackResources"]:
        logical, physical = resource["LogicalResourceId"], resource.get("PhysicalResourceId", "")
        match resource["ResourceType"]:
            case "AWS::Lambda::Permission" if logical != "GuardPermission":
                yield links.trigger(logical, physical, alias)
            case "AWS::Lambda::EventSourceMapping":
                found = lambda_.get_event_source_mapping(UUID=physical)
                yield links.mapping(logical, found, f"{place.function_arn}:live")


def _alarms(place: Place, state: StackState) -> Iterator[Line]:
    settings = place.context.config.environment(place.context.environment)
    ours = [name for name in state.outputs.get("AlarmNames", "").split(",") if name]
    watched = list(dict.fromkeys([*ours, *settings.alarm_names()]))
    answer: Any = place.aws.cloudwatch.describe_alarms(
        AlarmNames=watched, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = {
        one["AlarmName"]: one for kind in ("MetricAlarms", "CompositeAlarms") for one in answer.get(kind, [])
    }
    for name in watched:
        yield links.alarm(name, found.get(name), is_ours=name in ours)
    yield from place.looked("mute rules", lambda: _mutes(place, watched))


def _mutes(place: Place, watched: list[str]) -> Iterator[Line]:
    for name in watched:
        rules = place.aws.cloudwatch.list_alarm_mute_rules(AlarmName=name, Statuses=["ACTIVE"])
        arns = [rule["AlarmMuteRuleArn"] for rule in rules.get("AlarmMuteRuleSummaries", [])]
        line = links.mute(name, arns)
        if line is not None:
            yield line


def _guard(place: Place, state: StackState) -> Iterator[Line]:
    topic = state.outputs.get("RolloutTopicArn", "")
    if not topic:
        yield links.red(
            "guard", "the stack has no rollout topic", "one, with the guard behind it", "deployer apply"
        )
        return
    guard, sns = f"{place.aws.function_name}-guard", place.aws.sns
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    yield links.listener(topic, [one["Endpoint"] for one in listed], f"{place.function_arn}-guard")
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    hint = statements.let_alarms_publish(topic, place.aws.function_name)
    yield links.may("the rollout topic", attributes.get("Policy"), "cloudwatch.amazonaws.com", hint)
    try:
        with translated("reading the guard's policy"):
            policy = place.aws.client("lambda").get_policy(FunctionName=guard)["Policy"]
    except NotFound:
        policy = None
    hint = statements.let_topic_invoke_guard(topic, place.aws.function_name)
    yield links.may("the guard", policy, "sns.amazonaws.com", hint)
