"""Measure how long it takes to generate a repository from a clone, hooks and interpreter start included."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from timing import ROOT, report, run, runs

if __name__ == "__main__":
    times = runs(__doc__, 15)
    run(["python3", "dev.py", "bake"])
    cookiecutter = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "cookiecutter"
    with tempfile.TemporaryDirectory() as folder:
        # A checkout in use holds caches that nobody's clone has.
        clone = Path(folder, "template")
        run(["git", "clone", "--quiet", str(ROOT), str(clone)])
        fresh = iter(Path(folder, str(number)) for number in range(times + 1))
        command = [str(cookiecutter), str(clone), "--no-input", "--default-config", "--output-dir"]
        run([*command, str(next(fresh))])
        report("generation", times, lambda: run([*command, str(next(fresh))]), 1)
