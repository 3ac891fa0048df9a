"""Demonstrate, test and lint the template: `python3 dev.py TARGET` does what `make TARGET` does.

Standard library only. Environments, errors and linters are those of the generated repository's own `dev.py`,
loaded from its place in the template.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent
GENERATED = ROOT / "{{cookiecutter.project_slug}}"
SLUG = "image-resizer"
LINTERS = (
    "ruff check --no-cache .",
    "ruff format --no-cache --check .",
    "zizmor --offline --persona=auditor --strict-collection --quiet .",
    "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml",
    "check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml",
    "shellcheck .ci/run tests/standin/build",
)
# Not in dev.in: the dependency bot would move one lock and be held by the other, which it has not moved yet.
SAME_VERSIONS = {"dev": "../{{cookiecutter.project_slug}}/requirements/dev.txt"}
PYTEST_INTERRUPTED = 2
# One worker more than there are cores: a rehearsal mostly waits for its compressed clock.
WORKERS = str(min(4, (os.cpu_count() or 2) + 1))
LEFTOVERS = (
    ".venv",
    ".venv-checkov",
    ".venv-cookiecutter",
    ".venv-local-aws",
    "build",
    "demo",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
)


def generated_dev() -> ModuleType:
    """Return the generated repository's dev.py as a module."""
    sys.dont_write_bytecode = True  # what lies in the template's folder gets into generated repositories
    spec = importlib.util.spec_from_file_location("generated_dev", GENERATED / "dev.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["generated_dev"] = module
    spec.loader.exec_module(module)
    return module


dev = generated_dev()
COOKIECUTTER = dev.Environment(".venv-cookiecutter", "requirements/cookiecutter.txt")
TOOLS = dev.Environment(".venv", "requirements/dev.txt")
LOCAL_AWS = dev.Environment(".venv-local-aws", "{{cookiecutter.project_slug}}/requirements/local-aws.txt")


def generate(environment: dev.Environment, parent: Path) -> Path:
    """Generate the default repository in `parent` anew; environments and caches of the last one stay."""
    dev.say(f"generate: {parent.relative_to(ROOT) / SLUG}")
    repository = parent / SLUG
    for entry in repository.iterdir() if repository.exists() else ():
        if entry.is_dir() and not entry.is_symlink():
            # They carry the hash of the lock they were made from: the new repository can take them over.
            if not entry.name.startswith((".venv", ".cache")):
                shutil.rmtree(entry)
        else:
            entry.unlink()
    program = environment.program(ROOT, "cookiecutter")
    options = ["--no-input", "--default-config", "--overwrite-if-exists", "--output-dir", str(parent)]
    command = [str(program), str(ROOT), *options, f"project_slug={SLUG}"]
    result = subprocess.run(command, text=True, capture_output=True, check=False)
    if result.returncode:
        dev.say((result.stdout + result.stderr).strip())
        raise dev.SetupError(
            "could not generate the repository",
            "found: what cookiecutter said above",
            "undo the last change of the template, or run `git status` to see it",
        )
    return repository


def demo(_: Path, arguments: list[str]) -> int:
    """Generate a repository and play its rehearsal, real containers included where Docker answers."""
    dev.ensure(ROOT, COOKIECUTTER)
    repository = generate(COOKIECUTTER, ROOT / "demo")
    dev.say(f"demo: rehearsing; the report will be {repository / 'rehearsal' / 'report.html'}")
    return dev.hand_over([sys.executable, "dev.py", "rehearse", *arguments], repository)


def in_place() -> None:
    """Let programs started from here import the generated repository's code where it is.

    Byte-code goes elsewhere: what lies in the template's folder gets into generated repositories.
    """
    with ThreadPoolExecutor() as pool:
        for made in [pool.submit(dev.ensure, ROOT, environment) for environment in (TOOLS, LOCAL_AWS)]:
            made.result()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GENERATED), str(ROOT / "tests"), str(ROOT)])
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / "build" / "byte-code")
    os.environ["LOCAL_AWS_PYTHON"] = str(LOCAL_AWS.program(ROOT, "python"))


def own_environment() -> dict[str, str]:
    """Return the environment for a generated repository's tasks: without what `in_place` set."""
    ours = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "LOCAL_AWS_PYTHON")
    return {name: value for name, value in os.environ.items() if name not in ours}


