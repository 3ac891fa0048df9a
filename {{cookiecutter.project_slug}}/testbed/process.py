"""What the local AWS's process is given: its whole environment, and how roles are enforced. Shell."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.enforcement import settings
from testbed.roles import Roles

ACCOUNT_ID = "000000000000"
DECISIONS = "decisions.jsonl"  # in the state folder
KEPT_IN = "DECISIONS_FOLDER"
DUMMY = ("test", "test")

# An allow-list: the user's credentials, profile and region must not reach a rehearsal.
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "SSL_CERT_FILE",
    "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "PYTHONPYCACHEPREFIX",  # compiled once, it starts in a third of the time
)  # fmt: skip


@dataclass(frozen=True)
class How:
    """What a local AWS was asked to be."""

    region: str
    docker: Sequence[str] | None
    roles: Roles | None


def server(run_id: str, port: int, how: How, state: str) -> dict[str, str]:
    """Return MiniStack's whole environment: dummy credentials, no listener but its one port."""
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # A Docker client finds its engine through its context, a library only through DOCKER_HOST.
    host = _engine_address(how.docker) if how.docker else f"unix://{state}/no-docker.sock"
    if host:
        environment["DOCKER_HOST"] = host
    return environment | {
        "HOME": state,
        "TMPDIR": state,
        "TEMP": state,
        "TMP": state,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOSTNAME": run_id,  # becomes the label its containers carry
        "MINISTACK_REGION": how.region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_DEFAULT_REGION": how.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Two more listeners, both on every interface, that nothing here needs.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }


def keep_decisions(state: Path) -> None:
    """Copy what was decided into the folder that DECISIONS_FOLDER names; the state folder is removed."""
    folder, made = os.environ.get(KEPT_IN), state / DECISIONS
    if folder and made.exists():
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, Path(folder) / f"{state.name}.jsonl")


def administrator() -> tuple[str, str]:
    """Return a key and a secret that no repository, test or container can know by chance."""
    return f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)


def enforcing(roles: Roles, state: Path, credentials: tuple[str, str]) -> dict[str, str]:
    """Write what the enforcing local AWS reads at its start, and return what its environment has besides."""
    told = state / "roles.json"
    told.write_text(roles.to_text(root_key=credentials[0], log=state / DECISIONS), encoding="utf-8")
    return {
        "AUTH": "true",
        settings.VARIABLE: str(told),
        "AWS_ACCESS_KEY_ID": credentials[0],
        "AWS_SECRET_ACCESS_KEY": credentials[1],
    }


def _engine_address(docker: Sequence[str]) -> str | None:
    """Return the engine's address from the client's current context, None for the default one."""
    if named := os.environ.get("DOCKER_HOST"):
        return named
    form = "{{.Endpoints.docker.Host}}"
    done = subprocess.run(
        [*docker, "context", "inspect", "--format", form],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None if done.returncode == 0 else None
