"""The owner's real sample, sent to both versions at intervals: work of our own, compared by itself. Shell.

It is evidence where there is hardly any traffic, and off unless `sample_every_s` says otherwise. A harmless
probe (smoke/probe.json) would show that a version answers and nothing more, so it is never counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from deployer.aws.client import Aws
from deployer.errors import DeployerError
from deployer.judge.counts import Counts, Minute
from deployer.rollout import sample as samples
from deployer.rollout.sample import Sample, Unlike

SAMPLE = "sample"  # the source of these calls: a stratum of its own


@dataclass
class Sampler:
    """Sends the sample to both versions every so many seconds.

    `names` are the resources by logical key. What came back is read at once, without CloudWatch, and lives in
    this process: a resumed rollout begins to sample again.
    """

    every_s: int
    sample: Sample
    names: Mapping[str, str]
    say: Callable[[str], None]
    _last_at: float = float("-inf")
    _minutes: dict[int, Minute] = field(default_factory=dict)

    @property
    def minutes(self) -> tuple[Minute, ...]:
        """Return what was seen so far, by minute."""
        return tuple(self._minutes.values())

    def ask(self, aws: Aws, stable: str, canary: str, now: float) -> None:
        """Send the sample to both versions if it is time to; where it cannot be tried, neither counts."""
        if now - self._last_at < self.every_s:
            return
        self._last_at = now
        try:
            failed = [self._fails(aws, version) for version in (stable, canary)]
        except DeployerError as error:
            self.say(f"sample     not counted: {error.what}")
            return
        at = int(now) // 60 * 60
        seen = self._minutes.get(at, Minute(at, Counts(), Counts(), source=SAMPLE))
        self._minutes[at] = replace(
            seen,
            canary=_one_more(seen.canary, failed=failed[1]),
            stable=_one_more(seen.stable, failed=failed[0]),
        )

    def _fails(self, aws: Aws, version: str) -> bool:
        """Tell whether a version does not do what the sample expects."""
        try:
            samples.send(self.sample, lambda event: aws.invoke(version, event), aws.client, self.names)
        except Unlike:
            return True
        return False


def _one_more(counts: Counts, *, failed: bool) -> Counts:
    return replace(counts, calls=counts.calls + 1, errors=counts.errors + failed)
