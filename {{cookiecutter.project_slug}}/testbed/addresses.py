"""Where a local AWS may listen: loopback, Docker's bridge, and a port that is free on both. Shell."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

from deployer.errors import DeployerError

_SIOCGIFADDR = 0x8915


def bridge_gateway(docker: Sequence[str]) -> str | None:
    """Return this host's address on Docker's default bridge; None where there is none (Docker Desktop).

    Docker Desktop forwards `host.docker.internal` to the host's loopback; a native engine maps it
    (`host-gateway`) to the bridge's address. Source: https://docs.docker.com/reference/cli/dockerd/#configure-host-gateway-ip
    """
    if not sys.platform.startswith("linux"):
        return None
    key = '{{index .Options "com.docker.network.bridge.name"}}'
    done = subprocess.run(
        [*docker, "network", "inspect", "bridge", "--format", key],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return interface_address(done.stdout.strip()) if done.returncode == 0 else None


def interface_address(name: str) -> str | None:
    """Return the IPv4 address of a Linux network interface, None if it has none."""
    import fcntl  # noqa: PLC0415  # not on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def reserve_port(addresses: Sequence[str], port: int = 0) -> int:
    """Return a port that is free on every address: `port` itself unless it is 0.

    Raises DeployerError when the port asked for is taken.
    """
    for _ in range(20):
        with contextlib.ExitStack() as stack:
            chosen = port
            try:
                for address in addresses:
                    listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                    if (
                        os.name == "posix"
                    ):  # a port just left must be usable again; Windows means something else
                        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind((address, chosen))
                    listener.listen(1)
                    chosen = listener.getsockname()[1]
            except OSError as error:
                if port:
                    raise DeployerError(
                        f"port {port} is taken",
                        found=f"found another program listening on `{address}:{port}` ({error.strerror})",
                        hint="leave --port out to use a free one",
                    ) from error
                continue
            return chosen
    raise DeployerError(
        "no port is free for the local AWS",
        found=f"found none on {' and '.join(addresses)} after 20 attempts",
        hint="end programs that hold many ports",
    )
