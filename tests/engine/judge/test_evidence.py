"""The gate: what it concludes from counts, how often it is wrong, and that the proof would notice cheating."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.judge import eprocess
from deployer.judge.absolute import error_limit
from deployer.judge.counts import Counts, Dispersion, Minute, RolloutSoFar, StepStart
from deployer.judge.eprocess import Share
from deployer.judge.evidence import Judgement, judge
from deployer.judge.places import closed
from deployer.judge.sentences import number, rollouts
from deployer.model import GateSettings, Outcome

PASS, FAIL, INCONCLUSIVE, UNMEASURABLE = Outcome
SETTINGS = GateSettings()
RAMP = (StepStart(0, 5), StepStart(600, 10), StepStart(1200, 25))
LAST = (*RAMP, StepStart(3000, 95))


def so_far(*starts: StepStart, now: float = 3600, **changes: object) -> RolloutSoFar:
    """Return a rollout of 41 -> 42 with these steps, its metrics read just now."""
    return replace(RolloutSoFar("41", "42", starts or RAMP[:1], read_at=now), **changes)  # type: ignore[arg-type]


def minute(number_: int, canary: tuple[int, float], stable: tuple[int, float], **more: str) -> Minute:
    """Return the n-th minute, each version with calls and errors."""
    return Minute(number_ * 60, Counts(*canary), Counts(*stable), **more)


def steady(count: int, canary: tuple[int, float], stable: tuple[int, float], first: int = 0) -> list[Minute]:
    """Return as many minutes that are all the same."""
    return [minute(n, canary, stable) for n in range(first, first + count)]


def after(minutes: Sequence[Minute]) -> float:
    """Return a time at which all these minutes are closed."""
    return max((m.at for m in minutes), default=0) + 60 + SETTINGS.settle_s


def judged(
    minutes: Sequence[Minute], *starts: StepStart, gate: GateSettings = SETTINGS, **more: object
) -> Judgement:
    """Judge minutes as soon as all of them are closed."""
    now = after(minutes)
    return judge(gate, minutes, so_far(*starts, now=now, **more), now)


def outcomes(found: Judgement) -> list[Outcome]:
    """Return the outcomes alone."""
    return [verdict.outcome for verdict in found.verdicts]


GOOD = steady(20, (10, 0), (190, 0))
SITUATIONS = [
    ("equal error rates pass", steady(20, (100, 1), (900, 9)), RAMP[:1], PASS),
    ("no errors at all pass", GOOD, RAMP[:1], PASS),
    ("a better canary passes", steady(20, (100, 0), (900, 90)), RAMP[:1], PASS),
    ("a canary that fails every call fails", steady(2, (5, 5), (95, 0)), RAMP[:1], FAIL),
    ("one bad minute alone decides nothing yet", [*GOOD, minute(20, (10, 10), (190, 0))], RAMP[:1], INCONCLUSIVE),
    ("ten good ones after it do", [*GOOD, minute(20, (10, 10), (190, 0)), *steady(10, (10, 0), (190, 0), 21)], RAMP[:1], PASS),
    ("nine do not", [*GOOD, minute(20, (10, 10), (190, 0)), *steady(9, (10, 0), (190, 0), 21)], RAMP[:1], INCONCLUSIVE),
    ("two bad minutes are", [*GOOD, *steady(2, (10, 10), (190, 0), 20)], RAMP[:1], FAIL),
    ("two errors, however unlikely, decide nothing yet", [*steady(18, (3, 0), (2000, 0)), *steady(2, (1, 1), (2000, 0), 18)], RAMP[:1], INCONCLUSIVE),
    ("an outage of both passes", steady(20, (100, 30), (900, 270)), RAMP[:1], PASS),
    ("a difference below the floor passes", steady(50, (10_000, 40), (90_000, 90)), RAMP[:1], PASS),
    ("hardly any call is no reason to stay", [*steady(7, (1, 0), (9, 0))], RAMP[:1], PASS),
    ("no call at all is no reason to stay", [], RAMP[:1], PASS),
    ("no step yet is too few", [], (), INCONCLUSIVE),
    ("a canary without numbers where calls are due is not seen", steady(20, (0, 0), (900, 0)), RAMP[:1], UNMEASURABLE),
    ("the last place passes within its limit", [*GOOD, *steady(9, (900, 9), (47, 0), 50)], LAST, PASS),
    ("the last place fails above it", [*GOOD, *steady(2, (900, 60), (47, 0), 50)], LAST, FAIL),
    ("one bad minute of the last place is not enough", [*GOOD, *steady(1, (900, 90), (47, 0), 50)], LAST, PASS),
    ("a stray error of few calls is not enough there", [*GOOD, *steady(6, (10, 1), (1, 0), 50)], LAST, PASS),
    ("nothing fails where the control had no call", [*GOOD, *steady(6, (90, 9), (0, 0), 50)], LAST, PASS),
    ("a control without numbers where calls are due is not seen", [*GOOD, *steady(9, (90, 9), (0, 0), 50)], LAST, UNMEASURABLE),
    ("few calls may all go to the version with the small share", [*GOOD, *steady(3, (0, 0), (2, 0), 50)], LAST, PASS),
    ("a stable version without numbers is not seen", steady(20, (100, 100), (0, 0)), RAMP[:1], UNMEASURABLE),
    ("a canary whose numbers stop is not seen", [*GOOD, *steady(4, (0, 0), (190, 0), 20)], RAMP[:1], UNMEASURABLE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "starts", "expected"), [pytest.param(*s[1:], id=s[0]) for s in SITUATIONS]
)
def test_situation(minutes, starts, expected):
    """Each situation has its one outcome, and a sentence."""
    now = max(after(minutes), *(start.at for start in starts), 0)
    found = judge(SETTINGS, minutes, replace(so_far(now=now), starts=tuple(starts)), now)
    assert outcomes(found)[-1:] == [expected]
    assert all(verdict.sentence.endswith(".") for verdict in found.verdicts)


SENTENCES = [
    (
        [*steady(5, (8, 0), (92, 0)), *steady(3, (12, 2), (88, 0), 5), minute(8, (10, 0), (90, 1))],
        RAMP[:1],
        "v42 served 9.1 % of 700 requests but produced 4 of the 4 errors. If it were no worse than v41, "
        "evidence this strong would turn up in fewer than 1 of 500 rollouts. Rolling back.",
    ),
    (
        steady(20, (100, 1), (900, 9)),
        RAMP[:1],
        "v42 served 10.0 % of 20 000 requests and produced 20 of the 200 errors: no evidence that it is worse "
        "than v41.",
    ),
    (
        steady(50, (10_000, 40), (90_000, 90)),
        RAMP[:1],
        "v42 served 10.0 % of 5 000 000 requests and produced 2 000 of the 6 500 errors: too few more than v41, "
        "or under 0.5 percentage points more.",
    ),
    (
        steady(20, (0, 0), (950, 0)),
        RAMP[:1],
        "v42 should have had about 1 000 requests at 5 % of traffic, and none is in the metrics.",
    ),
    (
        steady(2, (950, 50), (50, 0), 50),
        LAST,
        "v42 failed 100 of 1 900 requests in 2 minutes at 95 % of traffic, 5.3 % where at most 1.0 % is "
        "allowed. Rolling back.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("minutes", "starts", "sentence"), SENTENCES, ids=lambda value: "")
def test_sentences_literally(minutes, starts, sentence):
    """A verdict is one sentence a person can act on."""
    assert judged(minutes, *starts).verdicts[0].sentence == sentence


def test_the_control_objects_to_an_outage():
    """At 95 % an error rate above its limit fails the canary only where the control does not fail alike."""
    outage = steady(5, (950, 285), (50, 15), 50)
    assert outcomes(judged([*GOOD, *outage], *LAST)) == [PASS]
    alone = steady(2, (950, 50), (50, 0), 50)
    found = judged([*GOOD, *alone], *LAST)
    assert [(v.outcome, v.metric) for v in found.verdicts] == [(FAIL, "errors")]
    assert found.traces[-1].failed_at is not None
    # The comparison by itself needs more: it is the absolute guard that found it.
    assert found.traces[0].failed_at is None


def test_the_control_speaks_of_its_own_place_only():
    """What the canary did better in places before does not outweigh what it does with 95 % of the traffic."""
    before = steady(20, (500, 0), (500, 25))
    alone = steady(2, (950, 50), (50, 0), 50)
    assert outcomes(judged([*before, *alone], StepStart(0, 50), StepStart(3000, 95))) == [FAIL]


def test_without_the_control_each_outage_would_roll_back():
    """In each of forty outages the canary's own evidence is above its limit; the control holds it back."""
    rng, rolled_back = random.Random(5), 0
    for _ in range(40):
        failing = []
        for n in range(50, 55):
            bad = [sum(rng.random() < 0.3 for _ in range(calls)) for calls in (95, 5)]
            failing.append(minute(n, (95, bad[0]), (5, bad[1])))
        found = judged([*GOOD, *failing], *LAST)
        guard = found.traces[-1]
        assert guard.points[-1].log_e >= guard.limit
        rolled_back += FAIL in outcomes(found)
    assert rolled_back <= 2


