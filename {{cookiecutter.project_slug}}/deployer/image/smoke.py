"""Let the built image answer its trigger's sample event, as Lambda would run it. Shell.

The container is confined like Lambda's: read-only but for `/tmp`, no privileges, the function's memory. The
AWS base image brings the Runtime Interface Emulator; S3 is a local one.
Source: https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
"""

from __future__ import annotations

import contextlib
import http.client
import json
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus, urlsplit

from deployer.config import Config
from deployer.errors import DeployerError
from deployer.image.build import BuiltImage, ensure_loaded
from deployer.image.docker import Say, companion, container_name, find_docker, must, run, tail

PROBES = Path(__file__).resolve().parents[1] / "probes"
SOURCE, RESIZED = "smoke-source", "smoke-resized"
ANSWER_WITHIN_S = 60

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
sys.stdout.write(connection.getresponse().read().decode())
"""


@dataclass(frozen=True)
class S3Endpoint:
    """A local S3: where this machine reaches it, and where containers do."""

    endpoint: str
    container_endpoint: str
    region: str


@dataclass(frozen=True)
class SmokeResult:
    """What the image did with the sample photo."""

    photo_px: tuple[int, int]
    resized_px: tuple[int, int]
    seconds: float

    def __str__(self) -> str:
        (width, height), (to_width, to_height) = self.photo_px, self.resized_px
        return f"photo {width}x{height} -> {to_width}x{to_height} in {self.seconds:.1f} s"


def smoke(
    config: Config, image: BuiltImage, *, s3_endpoint: S3Endpoint | None = None, say: Say
) -> SmokeResult:
    """Run the image, send it the sample event, and compare answer and stored object with what is due.

    Without `s3_endpoint` a local AWS is started for it. Raises DeployerError with the end of the container's
    log; the container is removed in any case.
    """
    docker = find_docker()
    ensure_loaded(docker, image, say)
    folder = PROBES / config.function.trigger
    photo = (folder / "photo.jpg").read_bytes()
    event = json.loads((folder / "event.json").read_text(encoding="utf-8"))
    key = unquote_plus(event["Records"][0]["s3"]["object"]["key"])
    with contextlib.ExitStack() as stack:
        s3 = s3_endpoint or stack.enter_context(_local_s3(say))
        for bucket in (SOURCE, RESIZED):
            _request(s3, "PUT", f"/{bucket}", missing_is_fine=True)
        _request(s3, "PUT", f"/{SOURCE}/{quote(key)}", photo)
        _request(s3, "DELETE", f"/{RESIZED}/{quote(key)}", missing_is_fine=True)
        name = stack.enter_context(container_name(docker, "smoke"))
        say(f"starting {image.reference}")
        started = time.monotonic()
        must(run([*docker, *_container(config, image, s3, name)], timeout_s=120), "the image does not start")
        answer = _invoke(docker, name, event)
        _check_answer(answer, key, lambda: _log(docker, name))
        resized = _request(s3, "GET", f"/{RESIZED}/{quote(key)}", missing_is_fine=True)
        seconds = time.monotonic() - started
        width, height = jpeg_px(photo)
        if not resized or jpeg_px(resized) != (width // 2, height // 2):
            found = f"found {jpeg_px(resized)}" if resized else f"found no `{key}` in `{RESIZED}`"
            raise DeployerError(
                "the image answered, but the photo is not half its size",
                found=f"{found}, expected {(width // 2, height // 2)}\n{_log(docker, name)}",
                hint="python -m pytest tests/app",
            )
    return SmokeResult((width, height), jpeg_px(resized), seconds)


def _container(config: Config, image: BuiltImage, s3: S3Endpoint, name: str) -> list[str]:
    """Return the arguments of `docker run`; every variable in it is made up here, none is ours."""
    variables = {
        "AWS_REGION": s3.region,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": "smoke",
        "AWS_SECRET_ACCESS_KEY": "smoke",  # what a local S3 takes
        "AWS_ENDPOINT_URL": s3.container_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": config.function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.function.memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(config.function.timeout_s),
        "NO_PROXY": "*",
        "RESIZED_BUCKET": RESIZED,
        **config.variables("staging"),
    }
    return [
        *("run", "--detach", "--name", name, "--pull", "never", "--platform", image.platform),
        *("--read-only", "--tmpfs", "/tmp", "--memory", f"{config.function.memory_mb}m"),  # noqa: S108
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "1024"),
        # No name resolves but the local S3's.
        *("--add-host", "host.docker.internal:host-gateway", "--dns", "127.0.0.1"),
        *(part for key, value in variables.items() for part in ("--env", f"{key}={value}")),
        image.reference,
    ]


def _invoke(docker: Sequence[str], name: str, event: object) -> Any:
    """Return the function's decoded answer."""
    argv = [*docker, "exec", "--interactive", name, "python3", "-c", _INVOKE, str(ANSWER_WITHIN_S)]
    done = run(argv, stdin=json.dumps(event), timeout_s=ANSWER_WITHIN_S + 30)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise DeployerError(
            "the image does not answer",
            found=f"{tail(done.stderr or done.stdout, 3)}\n{_log(docker, name)}",
            hint="docker run it yourself, or python -m pytest tests/image",
        ) from error


def _check_answer(answer: Any, key: str, log: Any) -> None:
    """Raise DeployerError unless the answer says that exactly this photo was resized."""
    resized = answer.get("resized") if isinstance(answer, dict) else None
    keys = [item.get("key") for item in resized] if isinstance(resized, list) else None
    if keys != [key] or answer.get("skipped"):
        raise DeployerError(
            "the image gives the wrong answer",
            found=f"found {json.dumps(answer)[:500]}, expected `{key}` resized\n{log()}",
            hint="python -m pytest tests/app",
        )


def _log(docker: Sequence[str], name: str) -> str:
    done = run([*docker, "logs", "--tail", "30", name], timeout_s=30)
    return "its log ends with:\n" + (tail(done.stdout + done.stderr, 20) or "(nothing)")


@contextlib.contextmanager
def _local_s3(say: Say) -> Iterator[S3Endpoint]:
    say("starting a local S3")
    argv = [sys.executable, "-m", "testbed.local_aws", "serve", "--docker", "--port", "0"]
    with companion(argv, cwd=Path.cwd()) as line:
        yield S3Endpoint(**json.loads(line))


def _request(
    s3: S3Endpoint, method: str, path: str, body: bytes = b"", *, missing_is_fine: bool = False
) -> bytes:
    """Send one request to the local S3, which needs no signature. Raises DeployerError."""
    host = urlsplit(s3.endpoint).netloc
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
        response = connection.getresponse()
        content = response.read()
    except OSError as error:
        raise DeployerError("the local S3 does not answer", found=str(error), hint="re-run it") from error
    finally:
        connection.close()
    if response.status < 300:
        return content
    if missing_is_fine and response.status in (404, 409):  # 409: the bucket is there already
        return b""
    raise DeployerError(
        f"the local S3 refuses {method} {path}", found=f"status {response.status}", hint="re-run it"
    )


def jpeg_px(data: bytes) -> tuple[int, int]:
    """Return width and height from a JPEG's frame header, (0, 0) when there is none.

    Source: ITU-T T.81, B.2.2
    """
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return 0, 0
