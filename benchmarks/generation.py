"""Measure how long it takes to generate a repository, hooks and interpreter start included."""

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
        fresh = iter(Path(folder, str(number)) for number in range(times + 1))
        command = [str(cookiecutter), str(ROOT), "--no-input", "--default-config", "--output-dir"]
        run([*command, str(next(fresh))])
        report("generation, from a path", times, lambda: run([*command, str(next(fresh))]), 1)
