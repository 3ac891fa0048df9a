"""The scanner's report and the list of accepted findings -> what blocks a release. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import yaml

from deployer.errors import DeployerError

MAX_ACCEPTED_DAYS = 90
REPORT_SCHEMA = 2
SHOWN = 20
_LISTS = ("vulnerabilities", "secrets")
_ENTRY_KEYS = frozenset({"id", "paths", "purls", "statement", "expired_at"})


@dataclass(frozen=True)
class Finding:
    """One vulnerability or secret in the image. `fixed` is empty while there is no fixed version."""

    id: str
    severity: str
    where: str
    installed: str
    fixed: str
    title: str

    def sentence(self) -> str:
        """Say in one line what it is and what would cure it."""
        if not self.installed:
            return f"{self.id} ({self.severity}) in {self.where}: {self.title}"
        cure = f"fixed in {self.fixed}" if self.fixed else "not fixed yet"
        return f"{self.id} ({self.severity}) in {self.where} {self.installed}, {cure}: {self.title}"


@dataclass(frozen=True)
class Judgement:
    """What blocks, what is only told, and how much was looked at."""

    blocking: tuple[Finding, ...]
    tolerated: tuple[Finding, ...]
    accepted: int
    os_packages: int
    python_packages: int

    def sentence(self) -> str:
        """Say what was looked at and what came of it."""
        looked = f"{self.os_packages} system and {self.python_packages} Python packages looked at"
        told = f"{len(self.tolerated)} findings below the gate, {self.accepted} accepted"
        if self.blocking:
            return f"the image has {len(self.blocking)} findings that block it; {looked}; {told}"
        return f"nothing blocks the image; {looked}; {told}"


@dataclass(frozen=True)
class ScanResult:
    """What a scan concluded: `clean`, `vulnerable` or `not-scanned`. Only what is clean may be pushed."""

    status: str
    reason: str
    config_digest: str
    scanner: str
    database_updated_at: str | None = None
    blocking: tuple[Finding, ...] = ()


def require_clean(result: ScanResult) -> None:
    """Raise the DeployerError that belongs to a result which may not be pushed."""
    if result.status == "clean":
        return
    if result.status == "vulnerable":
        shown = [finding.sentence() for finding in result.blocking[:SHOWN]]
        more = len(result.blocking) - len(shown)
        raise DeployerError(
            result.reason,
            found="\n".join([*shown, f"and {more} more"] if more else shown),
            hint="update what is named, or accept it for a while in scan-ignore.yaml",
        )
    raise DeployerError(
        "the image was not scanned, which is not the same as clean",
        found=result.reason,
        hint="check the network, TRIVY_IMAGE and TRIVY_CACHE_DIR, then `deployer scan`",
    )


def summary(result: ScanResult) -> str:
    """Return the Markdown for the job's summary."""
    lines = [f"### Scan: {result.status}", "", result.reason, ""]
    lines += [f"- {finding.sentence()}" for finding in result.blocking]
    lines += ["", f"image `{result.config_digest}`, scanner `{result.scanner}`"]
    if result.database_updated_at:
        lines.append(f"database of {result.database_updated_at}")
    return "\n".join(lines) + "\n"


def check_accepted(text: str, *, name: str, today: date) -> None:
    """Refuse a list in which an entry lacks its reason or its near end; all faults are reported at once.

    Trivy itself takes entries without either, and drops expired ones without a word. Raises DeployerError.
    """
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise DeployerError(f"`{name}` is not valid YAML", found=str(error), hint=f"open {name}") from error
    faults = []
    if not isinstance(found, dict) or not set(found) <= set(_LISTS):
        keys = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
        faults.append(f"top level: found {keys}, expected {' and '.join(f'`{key}`' for key in _LISTS)}")
        found = {}
    for key in _LISTS:
        entries = found.get(key) or []
        if not isinstance(entries, list):
            faults.append(f"{key}: found {type(entries).__name__}, expected a list")
            continue
        for index, entry in enumerate(entries):
            faults += [f"{key}[{index}]: {fault}" for fault in _entry_faults(entry, today)]
    if faults:
        raise DeployerError(
            f"`{name}` has {len(faults)} fault{'s' if len(faults) > 1 else ''}",
            found="\n".join(faults),
            hint=f"update the package, or decide again and renew the entry in {name}",
        )


