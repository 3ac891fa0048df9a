"""The local AWS for real: where it listens, and that nothing of it is left."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from testbed import process
from testbed.addresses import bridge_gateway
from testbed.local_aws import _written_at, running

from deployer.aws.metrics import Metrics
from deployer.errors import DeployerError
from deployer.judge.counts import Counts
from rehearsal.ledger import Counted, metric_data

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def serve(*options: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Start `python -m testbed.local_aws serve` and return it with what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed.local_aws", "serve", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def answers(endpoint: str) -> bool:
    """Tell whether something listens at an endpoint."""
    address = urlsplit(endpoint)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address.hostname, address.port)) == 0


def eventually(is_true: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Tell whether something becomes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.1)
    return is_true()


def listeners(port_owner: int) -> set[str]:
    """Return every address that processes of the same state folder listen on, from /proc."""
    inodes = set()
    for link in Path("/proc").glob(f"{port_owner}/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = fields[3] == "0A" or table.startswith("udp")
            if is_listening and fields[9] in inodes:
                address = fields[1].partition(":")[0]
                found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if len(address) == 8 else address)
    return found


def descendants(of: int) -> list[int]:
    """Return the ids of a process's children and theirs, from /proc."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == of:
            child = int(status.parent.name)
            found += [child, *descendants(child)]
    return found


def containers(docker: Sequence[str], label: str) -> list[str]:
    """Return the ids of the containers with a label."""
    command = [*docker, "ps", "--all", "--quiet", "--filter", f"label={label}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_it_answers_and_ends_with_the_block() -> None:
    """Inside the block it is an AWS with dummy credentials; after it the port and its folder are gone."""
    with running() as local_aws:
        client = boto3.client(
            "sts",
            endpoint_url=local_aws.endpoint,
            region_name=local_aws.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        assert client.get_caller_identity()["Account"] == "000000000000"
        assert local_aws.state.is_dir()
    assert not answers(local_aws.endpoint)
    assert not local_aws.state.exists()


def test_the_gate_reads_durations_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """What traffic publishes comes back through the deployer's own queries: percentiles, and calls above a limit.

    The local AWS also keeps a worker whose handler raised, or an outage would look like silence.
    """
    with running() as local_aws:
        for name, value in local_aws.environment().items():
            monkeypatch.setenv(name, value)
        client = boto3.client("cloudwatch")
        at = int(time.time()) // 60 * 60 - 600
        published: Any = metric_data("fn", Counted(at, "7", (10, 1, 0), [100] * 8 + [800, 900]))
        client.put_metric_data(Namespace="AWS/Lambda", MetricData=published)
        metrics = Metrics(client, "fn")
        [minute] = metrics.minutes(("6", "7"), at, at + 60.0, 799.0)
        assert minute.canary == Counts(calls=10, errors=1, slow=2)
        assert minute.stable == Counts()
        assert metrics.baseline("7", at + 60).p50_ms == 100
        assert _pids_of_three_failures() == 1


def test_an_alarm_on_metric_math_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What such an alarm is put with is what DescribeAlarms answers, without a metric of its own."""
    stat = {"Metric": {"Namespace": "AWS/Lambda", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
    metrics: Any = [
        {"Id": "share", "Expression": "100 * errors / 2", "Label": "share", "ReturnData": True},
        {"Id": "errors", "MetricStat": stat, "ReturnData": False},
    ]
    with running() as local_aws:
        for name, value in local_aws.environment().items():
            monkeypatch.setenv(name, value)
        client = boto3.client("cloudwatch")
        client.put_metric_alarm(
            AlarmName="share",
            Metrics=metrics,
            EvaluationPeriods=1,
            Threshold=5,
            ComparisonOperator="GreaterThanThreshold",
        )
        [alarm] = client.describe_alarms(AlarmNames=["share"])["MetricAlarms"]
        assert alarm["Metrics"] == metrics
        assert "MetricName" not in alarm


def _pids_of_three_failures() -> int:
    """Invoke a function that raises three times; returns how many processes served."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "index.py", "import os\ndef handler(event, context):\n    raise OSError(os.getpid())\n"
        )
    client = boto3.client("lambda")
    client.create_function(
        FunctionName="fails",
        Runtime="python3.13",
        Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/fails",
        Code={"ZipFile": buffer.getvalue()},
    )
    answers = [client.invoke(FunctionName="fails", Payload=b"{}") for _ in range(3)]
    assert all(answer.get("FunctionError") for answer in answers)
    return len({json.loads(answer["Payload"].read())["errorMessage"] for answer in answers})


def test_byte_code_of_the_local_aws_is_kept() -> None:
    """MiniStack is compiled once, not at each start, and nothing is written beside the template's files."""
    given = process.server("run", 1, process.How("eu-west-1", None, None), "state")
    assert "PYTHONDONTWRITEBYTECODE" not in given
    assert given.get("PYTHONPYCACHEPREFIX") == sys.pycache_prefix


@linux
def test_it_listens_on_loopback_only() -> None:
    """Without Docker no process of it listens on anything but 127.0.0.1."""
    with running() as local_aws:
        addresses = set().union(*(listeners(pid) for pid in descendants(local_aws.watchdog.pid)))
    assert addresses == {"127.0.0.1"}


@linux
@pytest.mark.docker
def test_with_docker_it_listens_on_the_bridge_too(docker: list[str]) -> None:
    """With Docker the bridge's address joins loopback, and no other."""
    gateway = bridge_gateway(docker)
    with running(docker=docker) as local_aws:
        addresses = set().union(*(listeners(pid) for pid in descendants(local_aws.watchdog.pid)))
        assert answers(local_aws.endpoint)
    assert addresses == {"127.0.0.1"} | ({gateway} if gateway else set())


def test_a_taken_port_is_one_clear_error() -> None:
    """A port that is taken is told in three parts, and nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(DeployerError) as caught, running(port=port):
            pass
    assert str(caught.value).startswith(f"error: port {port} is taken\n  found another program listening on ")
    assert str(caught.value).endswith("\n  hint: leave --port out to use a free one")


def test_the_users_credentials_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither MiniStack's environment nor the one for its clients holds what the user's has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with running() as local_aws:
        assert local_aws.environment()["AWS_ACCESS_KEY_ID"] == "test"
        if sys.platform.startswith("linux"):
            owned = descendants(local_aws.watchdog.pid)
            text = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in owned)
            assert text
            assert not any(word in text for word in (b"AKIAREAL", b"AWS_PROFILE", b"secret"))


def test_it_stops_when_standard_input_closes() -> None:
    """The command ends, and the local AWS with it, when whoever started it closes its input."""
    process, printed = serve("--no-docker")
    assert answers(printed["endpoint"])
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not answers(printed["endpoint"])


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it as well."""
    process, printed = serve("--no-docker")
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not answers(printed["endpoint"])


@linux
def test_nothing_is_left_after_a_kill() -> None:
    """After kill -9 of its parent the local AWS ends by itself, with its processes."""
    process, printed = serve("--no-docker")
    owned = descendants(process.pid)
    assert owned
    process.kill()
    process.communicate()
    assert eventually(lambda: not answers(printed["endpoint"]))
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in owned))