def test_an_episode_of_a_quiet_function_is_over_after_an_hour():
    """Where no later minute has calls of both versions, one bad minute does not hold the rollout for ever."""
    minutes = [*GOOD, minute(20, (10, 10), (190, 0))]
    for now, expected in ((1200 + 3599, INCONCLUSIVE), (1200 + 3600, PASS)):
        assert outcomes(judge(SETTINGS, minutes, so_far(now=now, quiet_s=1e9), now)) == [expected]


def test_a_second_bad_minute_after_an_episode_fails():
    """An episode that is over holds nothing, and is not forgotten."""
    minutes = [*GOOD, minute(20, (10, 10), (190, 0)), *steady(10, (10, 0), (190, 0), 21)]
    assert outcomes(judged([*minutes, minute(31, (10, 1), (190, 0))])) == [FAIL]


def test_what_is_undecided_says_what_it_needs():
    """The sentence names the errors, and what a rollback needs."""
    found = judged([*GOOD, minute(20, (10, 10), (190, 0))], dispersion=Dispersion(1.5))
    assert found.verdicts[0].sentence == (
        "v42 served 5.0 % of 4 200 requests but produced 10 of the 10 errors. That is more than chance explains, "
        "and a rollback needs 5 errors of two minutes."
    )


def test_it_says_which_version_is_not_seen():
    """The version without numbers, and how many calls it should have had."""
    sentence = judged([*GOOD, *steady(9, (90, 9), (0, 0), 50)], *LAST).verdicts[-1].sentence
    assert (
        sentence == "v41 should have had about 42.6 requests at 5 % of traffic, and none is in the metrics."
    )


