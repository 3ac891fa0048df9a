"""The gate, with the real Trivy in a real container and a synthetic database."""

import gzip
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from testbed.local_aws import bridge_gateway

from deployer.cli.main import main
from deployer.config import Config, parse
from deployer.errors import DeployerError, Exit
from deployer.image import findings
from deployer.image import scan as scanner
from deployer.image import scanner as confined
from deployer.image.build import BuiltImage
from engine.around import given_settings
from engine.cli.test_cli import SETTINGS
from engine.image import trivy_fixture as fixture
from engine.image.conftest import Docker, unavailable
from generating import GENERATED, ROOT

NOW = datetime.now(UTC)
GOOD = {**fixture.debian(), **fixture.python_package("unsafe-lib", "1.2.0")}
VULNERABLE = {**fixture.debian(), **fixture.python_package("unsafe-lib", "1.0.0")}
SECRET = "wJalrXUtnFEMI0K7MDENG0bPxRfiCYzzEXAMPLEKA"
LEAKY = {
    **GOOD,
    "var/task/.env": f"AWS_ACCESS_KEY_ID=AKIA{'QYLPMN5HHHFPZAM2'}\nAWS_SECRET_ACCESS_KEY={SECRET}\n".encode(),
}


def settings(**scan: object) -> Config:
    """Return settings with this `[scan]` table."""
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in scan.items())
    function = '[function]\nname = "image-resizer"\nregion = "eu-central-1"\narchitecture = "x86_64"\n'
    return parse(f'[project]\nname = "test"\n{function}[scan]\n{table}\n')


class Gate:
    """Everything one scan takes, ready to be changed by a test."""

    def __init__(self, folder: Path, image: str) -> None:
        self.out = folder / "build"
        self.out.mkdir()
        self.accepted = folder / "scan-ignore.yaml"
        self.accepted.write_text("vulnerabilities: []\n", encoding="utf-8")
        self.cache = fixture.write_database(folder / "cache")
        self.options = confined.Options(root=folder, image=image, cache_dir=self.cache, download=False)
        self.said: list[str] = []
        self.given_image(GOOD)

    def given_image(self, files: Mapping[str, bytes]) -> None:
        """Put an image of these files where `build` would."""
        tar = self.out / "image.tar"
        digest = fixture.write_image(tar, files)
        self.image = BuiltImage("image:test", digest, "linux/amd64", tar, NOW.isoformat())

    def given_accepted(self, *, statement: str = "not reachable", days: int = 30) -> None:
        """Accept the critical finding for so many days."""
        end = (NOW + timedelta(days=days)).date()
        entry = {"id": fixture.FIXED, "statement": statement, "expired_at": "END"}
        text = json.dumps({"vulnerabilities": [entry]}).replace('"END"', str(end))
        self.accepted.write_text(text, encoding="utf-8")

    def scan(self, config: Config | None = None) -> findings.ScanResult:
        """Scan as `deployer scan` does."""
        return scanner.scan(
            config or settings(), self.image, options=self.options, now=NOW, say=self.said.append
        )


def image_of(docker: Docker, context: Path, dockerfile: str) -> Iterator[str]:
    """Build an image, yield its id and remove it; no other run of the tests has the same one."""
    (context / "Dockerfile").write_text(f"{dockerfile}\nLABEL run={uuid.uuid4()}\n", encoding="utf-8")
    identity = docker("build", "--quiet", str(context))
    yield identity
    docker("rmi", "--force", identity)


