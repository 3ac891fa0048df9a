"""Scan the built image, and later the inventory of what is live; keep what was found. Shell."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deployer.config import Config
from deployer.errors import DeployerError
from deployer.image import findings
from deployer.image.build import BuiltImage
from deployer.image.docker import Say, find_docker
from deployer.image.scanner import (
    ACCEPTED,
    FOUND,
    NotScannedError,
    Options,
    Scanner,
    database_of,
    pinned,
)

_READ = (
    *("--cache-dir", "/cache", "--format", "json", "--list-all-pkgs"),
    *("--show-suppressed", "--ignorefile", "/accepted.yaml", "--timeout", "15m"),
    *("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check"),
    *("--disable-telemetry", "--no-progress"),
)
SCAN = ("image", "--input", "/image.tar", "--scanners", "vuln,secret", *_READ)
RESCAN = ("sbom", "/inventory.json", "--scanners", "vuln", *_READ)
INVENTORY = Path("scan") / "sbom.cdx.json"
_IMAGE_ID = "aquasecurity:trivy:ImageID"
_VIEWS = {"sbom.cdx.json": "cyclonedx", "results.sarif": "sarif"}


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
    scanner = Scanner(find_docker(), options.image or pinned(options.root), say)
    try:
        scanner.fetch()
        database, updated_at = database_of(scanner, options, now, config.scan.max_database_age_h)
    except NotScannedError as error:
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


@dataclass(frozen=True)
class Kept:
    """What is kept of a release: a folder with manifest and inventory, and the manifest's SHA-256."""

    folder: Path
    sha256: str


def rescan(
    config: Config, kept: Kept, *, options: Options, now: datetime, say: Say
) -> tuple[findings.ScanResult, datetime]:
    """Look for what became known since a release, in the manifest and inventory that were kept of its image.

    Returns what was found and when the inventory was made. Packages only: secrets are in the image alone.
    Raises DeployerError when manifest or inventory are another image's, or the scanner cannot be believed.
    """
    digest, made_at = _identity(kept)
    accepted = options.root / ACCEPTED
    findings.check_accepted(accepted.read_text(encoding="utf-8"), name=accepted.name, today=now.date())
    scanner = Scanner(find_docker(), options.image or pinned(options.root), say)
    try:
        scanner.fetch()
        database, updated_at = database_of(scanner, options, now, config.scan.max_database_age_h)
    except NotScannedError as error:
        return findings.ScanResult("not-scanned", str(error), digest, scanner.image), made_at
    mounts = {kept.folder / INVENTORY: "/inventory.json", database: "/cache/db", accepted: "/accepted.yaml"}
    report = {**_parsed(scanner.look(mounts, RESCAN)), "Metadata": {"ImageID": digest}}
    judgement = findings.judge(
        report,
        config_digest=digest,
        severities=config.scan.severities,
        ignore_unfixed=config.scan.ignore_unfixed,
    )
    status = "vulnerable" if judgement.blocking else "clean"
    made = updated_at.isoformat()
    result = findings.ScanResult(
        status, judgement.sentence(), digest, scanner.image, made, judgement.blocking
    )
    return result, made_at


def _identity(kept: Kept) -> tuple[str, datetime]:
    """Return the config digest that manifest and inventory both name, and when the inventory was made."""
    try:
        body = (kept.folder / "manifest.json").read_bytes()
        digest = str(json.loads(body)["config"]["digest"])
        about = json.loads((kept.folder / INVENTORY).read_text(encoding="utf-8"))["metadata"]
        made_at = datetime.fromisoformat(about["timestamp"])
        [named] = [one["value"] for one in about["component"]["properties"] if one["name"] == _IMAGE_ID]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeployerError(
            "the inventory of the image cannot be read",
            found=repr(error),
            hint=f"download the artifact release-{kept.sha256} into {kept.folder.name}/",
        ) from error
    for what, found, expected in (
        ("manifest", hashlib.sha256(body).hexdigest(), kept.sha256),
        ("inventory", named, digest),
    ):
        if found != expected:
            raise DeployerError(
                f"the {what} is another image's",
                found=f"found {found}, expected {expected}",
                hint=f"download the artifact release-{kept.sha256} into {kept.folder.name}/",
            )
    return digest, made_at


def _parsed(report: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(report)
    except ValueError as error:
        raise DeployerError(
            "the scanner's report is not JSON", found=str(error), hint="see docs/runbook.md"
        ) from error
    return parsed


def _write_views(
    scanner: Scanner, judgement: findings.Judgement, severities: Sequence[str], folder: Path
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
