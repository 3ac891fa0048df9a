"""The changes a rehearsal releases, made in a copy of the sources, never in the checkout. Shell.

A fault is a wrapper around the handler, whatever it does. It acts in published versions only, so that the
smoke tests of an image pass. The probe, where traffic is something else, and the first call of each execution
environment are spared, so that the rollout begins: a release is to be judged by its traffic here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from deployer.errors import DeployerError
from rehearsal.dockerfile import Handler, handler_of

# What an image and a deployment are made from, and how it is tried. Not deployer/, testbed/ or rehearsal/:
# they run from the checkout.
_COPIED = (
    "app", "infra", "requirements", "smoke", "Dockerfile", ".dockerignore", "deploy.toml",
    "scan-ignore.yaml", ".github/trivy",
)  # fmt: skip
SLOWER_S = 0.8
OUTAGE_TIMEOUT_S = 2

_WRAPPER = '''

# Added by the rehearsal for {name}: {what}.
import itertools as _rehearsal_itertools
import os as _rehearsal_os


def {function}(event, context, _sound={function}, _calls=_rehearsal_itertools.count(1)):
    """{what}."""
    version = _rehearsal_os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
    if version.isdigit() and event not in {spared!r}:
        call = next(_calls)
{body}
    return _sound(event, context)
'''
_FAILING = """
if {condition}:
    raise RuntimeError("this release is broken on purpose")
"""
_SLOW = """
import time

time.sleep({seconds} if call > 1 else 0)
"""
_NEEDING = """
if call % {every} == 0:
    import urllib.request

    address = _rehearsal_os.environ["AWS_ENDPOINT_URL"] + {path!r}
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    without_proxy.open(address, timeout={timeout_s}).close()
"""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a change: in words, and as the lines that do it; `call` counts from 1 in them."""

    what: str
    body: str


HALF_BROKEN = Fault("Every other call fails", _FAILING.format(condition="call % 2 == 0"))
BROKEN = Fault("Every call but the first fails", _FAILING.format(condition="call > 1"))
SLOW = Fault("Every call takes longer", _SLOW.format(seconds=SLOWER_S))


def needing(path: str, every: int = 3) -> Fault:
    """Return what lets every third call, or another share, fail while an object of the local AWS is gone."""
    body = _NEEDING.format(path=path, timeout_s=OUTAGE_TIMEOUT_S, every=every)
    which = {1: "Every call needs", 3: "Every third call needs"}.get(every, f"Every {every}th call needs")
    return Fault(f"{which} something outside", body)


def copy_sources(checkout: Path, folder: Path) -> Path:
    """Copy what a release is made from and return the copy."""
    folder.mkdir(parents=True)
    for name in _COPIED:
        source, target = checkout / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return folder


def handler_file(sources: Path) -> tuple[Handler, Path]:
    """Return the handler and its file. Raises DeployerError when the Dockerfile names none that is there."""
    dockerfile = sources / "Dockerfile"
    handler = handler_of(dockerfile.read_text(encoding="utf-8") if dockerfile.exists() else "")
    path = sources / handler.path
    if not path.is_file():
        raise DeployerError(
            f"the Dockerfile's `CMD` names `{handler}`, which is not there",
            found=f"found no `{handler.path}`",
            hint="correct `CMD` in the Dockerfile, or add the file",
        )
    return handler, path


def make_healthy_change(sources: Path, name: str) -> None:
    """Change the function's code so that it is another version that works as well."""
    _, path = handler_file(sources)
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n# Added by the rehearsal: {name}, the same work.\n", encoding="utf-8")


def make_change(sources: Path, name: str, fault: Fault, *, spared: Sequence[Any] = ()) -> Callable[[], None]:
    """Give the function's code a fault that spares some events; returns what undoes that."""
    handler, path = handler_file(sources)
    before = path.read_text(encoding="utf-8")
    body = indent(fault.body.strip("\n"), " " * 8)
    added = _WRAPPER.format(
        name=name, what=fault.what, function=handler.function, spared=list(spared), body=body
    )
    path.write_text(before + added, encoding="utf-8")

    def undo() -> None:
        path.write_text(before, encoding="utf-8")

    return undo