@pytest.fixture(scope="session")
def trivy(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the id of an image that holds the real Trivy and nothing else."""
    try:
        binary = fixture.trivy_binary(ROOT / "build" / "trivy-for-tests")
    except LookupError as reason:
        unavailable(str(reason))
    context = tmp_path_factory.mktemp("trivy")
    shutil.copy(binary, context / "trivy")
    yield from image_of(docker, context, 'FROM scratch\nCOPY trivy /\nENTRYPOINT ["/trivy"]')


@pytest.fixture
def gate(docker: Docker, trivy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return a gate with a good image, a young database and an empty list of accepted findings."""
    monkeypatch.setenv("DOCKER", docker.client)
    return Gate(tmp_path, trivy)


def recorded(gate: Gate) -> dict[str, object]:
    """Return `scan.json`."""
    found: dict[str, object] = json.loads((gate.out / "scan.json").read_text(encoding="utf-8"))
    return found


# What the gate lets through and what it does not.


def test_good_image_is_clean(gate: Gate) -> None:
    """An image without findings is clean, and the record names image, scanner and database."""
    result = gate.scan()
    findings.require_clean(result)
    assert result.status == "clean"
    assert recorded(gate)["config_digest"] == gate.image.config_digest
    assert recorded(gate)["scanner"] == gate.options.image
    assert str(recorded(gate)["database_updated_at"]).startswith(f"{NOW:%Y-%m-%d}")


def test_vulnerable_package_blocks(gate: Gate) -> None:
    """A Python package with a fixed critical vulnerability blocks, and the message names the cure."""
    gate.given_image(VULNERABLE)
    result = gate.scan()
    assert result.status == recorded(gate)["status"] == "vulnerable"
    with pytest.raises(DeployerError) as error:
        findings.require_clean(result)
    assert error.value.found == (
        "CVE-2099-0001 (CRITICAL) in unsafe-lib 1.0.0, fixed in 1.2.0: invented critical"
    )


def test_vulnerable_system_package_blocks(gate: Gate) -> None:
    """A package of the operating system blocks like one of Python."""
    gate.given_image({**GOOD, **fixture.debian(openssl="3.5.1-1")})
    assert [finding.id for finding in gate.scan().blocking] == [fixture.SYSTEM]


@pytest.mark.parametrize(
    ("package", "scan", "status"),
    [
        pytest.param("hopeless-lib", {}, "clean", id="an unfixed finding is told and does not block"),
        pytest.param(
            "hopeless-lib", {"ignore_unfixed": False}, "vulnerable", id="unless deploy.toml says so"
        ),
        pytest.param("sloppy-lib", {}, "clean", id="a low finding is told and does not block"),
        pytest.param("sloppy-lib", {"severities": ["LOW"]}, "vulnerable", id="unless deploy.toml lists LOW"),
    ],
)
def test_settings_decide(gate: Gate, package: str, scan: dict[str, object], status: str) -> None:
    """What blocks besides secrets is what `[scan]` in deploy.toml says."""
    gate.given_image({**GOOD, **fixture.python_package(package, "1.0")})
    result = gate.scan(settings(**scan))
    assert result.status == status
    assert status == "vulnerable" or "1 findings below the gate" in result.reason


def test_secret_blocks_and_is_not_repeated(gate: Gate) -> None:
    """A credential in the image blocks, and nothing that is written or said repeats it."""
    gate.given_image(LEAKY)
    result = gate.scan()
    assert result.status == "vulnerable"
    assert "aws-access-key-id" in {finding.id for finding in result.blocking}
    written = "".join(path.read_text(encoding="utf-8") for path in (gate.out / "scan").iterdir())
    assert SECRET not in written + (gate.out / "scan.json").read_text(encoding="utf-8") + "".join(gate.said)


def test_views_are_written(gate: Gate) -> None:
    """One scan gives the report, an SBOM with every package, SARIF with the finding, and a summary."""
    gate.given_image(VULNERABLE)
    gate.scan()
    folder = gate.out / "scan"
    sbom = json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))
    sarif = json.loads((folder / "results.sarif").read_text(encoding="utf-8"))
    assert {"openssl", "unsafe-lib"} <= {component["name"] for component in sbom["components"]}
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == [fixture.FIXED]
    assert "### Scan: vulnerable" in (folder / "summary.md").read_text(encoding="utf-8")
    assert fixture.FIXED in (folder / "table.txt").read_text(encoding="utf-8")


# Accepting a finding.


def test_accepted_finding_passes(gate: Gate) -> None:
    """A finding accepted with a reason and a near end does not block, and is counted."""
    gate.given_image(VULNERABLE)
    gate.given_accepted()
    result = gate.scan()
    assert result.status == "clean"
    assert "1 accepted" in result.reason


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"days": -1}, "`CVE-2099-0001` expired on", id="past its date"),
        pytest.param({"days": 0}, "`CVE-2099-0001` expired on", id="on its date"),
        pytest.param({"days": 91}, "expected at most 90 days ahead", id="too far ahead"),
        pytest.param({"statement": " "}, "`statement` is missing", id="without a reason"),
    ],
)
def test_acceptance_has_a_reason_and_a_near_end(gate: Gate, change: dict[str, object], fault: str) -> None:
    """An entry that is expired, unlimited or unexplained stops the scan, whatever the image holds."""
    gate.given_accepted(**change)  # type: ignore[arg-type]
    with pytest.raises(DeployerError) as error:
        gate.scan()
    assert fault in str(error.value.found)
    assert not (gate.out / "scan.json").exists()