def test(_: Path, arguments: list[str]) -> int:
    """Run the tests of a generated repository, then the template's own, which report both together.

    With arguments, run what they ask pytest for among the template's own tests.
    """
    in_place()
    if not arguments:
        results = ROOT / "build" / "bake.xml"
        results.unlink(missing_ok=True)
        repository = generate(TOOLS, ROOT / "build" / "bake")
        dev.say("test: the generated repository's own tests (1 of 2)")
        command = [sys.executable, "dev.py", "test", *dev.PARALLEL, f"--junit-xml={results}"]
        if dev.wait_for(command, repository, environment=own_environment()) == PYTEST_INTERRUPTED:
            return PYTEST_INTERRUPTED
        dev.say("test: the template's tests, the results above included (2 of 2)")
    # A bake's tests must not be read as this run's, when only a part of it was asked for.
    os.environ["BAKE_RESULTS"] = "" if arguments else str(results)
    return dev.hand_over(
        [
            str(TOOLS.program(ROOT, "python")),
            "-m",
            "pytest",
            *(arguments or ["-n", WORKERS, "--dist", "loadgroup"]),
        ],
        ROOT,
    )


def run(_: Path, arguments: list[str]) -> int:
    """Run Python on the code in its place: `python3 dev.py run -m benchmarks.rollout_power`."""
    in_place()
    return dev.hand_over([str(TOOLS.program(ROOT, "python")), *arguments], ROOT)


def acts(_: Path, arguments: list[str]) -> int:
    """Play what the suite leaves out: the other acts, and pairs of faults. Fifteen minutes."""
    return run(
        _, ["-m", "pytest", "tests/rehearsal", "tests/engine/proof", "-m", "long", "-n", "2", *arguments]
    )


def workflows(_: Path, arguments: list[str]) -> int:
    """Play the shipped workflows in every story, roles enforced; writes build/workflows.md."""
    return run(_, ["-m", "workflows.stories", *arguments])


def proof(_: Path, arguments: list[str]) -> int:
    """Play every fault at every moment of a rollout, then every mutant; writes docs/rollout-proof.md."""
    return run(_, ["-m", "engine.proof", *arguments])


def mutants(_: Path, arguments: list[str]) -> int:
    """Show mutants of what decides about traffic to the tests that reach them; writes build/mutants.md."""
    return run(_, ["-m", "mutants", *arguments])


def lint(_: Path, arguments: list[str]) -> int:
    """Run every linter, on the template and on the generated repository's files in their place."""
    dev.ensure(ROOT, TOOLS)
    tools_here = dev.Environment(str(ROOT / TOOLS.name), TOOLS.lock)
    linters = [line for line in dev.LINTERS if not line.startswith(("ruff", "zizmor"))]
    return dev.lint(ROOT, TOOLS, LINTERS) | dev.lint(GENERATED, tools_here, tuple(linters))


def bake(_: Path, arguments: list[str]) -> int:
    """Generate the default repository into build/bake, whose own tests can then be run there."""
    dev.ensure(ROOT, TOOLS)
    generate(TOOLS, ROOT / "build" / "bake")
    return 0


def lock(_: Path, arguments: list[str]) -> int:
    """Compile the template's locks and check them; --check: check all locks of both repositories."""
    status = int(dev.lock_here(ROOT, arguments, SAME_VERSIONS))
    return status or (dev.check_locks(GENERATED, dev.locks(GENERATED)) if arguments else 0)


def manifest(_: Path, arguments: list[str]) -> int:
    """Write the hashes by which a generated repository knows that the machinery is unchanged."""
    machinery = dev.machinery_of(GENERATED)
    dev.say(f"manifest: {machinery.write_manifest(GENERATED)} files in {machinery.MANIFEST}")
    return 0


TARGETS: dict[str, tuple[Callable[[Path, list[str]], int], str]] = {
    "demo": (demo, "generate image-resizer and rehearse releases with it, without an AWS account"),
    "test": (test, "run every test, template and generated repository; arguments go to pytest"),
    "run": (
        run,
        "run Python on the code in its place: run -m benchmarks.rollout_power",
    ),
    "acts": (acts, "play the rehearsal's other acts, which the suite leaves out: fifteen minutes"),
    "workflows": (
        workflows,
        "play the shipped workflows under enforced roles; writes build/workflows.md",
    ),
    "proof": (proof, "play every fault at every moment of a rollout; writes docs/rollout-proof.md"),
    "mutants": (mutants, "show each small change of what decides about traffic to the tests that reach it"),
    "bake": (bake, "generate image-resizer into build/bake"),
    "manifest": (manifest, "write the hashes of deployer/, rehearsal/ and testbed/, after each change there"),
    "lint": (lint, "run every linter, in place"),
    "lock": (
        lock,
        "compile requirements/*.in to hash-locked *.txt; --check: ask if all install on every platform",
    ),
    "clean": (lambda _, __: dev.clean(ROOT, LEFTOVERS), "remove environments, demo and everything built"),
}

if __name__ == "__main__":
    sys.exit(dev.main(ROOT, TARGETS, sys.argv[1:]))
