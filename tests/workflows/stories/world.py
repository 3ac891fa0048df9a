"""A repository, its GitHub, and an AWS account that enforces roles: what the stories happen in. Shell."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.tokens import TokenIssuer

from rehearsal.settings import adapted
from workflows.github.event import Event
from workflows.github.expressions import Expressions
from workflows.github.records import JobRecord, RunRecord, StepRecord
from workflows.github.run import Run
from workflows.github.standins import STAND_INS
from workflows.github.state import Host
from workflows.stories import compressed, machine
from workflows.stories.account import PRODUCTION, Account
from workflows.stories.hub import must

Hear = Callable[[JobRecord, StepRecord, str], None]
Say = Callable[[str], None]


@dataclass
class World(Account):
    """Everything a story can touch.

    `played` are the runs so far; `left_out` are actions of the repository and scripts that runs do not run
    again, and why.
    """

    folder: Path
    issuer: TokenIssuer
    expressions: Expressions
    say: Say
    trivy: str = ""
    is_verbose: bool = False
    played: list[RunRecord] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    _busy: set[Path] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # What a person does

    @property
    def edit(self) -> Path:
        """Return a person's clone of the repository."""
        return self.hub.edit

    def change(self, path: str, old: str, new: str) -> None:
        """Replace a text, which must be there, in a file of the clone."""
        file = self.edit / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} has no `{old}`"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def settings(self, environment: str = PRODUCTION, **values: Any) -> None:
        """Set values of an environment in the clone's deploy.toml."""
        path = self.edit / "deploy.toml"
        path.write_text(adapted(path.read_text("utf-8"), environment, values), encoding="utf-8")

    def push(self, message: str, branch: str = "main") -> str:
        """Commit and push what the clone holds."""
        self.say(f"push       {message} ({branch})")
        sha = self.hub.push(message, branch)
        # What a job builds from it is called so; the engine is not GitHub's, and would keep it.
        self.local_aws.remove_image_at_end(f"{self.config.function.name}:candidate-{sha[:12]}")
        return sha

    def deployer(self, *words: str) -> str:
        """Run a command on a person's machine, as administrator; it must end well. Returns what it said."""
        self.say(f"by hand    deployer {' '.join(words)}")
        return must([sys.executable, "-P", compressed.__file__, *words], self.edit, self.administrator())

    def administrator(self) -> dict[str, str]:
        """Return the environment of a person with the rights of an administrator, signed in to GitHub."""
        own = machine.environment(self.folder / "person", gh=self.hub.state)
        kept = str(self.folder / "byte-code")  # not in the clone, which is committed
        python = {"PYTHONPATH": str(self.edit), "PYTHONPYCACHEPREFIX": kept, "COLUMNS": "200"}
        return {**own, **self.local_aws.environment(), **python, compressed.CLOCK: self.clock.to_text()}

    # What GitHub does

    def run(self, file: str = "deploy.yml", event: Event | None = None, hear: Hear | None = None) -> Run:
        """Return a run that has not begun; two at once are on two machines."""
        number = next(self._numbers)
        host = Host(
            self._machine(),
            self._runner_environment(),
            self.expressions,
            self.issuer,
            STAND_INS,
            self.folder / "artifacts",
            first_on_path=machine.first_on_path(self.folder),
            tokens=self.folder / "tokens",
            left_out=self.left_out,
            hear=self._hearing(hear),
        )
        return Run(file, self.hub.repository(), host, event or Event(), number)

    def _hearing(self, hear: Hear | None) -> Hear:
        def heard(job: JobRecord, step: StepRecord, line: str) -> None:
            if self.is_verbose:
                self.say(f"    {job.id} | {step.name[:24]} | {line}")
            if hear:
                hear(job, step, line)

        return heard

    def play(
        self, file: str = "deploy.yml", event: Event | None = None, hear: Hear | None = None
    ) -> RunRecord:
        """Play a run to its end and return it."""
        return self.execute(self.run(file, event, hear))

    def execute(self, run: Run, job_ended: Callable[[JobRecord], None] = lambda _: None) -> RunRecord:
        """Play a run that was made, keep its record, and return it; `job_ended` is told of each job."""

        def ended(job: JobRecord) -> None:
            self.say(_line(job))
            job_ended(job)

        run.job_ended = ended
        self.say(f"run {run.record.number:<6} {run.title}: {run.record.file}, {run.record.event}")
        try:
            record = run.execute()
        finally:
            self._busy.discard(run.host.folder)
        self.played.append(record)
        ended = {"workflow": record.file, "conclusion": record.result, "url": f"run {record.number}"}
        self.hub.write(runs=[*self.hub.read()["runs"], ended])
        self.say(f"           {record.result} after {record.took_s:.0f} s")
        return record

    def _machine(self) -> Path:
        """Take the first machine that is not busy; the environments made there stay between runs."""
        numbers = (self.folder / f"machine-{number}" for number in itertools.count(1))
        folder = next(folder for folder in numbers if folder not in self._busy)
        self._busy.add(folder)
        folder.mkdir(exist_ok=True)
        return folder

    def _runner_environment(self) -> dict[str, str]:
        """Return what a runner's processes inherit: AWS is the local one, for which there are no keys yet."""
        aws = self.local_aws.environment()
        reached = {name: value for name, value in aws.items() if "KEY" not in name}
        del reached["AWS_REGION"], reached["AWS_DEFAULT_REGION"]
        scanner = {"TRIVY_IMAGE": self.trivy, "TRIVY_CACHE_DIR": str(self.folder / "trivy")}
        clock = {compressed.CLOCK: self.clock.to_text(), "PYTHONUNBUFFERED": "1"}
        return {**machine.environment(self.folder, gh=self.hub.state), **reached, **scanner, **clock}


def _line(job: JobRecord) -> str:
    notes = "; ".join(note.title or note.message.splitlines()[0][:100] for note in job.annotations)
    where = f" in {job.environment}" if job.environment else ""
    return f"  {job.id:<16} {job.result:<9} {job.took_s:5.1f} s{where}{f'  {notes}' if notes else ''}"
