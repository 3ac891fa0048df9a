"""Scan the built image with Trivy, in containers that can read the image and do nothing else. Shell.

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
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deployer.config import Config
from deployer.errors import DeployerError
from deployer.image import findings
from deployer.image.build import BuiltImage
from deployer.image.docker import (
    Say,
    ca_bundle,
    container_name,
    copy_out,
    find_docker,
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
SCAN = (
    *("image", "--input", "/image.tar", "--cache-dir", "/cache", "--format", "json", "--list-all-pkgs"),
    *("--scanners", "vuln,secret", "--show-suppressed", "--ignorefile", "/accepted.yaml", "--timeout", "15m"),
    *("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check"),
    *("--disable-telemetry", "--no-progress"),
)
_DOWNLOAD = (
    *("image", "--download-db-only", "--cache-dir", "/cache", "--no-progress", "--disable-telemetry"),
    "--skip-version-check",
)
_VIEWS = {"sbom.cdx.json": "cyclonedx", "results.sarif": "sarif"}


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


class _NotScannedError(Exception):
    """Why nothing could be scanned."""


def scan(
    config: Config, image: BuiltImage, *, options: Options, now: datetime, say: Say
) -> findings.ScanResult:
    """Scan the tarball; write `scan.json` beside it, and report, SBOM, SARIF and summary into `scan/`.

    A scanner or database that cannot be had gives `not-scanned`. Raises DeployerError when the scanner
    fails or cannot be believed, and then leaves no `scan.json`.
    """
    out = image.tar.parent
    (out / "scan.json").unlink(missing_ok=True)
    shutil.rmtree(out / "scan", ignore_errors=True)
    (out / "scan").mkdir()
    accepted = options.root / ACCEPTED
    text = accepted.read_text(encoding="utf-8")
    findings.check_accepted(text, name=accepted.name, today=now.date())
    scanner = _Scanner(find_docker(), options.image or pinned(options.root), say)
    try:
        scanner.fetch()
        database, updated_at = _database(scanner, options, now, config.scan.max_database_age_h)
    except _NotScannedError as error:
        say(f"NOT SCANNED: {error}")
        result = findings.ScanResult("not-scanned", str(error), image.config_digest, scanner.image)
    else:
        say(f"scanning {image.tar} with the database of {updated_at:%Y-%m-%d %H:%M} UTC")
        printed = scanner.look(
            {image.tar: "/image.tar", database: "/cache/db", accepted: "/accepted.yaml"}, SCAN
        )
        report = findings.redacted(_parsed(printed))
        (out / "scan" / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        judgement = findings.judge(
            report,
            config_digest=image.config_digest,
            severities=config.scan.severities,
            ignore_unfixed=config.scan.ignore_unfixed,
        )
        _write_views(scanner, judgement, config.scan.severities, out / "scan")
        result = findings.ScanResult(
            "vulnerable" if judgement.blocking else "clean",
            judgement.sentence(),
            image.config_digest,
            scanner.image,
            updated_at.isoformat(),
            judgement.blocking,
        )
    (out / "scan" / "summary.md").write_text(findings.summary(result), encoding="utf-8")
    (out / "scan.json").write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    return result


def pinned(root: Path) -> str:
    """Return the scanner that the dependency bot keeps in `.github/trivy/Dockerfile`."""
    [name] = re.findall(r"^FROM (\S+)$", (root / PIN).read_text(encoding="utf-8"), re.MULTILINE)
    return str(name)


@dataclass(frozen=True)
class _Scanner:
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
        """Pull the image unless it is there. Raises _NotScannedError."""
        if run([*self.docker, "image", "inspect", self.image], timeout_s=60).returncode == 0:
            return
        self.say(f"pulling {self.image}")
        pulled = run([*self.docker, "pull", "--quiet", self.image], timeout_s=900)
        if pulled.returncode != 0:
            raise _NotScannedError(f"the scanner cannot be pulled: {tail(pulled.stderr, 1)}")

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

        The database leaves the container through the engine, two named files of it. Raises _NotScannedError.
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
                raise _NotScannedError(f"the database cannot be downloaded: {tail(done.stderr, 1)}")
            copy_out([*self.docker, "cp", f"{name}:/cache/db", "-"], folder, ("trivy.db", "metadata.json"))


def _volumes(mounts: Mapping[Path, str]) -> list[str]:
    # `z` lets a container read the file where SELinux is on; elsewhere it means nothing.
    return [part for path, at in mounts.items() for part in ("--volume", f"{path.resolve()}:{at}:ro,z")]


def _database(scanner: _Scanner, options: Options, now: datetime, max_age_h: int) -> tuple[Path, datetime]:
    """Return a database that is young enough, and when it was made. Raises _NotScannedError."""
    folder = (options.cache_dir or options.root / ".cache" / "trivy") / "db"
    trouble = ""
    known = _made_at(folder)
    if options.download and (known is None or now - known >= REFRESH_AFTER):
        try:
            scanner.download(folder, options.repository)
        except _NotScannedError as error:
            trouble = f" ({error})"
        known = _made_at(folder)
    if known is None:
        raise _NotScannedError(f"there is no usable database in `{folder}`{trouble}")
    age = now - known
    if not -CLOCK_SKEW <= age <= timedelta(hours=max_age_h):
        hours = age.total_seconds() / 3600
        raise _NotScannedError(f"the database is {hours:.0f} h old, allowed are {max_age_h} h{trouble}")
    return folder, known


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


def _parsed(report: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(report)
    except ValueError as error:
        raise DeployerError(
            "the scanner's report is not JSON", found=str(error), hint="see docs/runbook.md"
        ) from error
    return parsed


def _write_views(
    scanner: _Scanner, judgement: findings.Judgement, severities: Sequence[str], folder: Path
) -> None:
    """Write the report's other forms, and let Trivy count as well: it and we have to agree."""
    mounts = {folder / "report.json": "/report.json"}
    for name, form in _VIEWS.items():
        view = scanner.look(mounts, ("convert", "--format", form, "/report.json"))
        (folder / name).write_text(view, encoding="utf-8")
    count = ("convert", "--format", "table", "--severity", ",".join(severities), "--exit-code", str(FOUND))
    table = scanner.look(mounts, (*count, "/report.json"), may_find=True)
    ours = [f for f in (*judgement.blocking, *judgement.tolerated) if f.severity in severities]
    if bool(table) != bool(ours):
        raise DeployerError(
            "the scanner contradicts its own report",
            found=f"found {len(ours)} findings in the report, Trivy counts {'some' if table else 'none'}",
            hint="compare the scanner's version with docs/runbook.md",
        )
    (folder / "table.txt").write_text(table, encoding="utf-8")
