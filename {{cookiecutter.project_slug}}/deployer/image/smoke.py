"""Run the built image as Lambda would, so that the owner's smoke tests can call it. Shell.

The container is confined like Lambda's: read-only but for `/tmp`, no privileges, the function's memory. The
AWS base image brings the Runtime Interface Emulator; all other services are a local AWS.
Source: https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.config import Config
from deployer.image.build import BuiltImage, ensure_loaded
from deployer.image.docker import Say, container_name, find_docker, must, run

LOG_LINES = 60
# Added to the function's own timeout, which the emulator enforces: a container takes a while to start.
START_S = 30

# Posts the event from inside the container: no port of this machine is opened for it.
_INVOKE = """
import http.client, sys, time
body = sys.stdin.buffer.read()
for attempt in range(100):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=float(sys.argv[1]))
        connection.request("POST", "/2015-03-31/functions/function/invocations", body)
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
else:
    sys.exit("nothing listens in the container")
sys.stdout.write(connection.getresponse().read().decode())
"""


@dataclass(frozen=True)
class Surroundings:
    """What is around the container: a local AWS, its resources by logical key, and the owner's variables.

    `container_endpoint` is the same local AWS as `endpoint`, as containers reach it.
    """

    endpoint: str
    container_endpoint: str
    region: str
    resources: Mapping[str, str]
    variables: Mapping[str, str]


@contextlib.contextmanager
def container(
    config: Config, image: BuiltImage, around: Surroundings, *, say: Say
) -> Iterator[dict[str, Any]]:
    """Run the image for the length of a `with` block and yield how tests reach it: SMOKE_TARGET as data.

    Raises DeployerError when it does not start; the container is removed however the block ends.
    """
    docker = find_docker()
    ensure_loaded(docker, image, say)
    answer_within_s = config.function.timeout_s + START_S
    with container_name(docker, "smoke") as name:
        say(f"starting   {image.reference}")
        must(
            run([*docker, *_arguments(config, image, around, name)], timeout_s=120),
            "the image does not start",
        )
        yield {
            "kind": "container",
            "invoke": [
                *(*docker, "exec", "--interactive", name, "python3", "-c", _INVOKE, str(answer_within_s))
            ],
            "patience_s": answer_within_s + START_S,
            "log": [*docker, "logs", "--tail", str(LOG_LINES), name],
            "endpoint": around.endpoint,
            "region": around.region,
            "resources": dict(around.resources),
        }


def _arguments(config: Config, image: BuiltImage, around: Surroundings, name: str) -> list[str]:
    """Return the arguments of `docker run`; each variable is made up here or the owner's, none is ours."""
    variables = {
        "AWS_REGION": around.region,
        "AWS_DEFAULT_REGION": around.region,
        "AWS_ACCESS_KEY_ID": "smoke",
        "AWS_SECRET_ACCESS_KEY": "smoke",  # what a local AWS takes
        "AWS_ENDPOINT_URL": around.container_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": config.function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.function.memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(config.function.timeout_s),
        "NO_PROXY": "*",
        **around.variables,
    }
    return [
        *("run", "--detach", "--name", name, "--pull", "never", "--platform", image.platform),
        *("--read-only", "--tmpfs", "/tmp", "--memory", f"{config.function.memory_mb}m"),  # noqa: S108
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "1024"),
        # No name resolves but the local AWS's.
        *("--add-host", "host.docker.internal:host-gateway", "--dns", "127.0.0.1"),
        *(part for key, value in variables.items() for part in ("--env", f"{key}={value}")),
        image.reference,
    ]