def test_numbers_read_long_ago_are_not_evidence():
    """Metrics that were never read, or not for five minutes, leave the canary unseen."""
    now = after(GOOD)
    for read_at, sentence in [
        (None, "the metrics of v42 could not be read: what it does cannot be seen."),
        (now - 301, "the metrics of v42 were last read 301 s ago: what it does cannot be seen."),
    ]:
        found = judge(SETTINGS, GOOD, so_far(now=now, read_at=read_at), now)
        assert [(v.outcome, v.sentence) for v in found.verdicts] == [(UNMEASURABLE, sentence)]


def test_silence_is_unseen_only_where_traffic_was_steady():
    """Metrics that stop are missing when many calls were due, and normal when hardly any were."""
    now = after(GOOD) + 601
    found = judge(SETTINGS, GOOD, so_far(now=now), now)
    assert (
        found.verdicts[0].sentence
        == "the metrics of v41 and v42 stopped 601 s ago, though traffic was steady: what they do cannot be seen."
    )
    rare = [minute(n, (3, 0), (2, 0)) for n in range(0, 60, 3)]
    now = after(rare) + 601
    assert outcomes(judge(SETTINGS, rare, so_far(now=now), now)) == [PASS]


@pytest.mark.parametrize(
    ("silent_s", "quiet_s", "expected"),
    [(600, 0, PASS), (601, 0, UNMEASURABLE), (601, 601, PASS), (3601, 3600, UNMEASURABLE)],
    ids=["late", "later than CloudWatch is", "as last week", "longer than last week"],
)
def test_silence_that_is_usual_is_no_blindness(silent_s, quiet_s, expected):
    """Numbers that are late, and a function that is called in bursts, are seen well enough."""
    now = after(GOOD) + silent_s
    assert outcomes(judge(SETTINGS, GOOD, so_far(now=now, quiet_s=quiet_s), now)) == [expected]


