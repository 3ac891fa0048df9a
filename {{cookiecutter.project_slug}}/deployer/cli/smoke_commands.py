"""The commands about what the shipped thing must do: smoke, smoke-target, sample. Shell.

`testbed` is imported where the local AWS or pytest is needed and nowhere else: no other command, and none
that holds credentials in a release, loads it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from deployer.aws.client import reach
from deployer.aws.stack import stack_of
from deployer.config import ALIAS
from deployer.context import Context
from deployer.errors import DeployerError, Exit
from deployer.image import build as image
from deployer.image import smoke as smoking
from deployer.image.build import BuiltImage
from deployer.image.docker import find_docker
from deployer.rollout import sample as samples


def smoke(context: Context, *, deployed: bool) -> Exit:
    """Run the owner's smoke tests against the built image, or against the alias of an environment."""
    from testbed import resources, smoke_tests  # noqa: PLC0415

    if deployed:
        report = smoke_tests.run(context.root, alias_target(context), say=context.output.say)
        context.output.say(f"smoke      {report}")
        return Exit.DONE
    # What is wrong in smoke/ is said before anything is started.
    smoke_tests.collect(context.root)
    samples.load_probe(context.root)
    samples.load(context.root)
    resources.load(context.root)
    built = image.load(context.root / "build")
    with local_aws(context) as local:
        return smoke_image(context, built, local)


def smoke_image(context: Context, built: BuiltImage, local: Any) -> Exit:
    """Run smoke tests, probe and sample against a container of the image, beside that local AWS.

    `local` has the addresses `endpoint` and `container_endpoint`, and a `region`. Raises DeployerError with
    the end of the container's log; the container is removed in any case.
    """
    from testbed import fixtures, resources, smoke_tests  # noqa: PLC0415

    def client(service: str) -> Any:
        return fixtures.make_client({"endpoint": local.endpoint, "region": local.region}, service)

    names = resources.make(context.root, client)
    literals = context.config.variables("staging")
    variables = resources.container_variables(context.root, names, literals)
    probe, sample = samples.load_probe(context.root), samples.load(context.root)
    around = smoking.Surroundings(local.endpoint, local.container_endpoint, local.region, names, variables)
    with smoking.container(context.config, built, around, say=context.output.say) as target:
        report = smoke_tests.run(context.root, target, say=context.output.say)
        context.output.say(f"smoke      {report}")

        def invoke(event: Any) -> tuple[str | None, Any]:
            try:
                return None, fixtures.call(target, event)
            except fixtures.FunctionFailed as error:
                return "a failure", {"errorMessage": str(error)}

        failure, answer = invoke(probe)
        if failure is not None:
            raise DeployerError(
                f"the image does not answer `{samples.PROBE}`",
                found=answer["errorMessage"],
                hint="a rollout begins with it: write an event that the function answers without any work",
            )
        context.output.say(f"probe      the image answers {samples.PROBE}")
        if sample is not None:
            context.output.say(f"sample     {samples.send(sample, invoke, client, names)}")
    return Exit.DONE


@contextlib.contextmanager
def local_aws(context: Context) -> Iterator[Any]:
    """Run a local AWS for the length of a `with` block."""
    from testbed import local_aws as testbed_local_aws  # noqa: PLC0415

    context.output.say("starting   a local AWS")
    with testbed_local_aws.running(docker=find_docker()) as local:
        yield local


def smoke_target(context: Context) -> Exit:
    """Output `smoke_target`: what a job without the deployer must know to test the alias."""
    context.output.set_output("smoke_target", json.dumps(alias_target(context)))
    return Exit.DONE


def sample(context: Context, version: str) -> Exit:
    """Send the real sample to one published version. Raises DeployerError when it answers otherwise."""
    found = samples.load(context.root)
    if found is None:
        raise DeployerError(
            f"there is no `{samples.SAMPLE}`, so nothing real can be tried",
            found="found no file, expected a real sample as data",
            hint="docs/your-own-function.md, section What it must do",
        )
    aws = reach(context)
    said = samples.send(found, lambda event: aws.invoke(version, event), aws.client, resource_names(context))
    context.output.say(f"sample     version {version}: {said}")
    return Exit.DONE


def alias_target(context: Context) -> dict[str, Any]:
    """Return how smoke tests reach the alias of the command's environment: SMOKE_TARGET as data."""
    return {
        "kind": "alias",
        "function": context.config.function_name(context.environment),
        "alias": ALIAS,
        "endpoint": context.output.environ.get("AWS_ENDPOINT_URL"),
        "region": context.config.function.region,
        "resources": resource_names(context),
    }


def resource_names(context: Context) -> dict[str, str]:
    """Return the resources' names by logical key: the outputs of the stack. Raises DeployerError."""
    stack = stack_of(context, reach(context))
    state = stack.read()
    if state is None:
        raise DeployerError(
            f"there is no stack `{stack.name}`", found="found no outputs", hint="deployer apply"
        )
    return dict(state.outputs)