def _entry_faults(entry: object, today: date) -> list[str]:
    """Return what is wrong with one entry, a line each."""
    if not isinstance(entry, dict):
        return [f"found {type(entry).__name__}, expected a table with id, statement and expired_at"]
    faults = [f"unknown key `{key}`" for key in entry if key not in _ENTRY_KEYS]
    for key in ("id", "statement"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            faults.append(f"`{key}` is missing")
    end = entry.get("expired_at")
    end = end.date() if isinstance(end, datetime) else end
    latest = today + timedelta(days=MAX_ACCEPTED_DAYS)
    if not isinstance(end, date):
        faults.append(f"`expired_at`: found `{end}`, expected a date up to {latest}")
    elif end <= today:
        faults.append(f"`{entry.get('id')}` expired on {end}")
    elif end > latest:
        faults.append(
            f"`expired_at`: found {end}, expected at most {MAX_ACCEPTED_DAYS} days ahead ({latest})"
        )
    return faults


def redacted(report: Any) -> Any:
    """Return the report without the lines in which secrets were found.

    Trivy masks what it recognised and shows the lines around it, where the other half of a pair may stand.
    """
    match report:
        case dict():
            hidden = {"Match": "", "Code": {"Lines": None}}
            return {key: hidden[key] if key in hidden else redacted(value) for key, value in report.items()}
        case list():
            return [redacted(item) for item in report]
    return report


def judge(
    report: dict[str, Any], *, config_digest: str, severities: Sequence[str], ignore_unfixed: bool
) -> Judgement:
    """Read a report of `trivy image --format json`. A secret blocks whatever its severity.

    Raises DeployerError when the report is not about this image, or says too little to be believed: an image
    without a package inventory has not been looked at.
    """
    if report.get("SchemaVersion") != REPORT_SCHEMA:
        raise _unbelievable("its schema", report.get("SchemaVersion"), REPORT_SCHEMA)
    image_id = report.get("Metadata", {}).get("ImageID")
    if image_id != config_digest:
        raise _unbelievable("the image it is about", image_id, config_digest)
    results = report.get("Results") or []
    os_packages = sum(len(r.get("Packages") or []) for r in results if r.get("Class") == "os-pkgs")
    python_packages = sum(len(r.get("Packages") or []) for r in results if r.get("Type") == "python-pkg")
    if not os_packages:
        raise _unbelievable("its list of operating system packages", "none", "at least one")
    if not python_packages:
        raise _unbelievable("its list of Python packages", "none", "at least one")

    blocking = [_secret(s, r["Target"]) for r in results for s in r.get("Secrets") or []]
    tolerated: list[Finding] = []
    for item in (v for r in results for v in r.get("Vulnerabilities") or []):
        finding = _vulnerability(item)
        blocks = finding.severity in severities and (bool(finding.fixed) or not ignore_unfixed)
        (blocking if blocks else tolerated).append(finding)
    accepted = sum(len(r.get("ExperimentalModifiedFindings") or []) for r in results)
    return Judgement(tuple(blocking), tuple(tolerated), accepted, os_packages, python_packages)


def _vulnerability(item: dict[str, Any]) -> Finding:
    return Finding(
        id=item["VulnerabilityID"],
        severity=item.get("Severity", "UNKNOWN"),
        where=item["PkgName"],
        installed=item["InstalledVersion"],
        fixed=item.get("FixedVersion", ""),
        title=item.get("Title", ""),
    )


def _secret(item: dict[str, Any], target: str) -> Finding:
    return Finding(
        item["RuleID"], item.get("Severity", "UNKNOWN"), target, "", "", item.get("Title", "secret")
    )


def _unbelievable(what: str, found: object, expected: object) -> DeployerError:
    return DeployerError(
        f"the scanner's report cannot be believed: {what}",
        found=f"found `{found}`, expected `{expected}`",
        hint="deployer build, then deployer scan; see docs/runbook.md",
    )