def test_numbers_that_never_came_are_missed_after_a_busy_hour():
    """A rollout without a single number is not healthy where the hour before was busy; after a quiet one it is."""
    for calls, expected in ((3600, UNMEASURABLE), (60, PASS)):
        rollout = replace(so_far(now=1000), starts=tuple(RAMP[:1]), before=Counts(calls))
        assert outcomes(judge(SETTINGS, [], rollout, 1000)) == [expected]


def test_a_proven_failure_outweighs_missing_numbers():
    """What is proven stays proven when CloudWatch stops answering."""
    minutes = steady(3, (50, 25), (450, 0))
    now = after(minutes) + 5000
    assert outcomes(judge(SETTINGS, minutes, so_far(now=now, read_at=None), now)) == [FAIL]


def test_open_minutes_are_not_looked_at():
    """A minute counts from its end plus settling time plus the p99 duration on, to the second."""
    minutes = steady(2, (50, 50), (450, 0))
    rollout = so_far(p99_duration_s=7.0)
    assert len(closed(minutes, SETTINGS, rollout, 60 + 60 + 120 + 6.9)) == 1
    assert len(closed(minutes, SETTINGS, rollout, 60 + 60 + 120 + 7)) == 2


def test_late_numbers_correct_a_verdict():
    """A minute whose numbers grow is judged by what they are now."""
    partial = [*GOOD, *steady(2, (10, 0), (190, 0), 20)]
    complete = [*GOOD, *steady(2, (12, 11), (190, 0), 20)]
    assert outcomes(judged(partial)) == [PASS]
    assert outcomes(judged(complete)) == [FAIL]


def test_minutes_before_the_rollout_prove_nothing():
    """What an earlier try of the same version did is not held against this one."""
    old = steady(5, (50, 50), (450, 0))
    new = steady(20, (50, 0), (450, 0), 30)
    assert outcomes(judged([*old, *new], StepStart(1800, 10))) == [PASS]


def test_the_minute_of_a_weight_change_is_no_stratum():
    """An outage of both that begins together with a heavier canary does not look like the canary's fault."""
    changing = [*steady(10, (500, 0), (9500, 0)), minute(10, (1000, 60), (9000, 60))]
    minutes = [*changing, minute(11, (1000, 3), (9000, 27))]
    assert outcomes(judged(minutes, StepStart(0, 5), StepStart(630, 10))) == [PASS]
    assert outcomes(judged(minutes, StepStart(0, 5), StepStart(600, 10))) == [FAIL]


def test_a_crossing_nobody_polled_is_found_later():
    """A rollout that was not looked at for an hour is judged as if it had been looked at every minute."""
    minutes = [*steady(3, (10, 2), (190, 0)), *steady(60, (50, 0), (450, 5), 3)]
    found = judged(minutes)
    assert outcomes(found) == [FAIL]
    assert found.traces[0].failed_at == 60
    assert found.traces[0].points[-1].log_e < found.traces[0].limit


def test_a_regression_that_begins_after_hours_is_found_soon():
    """Five good hours need not be undone first."""
    minutes = [*steady(300, (100, 1), (900, 9)), *steady(15, (100, 4), (900, 9), 300)]
    found = judged(minutes, StepStart(0, 10))
    assert found.traces[0].failed_at is not None
    assert found.traces[0].failed_at < 312 * 60


def test_errors_that_come_in_runs_count_once():
    """The same errors prove nothing where last week's came in runs of three, and the sentence says so."""
    minutes = [*GOOD, *steady(2, (10, 3), (190, 0), 20)]
    assert outcomes(judged(minutes)) == [FAIL]
    assert outcomes(judged(minutes, dispersion=Dispersion(3.0))) == [PASS]
    worse = [*GOOD, *steady(6, (10, 6), (190, 0), 20)]
    found = judged(worse, dispersion=Dispersion(3.04)).verdicts
    assert found[0].outcome is FAIL
    assert "Errors come in runs here: 3 count as one." in found[0].sentence
    unmeasured = judged(steady(9, (10, 10), (190, 0)), dispersion=Dispersion(5.0, is_measured=False)).verdicts
    assert "With less than six hours of history, 5 errors count as one." in unmeasured[0].sentence