@pytest.mark.parametrize("name", [".trivyignore", ".trivyignore.yaml", "trivy.yaml"])
def test_stray_ignore_file_has_no_effect(gate: Gate, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A `.trivyignore` or `trivy.yaml` in the working directory or beside the image changes nothing."""
    gate.given_image(VULNERABLE)
    text = "severity: [LOW]\n" if name == "trivy.yaml" else f"{fixture.FIXED}\n"
    for folder in (gate.out, gate.out.parent):
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(gate.out)
    assert gate.scan().status == "vulnerable"


# Never clean without having looked.


def test_missing_database_is_not_scanned(gate: Gate) -> None:
    """Without a database the image is not scanned, which is said and is not clean."""
    shutil.rmtree(gate.cache)
    result = gate.scan()
    assert result.status == recorded(gate)["status"] == "not-scanned"
    with pytest.raises(DeployerError, match="not the same as clean"):
        findings.require_clean(result)
    assert any(line.startswith("NOT SCANNED") for line in gate.said)


@pytest.mark.parametrize(
    ("age_h", "status"),
    [
        pytest.param(71, "clean", id="younger than allowed"),
        pytest.param(73, "not-scanned", id="older than allowed"),
        pytest.param(-5, "not-scanned", id="from the future"),
    ],
)
def test_old_database_is_refused(gate: Gate, age_h: int, status: str) -> None:
    """A database older than `max_database_age_h`, or one whose age makes no sense, is not used."""
    fixture.write_database(gate.cache, made_at=NOW - timedelta(hours=age_h))
    assert gate.scan().status == status


@pytest.mark.parametrize("metadata", ["", "{}", '{"Version": 1, "UpdatedAt": "2099-01-01T00:00:00Z"}'])
def test_database_without_a_date_is_not_used(gate: Gate, metadata: str) -> None:
    """A database that does not say how old it is, or is of another kind, is not used."""
    (gate.cache / "db" / "metadata.json").write_text(metadata, encoding="utf-8")
    assert gate.scan().status == "not-scanned"


def test_damaged_database_is_a_failure(gate: Gate) -> None:
    """A scanner that fails is told apart from one that finds something, and leaves no record, not an old one."""
    gate.scan()
    (gate.cache / "db" / "trivy.db").write_bytes(b"x" * 8192)
    gate.given_image(VULNERABLE)
    with pytest.raises(DeployerError, match="the scanner failed; this says nothing about the image"):
        gate.scan()
    assert not (gate.out / "scan.json").exists()


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        pytest.param(
            fixture.python_package("unsafe-lib", "1.2.0"), "operating system", id="no system packages"
        ),
        pytest.param(fixture.debian(), "Python packages", id="no Python packages"),
        pytest.param({"var/task/app.py": b"pass\n"}, "operating system", id="nothing known at all"),
    ],
)
def test_empty_inventory_is_refused(gate: Gate, files: dict[str, bytes], missing: str) -> None:
    """An image in which the scanner knows no packages has not been looked at."""
    gate.given_image(files)
    with pytest.raises(DeployerError, match=missing):
        gate.scan()
    assert not (gate.out / "scan.json").exists()


def test_report_about_another_image_is_refused(gate: Gate) -> None:
    """A report whose ImageID is not the built image's digest is refused."""
    gate.image = replace(gate.image, config_digest=f"sha256:{'0' * 64}")
    with pytest.raises(DeployerError, match="the image it is about"):
        gate.scan()


def test_report_that_trivy_counts_otherwise_is_refused(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """If we read no findings where Trivy itself counts some, neither is believed."""
    gate.given_image(VULNERABLE)
    truth = findings.judge
    monkeypatch.setattr(
        findings, "judge", lambda report, **rest: replace(truth(report, **rest), blocking=(), tolerated=())
    )
    with pytest.raises(DeployerError, match="contradicts its own report"):
        gate.scan()


def test_scanner_that_cannot_be_pulled_is_not_scanned(gate: Gate) -> None:
    """A scanner image that cannot be fetched gives `not-scanned` with the reason."""
    gate.options = replace(gate.options, image=f"127.0.0.1:9/trivy@sha256:{'0' * 64}")
    result = gate.scan()
    assert result.status == "not-scanned"
    assert "the scanner cannot be pulled" in result.reason


@pytest.mark.parametrize("name", ["aquasec/trivy", "aquasec/trivy:0.75.0", "trivy@sha256:12"])
def test_scanner_without_a_digest_is_refused(gate: Gate, name: str) -> None:
    """A scanner named by anything but its digest is not run: tags have been moved to stolen versions."""
    gate.options = replace(gate.options, image=name)
    with pytest.raises(DeployerError, match="not named by its digest"):
        gate.scan()


def test_pin_is_a_digest() -> None:
    """The scanner's pin is one FROM line with version and digest."""
    assert re.fullmatch(
        r"ghcr\.io/aquasecurity/trivy:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", confined.pinned(GENERATED)
    )


def test_list_in_the_repository_is_in_order() -> None:
    """The repository's own list of accepted findings satisfies its rules today."""
    text = (GENERATED / confined.ACCEPTED).read_text(encoding="utf-8")
    findings.check_accepted(text, name=confined.ACCEPTED.name, today=NOW.date())


# The download.


@pytest.fixture
def bridge(docker: Docker) -> str:
    """Return this host's address on the Docker bridge, where containers reach it."""
    address = bridge_gateway([docker.client])
    if address is None:
        unavailable("this host is not on the Docker bridge (Docker Desktop)")
    return address


@pytest.fixture
def mirror(bridge: str, tmp_path: Path) -> Iterator[str]:
    """Serve the synthetic database as an OCI artifact, the way Trivy's own registry does."""
    cache = fixture.write_database(tmp_path / "published")
    files = {path.name: path.read_bytes() for path in (cache / "db").iterdir()}
    layer = gzip.compress(fixture.tar_of(files))
    kind = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
    blobs = {f"sha256:{hashlib.sha256(blob).hexdigest()}": blob for blob in (layer, b"{}")}
    described = [{"digest": digest, "size": len(blob)} for digest, blob in blobs.items()]
    title = {"org.opencontainers.image.title": "db.tar.gz"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.aquasec.trivy.config.v1+json", **described[1]},
        "layers": [{"mediaType": kind, "annotations": title, **described[0]}],
    }

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            body = json.dumps(manifest).encode() if "/manifests/" in self.path else blobs.get(name, b"")
            self.send_response(200)
            self.send_header("Content-Type", manifest["mediaType"])  # type: ignore[arg-type]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer((bridge, 0), Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"{bridge}:{server.server_port}/trivy-db:2"
    server.shutdown()
    thread.join()
    server.server_close()


def test_database_is_downloaded_apart_from_the_scan(gate: Gate, mirror: str) -> None:
    """The database comes from a run of its own, and the scan works with it."""
    shutil.rmtree(gate.cache)
    gate.options = replace(gate.options, download=True, repository=mirror)
    gate.given_image(VULNERABLE)
    result = gate.scan()
    assert result.status == "vulnerable", result.reason
    assert {path.name for path in (gate.cache / "db").iterdir()} == {"trivy.db", "metadata.json"}


def test_young_database_is_not_downloaded_again(gate: Gate) -> None:
    """A database of the last hours is used as it is, without asking the network."""
    gate.options = replace(gate.options, download=True, repository="127.0.0.1:9/trivy-db:2")
    assert gate.scan().status == "clean"


@pytest.mark.parametrize(
    ("age_h", "status"),
    [
        pytest.param(24, "clean", id="one that is still young enough does"),
        pytest.param(100, "not-scanned", id="one that is too old does not"),
    ],
)
def test_failed_download_leaves_the_old_database(gate: Gate, age_h: int, status: str) -> None:
    """When the database cannot be downloaded the one that is there is used as long as it may be."""
    fixture.write_database(gate.cache, made_at=NOW - timedelta(hours=age_h))
    gate.options = replace(gate.options, download=True, repository="127.0.0.1:9/trivy-db:2")
    result = gate.scan()
    assert result.status == status
    assert status == "clean" or "the database cannot be downloaded" in result.reason


# A scanner that cannot steal anything.

THIEF = """
import json, os, socket, sys
loot = {"uid": os.getuid(), "environment": sorted(os.environ)}
def attempt(name, action):
    try:
        loot[name] = repr(action())
    except OSError as error:
        loot[name] = None
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
loot["capabilities"] = int(status["CapBnd"], 16)
loot["may gain privileges"] = status["NoNewPrivs"].strip() == "0"
loot["networks"] = sorted(set(os.listdir("/sys/class/net")) - {"lo"})
loot["sockets"] = [path for path in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(path)]
for name in ("/", "/image.tar", "/cache/db/trivy.db", "/accepted.yaml"):
    attempt(f"write {name}", lambda: open("/planted" if name == "/" else name, "ab").close() or True)
host, port = open("/image.tar", "rb").read().decode(errors="ignore").split("LISTENER ")[1].split()[:2]
attempt("call home", lambda: socket.create_connection((host, int(port)), timeout=3))
print(json.dumps(loot))
"""


@pytest.fixture(scope="session")
def thief(docker: Docker, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the id of a scanner that takes what it can get and prints it."""
    context = tmp_path_factory.mktemp("thief")
    (context / "thief.py").write_text(THIEF, encoding="utf-8")
    lines = (f"FROM {base_image}", "COPY thief.py /", "USER 0", 'ENTRYPOINT ["python3", "/thief.py"]')
    yield from image_of(docker, context, "\n".join(lines))


@pytest.fixture
def robbery(
    gate: Gate, thief: str, bridge: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], dict[str, Any]]:
    """Return a scan by the thief, our credentials lying about and somebody listening; it gives the loot."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)

    def rob() -> dict[str, Any]:
        with socket.create_server((bridge, 0)) as listener:
            port = listener.getsockname()[1]
            gate.given_image({"note": f"LISTENER {bridge} {port} ".encode()})
            gate.options = replace(gate.options, image=thief)
            with pytest.raises(DeployerError, match="cannot be believed"):
                gate.scan()
        loot: dict[str, Any] = json.loads((gate.out / "scan" / "report.json").read_text(encoding="utf-8"))
        return loot

    return rob


def test_scanner_cannot_steal_anything(robbery: Callable[[], dict[str, Any]]) -> None:
    """A hostile scanner finds no network, credential, socket or privilege, and nothing to change."""
    loot = robbery()
    assert not {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"} & set(loot.pop("environment"))
    assert loot == {
        "uid": 65534,
        "capabilities": 0,
        "may gain privileges": False,
        "networks": [],
        "sockets": [],
        "write /": None,
        "write /image.tar": None,
        "write /cache/db/trivy.db": None,
        "write /accepted.yaml": None,
        "call home": None,
    }


@pytest.mark.parametrize(
    ("left_out", "gain"),
    [
        pytest.param("--network none", "call home", id="with a network it calls home"),
        pytest.param("--read-only --user 65534:65534", "write /", id="with a writable root it plants a file"),
        pytest.param("--cap-drop ALL", "capabilities", id="without --cap-drop it keeps capabilities"),
        pytest.param("--security-opt no-new-privileges", "may gain privileges", id="it may gain privileges"),
    ],
)
def test_each_protection_is_needed(
    robbery: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch, left_out: str, gain: str
) -> None:
    """With one protection left out the same scanner gets something, so the test above would see it."""
    options = " ".join(confined.BLIND)
    assert left_out in options
    monkeypatch.setattr(confined, "BLIND", options.replace(left_out, "").split())
    assert robbery()[gain]


def test_docker_is_called_exactly_so(gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every run of the scanner is confined; only the download has a network, and it sees nothing of ours."""
    log = tmp_path / "calls"
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {os.environ["DOCKER"]} "$@"\n', encoding="utf-8")
    spy.chmod(0o755)
    monkeypatch.setenv("DOCKER", str(spy))
    fixture.write_database(gate.cache, made_at=NOW - timedelta(hours=24))
    gate.options = replace(gate.options, download=True, repository="127.0.0.1:9/trivy-db:2")
    gate.scan()
    runs = [line.split() for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("run ")]
    assert len(runs) == 5
    for run in runs:
        options = run[: run.index(str(gate.options.image))]
        assert not {"-e", "--env", "--env-file", "--privileged", "--cap-add", "-v", "--mount"} & set(options)
        assert "docker.sock" not in " ".join(options)
        assert "--cap-drop ALL --security-opt no-new-privileges" in " ".join(options)
        assert all(part.endswith(":ro,z") for part in options if part.startswith("/") and ":" in part)
    download, *blind = runs
    assert "--network" not in download
    assert not [part for part in download if str(tmp_path) in part]
    assert all("--network none --read-only --user 65534:65534" in " ".join(run) for run in blind)
    assert all("--rm" in run for run in blind)
    scan = " ".join(blind[0])
    assert f"{gate.image.tar}:/image.tar:ro,z" in scan
    assert scan.endswith(" ".join(scanner.SCAN))


# What became known since the release.


def kept(gate: Gate) -> scanner.Kept:
    """Return what a release keeps of the scanned image: its manifest and its inventory."""
    manifest = json.dumps({"config": {"digest": gate.image.config_digest}}).encode()
    (gate.out / "manifest.json").write_bytes(manifest)
    return scanner.Kept(gate.out, hashlib.sha256(manifest).hexdigest())


def rescan(gate: Gate, of: scanner.Kept) -> findings.ScanResult:
    """Scan the inventory again, as the watch does, and see that it says when it was made."""
    result, made_at = scanner.rescan(settings(), of, options=gate.options, now=NOW, say=gate.said.append)
    assert abs(datetime.now(UTC) - made_at) < timedelta(hours=1)
    return result


def test_a_vulnerability_that_became_known_is_found_in_the_inventory(gate: Gate) -> None:
    """The inventory alone is enough to find what is wrong with a live image, and the cure."""
    gate.given_image(VULNERABLE)
    gate.scan()
    gate.out.joinpath("image.tar").unlink()
    result = rescan(gate, kept(gate))
    assert result.status == "vulnerable"
    assert [finding.id for finding in result.blocking] == [fixture.FIXED]


def test_a_good_inventory_stays_clean(gate: Gate) -> None:
    """Nothing is found where nothing became known, and both kinds of package were looked at."""
    gate.scan()
    result = rescan(gate, kept(gate))
    findings.require_clean(result)
    assert "1 system and 1 Python packages looked at" in result.reason


def test_an_accepted_finding_is_accepted_until_its_end(gate: Gate) -> None:
    """The inventory is judged with scan-ignore.yaml; an entry whose end has passed is an error."""
    gate.given_image(VULNERABLE)
    gate.scan()
    gate.given_accepted(days=1)
    assert rescan(gate, kept(gate)).status == "clean"
    gate.given_accepted(days=-1)
    with pytest.raises(DeployerError, match=r"scan-ignore\.yaml"):
        rescan(gate, kept(gate))


@pytest.mark.parametrize("name", ["manifest.json", "scan/sbom.cdx.json"])
def test_another_images_inventory_says_nothing(name: str, gate: Gate) -> None:
    """Manifest and inventory must be those of the live image; a missing one is named with the artifact."""
    gate.scan()
    release = kept(gate)
    path = gate.out / name
    path.write_text(path.read_text().replace(gate.image.config_digest, f"sha256:{'0' * 64}"))
    with pytest.raises(DeployerError, match="is another image's"):
        rescan(gate, release)
    path.unlink()
    with pytest.raises(DeployerError, match="cannot be read") as caught:
        rescan(gate, release)
    assert f"release-{release.sha256}" in caught.value.hint


def test_a_rescan_without_database_is_not_clean(gate: Gate) -> None:
    """Without a database nothing was looked at, and nobody is told that all is well."""
    gate.scan()
    release = kept(gate)
    shutil.rmtree(gate.cache)
    result = rescan(gate, release)
    assert result.status == "not-scanned"
    with pytest.raises(DeployerError):
        findings.require_clean(result)


@pytest.mark.parametrize(("days", "code"), [(59, Exit.DONE), (62, Exit.FAILED)], ids=["young", "old"])
def test_an_old_image_is_told(
    days: int, code: Exit, gate: Gate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clean image of two months ago is red in the daily watch: what was mended in its base is not in it."""
    gate.scan()
    release, made_at = kept(gate), NOW - timedelta(days=days)
    inventory = gate.out / "scan" / "sbom.cdx.json"
    text = re.sub(r'"timestamp": ?"[^"]+"', f'"timestamp": "{made_at.isoformat()}"', inventory.read_text())
    inventory.write_text(text)
    given_settings(gate.options.root, SETTINGS)
    monkeypatch.chdir(gate.options.root)
    monkeypatch.setenv("TRIVY_IMAGE", gate.options.image or "")
    monkeypatch.setenv("TRIVY_CACHE_DIR", str(gate.cache))
    assert main(["watch", "rescan", "--image-sha256", release.sha256]) == code
    said = capsys.readouterr()
    assert "rescan     clean" in said.out
    assert ("error: the live image is old" in said.err) == (code is Exit.FAILED)
    assert (f"found an image of {made_at:%d %B %Y}, expected at most 60 days" in said.err) == bool(said.err)