@linux
@pytest.mark.docker
def test_its_containers_go_with_it(docker: list[str]) -> None:
    """A container that carries this run's label is removed at the end, and no other one is."""
    with running(docker=docker) as local_aws:
        environment = Path(f"/proc/{descendants(local_aws.watchdog.pid)[0]}/environ").read_text()
        run_id = next(
            e.partition("=")[2] for e in environment.split("\0") if e.startswith("MINISTACK_HOSTNAME=")
        )
        label = f"ministack.instance={run_id}:{urlsplit(local_aws.endpoint).port}"
        archive = (
            subprocess.run([*docker, "import", "-"], input=b"\0" * 1024, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )
        try:
            for other in (label, "ministack.instance=somebody-else:1"):
                subprocess.run(
                    [*docker, "create", "--label", other, archive, "/none"], capture_output=True, check=True
                )
            assert containers(docker, label)
        except BaseException:
            subprocess.run([*docker, "image", "rm", "--force", archive], capture_output=True, check=False)
            raise
    strangers = containers(docker, "ministack.instance=somebody-else:1")
    subprocess.run([*docker, "rm", *strangers], capture_output=True, check=True)
    subprocess.run([*docker, "image", "rm", archive], capture_output=True, check=True)
    assert containers(docker, label) == []
    assert strangers


def test_a_log_that_another_run_removes_is_no_error(tmp_path: Path) -> None:
    """Two local AWSs that start at once tidy up the same old logs without stumbling over each other."""
    assert _written_at(tmp_path / "gone.log") == 0.0