def test_runs_excuse_no_version_of_the_last_place_for_ever():
    """The absolute guard too takes a run for one error, and fails what goes on."""
    short = [*GOOD, *steady(2, (900, 60), (47, 0), 50)]
    assert FAIL in outcomes(judged(short, *LAST))
    assert outcomes(judged(short, *LAST, dispersion=Dispersion(15.0))) == [PASS]
    long = [*GOOD, *steady(20, (900, 90), (47, 0), 50)]
    assert FAIL in outcomes(judged(long, *LAST, dispersion=Dispersion(15.0)))


def test_a_probe_fails_by_itself():
    """Runs of the traffic's errors say nothing about our own calls."""
    probes = [minute(n, (10, 4), (10, 0), source="probe") for n in range(15)]
    assert outcomes(judged(probes, dispersion=Dispersion(5.0))) == [FAIL]


def test_a_probe_is_a_stratum_of_its_own():
    """Probes prove a regression without traffic, and their split never mixes with the traffic's."""
    probes = [minute(n, (10, 4), (10, 0), source="probe") for n in range(3)]
    assert outcomes(judged(probes)) == [FAIL]
    noisy = [minute(n, (10, 5), (10, 5), source="probe") for n in range(20)]
    quiet = steady(20, (10, 0), (990, 0))
    assert outcomes(judged([*noisy, *quiet])) == [PASS]


def test_probes_do_not_speak_for_the_traffic():
    """A probe that fails on both versions does not fail the canary in the last place."""
    alone = steady(9, (900, 0), (47, 0), 50)
    probes = [minute(n, (10, 9), (10, 9), source="wrong-probe") for n in range(50, 59)]
    assert outcomes(judged([*GOOD, *alone, *probes], *LAST)) == [PASS]


def test_alpha_is_split_evenly():
    """Two metrics get half each, and the errors' guard a tenth of theirs."""
    minutes = [*GOOD, *steady(9, (900, 9), (47, 0), 50)]
    found = judged(minutes, *LAST, gate=replace(SETTINGS, compare_slow=True))
    limits = {trace.metric: math.exp(-trace.limit) for trace in found.traces}
    assert limits == pytest.approx({"errors": 0.0045, "slow calls": 0.005, "error rate": 0.0005})


@pytest.mark.parametrize("alpha", [0.0, -1.0, 0.5, float("nan")])
def test_alpha_outside_its_range_is_refused(alpha):
    """A level that promises nothing, or is no probability, is refused."""
    with pytest.raises(ValueError, match=r"expected more than 0 and less than 0\.5"):
        GateSettings(alpha=alpha)


@pytest.mark.parametrize(
    ("before", "limit"),
    [
        (Counts(), 0.01),
        (Counts(1000, 1), 0.01),
        (Counts(1000, 19), 0.06),
        (Counts(10, 0), 0.273),
        (Counts(9, 9), 0.5),
    ],
)
def test_the_absolute_limit_follows_the_hour_before(before, limit):
    """The limit is the SLO or three times the hour before, with one error more; never above half."""
    assert error_limit(SETTINGS, before) == pytest.approx(limit, abs=5e-4)


def test_the_formula_by_hand():
    """One minute, one start: half of the weight is on the mixture, half waits for later starts."""
    points = eprocess.accumulate([Share(0, 3, 4, 0.1)], [0.0])
    expected = sum(w**3 / (1 + 0.1 * (w - 1)) ** 4 for w in eprocess.OMEGAS) / len(eprocess.OMEGAS)
    assert points[0].log_e == pytest.approx(math.log(expected / 2 + 1 / 2))


def test_every_alternative_is_a_fair_bet():
    """Exactly computed: a fair split multiplies the evidence by at most 1 on average, for every alternative."""
    for canary, stable, errors in [(1, 9, 1), (3, 7, 4), (5, 95, 12), (50, 50, 30)]:
        rho = canary / (canary + stable)
        mean = 0.0
        for hits in range(max(0, errors - stable), min(errors, canary) + 1):
            ways = math.comb(canary, hits) * math.comb(stable, errors - hits)
            chance = ways / math.comb(canary + stable, errors)
            mean += chance * math.exp(eprocess.accumulate([Share(0, hits, errors, rho)], [0.0])[0].log_e)
        assert mean <= 1 + 1e-12


