"""The owner's sample as evidence: before traffic three of three, and at intervals as a stratum of its own."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.aws.errors import Unavailable
from deployer.errors import DeployerError, Exit
from deployer.judge.counts import Counts
from deployer.rollout import preflight
from deployer.rollout.sample import Sample
from deployer.rollout.sampling import SAMPLE, Sampler
from engine.around import PROBE
from engine.fakes import FakeAws, VirtualClock

EVENT = {"a": "real event"}
GOOD = Sample(event=EVENT, answer={"resized": []})
UNLIKE = Sample(event=EVENT, answer={"resized": ["one"]})


@pytest.fixture
def aws() -> Any:
    """Return an AWS whose versions answer that nothing was resized."""
    return FakeAws(VirtualClock())


def test_both_versions_get_the_sample_at_intervals(aws):
    """One call of each version every so many seconds; what came back is counted by the minute."""
    sampler = Sampler(60, GOOD, {}, lambda _: None)
    for now in (600.0, 630.0, 660.0, 665.0, 720.0):
        sampler.ask(aws, "41", "42", now)
    assert aws.events == [EVENT] * 6
    assert [(m.at, m.source, m.canary, m.stable) for m in sampler.minutes] == [
        (at, SAMPLE, Counts(1), Counts(1)) for at in (600, 660, 720)
    ]


def test_another_answer_is_an_error(aws):
    """A version that answers something else failed, whatever Lambda says; so did one that raised."""
    sampler = Sampler(60, UNLIKE, {}, lambda _: None)
    sampler.ask(aws, "41", "42", 600.0)
    assert sampler.minutes[0].canary == Counts(1, 1)
    aws.broken_versions.add("42")
    broken = Sampler(60, GOOD, {}, lambda _: None)
    broken.ask(aws, "41", "42", 600.0)
    assert (broken.minutes[0].stable, broken.minutes[0].canary) == (Counts(1), Counts(1, 1))


def test_what_cannot_be_tried_counts_for_neither(aws):
    """Where AWS is away nothing is known of either version, and that is said."""
    said: list[str] = []
    sampler = Sampler(60, GOOD, {}, said.append)
    aws.given_failure(2, Unavailable("invoking version 42: throttled"))
    sampler.ask(aws, "41", "42", 600.0)
    assert sampler.minutes == ()
    assert said == ["sample     not counted: invoking version 42: throttled"]


def test_three_of_three_before_traffic(aws):
    """The sample is sent three times to the new version, and what came of it is one sentence."""
    said = preflight.try_sample(aws, "42", GOOD, (PROBE, {}))
    assert said == "version 42 handled smoke/sample.toml 3 of 3 times"
    assert aws.events == [EVENT] * 3


def test_one_failure_of_three_is_refused(aws):
    """A version that fails the sample once gets no traffic."""
    with pytest.raises(DeployerError) as caught:
        preflight.try_sample(aws, "42", UNLIKE, (PROBE, {}))
    assert caught.value.what == "version 42 failed the sample at try 1 of 3"
    assert caught.value.exit_code == Exit.REFUSED


def test_without_a_sample_the_probe_stands_in(aws):
    """Where there is no sample, the harmless event is sent, and it is said how little that is."""
    said = preflight.try_sample(aws, "42", None, (PROBE, {}))
    assert said == "none: there is no smoke/sample.toml; version 42 only answered smoke/probe.json"
    assert aws.events == [PROBE] * 3
