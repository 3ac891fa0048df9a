"""The scanner: Trivy, pinned by digest, in containers that can read one file and do nothing else. Shell.

Scanners have been used to steal credentials (Trivy 0.69.4 to 0.69.6, March 2026), so this one is trusted with
nothing: it is pinned by digest; the run that has a network sees no image, the run that sees the image has no
network; no run gets an environment, a credential, the engine's socket or a writable folder of this machine.
Source: https://github.com/aquasecurity/trivy/security/advisories
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from deployer.errors import DeployerError
from deployer.image.docker import (
    Say,
    ca_bundle,
    container_name,
    copy_out,
    private_docker_config,
    run,
    tail,
)

PIN = Path(".github") / "trivy" / "Dockerfile"
ACCEPTED = Path("scan-ignore.yaml")
DATABASE_SCHEMA = 2
REFRESH_AFTER = timedelta(hours=12)
CLOCK_SKEW = timedelta(hours=1)
FOUND = 10  # Trivy ends with 1 when it fails, so 1 cannot mean that it found something

_CONFINED = (
    *("run", "--pull", "never", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "3g", "--pids-limit", "256", "--tmpfs", "/tmp"),  # noqa: S108  # inside the container
)
# `nobody`, on a file system it cannot write to; its working folder is empty, because a `.trivyignore` or
# `trivy.yaml` there would be obeyed.
BLIND = (
    *_CONFINED,
    *("--rm", "--network", "none", "--read-only", "--user", "65534:65534"),
    *("--tmpfs", "/cache", "--workdir", "/empty"),
)
_DOWNLOAD = (
    *("image", "--download-db-only", "--cache-dir", "/cache", "--no-progress", "--disable-telemetry"),
    "--skip-version-check",
)


@dataclass(frozen=True)
class Options:
    """Where scanner and database come from; None is the pin, `.cache/trivy`, and Trivy's own registry.

    `root` is the repository: the pin, the accepted findings and the kept database are looked up in it.
    """

    root: Path
    image: str | None = None
    cache_dir: Path | None = None
    download: bool = True
    repository: str | None = None


class NotScannedError(Exception):
    """Why nothing could be scanned."""


def pinned(root: Path) -> str:
    """Return the scanner that the dependency bot keeps in `.github/trivy/Dockerfile`."""
    [name] = re.findall(r"^FROM (\S+)$", (root / PIN).read_text(encoding="utf-8"), re.MULTILINE)
    return str(name)


@dataclass(frozen=True)
class Scanner:
    """The scanner's image, and the three ways in which it is run."""

    docker: Sequence[str]
    image: str
    say: Say

    def __post_init__(self) -> None:
        if not re.search(r"(@|^)sha256:[0-9a-f]{64}$", self.image):
            raise DeployerError(
                "the scanner is not named by its digest",
                found=f"found `{self.image}`, expected NAME@sha256:DIGEST",
                hint="correct TRIVY_IMAGE, or unset it",
            )

    def fetch(self) -> None:
        """Pull the image unless it is there. Raises NotScannedError."""
        if run([*self.docker, "image", "inspect", self.image], timeout_s=60).returncode == 0:
            return
        self.say(f"pulling {self.image}")
        pulled = run([*self.docker, "pull", "--quiet", self.image], timeout_s=900)
        if pulled.returncode != 0:
            raise NotScannedError(f"the scanner cannot be pulled: {tail(pulled.stderr, 1)}")

    def look(self, mounts: Mapping[Path, str], arguments: Sequence[str], *, may_find: bool = False) -> str:
        """Run the scanner blind, with read-only mounts; returns what it prints.

        With `may_find` the answer is empty unless it found something. Raises DeployerError when it fails.
        """
        with (
            private_docker_config() as env,
            tempfile.TemporaryDirectory(prefix="scan-") as elsewhere,
            container_name(self.docker, "scan") as name,
        ):
            argv = [*self.docker, *BLIND, "--name", name, *_volumes(mounts), self.image, *arguments]
            done = run(argv, env=env, cwd=Path(elsewhere), timeout_s=1200)
        if may_find and done.returncode in (0, FOUND):
            return done.stdout if done.returncode == FOUND else ""
        if done.returncode != 0:
            raise DeployerError(
                "the scanner failed; this says nothing about the image",
                found=tail(done.stderr),
                hint="re-run it; if it stays, see docs/runbook.md",
            )
        return done.stdout

    def download(self, folder: Path, repository: str | None) -> None:
        """Fetch the database into `folder` with a run that has a network and sees nothing of ours.

        The database leaves the container through the engine, two named files of it. Raises NotScannedError.
        """
        self.say("downloading the vulnerability database")
        source = ["--db-repository", repository] if repository else []
        with (
            tempfile.TemporaryDirectory(prefix="scan-") as own,
            container_name(self.docker, "scan-database") as name,
        ):
            volumes = []
            if bundle := ca_bundle():  # a copy, since `z` changes the label of what is mounted
                copy = Path(shutil.copyfile(bundle, Path(own, "ca-bundle.pem")))
                volumes = _volumes({copy: "/etc/ssl/certs/ca-certificates.crt"})
            argv = [*self.docker, *_CONFINED, "--name", name, *volumes, self.image, *_DOWNLOAD, *source]
            done = run(argv, timeout_s=900)
            if done.returncode != 0:
                raise NotScannedError(f"the database cannot be downloaded: {tail(done.stderr, 1)}")
            copy_out([*self.docker, "cp", f"{name}:/cache/db", "-"], folder, ("trivy.db", "metadata.json"))


def _volumes(mounts: Mapping[Path, str]) -> list[str]:
    # `z` lets a container read the file where SELinux is on; elsewhere it means nothing.
    return [part for path, at in mounts.items() for part in ("--volume", f"{path.resolve()}:{at}:ro,z")]


def database_of(scanner: Scanner, options: Options, now: datetime, max_age_h: int) -> tuple[Path, datetime]:
    """Return a database that is young enough, and when it was made. Raises NotScannedError."""
    folder = (options.cache_dir or options.root / ".cache" / "trivy") / "db"
    trouble = ""
    known = _made_at(folder)
    if options.download and (known is None or now - known >= REFRESH_AFTER):
        try:
            scanner.download(folder, options.repository)
        except NotScannedError as error:
            trouble = f" ({error})"
        known = _made_at(folder)
    if known is None:
        raise NotScannedError(f"there is no usable database in `{folder}`{trouble}")
    age = now - known
    if not -CLOCK_SKEW <= age <= timedelta(hours=max_age_h):
        hours = age.total_seconds() / 3600
        raise NotScannedError(f"the database is {hours:.0f} h old, allowed are {max_age_h} h{trouble}")
    return folder, known


def database_made_at(root: Path) -> datetime | None:
    """Return when the checkout's vulnerability database was made, None when there is none to be used."""
    return _made_at(root / ".cache" / "trivy" / "db")


def _made_at(folder: Path) -> datetime | None:
    """Return when the database in `folder` was made, None when there is none that can be used."""
    try:
        metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        # Nine digits of a second, where Python reads six.
        made_at = datetime.fromisoformat(re.sub(r"\.\d+", "", metadata["UpdatedAt"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = metadata.get("Version") == DATABASE_SCHEMA and (folder / "trivy.db").is_file()
    return made_at if usable and made_at.tzinfo else None