def test_the_starts_share_one_weight():
    """The weights of all starts there can ever be add up to 1."""
    assert sum(eprocess.start_weight(n) for n in range(1, 100_000)) == pytest.approx(1, abs=1e-4)


def test_restarts_are_at_each_step_and_every_half_hour():
    """When the process starts anew depends on the clock alone."""
    assert eprocess.restarts([0, 600, 1200], 5000) == (0, 600, 1200, 3000, 4800)
    assert eprocess.restarts([0, 600], 300) == (0,)


counts = st.builds(
    lambda calls, share: Counts(calls, int(calls * share)), st.integers(0, 400), st.floats(0, 1)
)
histories = st.lists(st.tuples(counts, counts), max_size=40).map(
    lambda pairs: [Minute(n * 60, canary, other) for n, (canary, other) in enumerate(pairs)]
)


@given(minutes=histories, seed=st.integers(0, 99), last=st.integers(1, 4))
@settings(max_examples=150)
def test_the_order_of_arrival_does_not_matter(minutes, seed, last):
    """Minutes in any order lead to the same judgement, and there always is one."""
    rollout = replace(so_far(now=after(minutes)), starts=LAST[:last])
    shuffled = random.Random(seed).sample(minutes, len(minutes))
    found = judge(SETTINGS, minutes, rollout, after(minutes))
    assert found.verdicts
    assert judge(SETTINGS, shuffled, rollout, after(minutes)) == found


@given(minutes=histories)
@settings(max_examples=100)
def test_a_failure_once_proven_stays_proven(minutes):
    """More minutes never take a failure back, as long as the earlier ones stay what they are."""
    for end in range(len(minutes)):
        if judged(minutes[: end + 1], RAMP[0]).verdicts[0].outcome is FAIL:
            assert judged(minutes, RAMP[0]).verdicts[0].outcome is FAIL
            break


@given(hits=st.integers(0, 30), others=st.integers(0, 30), rho=st.floats(0.01, 0.99))
def test_more_errors_of_the_canary_are_more_evidence(hits, others, rho):
    """Moving an error from the stable version to the canary, or the canary having more calls, shows."""

    def log_e(mine: int, all_: int, share: float) -> float:
        return eprocess.accumulate([Share(0, mine, all_, share)], [0.0])[0].log_e

    total = hits + others + 1
    assert log_e(hits + 1, total, rho) > log_e(hits, total, rho)
    assert log_e(hits, total, rho) >= log_e(hits, total, min(1.0, rho * 1.5))


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1)), min_size=1, max_size=40)
)
@settings(max_examples=100)
def test_the_same_share_of_every_outage_never_rolls_back(rows):
    """Whatever hits both versions alike, however hard and whenever, is not the canary's fault."""
    minutes = [
        minute(n, (canary, math.floor(canary * rate)), (other, math.ceil(other * rate)))
        for n, (canary, other, rate) in enumerate(rows)
    ]
    assert FAIL not in outcomes(judged(minutes, RAMP[0]))


# --- how often it is wrong, on seeded traffic, and that the check would notice a rule that is wrong more often

Rule = Callable[[Sequence[Minute]], bool]


def the_gate(minutes: Sequence[Minute]) -> bool:
    """Return whether the gate rolls back."""
    return judged(minutes, *RAMP).traces[0].failed_at is not None


def without_strata(minutes: Sequence[Minute]) -> bool:
    """Return what a mutant does that pools the minutes so far into one, and looks after each of them."""
    pooled = Minute(0, Counts(), Counts())
    for m in minutes:
        pooled = Minute(
            0,
            Counts(pooled.canary.calls + m.canary.calls, pooled.canary.errors + m.canary.errors),
            Counts(pooled.stable.calls + m.stable.calls, pooled.stable.errors + m.stable.errors),
        )
        c, s = pooled.canary, pooled.stable
        share = Share(0, c.errors, c.errors + s.errors, c.calls / max(1, c.calls + s.calls))
        if eprocess.accumulate([share], [0.0])[0].log_e >= math.log(100) and c.errors >= 3:
            return True
    return False


def peeking(minutes: Sequence[Minute]) -> bool:
    """Return what a mutant does that looks at a z-test at the same level after every minute."""
    canary = stable = errors = others = 0.0
    for m in minutes:
        canary, errors = canary + m.canary.calls, errors + m.canary.errors
        stable, others = stable + m.stable.calls, others + m.stable.errors
        rate = (errors + others) / max(1, canary + stable)
        if canary and stable and 0 < rate < 1 and errors >= 3:
            spread = math.sqrt(rate * (1 - rate) * (1 / canary + 1 / stable))
            if (errors / canary - others / stable) / spread > 2.326:
                return True
    return False


def healthy(rng: random.Random, rpm: int, rate: float, outage: range) -> list[Minute]:
    """Return fifty minutes of the ramp in which both versions fail alike, a third of all calls in the outage."""
    minutes = []
    for n in range(50):
        weight = 0.05 if n < 10 else 0.1 if n < 20 else 0.25
        failing = 0.3 if n in outage else rate
        calls = [[0, 0], [0, 0]]
        for _ in range(rpm):
            version = calls[rng.random() < weight]
            version[0] += 1
            version[1] += rng.random() < failing
        minutes.append(minute(n, (calls[1][0], calls[1][1]), (calls[0][0], calls[0][1])))
    return minutes


def false_rollbacks(rule: Rule, runs: int, outage: range) -> int:
    """Return how many healthy rollouts the rule rolls back; the seed is fixed."""
    rng = random.Random(20)
    return sum(rule(healthy(rng, 100, 0.02, outage)) for _ in range(runs))


RUNS = 150
MOST = 4  # alpha = 1 %: more than 4 of 150 would happen by chance in 2 of 100 at the very bound, which is not reached
QUIET, OUTAGE = range(0), range(20, 25)


@pytest.mark.parametrize("outage", [QUIET, OUTAGE], ids=["quiet", "outage on both"])
def test_healthy_releases_are_rolled_back_less_often_than_alpha(outage):
    """Looking every minute, with weights that change and an outage of both versions, keeps the promise."""
    assert false_rollbacks(the_gate, RUNS, outage) <= MOST


@pytest.mark.parametrize(
    ("mutant", "outage"), [(without_strata, OUTAGE), (peeking, QUIET)], ids=["without strata", "peeking"]
)
def test_a_rule_without_the_guarantee_is_noticed(mutant, outage):
    """Pooling the minutes, or looking at a z-test every minute, breaks the promise the test above checks."""
    assert false_rollbacks(mutant, RUNS, outage) > MOST


def test_six_hours_are_judged_in_milliseconds():
    """Every poll recomputes everything, so that must be cheap: 10 ms of this process, twice that on a slow machine."""
    rng = random.Random(1)
    minutes = [
        Minute(
            60 * n,
            Counts(rng.randrange(80, 120), rng.randrange(3), slow=rng.randrange(40, 60)),
            Counts(900, rng.randrange(20), slow=rng.randrange(400, 500)),
        )
        for n in range(360)
    ]
    rollout = so_far(StepStart(0, 5), StepStart(7200, 10), StepStart(14400, 25), now=after(minutes))
    gate = replace(SETTINGS, compare_slow=True)
    taken = []
    for _ in range(5):
        began = time.process_time()
        judge(gate, minutes, rollout, after(minutes))
        taken.append(time.process_time() - began)
    assert min(taken) < 0.020


def test_the_evidence_is_there_to_draw():
    """Each test returns its evidence minute by minute, and the limit it has to reach."""
    found = judged(steady(20, (100, 1), (900, 9)))
    trace = found.traces[0]
    assert (trace.metric, trace.failed_at, len(trace.points)) == ("errors", None, 20)
    assert trace.limit == pytest.approx(math.log(1 / 0.009))
    assert all(one.at < two.at for one, two in pairwise(trace.points))
    assert all(point.log_e < trace.limit for point in trace.points)


@pytest.mark.parametrize(
    ("log_e", "shown"), [(0.0, "1"), (math.log(99.9), "99"), (9.62, "15 000"), (50.0, "1 000 000")]
)
def test_the_number_of_rollouts_is_rounded_down(log_e, shown):
    """The sentence never claims more evidence than there is."""
    assert number(rollouts(log_e)) == shown
